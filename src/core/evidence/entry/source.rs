//! Entries about the source's copies.

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
    /// One attempt changed the state of copies: per kind, how many became deleted; then how many
    /// deletions the source newly confirmed, how many copies newly proved undeletable, and, if any,
    /// how many belong to another recording, how many cannot be known any more, and
    /// of how many the source removed the text because it refused the deletion. The
    /// source's ids are not recorded here; the catalogue has them. `before` is the earlier state of
    /// the same copies.
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
        for (word, state) in [("kept", CopyState::Kept), ("unknown", CopyState::Unknown)] {
            let found = after.iter().filter(|copy| is_new(copy, state)).count();
            if found > 0 {
                details.insert(word.into(), json!(found));
            }
        }
        let is_redacted = |copy: &&SourceCopy| {
            copy.redacted_at.is_some()
                && known(copy).is_none_or(|known| known.redacted_at.is_none())
        };
        let redacted = after.iter().filter(is_redacted).count();
        if redacted > 0 {
            details.insert("redacted".into(), json!(redacted));
        }
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::SourceDeleted,
            Some(recording),
            Value::Object(details),
        )
    }

    /// The recording was still in progress, and was stopped.
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
