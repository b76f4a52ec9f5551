//! Entries about what the source keeps.

use serde_json::{Map, Value, json};

use super::NewEntry;
use crate::{
    evidence::event::AuditEvent,
    model::{
        actor::Initiator,
        id::RecordingId,
        source::{CopyKind, CopyState, SourceCopy},
        time::Timestamp,
    },
};

impl NewEntry {
    /// One attempt changed something about copies: how many of each kind are deleted now, of how
    /// many the source says so now, and how many the vault found that it cannot delete. The
    /// source's ids are not written down here; the catalogue has them. `before` is what was known
    /// of the same copies.
    pub fn source_deleted(
        at: Timestamp,
        recording: RecordingId,
        before: &[SourceCopy],
        after: &[SourceCopy],
    ) -> Self {
        let known = |copy: &SourceCopy| {
            before
                .iter()
                .find(|known| (known.kind, &known.sid) == (copy.kind, &copy.sid))
                .cloned()
        };
        let is_new = |copy: &SourceCopy, state| {
            copy.state == state && known(copy).is_none_or(|known| known.state != state)
        };
        let mut details = Map::new();
        for kind in CopyKind::ALL.iter().copied() {
            let deleted = after
                .iter()
                .filter(|copy| copy.kind == kind && copy.deleted_at.is_some());
            let deleted = deleted
                .filter(|copy| known(copy).is_none_or(|known| known.deleted_at.is_none()))
                .count();
            if deleted > 0 {
                details.insert(kind.as_str().into(), json!(deleted));
            }
        }
        for (word, state) in [
            ("confirmed", CopyState::Confirmed),
            ("left", CopyState::Left),
        ] {
            details.insert(
                word.into(),
                json!(after.iter().filter(|copy| is_new(copy, state)).count()),
            );
        }
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::SourceDeleted,
            Some(recording),
            Value::Object(details),
        )
    }

    /// The recording was still being made, and was told to stop.
    pub fn source_stopped(at: Timestamp, recording: RecordingId) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::SourceStopped,
            Some(recording),
            json!({}),
        )
    }
}
