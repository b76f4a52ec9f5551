//! Bells: who waits for work is woken when there may be some.
//!
//! Owns one bell for each who waits. Refuses to carry news: whoever hears one looks for themselves,
//! so that one that is missed costs a pause and nothing else.

use std::sync::Arc;

use tokio::sync::Notify;

/// The bells of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Bells {
    /// Rung when there is new work.
    pub(super) work: Arc<Notify>,
    /// Rung when something wants to be in the journal.
    pub(super) journal: Arc<Notify>,
    /// Rung when a shred may want a turn at once.
    pub(super) epochs: Arc<Notify>,
}
