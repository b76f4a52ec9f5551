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
    /// A hold was placed on a recording, or says something else now. Who demands it is text, and so
    /// is not written down here.
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

    /// A hold was lifted; so many still stand.
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

    /// A recording is closed: to everything but the holds that keep it, or to these purposes.
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

    /// A revocation begins. What it reaches is written down only as a kind: the id of a person
    /// would connect their recordings for whoever reads the log.
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

    /// Everything that a revocation reaches has an outcome: so many are shredded, so many kept by
    /// holds, so many closed.
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
