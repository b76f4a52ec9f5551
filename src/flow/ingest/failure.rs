//! Why a recording was not fetched.
//!
//! Owns whose trouble it is. Refuses to know what follows from it.

use crate::{
    flow::error::Error,
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
