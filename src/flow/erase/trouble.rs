//! Reasons why copies at the source could not be deleted, and the delay before the next attempt.
//!
//! Owns the retries of deletions at the source. INVARIANT: no failure ends the work. A copy that
//! cannot be deleted is retried forever, and is reported.

use super::SourceDeletion;
use crate::{
    db::{self, work::Lease},
    flow::{error::Error, retry::Setback},
    model::{id::RecordingId, time::Timestamp},
    twilio::{RestError, TransientFailure},
    vault,
};

/// Why an attempt was not completed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Something else must happen first, and will.
    NotYet(&'static str),
    /// The same, at a known time.
    Until(Timestamp, &'static str),
    /// The source does not delete a copy yet, because it is not complete there.
    NotDeletableYet {
        /// When it first said so.
        since: Timestamp,
    },
    /// An operator must act.
    Stuck(String),
    /// The source failed.
    Source(RestError),
    /// The vault failed.
    Ours(Error),
}

impl From<RestError> for Trouble {
    fn from(error: RestError) -> Self {
        match error {
            RestError::Refused { .. } => Self::Stuck(error.to_string()),
            other => Self::Source(other),
        }
    }
}

impl From<TransientFailure> for Trouble {
    fn from(cause: TransientFailure) -> Self {
        Self::Source(RestError::Transient { cause })
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<vault::Error> for Trouble {
    fn from(error: vault::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<db::Error> for Trouble {
    fn from(error: db::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<Trouble> for Setback {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Ours(error) => Self::of_ours(&error),
            Trouble::Until(at, why) => Self::Until(at, why.to_owned()),
            Trouble::NotYet(why) => Self::Passing(why.to_owned()),
            Trouble::NotDeletableYet { since } => Self::NotDeletableYet { since },
            Trouble::Source(error @ RestError::Throttled { retry_after }) => {
                Self::Pause(retry_after, error.to_string())
            }
            Trouble::Source(error) => Self::Passing(error.to_string()),
            Trouble::Stuck(why) => Self::Stuck(why),
        }
    }
}

impl SourceDeletion {
    /// Converts a failure to a setback of the work, and logs an error if it has lasted long.
    pub(super) fn bear(&self, lease: &Lease<RecordingId>, trouble: Trouble) -> Setback {
        let settings = &self.settings;
        let setback = Setback::from(trouble);
        let now = self.clock.now();
        let is_long = lease.attempts >= settings.attempts.into();
        let is_loud = match &setback {
            Setback::Lost(_) | Setback::Until(..) => false,
            Setback::NotDeletableYet { .. } => {
                metrics::counter!("recvault_source_not_deletable_total").increment(1);
                setback.is_overdue(now)
            }
            Setback::Stuck(_) => true,
            _ => is_long,
        };
        if is_loud {
            metrics::counter!("recvault_source_stuck_total").increment(1);
            tracing::error!(
                recording = %lease.subject, attempts = lease.attempts,
                "copies at Twilio could not be deleted: {}", setback.why(now)
            );
        }
        setback
    }
}
