//! Entries about holds and revocations.

use serde_json::json;

use super::NewEntry;
use crate::{
    evidence::{event::AuditEvent, shred_reason::ShredReason},
    model::{
        actor::Initiator,
        id::{RecordingId, RevocationId},
        name::{HoldName, Purpose},
        time::Timestamp,
    },
};

impl NewEntry {
    /// A hold was placed on a recording, or changed. The authority is free text, so it is not
    /// recorded here.
    pub fn hold_placed(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        name: &HoldName,
        purpose: &Purpose,
        reason: &ShredReason,
        review_at: Timestamp,
    ) -> Self {
        let details =
            json!({ "hold": name, "purpose": purpose, "reason": reason, "review_at": review_at });
        Self::new(at, by, AuditEvent::HoldPlaced, Some(recording), details)
    }

    /// A hold was lifted; this many remain.
    pub fn hold_lifted(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        name: &HoldName,
        left: i64,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::HoldLifted,
            Some(recording),
            json!({ "hold": name, "holds_left": left }),
        )
    }

    /// A recording is closed: to everything but the holds that protect it, or to these purposes.
    pub fn recording_revoked(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        revocation: Option<RevocationId>,
        reason: &ShredReason,
        purposes: Option<&std::collections::BTreeSet<Purpose>>,
    ) -> Self {
        let mut details = serde_json::Map::new();
        details.insert("reason".into(), json!(reason));
        if let Some(revocation) = revocation {
            details.insert("revocation".into(), json!(revocation));
        }
        if let Some(purposes) = purposes {
            details.insert("purposes".into(), json!(purposes));
        }
        Self::new(
            at,
            by,
            AuditEvent::RecordingRevoked,
            Some(recording),
            details.into(),
        )
    }

    /// A revocation begins. Of its target only the kind is recorded: the id of a person would link
    /// their recordings for readers of the log.
    pub fn revocation_begun(
        at: Timestamp,
        by: Initiator,
        revocation: RevocationId,
        reach: &'static str,
        purposes: &std::collections::BTreeSet<Purpose>,
        reason: &ShredReason,
    ) -> Self {
        let details = json!({ "revocation": revocation, "reach": reach, "purposes": purposes, "reason": reason });
        Self::new(at, by, AuditEvent::RevocationBegun, None, details)
    }

    /// Every recording of a revocation has an outcome: the numbers of shredded, held and closed
    /// ones.
    pub fn revocation_done(
        at: Timestamp,
        revocation: RevocationId,
        shredded: u64,
        held: u64,
        closed: u64,
    ) -> Self {
        let details = json!({ "revocation": revocation, "shredded": shredded, "held": held, "closed": closed });
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RevocationDone,
            None,
            details,
        )
    }
}
