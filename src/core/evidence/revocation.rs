//! The receipt for the whole of a revocation: signed proof of the outcome for everything that it
//! reached, which anyone can verify offline.
//!
//! Owns its claims and every check of them. Refuses to identify the person who revoked: it contains
//! neither a number nor the id of a person, only the kind of target. INVARIANT: whether anything is
//! left follows from the counts. It is signed again under the same id when a hold ends or something
//! arrives late; the newer `iat` counts.

use std::collections::BTreeSet;

use aws_lc_rs::digest;

use super::{
    jws,
    shred_reason::ShredReason,
    signing::{KeySet, Signer},
};
use crate::model::{
    id::{ReceiptId, RevocationId, VaultId},
    media::MediaKind,
    name::Purpose,
    revocation::Authorship,
    time::Timestamp,
};

/// `typ` of its header (RFC 8725, section 3.11).
const TYP: &str = "recvault-revocation+jwt";

/// The target of a revocation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReach {
    /// The recordings of a person.
    Subject,
    /// One recording.
    Recording,
    /// The recordings of an account.
    Account,
    /// The recordings of a conversation.
    Conversation,
}

/// The state of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationState {
    /// Nothing is left to do.
    Complete,
    /// Holds protect some of the recordings: they are closed, and shredded when the last hold ends.
    Held,
}

/// Proof of a revocation. The claims are these fields by their names; the first three are `iss`,
/// `jti` and `iat`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationReceipt {
    /// The vault.
    #[serde(rename = "iss")]
    pub vault: VaultId,
    /// The revocation.
    #[serde(rename = "jti")]
    pub id: RevocationId,
    /// When this version of it was signed, in seconds since 1970-01-01T00:00:00Z.
    #[serde(rename = "iat")]
    pub issued_at_s: i64,
    /// The kind of target.
    pub reach: RevocationReach,
    /// Whether it was limited to some accounts, by the permissions of the revoking principal.
    pub limited: bool,
    /// The purposes that were revoked; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// The reason.
    pub reason: ShredReason,
    /// It covers what was collected until this time.
    pub revoked_at: Timestamp,
    /// The number of shredded recordings, each with a receipt of its own.
    pub shredded: u64,
    /// The number of recordings that are closed and protected by holds.
    pub held: u64,
    /// The number of recordings that are closed to the revoked purposes.
    pub closed: u64,
    /// The same numbers by kind and part, in that order; without those that are all zero.
    pub kinds: Vec<CountedKind>,
    /// [`digest_of`] the receipts.
    pub receipts_sha256: String,
    /// The state.
    pub state: RevocationState,
}

/// The outcomes for the recordings of one kind in which the person had one part.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct CountedKind {
    /// The kind of communication.
    pub kind: MediaKind,
    /// Whether the revoking person made these, or received them from others.
    pub authorship: Authorship,
    /// The number of shredded recordings.
    pub shredded: u64,
    /// The number of recordings that have a hold.
    pub held: u64,
    /// The number of recordings that are closed to the revoked purposes.
    pub closed: u64,
}

/// Why a text is not a valid receipt of a revocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The signature or its envelope is invalid.
    #[error(transparent)]
    Jws(#[from] jws::Error),
    /// A claim is missing, unknown or malformed.
    #[error("the claims are not those of a revocation's receipt: {0}")]
    Claims(String),
    /// The stated state is not the one that follows from the counts.
    #[error("`state` contradicts `held`")]
    State,
    /// The numbers by kind are not those of the whole.
    #[error("`kinds` does not add up to `shredded`, `held` and `closed`")]
    Kinds,
    /// It was issued before the revocation.
    #[error("`iat` is before `revoked_at`")]
    IssuedBefore,
}

impl RevocationReceipt {
    /// Returns the receipt as signed text, a JWS in compact form.
    pub fn sign(&self, signer: &Signer) -> String {
        jws::sign(
            signer,
            TYP,
            &serde_json::to_vec(self).expect("claims are texts and numbers"),
        )
    }

    /// Reads a signed receipt. Needs nothing but the text and the vault's published keys.
    ///
    /// # Errors
    /// The check that failed.
    pub fn verify(text: &str, keys: &KeySet) -> Result<Self, Error> {
        let payload = jws::verify(text, TYP, keys)?;
        let receipt: Self =
            serde_json::from_slice(&payload).map_err(|error| Error::Claims(error.to_string()))?;
        if receipt.state != RevocationState::after(receipt.held) {
            return Err(Error::State);
        }
        let total = |of: fn(&CountedKind) -> u64| {
            let numbers = receipt.kinds.iter().map(of);
            numbers.fold(0_u64, u64::saturating_add)
        };
        let totals = [
            total(|kind| kind.shredded),
            total(|kind| kind.held),
            total(|kind| kind.closed),
        ];
        if totals != [receipt.shredded, receipt.held, receipt.closed] {
            return Err(Error::Kinds);
        }
        if receipt.issued_at_s < receipt.revoked_at.as_millis().div_euclid(1000) {
            return Err(Error::IssuedBefore);
        }
        Ok(receipt)
    }
}

