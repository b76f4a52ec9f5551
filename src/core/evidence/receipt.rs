//! The receipt: signed proof that a recording was shredded, which anyone can verify offline.
//!
//! Owns the claims of a receipt and every check of them. Refuses to claim more than was done:
//! pending deletions are listed as pending, and copies that a shred does not reach are named in the
//! receipt itself, as are traces of deleted copies that stay at the source. INVARIANT: the state follows from the listed copies, so that a receipt cannot be
//! closed while a copy is left; it contains no phone number, name or free text.
//!
//! A receipt is signed again under the same id when its copies change; the newer `iat` counts.

mod copies;

use aws_lc_rs::digest;

pub use self::copies::{HeldCopy, Removal};
use super::{
    jws,
    shred_reason::ShredReason,
    signing::{KeySet, Signer},
};
use crate::model::{
    encoding::length_prefixed,
    id::{ReceiptId, RecordingId, VaultId},
    media::SourceRef,
    recording::Recording,
    residue::Residue,
    time::Timestamp,
    timeline::{LogPoint, Timeline},
    word::{UnknownWord, unknown},
};

/// `typ` of a receipt's header (RFC 8725, section 3.11).
const TYP: &str = "recvault-receipt+jwt";

/// The facts of a shred, for a new receipt.
#[derive(Clone, Debug)]
pub struct ShredFacts<'a> {
    /// The vault that shredded.
    pub vault: VaultId,
    /// The id of the new receipt.
    pub receipt: ReceiptId,
    /// The shredded recording.
    pub recording: &'a Recording,
    /// The reason.
    pub reason: ShredReason,
    /// When the tombstone was written and the key destroyed.
    pub tombstoned_at: Timestamp,
    /// The point of its entry in the audit log.
    pub audit: LogPoint,
}

/// The state of a shred.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum ReceiptState {
    /// The live key is destroyed. An older copy of the key store, together with the root of its
    /// epoch, still opens the recording.
    Tombstoned,
    /// The root of that epoch is destroyed, so no older copy of the key store opens it either. Some
    /// copy must still be removed.
    Unrecoverable,
    /// Unrecoverable, and every copy that the vault stores or deletes is gone.
    Closed,
}

crate::word_set!(ReceiptState);

/// The effect of the shred on older backups of the database.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum OlderBackups {
    /// None yet.
    NotCovered,
    /// They no longer open it: the root that they need is destroyed.
    Covered,
    /// There never was a key that a backup could contain.
    NoKey,
}

impl OlderBackups {
    /// Returns a sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotCovered => {
                "The live key is destroyed. Until the epoch turns, a backup of the database that \
                 is older than this shred still holds the key: anyone who has such a backup, the \
                 root key of the vault and a copy of the ciphertext can open the recording."
            }
            Self::Covered => {
                "The key is destroyed, and so is the root key that older backups of the database need: none of them opens the recording any more."
            }
            Self::NoKey => {
                "Nothing of the recording was ever sealed, so there is no key that a backup could hold."
            }
        }
    }
}

/// Proof of a shred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    vault: VaultId,
    id: ReceiptId,
    recording: RecordingId,
    source_digest: String,
    reason: ShredReason,
    tombstoned_at: Timestamp,
    policy_digest: String,
    audit: LogPoint,
    copies: Vec<HeldCopy>,
    residue: Vec<Residue>,
    unrecoverable: Option<(Timestamp, u64)>,
    issued_at: Timestamp,
}

/// Why a text is not a valid receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The signature or its envelope is invalid.
    #[error(transparent)]
    Jws(#[from] jws::Error),
    /// A claim is missing, unknown or malformed.
    #[error("the claims are not those of a receipt: {0}")]
    Claims(String),
    /// The stated state is not the one that follows from the copies.
    #[error("`state` contradicts `copies`")]
    State,
    /// It states what stays at the source before the source's copies are removed, or states it
    /// twice.
    #[error("`residue` contradicts `copies`")]
    Residue,
    /// The statement about older backups does not follow from the rest.
    #[error("`older_backups`, `unrecoverable_since` and `epoch` contradict each other")]
    OlderBackups,
    /// It was issued before its shred.
    #[error("`iat` is before `tombstoned_at`")]
    IssuedBeforeTombstone,
}

