//! The deletion of one resource, and each answer to it.
//!
//! Owns the meaning of the answer. INVARIANT: only 204 is a deletion. A redirect, which some clients
//! take for success, is a refusal. 404 means that the resource is gone only with Twilio's own code:
//! any other server on the way can answer 404, too. Even then it proves a deletion only where the
//! same credential was seen to open the account (`access`).

use reqwest::{Method, StatusCode};

use super::{Account, ApiUrl, RestAnswer, RestError, TwilioClient, code};

/// Twilio's code of a resource that does not exist.
const NOT_FOUND: i64 = 20404;
/// Twilio's code of a resource that cannot be deleted before it is complete
/// (<https://www.twilio.com/docs/api/errors/20009>).
const NOT_COMPLETE: i64 = 20009;

/// The answer to a deletion. [`RestError`] is left for failures without an answer, and for those
/// after which the same request may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted (204).
    Deleted,
    /// There is no such resource (404, error 20404).
    Gone,
    /// It cannot be deleted yet (409, error 20009): usually for minutes, rarely for 14 days.
    NotYet,
    /// A retry does not help until something changes.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Twilio's error code, if it sent one.
        code: Option<i64>,
    },
}

impl RestAnswer {
    /// Reads the answer to a deletion.
    ///
    /// # Errors
    /// [`RestError::Throttled`] and [`RestError::Transient`].
    pub(super) fn deletion(self) -> Result<Deletion, RestError> {
        let code = code(&self.body);
        let refused = Deletion::Refused {
            status: self.status.as_u16(),
            code,
        };
        match self.failure {
            None if self.status == StatusCode::NO_CONTENT => Ok(Deletion::Deleted),
            None => Ok(refused),
            Some(RestError::NotFound) if code == Some(NOT_FOUND) => Ok(Deletion::Gone),
            Some(RestError::Refused { .. }) if code == Some(NOT_COMPLETE) => Ok(Deletion::NotYet),
            Some(RestError::NotFound | RestError::Refused { .. }) => Ok(refused),
            Some(failure) => Err(failure),
        }
    }
}

impl TwilioClient {
    /// Sends a DELETE. `Ok` for every answer that says what became of the resource.
    ///
    /// # Errors
    /// As [`RestAnswer::deletion`].
    pub(super) async fn remove(
        &self,
        account: &Account,
        url: ApiUrl,
    ) -> Result<Deletion, RestError> {
        self.send(account, Method::DELETE, url, None)
            .await?
            .deletion()
    }
}
