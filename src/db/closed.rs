//! Why a database is not written any more.
//!
//! Owns the kinds of reasons. Refuses to know when it is so: `gate` says that.

use std::{fmt, sync::Arc};

/// Why nothing is written to a database any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What kind of reason it is.
    pub because: ClosedFor,
    /// The reason and the way out, for the operator.
    pub(super) why: Arc<str>,
}

/// What kind of reason keeps every writer out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedFor {
    /// The database has forgotten what the vault did.
    Forgetful,
    /// The database's file was replaced, moved away or removed while it was open.
    Displaced,
    /// Another database has the roots.
    TakenOver,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
