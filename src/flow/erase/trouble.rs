//! Why copies at the source could not be deleted, and how long to wait before the next attempt.
//!
//! Owns patience with the source. INVARIANT: no trouble ends the work. A copy that cannot be
//! deleted is tried again and again, and is shown.

use std::time::Duration;

use super::SourceDeletion;
use crate::{
    flow::{
        error::Error,
        patience::{Verdict, backoff, jittered},
    },
    ledger::{self, work::Lease},
    model::time::Timestamp,
    twilio::RestError,
    vault,
};

/// What the reason of work begins with that waits for somebody; `status` finds it by that.
pub(in crate::flow) const STUCK: &str = "stuck: ";

/// Why an attempt did not come to its end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Something else has to happen first, and will.
    NotYet(&'static str),
    /// The same, and it is known when.
    Until(Timestamp, &'static str),
    /// Nothing happens unless somebody does something.
    Stuck(String),
    /// The source stumbled.
    Source(RestError),
    /// We could not.
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

impl From<ledger::Error> for Trouble {
    fn from(error: ledger::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl SourceDeletion {
    /// What to do with work at the source that could not be done. It is never set aside; when it
    /// takes long, that is said loudly.
    pub(super) fn bear(&self, lease: &Lease, trouble: Trouble) -> (Verdict, String) {
        let longest = self.settings.max_backoff_s;
        let (verdict, why) = match trouble {
            Trouble::Ours(Error::Vault(vault::Error::Ledger(error @ ledger::Error::Stale(_)))) => {
                return (Verdict::NotOurs, error.to_string());
            }
            Trouble::Ours(error) => (Verdict::Later, error.to_string()),
            Trouble::Until(at, why) => {
                return (
                    Verdict::After(at.since(self.clock.now()).max(Duration::from_secs(1))),
                    why.to_owned(),
                );
            }
            Trouble::NotYet(why) => (Verdict::Later, why.to_owned()),
            Trouble::Source(RestError::Throttled { retry_after }) => {
                let pause = retry_after
                    .unwrap_or_else(|| jittered(backoff(lease.attempts, longest)))
                    .max(Duration::from_secs(1));
                (
                    Verdict::After(pause),
                    RestError::Throttled { retry_after }.to_string(),
                )
            }
            Trouble::Source(error) => (Verdict::Later, error.to_string()),
            Trouble::Stuck(why) => (
                Verdict::After(jittered(Duration::from_secs(longest.max(1).into()))),
                format!("{STUCK}{why}"),
            ),
        };
        if why.starts_with(STUCK) || lease.attempts >= self.settings.attempts.into() {
            metrics::counter!("recvault_source_stuck_total").increment(1);
            tracing::error!(recording = %lease.recording, attempts = lease.attempts, why, "copies at the source could not be deleted");
        }
        (verdict, why)
    }
}