impl RevocationState {
    /// Returns the state of a revocation of whose recordings this many are protected by holds.
    pub fn after(held: u64) -> Self {
        if held == 0 {
            Self::Complete
        } else {
            Self::Held
        }
    }
}

/// Returns the SHA-256, lower-case hex, over the ids of receipts as text, sorted, each followed by
/// a line feed. A holder of the receipts can verify that none is missing.
pub fn digest_of(receipts: &[ReceiptId]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let sorted: BTreeSet<&ReceiptId> = receipts.iter().collect();
    for receipt in sorted {
        context.update(format!("{receipt}\n").as_bytes());
    }
    hex::encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Key;

    fn signer() -> Signer {
        Signer::from_seed(&Key::take(&mut [7; 32]))
    }

    fn keys() -> KeySet {
        KeySet::new([signer().verifying_key().clone()])
    }

    fn receipt() -> RevocationReceipt {
        RevocationReceipt {
            vault: VaultId::random(&mut rand::rng()),
            id: RevocationId::random(&mut rand::rng()),
            issued_at_s: 1_800_000_000,
            reach: RevocationReach::Subject,
            limited: false,
            purposes: ["training".parse().unwrap()].into(),
            reason: "subject-request".parse().unwrap(),
            revoked_at: Timestamp::from_millis(1_800_000_000_999),
            shredded: 2,
            held: 0,
            closed: 1,
            kinds: vec![
                CountedKind {
                    kind: MediaKind::Message,
                    authorship: Authorship::Own,
                    shredded: 2,
                    held: 0,
                    closed: 0,
                },
                CountedKind {
                    kind: MediaKind::Message,
                    authorship: Authorship::Received,
                    shredded: 0,
                    held: 0,
                    closed: 1,
                },
            ],
            receipts_sha256: digest_of(&[]),
            state: RevocationState::Complete,
        }
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let receipt = receipt();
        assert_eq!(
            RevocationReceipt::verify(&receipt.sign(&signer()), &keys()),
            Ok(receipt)
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let unfinished = RevocationReceipt {
            held: 1,
            ..receipt()
        };
        assert_eq!(
            RevocationReceipt::verify(&unfinished.sign(&signer()), &keys()),
            Err(Error::State)
        );
        let less = RevocationReceipt {
            kinds: Vec::new(),
            ..receipt()
        };
        assert_eq!(
            RevocationReceipt::verify(&less.sign(&signer()), &keys()),
            Err(Error::Kinds)
        );
        let early = RevocationReceipt {
            issued_at_s: 1_799_999_999,
            ..receipt()
        };
        assert_eq!(
            RevocationReceipt::verify(&early.sign(&signer()), &keys()),
            Err(Error::IssuedBefore)
        );
        let other = Signer::from_seed(&Key::take(&mut [8; 32]));
        assert!(matches!(
            RevocationReceipt::verify(&receipt().sign(&other), &keys()),
            Err(Error::Jws(_))
        ));
        let more = jws::sign(&signer(), TYP, br#"{"subject":"+49"}"#);
        assert!(matches!(
            RevocationReceipt::verify(&more, &keys()),
            Err(Error::Claims(_))
        ));
        let shred = jws::sign(
            &signer(),
            "recvault-receipt+jwt",
            &serde_json::to_vec(&receipt()).unwrap(),
        );
        assert!(matches!(
            RevocationReceipt::verify(&shred, &keys()),
            Err(Error::Jws(jws::Error::Type))
        ));
    }

    #[test]
    fn the_digest_is_of_the_set() {
        let [a, b] = [
            ReceiptId::random(&mut rand::rng()),
            ReceiptId::random(&mut rand::rng()),
        ];
        assert_eq!(digest_of(&[a, b]), digest_of(&[b, a]));
        assert_ne!(digest_of(&[a]), digest_of(&[a, b]));
        use sha2::Digest as _;
        assert_eq!(
            digest_of(&[a]),
            hex::encode(sha2::Sha256::digest(format!("{a}\n")))
        );
    }
}
