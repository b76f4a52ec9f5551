//! Entries of the audit log.
//!
//! Owns what can be written down and in which words. Refuses to know where the log is kept and what
//! number an entry gets. INVARIANT: an entry is made only by the constructors here, which take ids,
//! parsed names and facts of the house. None takes text. A justification may name people, so only
//! its presence is written down. Who acts comes as an [`Initiator`], so that each entry of a
//! principal names the token that they showed, as `credential`.

mod access;
mod accounts;
mod consent;
mod details;
mod letting_go;
mod source;
mod transcripts;
mod vault;

use std::ops::Range;

use serde_json::{Map, Value, json};

pub use self::details::{EntryDetails, InvalidDetails};
use super::{event::AuditEvent, shred_reason::ShredReason, signing::Signer};
use crate::{
    model::{
        access::Principal,
        actor::{Actor, Initiator},
        artefact::{Artefact, Leg},
        id::{GrantId, PrincipalId, ReceiptId, RecordingId, TokenId, VaultId},
        name::Tier,
        recording::Recording,
        time::Timestamp,
        timeline::LogPoint,
    },
    policy::{Action, DecisionFacts, Denial, Grant, PolicyRefusal, Reason, Rules},
};

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// Its number: 1, 2, 3 … without gaps.
    #[schema(minimum = 1)]
    pub seq: i64,
    /// The time of the event.
    pub at: Timestamp,
    /// The actor: `prn_…`, `operator:` and the name of an account on the machine, or `vault`.
    #[schema(value_type = String, max_length = 80, examples("vault"))]
    pub actor: Actor,
    /// The event.
    pub event: AuditEvent,
    /// The recording, if the event concerns one.
    pub recording: Option<RecordingId>,
    /// Further details: ids, names, codes, numbers and digests.
    #[schema(value_type = Object)]
    pub details: EntryDetails,
    /// The timeline and the number that this entry had in a lost database. Only on entries that a
    /// restore found beyond the log that it continued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<LogPoint>,
}

/// A line that has no number yet. It must be in the database before its effect leaves the process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an event that is not written down did not happen"]
pub struct NewEntry {
    at: Timestamp,
    actor: Actor,
    event: AuditEvent,
    recording: Option<RecordingId>,
    details: EntryDetails,
}

