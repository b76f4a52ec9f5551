//! Failures of a fetch.
//!
//! Owns the cause of a failure, and for how long it is taken as temporary. Refuses to know when the
//! fetch is retried.

use std::time::Duration;

use crate::{
    flow::{
        error::Error,
        patience::WorkSettings,
        retry::{Doubt, Setback, UNKNOWN_ACCOUNT},
    },
    twilio::{FetchError, RestError},
};

/// Why a fetch failed.
#[derive(Debug)]
pub(in crate::flow) enum FetchFailure {
    /// The source failed or refused.
    Source(FetchError),
    /// The source could not list the participants now.
    Parties(RestError),
    /// The account is not configured, or no longer.
    UnknownAccount,
    /// The vault failed.
    Ours(Error),
}

impl FetchFailure {
    /// Converts the failure to a setback of the work, under these settings.
    pub(in crate::flow) fn into_setback(self, settings: &WorkSettings) -> Setback {
        let error = match self {
            Self::UnknownAccount => return Setback::Hopeless(UNKNOWN_ACCOUNT.to_owned()),
            Self::Ours(error) => return Setback::of_ours(&error),
            Self::Parties(error) => {
                let why = format!("the participants cannot be looked up now: {error}");
                return match error {
                    RestError::Throttled {
                        retry_after: Some(pause),
                    } => Setback::Pause(Some(pause), why),
                    _ => Setback::Passing(why),
                };
            }
            Self::Source(error) => error,
        };
        let why = error.to_string();
        let most = Duration::from_secs(settings.not_yet_s.into());
        match error {
            FetchError::NotYet | FetchError::NotYetElsewhere { .. } => Setback::Doubtful(Doubt {
                steady_after: 6,
                ..Doubt::of(why, most)
            }),
            FetchError::Transient { .. } => Setback::Doubtful(Doubt {
                attempts: settings.attempts.into(),
                ..Doubt::of(why, most)
            }),
            FetchError::Throttled { retry_after } => Setback::Pause(retry_after, why),
            FetchError::Refused { .. } => Setback::Hopeless(why),
        }
    }
}
