//! Wake-ups: a waiting task is notified when there may be work for it.
//!
//! Owns one `Notify` for each waiting task. Refuses to pass data: a notified task queries the
//! database, so a missed notification costs one polling interval and nothing else.

use std::sync::Arc;

use tokio::sync::Notify;

/// The wake-ups of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakeups {
    /// Notified when there is new work.
    pub(super) work: Arc<Notify>,
    /// Notified when a change must be written to the journal.
    pub(super) journal: Arc<Notify>,
    /// Notified when a shred may require an immediate turn.
    pub(super) epochs: Arc<Notify>,
}
