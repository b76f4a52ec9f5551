//! Entries of the audit log.
//!
//! Owns the possible entries and their form. Refuses to know where the log is stored and what
//! number an entry gets. INVARIANT: an entry is made only by the constructors here, which take ids,
//! parsed names and internal values. None takes free text. A justification may name people, so only
//! its presence is recorded. The actor comes as an [`Initiator`], so that each entry of a principal
//! names their token, as `credential`.

mod access;
mod accounts;
mod consent;
mod details;
mod letting_go;
mod sealed;
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
        artefact::Artefact,
        id::{GrantId, PrincipalId, ReceiptId, RecordingId, TokenId, VaultId},
        name::Tier,
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

/// An entry without a number. It must be in the database before its effect leaves the process.
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
    /// The vault was created, with this id and this signing key.
    pub fn vault_created(at: Timestamp, vault: VaultId, signer: &Signer) -> Self {
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::VaultCreated,
            None,
            json!({ "vault": vault, "signing_key": signer.key_id() }),
        )
    }

    /// These rules took effect for decisions.
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

    /// Adds a remark: the audio's header promises more bytes than there are.
    pub fn promising(mut self, plain_len: u64, promised: u64) -> Self {
        self.details
            .0
            .insert("plain_len".to_owned(), plain_len.into());
        self.details
            .0
            .insert("header_promises".to_owned(), promised.into());
        self
    }

    /// A recording was announced again after its shred, and was refused.
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

    /// The decision allowed the request, and its grant is stored under this id.
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

    /// The decision refused; `grant` is set if an earlier grant was to be used again.
    pub fn decision_denied(
        at: Timestamp,
        facts: &DecisionFacts<'_>,
        grant: Option<GrantId>,
        denial: &Denial,
    ) -> Self {
        let mut details = reasons(denial);
        // A purpose that the policy does not name is the requester's free text.
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

    /// An action other than playback was refused.
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

    /// The recording's key is destroyed; the receipt has this id.
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

    /// The ciphertext is deleted from the store.
    pub fn shred_bytes_removed(at: Timestamp, recording: RecordingId, receipt: ReceiptId) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::ShredBytesRemoved,
            Some(recording),
            json!({ "receipt": receipt }),
        )
    }

    /// A token was created for this principal.
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

    /// Work was abandoned after this many attempts. `kind` is an internal name.
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

    /// Abandoned work is tried again: this many items, of one recording or of all.
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

    /// The recording's key was moved to another tier.
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

    /// The recording's key was moved to a more sensitive tier, because of rules of these kinds.
    /// Their findings are not recorded.
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

    /// Returns the time.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns the actor.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Returns the event.
    pub fn event(&self) -> AuditEvent {
        self.event
    }

    /// Returns the recording, if the event concerns one.
    pub fn recording(&self) -> Option<RecordingId> {
        self.recording
    }

    /// Returns the further details.
    pub fn details(&self) -> &EntryDetails {
        &self.details
    }

    /// Returns the entry as it is in the log under this number.
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

/// Returns `reasons` with the `clauses` that give them, in the same order, and separately the
/// reasons that only the pinned version of the policy gives.
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
