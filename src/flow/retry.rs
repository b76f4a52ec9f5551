//! Retries of work that was not completed.
//!
//! Owns the one decision for every kind of work, and the pauses. The code that knows an error
//! reports it as a [`Setback`]; the reaction is a [`RetryDecision`], made here. Refuses to know
//! what the work is about.

use std::{borrow::Cow, fmt, ops::RangeInclusive, time::Duration};

use rand::RngExt as _;

use super::{error::Error, patience::WorkSettings};
use crate::{
    db::{
        self,
        work::{Lease, WorkKind},
    },
    model::{numerals, source::DELETABLE_WITHIN, time::Timestamp},
    twilio::RestError,
    vault,
};

/// The prefix of the reason of work that waits for an operator; `status` finds such work by it.
pub(super) const STUCK: &str = "stuck: ";

/// The prefix of the reason of a deletion that the source does not perform yet. It is no failure,
/// however many attempts it takes.
pub(super) const NOT_DELETABLE_YET: &str = "not deletable yet: ";

/// The bounds of the pause before a deletion that was refused as too early is tried again. In
/// between, the pause is as long as the wait so far.
const EARLY_PAUSES: RangeInclusive<Duration> =
    Duration::from_secs(120)..=Duration::from_secs(6 * 3600);

/// The reaction to a setback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Retry after this pause.
    Again {
        /// The length of the pause.
        after: Duration,
    },
    /// Set aside until `recvault retry` runs.
    Bury,
    /// Nothing: the lease is lost.
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

/// Why work was not completed.
#[derive(Debug)]
pub(super) enum Setback {
    /// The lease is lost.
    Lost(String),
    /// It cannot be done before this time, and nothing is wrong.
    Until(Timestamp, String),
    /// The other side asks for a pause, of this length if it names one.
    Pause(Option<Duration>, String),
    /// Temporary: a failure of the vault, or something that must happen first. Retried forever.
    Passing(String),
    /// Taken as temporary for a limited time.
    Doubtful(Doubt),
    /// The source does not delete a copy yet. Retried forever; after [`DELETABLE_WITHIN`] an operator
    /// must act.
    NotDeletableYet {
        /// When it first said so.
        since: Timestamp,
    },
    /// An operator must act; retried forever nevertheless.
    Stuck(String),
    /// An operator must act.
    Hopeless(String),
}

/// The limits within which a failure is taken as temporary. Both must be exceeded, so that neither
/// a burst of quick failures nor one long wait is enough.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The reason.
    pub(super) why: String,
    /// The time limit.
    pub(super) most: Duration,
    /// The limit of attempts.
    pub(super) attempts: i64,
    /// The number of attempts after which pauses no longer grow.
    pub(super) steady_after: i64,
    /// Whether the reason for giving up states the time limit.
    pub(super) names_wait: bool,
}

impl Doubt {
    /// Creates the limits of a wait with a time limit only.
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
    /// Converts a failure of the source; the caller chooses how long it is taken as temporary.
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

    /// Converts a failure of the vault. A full disk or an unavailable database is no reason to give
    /// up.
    pub(super) fn of_ours(error: &Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Vault(vault::Error::Db(db::Error::LeaseLost)) => Self::Lost(why),
            _ => Self::Passing(why),
        }
    }

    /// Returns the reason.
    pub(super) fn why(&self, now: Timestamp) -> Cow<'_, str> {
        match self {
            Self::Lost(why)
            | Self::Until(_, why)
            | Self::Pause(_, why)
            | Self::Passing(why)
            | Self::Stuck(why)
            | Self::Hopeless(why) => why.into(),
            Self::Doubtful(doubt) => doubt.why.as_str().into(),
            Self::NotDeletableYet { since } if self.is_overdue(now) => format!(
                "Twilio has refused the deletion since {since} because the resource is not \
                 complete (error 20009), longer than it ever should"
            )
            .into(),
            Self::NotDeletableYet { since } => format!(
                "Twilio refuses the deletion since {since} because the resource is not complete \
                 (error 20009); an alarm is raised on {}",
                since.after(DELETABLE_WITHIN)
            )
            .into(),
        }
    }

    /// Returns whether the source refuses a deletion for longer than it ever should.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self, Self::NotDeletableYet { since } if now >= since.after(DELETABLE_WITHIN))
    }

    /// Returns the reason for the row.
    pub(super) fn reason(&self, decision: RetryDecision, now: Timestamp) -> String {
        let why = self.why(now);
        match self {
            Self::NotDeletableYet { .. } if !self.is_overdue(now) => {
                format!("{NOT_DELETABLE_YET}{why}")
            }
            Self::Stuck(_) | Self::NotDeletableYet { .. } => format!("{STUCK}{why}"),
            Self::Doubtful(doubt) if doubt.names_wait && decision == RetryDecision::Bury => {
                format!("{why}; given up after {} h", doubt.most.as_secs() / 3600)
            }
            _ => why.into_owned(),
        }
    }
}

/// The reason of work for an account that is not configured.
pub(super) const UNKNOWN_ACCOUNT: &str =
    "the account is not in `twilio.accounts`: add it and run `recvault retry`";

/// Decides what follows from a setback at `now`. INVARIANT: work of a kind that may not be buried
/// is not.
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
        Setback::NotDeletableYet { since } => {
            let (shortest, longest) = EARLY_PAUSES.into_inner();
            jittered(now.since(*since).clamp(shortest, longest))
        }
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

/// Returns 2 s, 4 s, 8 s … up to `max_s`.
fn backoff(attempts: i64, max_s: u32) -> Duration {
    let times = u32::try_from(attempts.clamp(1, 20)).unwrap_or(20);
    let longest = Duration::from_secs(max_s.max(1).into());
    doubled(Duration::from_secs(1), times, longest)
}

/// Returns a pause that was doubled `times` times, up to the longest.
pub(super) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(longest)
}

/// Returns a random pause between half of it and all of it, so that work that failed together is
/// not retried together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Returns whether a decision gives work up because of its age.
pub(super) fn rests_on_the_clock(decision: RetryDecision, setback: &Setback) -> bool {
    decision == RetryDecision::Bury && matches!(setback, Setback::Doubtful(_))
}

/// Decides for an untrusted clock: no work is given up because of its age.
pub(super) fn without_clock<K>(settings: &WorkSettings, lease: &Lease<K>) -> RetryDecision {
    RetryDecision::Again {
        after: jittered(backoff(lease.attempts, settings.max_backoff_s)),
    }
}

/// Returns whether a setback is usual for this kind of work and is not logged as a warning.
pub(super) fn is_usual(kind: WorkKind, setback: &Setback, now: Timestamp) -> bool {
    let is_early = matches!(setback, Setback::NotDeletableYet { .. });
    matches!(kind, WorkKind::FetchTranscript | WorkKind::PollTranscripts)
        || matches!(setback, Setback::Until(..))
        || is_early && !setback.is_overdue(now)
}

#[cfg(test)]
mod tests;
