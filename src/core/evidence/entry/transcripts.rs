//! Entries about the source's transcripts.

use serde_json::json;

use super::NewEntry;
use crate::{
    evidence::event::AuditEvent,
    model::{actor::Initiator, id::RecordingId, origin::Origin, time::Timestamp},
};

impl NewEntry {
    /// A transcript of the source was abandoned after this many attempts; with its recording, if
    /// known.
    pub fn transcript_dead(
        at: Timestamp,
        origin: &Origin,
        attempts: i64,
        recording: Option<RecordingId>,
    ) -> Self {
        let details = json!({ "kind": "transcript", "made_by": origin.kind(), "sid": origin.sid(), "attempts": attempts });
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::WorkDead,
            recording,
            details,
        )
    }
}
