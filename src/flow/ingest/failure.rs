//! Why a recording was not fetched.
//!
//! Owns whose trouble it is, and for how long it is believed to pass. Refuses to know when the fetch
//! is tried again.

use std::time::Duration;

use crate::{
    flow::{
        error::Error,
        patience::WorkSettings,
        retry::{Doubt, Setback, UNKNOWN_ACCOUNT},
    },
    twilio::{FetchError, RestError},
};

/// How a fetch ended, when it did not end well.
#[derive(Debug)]
pub(in crate::flow) enum FetchFailure {
    /// The source could not or would not.
    Source(FetchError),
    /// The source could not say now who took part.
    Parties(RestError),
    /// The account is not configured (any more).
    UnknownAccount,
    /// We could not.
    Ours(Error),
}

impl FetchFailure {
    /// What it means for the work, under these settings.
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