impl Receipt {
    /// Returns the receipt of a shred. The time of issue is in whole seconds, as in every JWT (RFC
    /// 7519, section 2).
    pub fn of(shred: ShredFacts<'_>, copies: Vec<HeldCopy>, issued_at: Timestamp) -> Self {
        let recording = shred.recording;
        Self {
            vault: shred.vault,
            id: shred.receipt,
            recording: recording.id,
            source_digest: source_digest(shred.vault, &recording.source_ref),
            reason: shred.reason,
            tombstoned_at: shred.tombstoned_at,
            policy_digest: recording.policy_digest.clone(),
            audit: shred.audit,
            copies,
            residue: Vec::new(),
            unrecoverable: None,
            issued_at: whole_seconds(issued_at),
        }
    }

    /// Returns the receipt with a new state of one of its copies; the others stay as they are, and
    /// a copy that it does not list is not added.
    #[must_use]
    pub fn settled(mut self, copy: HeldCopy, issued_at: Timestamp) -> Self {
        self.copies
            .iter_mut()
            .filter(|held| held.is_same_copy(&copy))
            .for_each(|held| *held = copy);
        Self {
            issued_at: whole_seconds(issued_at),
            ..self
        }
    }

    /// Returns the receipt with what stays at the source after the removal of its copies.
    #[must_use]
    pub fn leaving(self, residue: Vec<Residue>) -> Self {
        Self { residue, ..self }
    }

    /// Returns the receipt after the turn to `epoch` destroyed the root that older copies of the
    /// key store need.
    #[must_use]
    pub fn unrecoverable(self, since: Timestamp, epoch: u64, issued_at: Timestamp) -> Self {
        Self {
            unrecoverable: Some((since, epoch)),
            issued_at: whole_seconds(issued_at),
            ..self
        }
    }

    /// Returns the receipt as signed text, a JWS in compact form.
    pub fn sign(&self, signer: &Signer) -> String {
        let claims = Claims {
            iss: self.vault,
            jti: self.id,
            iat: self.issued_at.as_millis().div_euclid(1000),
            recording: self.recording,
            source_digest: self.source_digest.clone(),
            reason: self.reason.clone(),
            tombstoned_at: self.tombstoned_at,
            policy_digest: self.policy_digest.clone(),
            audit_timeline: self.audit.timeline,
            audit_seq: self.audit.seq,
            state: self.state(),
            copies: self.copies.clone(),
            residue: self.residue.clone(),
            older_backups: self.older_backups(),
            unrecoverable_since: self.unrecoverable.map(|(since, _)| since),
            epoch: self.unrecoverable.map(|(_, epoch)| epoch),
        };
        let payload = serde_json::to_vec(&claims).expect("claims are texts and numbers");
        jws::sign(signer, TYP, &payload)
    }