impl NewEntry {
    /// The vault came into being, with this id and this key for its signatures.
    pub fn vault_created(at: Timestamp, vault: VaultId, signer: &Signer) -> Self {
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::VaultCreated,
            None,
            json!({ "vault": vault, "signing_key": signer.key_id() }),
        )
    }

    /// From now on decisions are taken by these rules.
    pub fn policy_in_force(at: Timestamp, by: Initiator, rules: &Rules) -> Self {
        let details = json!({ "version": rules.version(), "policy_digest": rules.digest() });
        Self::new(at, by, AuditEvent::PolicyInForce, None, details)
    }

    /// These rules were signed and published.
    pub fn policy_published(at: Timestamp, by: Initiator, rules: &Rules) -> Self {
        let effective = rules.document().effective;
        let details = json!({ "version": rules.version(), "policy_digest": rules.digest(), "effective": effective });
        Self::new(at, by, AuditEvent::PolicyPublished, None, details)
    }

    /// The recording, or a further leg of it, is sealed: length in bytes and SHA-256 of its
    /// ciphertext.
    pub fn recording_sealed(
        at: Timestamp,
        recording: &Recording,
        leg: Leg,
        sealed_len: u64,
        ciphertext_sha256: &[u8; 32],
    ) -> Self {
        let details = json!({
            "kind": recording.kind(),
            "leg": leg,
            "tier": recording.tier,
            "policy_digest": recording.policy_digest,
            "sealed_len": sealed_len,
            "ciphertext_sha256": hex::encode(ciphertext_sha256),
        });
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RecordingSealed,
            Some(recording.id),
            details,
        )
    }

    /// With a remark: the header of the sound promises more bytes than the whole of it has.
    pub fn promising(mut self, plain_len: u64, promised: u64) -> Self {
        self.details
            .0
            .insert("plain_len".to_owned(), plain_len.into());
        self.details
            .0
            .insert("header_promises".to_owned(), promised.into());
        self
    }

    /// A recording was announced again after its shred, and was not taken.
    pub fn recording_refused(at: Timestamp, recording: RecordingId) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RecordingRefused,
            Some(recording),
            json!({}),
        )
    }

    /// The store had no sealed object of a recording whose key lives.
    pub fn ciphertext_missing(at: Timestamp, recording: RecordingId) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::CiphertextMissing,
            Some(recording),
            json!({}),
        )
    }

    /// The decision allowed, and its grant is kept under this id.
    pub fn decision_allowed(at: Timestamp, grant: &Grant, id: GrantId) -> Self {
        let details = json!({
            "grant": id,
            "clause": grant.clause(),
            "purpose": grant.purpose(),
            "tier": grant.tier(),
            "view": grant.view().as_str(),
            "justified": grant.is_justified(),
            "policy_digest": grant.policy_digest(),
            "expires_at": grant.expires_at(),
        });
        Self::new(
            at,
            grant.initiator(),
            AuditEvent::DecisionAllowed,
            Some(grant.recording()),
            details,
        )
    }

    /// The decision refused; `grant` where an earlier grant was to be used again.
    pub fn decision_denied(
        at: Timestamp,
        facts: &DecisionFacts<'_>,
        grant: Option<GrantId>,
        denial: &Denial,
    ) -> Self {
        let mut details = reasons(denial);
        // A purpose that the policy does not name is only what somebody typed.
        if !denial
            .refusals()
            .iter()
            .any(|refusal| refusal.reason == Reason::PurposeUnknown && refusal.pinned.is_none())
        {
            details.insert("purpose".into(), json!(facts.purpose));
        }
        if let Some(grant) = grant {
            details.insert("grant".into(), json!(grant));
        }
        details.insert("justified".into(), json!(facts.is_justified()));
        Self::new(
            at,
            facts.principal.initiator(),
            AuditEvent::DecisionDenied,
            Some(facts.recording.id),
            Value::Object(details),
        )
    }

    /// Something that is not listening was refused.
    pub fn action_denied(
        at: Timestamp,
        principal: &Principal,
        action: Action,
        recording: Option<RecordingId>,
        denial: &Denial,
    ) -> Self {
        let mut details = reasons(denial);
        details.insert("action".into(), json!(action.as_str()));
        Self::new(
            at,
            principal.initiator(),
            AuditEvent::DecisionDenied,
            recording,
            Value::Object(details),
        )
    }

    /// These bytes of the artefact are about to leave under the grant; `range` counts bytes of
    /// plaintext and excludes its end.
    pub fn opening_started(
        at: Timestamp,
        grant: &Grant,
        id: GrantId,
        artefact: Artefact,
        range: &Range<u64>,
    ) -> Self {
        let details = json!({ "grant": id, "artefact": artefact.word(), "from": range.start, "to": range.end });
        Self::new(
            at,
            grant.initiator(),
            AuditEvent::OpeningStarted,
            Some(grant.recording()),
            details,
        )
    }

    /// The recording's key is destroyed; a receipt with this id tells of it.
    pub fn shred_tombstoned(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        receipt: ReceiptId,
        reason: &ShredReason,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::ShredTombstoned,
            Some(recording),
            json!({ "receipt": receipt, "reason": reason }),
        )
    }

    /// The ciphertext is gone from the store, too.
    pub fn shred_bytes_removed(at: Timestamp, recording: RecordingId, receipt: ReceiptId) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::ShredBytesRemoved,
            Some(recording),
            json!({ "receipt": receipt }),
        )
    }

    /// A token was made for this principal: the credential that they bear from now on.
    pub fn token_created(
        at: Timestamp,
        by: Initiator,
        principal: &Principal,
        expires_at: Option<Timestamp>,
    ) -> Self {
        let details = json!({ "token": principal.credential, "principal": principal.id, "roles": principal.roles, "accounts": principal.accounts, "expires_at": expires_at });
        Self::new(at, by, AuditEvent::TokenCreated, None, details)
    }

    /// A token of this principal was revoked.
    pub fn token_revoked(
        at: Timestamp,
        by: Initiator,
        token: TokenId,
        principal: PrincipalId,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::TokenRevoked,
            None,
            json!({ "token": token, "principal": principal }),
        )
    }

    /// A piece of work was given up after so many attempts. `kind` is one of the house's own words.
    pub fn work_dead(
        at: Timestamp,
        kind: &'static str,
        attempts: i64,
        recording: RecordingId,
    ) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::WorkDead,
            Some(recording),
            json!({ "kind": kind, "attempts": attempts }),
        )
    }

    /// Work that was given up is tried again: so many pieces, of one recording or of all.
    pub fn work_retried(
        at: Timestamp,
        by: Initiator,
        recording: Option<RecordingId>,
        pieces: u64,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::WorkRetried,
            recording,
            json!({ "pieces": pieces }),
        )
    }

    /// The recording's key went from one tier to another.
    pub fn recording_moved(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        from: &Tier,
        to: &Tier,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::RecordingMoved,
            Some(recording),
            json!({ "from": from, "to": to }),
        )
    }

    /// The recording's key went to a more sensitive tier, because of these kinds of rules. What
    /// they found is not told.
    pub fn recording_reclassified(
        at: Timestamp,
        recording: RecordingId,
        from: &Tier,
        to: &Tier,
        because: &[&'static str],
    ) -> Self {
        let details = json!({ "from": from, "to": to, "because": because });
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RecordingReclassified,
            Some(recording),
            details,
        )
    }

    /// What was said is sealed under the recording's key: length in bytes and SHA-256 of its
    /// ciphertext.
    pub fn transcript_sealed(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        sealed_len: u64,
        ciphertext_sha256: &[u8; 32],
    ) -> Self {
        let details = json!({ "sealed_len": sealed_len, "ciphertext_sha256": hex::encode(ciphertext_sha256) });
        Self::new(
            at,
            by,
            AuditEvent::TranscriptSealed,
            Some(recording),
            details,
        )
    }

    /// When.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Who.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// What.
    pub fn event(&self) -> AuditEvent {
        self.event
    }

    /// The recording, if the event concerns one.
    pub fn recording(&self) -> Option<RecordingId> {
        self.recording
    }

    /// What else belongs to it.
    pub fn details(&self) -> &EntryDetails {
        &self.details
    }

    /// The line as it stands in the log under this number.
    pub fn numbered(self, seq: i64) -> Entry {
        let Self {
            at,
            actor,
            event,
            recording,
            details,
        } = self;
        Entry {
            seq,
            at,
            actor,
            event,
            recording,
            details,
            told: None,
        }
    }

    fn new(
        at: Timestamp,
        by: Initiator,
        event: AuditEvent,
        recording: Option<RecordingId>,
        details: Value,
    ) -> Self {
        let mut details = match details {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        if let Some(credential) = by.credential() {
            details.insert("credential".into(), json!(credential));
        }
        Self {
            at,
            actor: by.actor(),
            event,
            recording,
            details: EntryDetails(details),
        }
    }
}

/// `reasons` with the `clauses` that give them, in the same order; and, apart, those that only the
/// pinned version of the policy gives.
fn reasons(denial: &Denial) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("policy_digest".into(), json!(denial.policy_digest()));
    let (pinned, own): (Vec<_>, Vec<_>) = denial
        .refusals()
        .iter()
        .partition(|refusal| refusal.pinned.is_some());
    let mut add = |refusals: &[&PolicyRefusal], reasons: &str, clauses: &str| {
        details.insert(
            reasons.into(),
            refusals
                .iter()
                .map(|refusal| Value::from(refusal.reason.code()))
                .collect(),
        );
        details.insert(
            clauses.into(),
            refusals
                .iter()
                .map(|refusal| Value::from(&*refusal.clause))
                .collect(),
        );
    };
    add(&own, "reasons", "clauses");
    if !pinned.is_empty() {
        add(&pinned, "pinned_reasons", "pinned_clauses");
    }
    details
}

#[cfg(test)]
mod tests;
