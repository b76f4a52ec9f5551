//! When work that was not done is tried again.
//!
//! Owns the one judgement of every kind of work, and the pauses. What went wrong is said by whoever
//! knows the error, as a [`Setback`]; what follows from it is a [`RetryDecision`], made here. Refuses
//! to know what the work is about.

use std::{fmt, time::Duration};

use rand::RngExt as _;

use super::{error::Error, patience::WorkSettings};
use crate::{
    db::{
        self,
        work::{Lease, WorkKind},
    },
    model::{numerals, time::Timestamp},
    twilio::RestError,
    vault,
};

/// What the reason of work begins with that waits for somebody; `status` finds it by that.
pub(super) const STUCK: &str = "stuck: ";

/// What is done with work that was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Tried again after this pause.
    Again {
        /// How long it rests.
        after: Duration,
    },
    /// Set aside until somebody says `recvault retry`.
    Bury,
    /// Nothing: it is somebody else's by now.
    Lost,
}

impl fmt::Display for RetryDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again { after } => write!(f, "again in {}", numerals::pause(*after)),
            Self::Bury => f.write_str("set aside until `recvault retry`"),
            Self::Lost => f.write_str("another process has it"),
        }
    }
}

/// What kept work from being done.
#[derive(Debug)]
pub(super) enum Setback {
    /// The lease is somebody else's by now.
    Lost(String),
    /// It cannot be done before then, and nothing is wrong.
    Until(Timestamp, String),
    /// The other side asks for a pause, of this length if it says so.
    Pause(Option<Duration>, String),
    /// It passes by itself: our own trouble, or something that has to happen first. Tried for ever.
    Passing(String),
    /// It is believed to pass, for a while.
    Doubtful(Doubt),
    /// Nothing happens unless somebody does something; tried for ever all the same.
    Stuck(String),
    /// Nothing happens unless somebody does something.
    Hopeless(String),
}

/// For how long something is believed to pass. Both have to be used up, so that neither a burst of
/// quick failures nor one long wait is enough.
#[derive(Debug)]
pub(super) struct Doubt {
    /// What it is.
    pub(super) why: String,
    /// For so long.
    pub(super) most: Duration,
    /// For so many attempts.
    pub(super) attempts: i64,
    /// Pauses grow no more after so many attempts.
    pub(super) steady_after: i64,
    /// Whether the reason for giving up names the time.
    pub(super) names_wait: bool,
}

impl Doubt {
    /// Something that is waited for, for so long.
    pub(super) fn of(why: String, most: Duration) -> Self {
        Self {
            why,
            most,
            attempts: 0,
            steady_after: i64::MAX,
            names_wait: false,
        }
    }
}

impl Setback {
    /// A trouble of the source's that passes or does not; how long it is believed is the caller's.
    pub(super) fn of_rest(error: &RestError, most: Duration) -> Self {
        let why = error.to_string();
        match error {
            RestError::Throttled {
                retry_after: Some(pause),
            } => Self::Pause(Some(*pause), why),
            passing if passing.passes() => Self::Doubtful(Doubt::of(why, most)),
            _ => Self::Hopeless(why),
        }
    }

    /// A trouble of our own. A full disk or a database that is away is no reason to give anything up.
    pub(super) fn of_ours(error: &Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Vault(vault::Error::Db(db::Error::Stale(_))) => Self::Lost(why),
            _ => Self::Passing(why),
        }
    }

    /// What it is.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Lost(why)
            | Self::Until(_, why)
            | Self::Pause(_, why)
            | Self::Passing(why)
            | Self::Stuck(why)
            | Self::Hopeless(why) => why,
            Self::Doubtful(doubt) => &doubt.why,
        }
    }

    /// What stands in the row.
    pub(super) fn reason(&self, decision: RetryDecision) -> String {
        match self {
            Self::Stuck(why) => format!("{STUCK}{why}"),
            Self::Doubtful(doubt) if doubt.names_wait && decision == RetryDecision::Bury => {
                format!(
                    "{}; given up after {} h",
                    doubt.why,
                    doubt.most.as_secs() / 3600
                )
            }
            _ => self.why().to_owned(),
        }
    }
}

/// Why work for an account that is not configured waits.
pub(super) const UNKNOWN_ACCOUNT: &str =
    "the account is not in `twilio.accounts`: add it and run `recvault retry`";

/// What follows from a setback, at `now`. INVARIANT: a kind that may not be buried is not.
pub(super) fn decide<K>(
    settings: &WorkSettings,
    lease: &Lease<K>,
    now: Timestamp,
    setback: &Setback,
) -> RetryDecision {
    let longest = Duration::from_secs(settings.max_backoff_s.max(1).into());
    let usual = |attempts: i64| jittered(backoff(attempts, settings.max_backoff_s));
    let after = match setback {
        Setback::Lost(_) => return RetryDecision::Lost,
        Setback::Until(at, _) => at.since(now).max(Duration::from_secs(1)),
        Setback::Pause(pause, _) => pause
            .unwrap_or_else(|| usual(lease.attempts))
            .max(Duration::from_secs(1)),
        Setback::Passing(_) => usual(lease.attempts),
        Setback::Stuck(_) => jittered(longest),
        Setback::Doubtful(doubt) => {
            let waited = now.since(lease.enqueued_at);
            let is_used_up = waited >= doubt.most && lease.attempts >= doubt.attempts;
            if is_used_up && lease.kind.may_be_buried() {
                return RetryDecision::Bury;
            }
            usual(lease.attempts.min(doubt.steady_after))
        }
        Setback::Hopeless(_) if lease.kind.may_be_buried() => return RetryDecision::Bury,
        Setback::Hopeless(_) => jittered(longest),
    };
    RetryDecision::Again { after }
}

/// 2 s, 4 s, 8 s … up to `max_s`.
fn backoff(attempts: i64, max_s: u32) -> Duration {
    let times = u32::try_from(attempts.clamp(1, 20)).unwrap_or(20);
    let longest = Duration::from_secs(max_s.max(1).into());
    doubled(Duration::from_secs(1), times, longest)
}

/// A pause that was doubled so many times, up to the longest.
pub(super) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(longest)
}

/// A random pause between half of it and all of it, so that what failed together does not return
/// together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Whether a decision gives something up because of how late it is.
pub(super) fn rests_on_the_clock(decision: RetryDecision, setback: &Setback) -> bool {
    decision == RetryDecision::Bury && matches!(setback, Setback::Doubtful(_))
}

/// The same setback for somebody whose clock is not believed: nothing is given up by its time.
pub(super) fn without_clock<K>(settings: &WorkSettings, lease: &Lease<K>) -> RetryDecision {
    RetryDecision::Again {
        after: jittered(backoff(lease.attempts, settings.max_backoff_s)),
    }
}

/// Whether a setback is to be said of a kind of work loudly, or is what usually happens.
pub(super) fn is_usual(kind: WorkKind, setback: &Setback) -> bool {
    matches!(kind, WorkKind::FetchTranscript | WorkKind::PollTranscripts)
        || matches!(setback, Setback::Until(..))
}

#[cfg(test)]
mod tests;