    /// Reads a signed receipt. Needs nothing but the text and the vault's published keys.
    ///
    /// # Errors
    /// The check that failed: form, algorithm, type, key, signature, claims, state, or the order of
    /// times.
    pub fn verify(text: &str, keys: &KeySet) -> Result<Self, Error> {
        let payload = jws::verify(text, TYP, keys)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|error| Error::Claims(error.to_string()))?;
        let issued_at = claims.iat.checked_mul(1000).map(Timestamp::from_millis);
        let receipt = Self {
            vault: claims.iss,
            id: claims.jti,
            recording: claims.recording,
            source_digest: claims.source_digest,
            reason: claims.reason,
            tombstoned_at: claims.tombstoned_at,
            policy_digest: claims.policy_digest,
            audit: LogPoint {
                timeline: claims.audit_timeline,
                seq: claims.audit_seq,
            },
            copies: claims.copies,
            residue: claims.residue,
            unrecoverable: claims.unrecoverable_since.zip(claims.epoch),
            issued_at: issued_at.ok_or_else(|| Error::Claims("`iat` is out of range".into()))?,
        };
        if claims.state != receipt.state() {
            return Err(Error::State);
        }
        if !receipt.has_possible_residue() {
            return Err(Error::Residue);
        }
        let is_whole = claims.unrecoverable_since.is_some() == claims.epoch.is_some();
        if !is_whole
            || claims.older_backups != receipt.older_backups()
            || receipt
                .unrecoverable
                .is_some_and(|(at, _)| at < receipt.tombstoned_at)
        {
            return Err(Error::OlderBackups);
        }
        if receipt.issued_at < whole_seconds(receipt.tombstoned_at) {
            return Err(Error::IssuedBeforeTombstone);
        }
        Ok(receipt)
    }

    /// Returns the state: closed once neither ciphertext nor a source copy is still to be removed
    /// and older copies of the key store are useless; before that, unrecoverable if a turn made
    /// them useless, otherwise tombstoned.
    pub fn state(&self) -> ReceiptState {
        let left = |copy: &HeldCopy| {
            matches!(
                copy,
                HeldCopy::Ciphertext(Removal::Pending | Removal::Unknown)
                    | HeldCopy::Source(Removal::Pending | Removal::NotDeletableYet { .. })
            )
        };
        match (self.older_backups(), self.copies.iter().any(left)) {
            (OlderBackups::NotCovered, _) => ReceiptState::Tombstoned,
            (OlderBackups::Covered, true) => ReceiptState::Unrecoverable,
            (OlderBackups::NoKey, true) => ReceiptState::Tombstoned,
            (_, false) => ReceiptState::Closed,
        }
    }

    /// Returns whether traces are stated for removed copies only, each once.
    fn has_possible_residue(&self) -> bool {
        let is_removed = matches!(self.source(), Some(Removal::Removed(_)));
        let mut names: Vec<_> = self
            .residue
            .iter()
            .map(|left| (left.copy, left.what))
            .collect();
        let stated = names.len();
        names.sort_unstable();
        names.dedup();
        self.residue.is_empty() || is_removed && names.len() == stated
    }

    /// The vault that shredded.
    pub fn vault(&self) -> VaultId {
        self.vault
    }

    /// The receipt's id.
    pub fn id(&self) -> ReceiptId {
        self.id
    }

    /// The shredded recording.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// Returns whether this is the receipt of the source's recording. Requires the source's ids.
    pub fn is_of(&self, source: &SourceRef) -> bool {
        self.source_digest == source_digest(self.vault, source)
    }

    /// The reason.
    pub fn reason(&self) -> &ShredReason {
        &self.reason
    }

    /// When its key was destroyed.
    pub fn tombstoned_at(&self) -> Timestamp {
        self.tombstoned_at
    }

    /// SHA-256 of the policy under which it was collected, lower-case hex.
    pub fn policy_digest(&self) -> &str {
        &self.policy_digest
    }

    /// The point of its entry in the audit log. A database that was restored later may use the
    /// number for another entry, in a later timeline.
    pub fn audit(&self) -> LogPoint {
        self.audit
    }

    /// The state of each copy.
    pub fn copies(&self) -> &[HeldCopy] {
        &self.copies
    }

    /// Returns the state of the source's own copies; `None` if the receipt does not list them.
    pub fn source(&self) -> Option<Removal> {
        self.copies.iter().find_map(|copy| match copy {
            HeldCopy::Source(removal) => Some(*removal),
            _ => None,
        })
    }

    /// What stays at the source after the removal of its copies. Empty before that, and in receipts
    /// of earlier versions, which do not state it.
    pub fn residue(&self) -> &[Residue] {
        &self.residue
    }

    /// Returns the effect of the shred on older copies of the key store.
    pub fn older_backups(&self) -> OlderBackups {
        match self.unrecoverable {
            _ if !self
                .copies
                .iter()
                .any(|copy| matches!(copy, HeldCopy::KeyEntry { .. })) =>
            {
                OlderBackups::NoKey
            }
            Some(_) => OlderBackups::Covered,
            None => OlderBackups::NotCovered,
        }
    }

    /// The time since when no older copy of the key store opens it.
    pub fn unrecoverable_since(&self) -> Option<Timestamp> {
        self.unrecoverable.map(|(since, _)| since)
    }

    /// The epoch whose turn achieved that.
    pub fn epoch(&self) -> Option<u64> {
        self.unrecoverable.map(|(_, epoch)| epoch)
    }

    /// When this version of it was signed, in whole seconds.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
}

/// Returns a digest that identifies the source's recording without disclosing its ids: SHA-256,
/// lower-case hex, over a label, the vault id, the account and the recording's SID, each preceded
/// by its length. The SID has 128 random bits, so the digest can be computed only with knowledge of
/// the SID.
pub fn source_digest(vault: VaultId, source: &SourceRef) -> String {
    let named = length_prefixed(&[
        b"recvault/source-digest/1",
        vault.as_bytes(),
        source.account().as_str().as_bytes(),
        source.sid().as_bytes(),
    ]);
    hex::encode(digest::digest(&digest::SHA256, &named))
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(
        at.as_millis()
            .saturating_sub(at.as_millis().rem_euclid(1000)),
    )
}

/// The claims as they are signed.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: VaultId,
    jti: ReceiptId,
    /// Seconds since 1970-01-01T00:00:00Z.
    iat: i64,
    recording: RecordingId,
    source_digest: String,
    reason: ShredReason,
    tombstoned_at: Timestamp,
    policy_digest: String,
    audit_timeline: Timeline,
    audit_seq: i64,
    state: ReceiptState,
    copies: Vec<HeldCopy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    residue: Vec<Residue>,
    older_backups: OlderBackups,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unrecoverable_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
}

#[cfg(test)]
mod tests;
