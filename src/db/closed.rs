//! Why a database is no longer written.
//!
//! Owns the kinds of reasons. Refuses to know when they apply: `gate` decides that.

use std::{fmt, sync::Arc};

/// The reason why nothing is written to a database any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The kind of reason.
    pub because: ClosedFor,
    /// The reason and the remedy, for the operator.
    pub(super) why: Arc<str>,
}

/// The kinds of reasons for which a database is closed to all writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedFor {
    /// The database lacks committed changes of the vault.
    Forgetful,
    /// The database's file was replaced, moved or removed while it was open.
    Displaced,
    /// Another database has taken over the root keys.
    TakenOver,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
