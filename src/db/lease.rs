//! For how long something is somebody's: the term of a lease, by the database's time.
//!
//! Owns what time it is for leases, and nothing else. Processes have clocks of their own, and one
//! of them may be wrong; the database has one for all.
//!
//! INVARIANT: only [`Term::begin`] makes a term, from a time that the database itself gives in the
//! unit that takes or keeps the lease. A lease that ends later than any honest one could was given
//! by a clock that was ahead then: it holds nobody back.

use std::time::Duration;

use super::{error::Error, tx::Tx};
use crate::model::time::Timestamp;

/// So much beyond twice its length a lease may end and still be believed: clocks are set back a
/// little now and then.
const FORGIVEN: Duration = Duration::from_secs(600);

/// From when until when a lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    /// A lease that ends after this is nobody's.
    pub(super) beyond: Timestamp,
}

impl Term {
    /// A term that begins now.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(tx: &mut Tx, length: Duration) -> Result<Self, Error> {
        Ok(Self::from(tx.now().await?, length))
    }

    /// When it ends.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// The same term, with leases believed that are as long as this: who looks at the leases of
    /// others does not know how long they were meant to be.
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

    /// A term by a test's own time.
    #[cfg(test)]
    pub(super) fn at(now: Timestamp, until: Timestamp) -> Self {
        let length = until.since(now);
        Self {
            until,
            ..Self::from(now, length)
        }
    }
}
