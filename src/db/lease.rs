//! The term of a lease, by the database's time.
//!
//! Owns the time by which leases are measured, and nothing else. Each process has a clock of its
//! own, which may be wrong; the database has one for all.
//!
//! INVARIANT: only [`Term::begin`] creates a term, from the time that the database gives in the
//! unit that takes or keeps the lease. A lease that ends later than is possible with a correct
//! clock was given while the clock was ahead, and is ignored.

use std::time::Duration;

use super::{error::Error, tx::Tx};
use crate::model::time::Timestamp;

/// A lease may end this much later than twice its length before it is ignored: clocks are sometimes
/// set back a little.
const FORGIVEN: Duration = Duration::from_secs(600);

/// The start and the end of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    /// A lease that ends after this time is ignored.
    pub(super) beyond: Timestamp,
}

impl Term {
    /// Creates a term that begins now.
    ///
    /// # Errors
    /// Any database error.
    pub async fn begin(tx: &mut Tx, length: Duration) -> Result<Self, Error> {
        Ok(Self::from(tx.now().await?, length))
    }

    /// When the term ends.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// The same term, but leases of up to this length are respected: a caller that examines the
    /// leases of others does not know their length.
    #[must_use]
    pub fn believing(self, longest: Duration) -> Self {
        let beyond = self.now.after(longest).after(longest).after(FORGIVEN);
        Self {
            beyond: beyond.max(self.beyond),
            ..self
        }
    }

    fn from(now: Timestamp, length: Duration) -> Self {
        let until = now.after(length);
        Self {
            now,
            until,
            beyond: until.after(length).after(FORGIVEN),
        }
    }

    /// Creates a term from a test's own time.
    #[cfg(test)]
    pub(super) fn at(now: Timestamp, until: Timestamp) -> Self {
        let length = until.since(now);
        Self {
            until,
            ..Self::from(now, length)
        }
    }
}
