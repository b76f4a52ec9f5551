//! Twilio's REST interface, media apart: <https://www.twilio.com/docs/usage/api>.
//!
//! Owns how it is asked, how fast, how its lists are walked, and what each answer means. Refuses to
//! know what becomes of what it says, and never asks again by itself: [`RestError`] says what the
//! caller can do.
//!
//! INVARIANT: every address is built from the account's configured roots and from ids; a page that
//! the other side names is followed on the same root only; nothing is redirected; credentials go
//! nowhere else. The root says whose credential is sent: Conversational Intelligence names no
//! account in its addresses and is never asked with a parent's. An answer is read up to
//! [`MAX_ANSWER`] bytes. No error holds an address, a credential or what an answer said.
//!
//! Twilio's schemas let nearly every field be `null` (<https://github.com/twilio/twilio-oai>). What
//! cannot be read costs at most its item: a field that only describes is absent then, and of a list
//! that had unreadable items [`List::unreadable`] says how many.

mod access;
mod accounts;
mod add_ons;
mod calls;
mod lenient;
mod page;
mod protection;
mod recordings;
mod sentences;
mod start;
mod transcriptions;
mod transcripts;

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode, Url, header::HeaderMap};
use serde::de::DeserializeOwned;

pub use self::{
    accounts::{AccountResource, IncomingNumber},
    add_ons::AddOnResource,
    calls::{CallResource, ParticipantResource},
    page::{List, ListPage, Pages},
    recordings::{Listing, RecordingResource},
    sentences::{SentenceResource, WordResource},
    transcriptions::TranscriptionResource,
    transcripts::TranscriptResource,
};
use super::{
    account::Account,
    client::TwilioClient,
    fetch_error::{FetchError, FetchRefusal, TransientFailure, retry_after, transient_failure},
};
use crate::secret::SecretBuffer;

/// Bytes beyond which an answer is not read: a page of 5,000 sentences with words is some
/// megabytes.
pub const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// What the caller can do about a request that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// Not found (404): never existed, or deleted.
    #[error("twilio has no such resource (404)")]
    NotFound,
    /// Ask again after the time given, or back off. Nothing was done.
    #[error("twilio asks for fewer requests (429)")]
    Throttled {
        /// As the other side said, at most one hour.
        retry_after: Option<Duration>,
    },
    /// Ask again soon: the other side or the network stumbled. What was asked for may have been
    /// done.
    #[error("the request failed: {cause}")]
    Transient {
        /// Why.
        cause: TransientFailure,
    },
    /// Asking again does not help until something changes.
    #[error("twilio refused with {status}{}", code.map(|code| format!(", error {code}")).unwrap_or_default())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Twilio's own code (<https://www.twilio.com/docs/api/errors>), where it said one.
        code: Option<i64>,
    },
    /// The answer is not what the documentation promises.
    #[error("twilio answered, but {0}")]
    Shape(&'static str),
}

impl RestError {
    /// Whether the same request may go well later without anybody's doing.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Transient { .. })
    }
}

/// The same failure, met while fetching.
impl From<RestError> for FetchError {
    fn from(error: RestError) -> Self {
        match error {
            RestError::NotFound => Self::NotYet,
            RestError::Throttled { retry_after } => Self::Throttled { retry_after },
            RestError::Transient { cause } => cause.into(),
            RestError::Refused {
                status: status @ (401 | 403),
                ..
            } => FetchRefusal::Credential(status).into(),
            RestError::Refused { status, .. } => FetchRefusal::Status(status).into(),
            RestError::Shape(what) => FetchRefusal::Metadata(what).into(),
        }
    }
}

/// Which of an account's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestApi {
    /// `api.twilio.com`, version 2010-04-01.
    Api,
    /// `intelligence.twilio.com`, version 2.
    Intelligence,
}

/// An address below one of the roots; which root it is says with whose credential it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiUrl {
    root: RestApi,
    url: Url,
}

impl ApiUrl {
    /// With one more parameter in its query.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }
}

impl Account {
    /// The address of something: `path` begins with a slash and is made of constants and ids only.
    pub(super) fn url(&self, root: RestApi, path: &str) -> ApiUrl {
        let mut url = match root {
            RestApi::Api => self.endpoints.api_base.clone(),
            RestApi::Intelligence => self.endpoints.intelligence_base.clone(),
        };
        url.set_path(path);
        ApiUrl { root, url }
    }

    /// The same below the account's own resources of version 2010-04-01: `rest` is like
    /// `/Recordings.json`.
    pub(super) fn account_url(&self, rest: &str) -> ApiUrl {
        self.url(
            RestApi::Api,
            &format!("/2010-04-01/Accounts/{}{rest}", self.sid()),
        )
    }
}

impl TwilioClient {
    /// GET.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        account: &Account,
        url: ApiUrl,
    ) -> Result<T, RestError> {
        parsed(&self.ask(account, Method::GET, url, None).await?)
    }

    /// POST of a form. A success status is enough; the body is not parsed.
    pub(super) async fn post(
        &self,
        account: &Account,
        url: ApiUrl,
        form: &[(&str, &str)],
    ) -> Result<(), RestError> {
        self.ask(account, Method::POST, url, Some(form))
            .await
            .map(drop)
    }

    /// DELETE. `Ok` is 204: it is deleted.
    pub(super) async fn delete(&self, account: &Account, url: ApiUrl) -> Result<(), RestError> {
        self.ask(account, Method::DELETE, url, None).await.map(drop)
    }

    async fn ask(
        &self,
        account: &Account,
        method: Method,
        url: ApiUrl,
        form: Option<&[(&str, &str)]>,
    ) -> Result<SecretBuffer, RestError> {
        self.limiter.wait().await;
        let (user, password) = match url.root {
            RestApi::Api => account.credential(),
            RestApi::Intelligence => account.own_credential(),
        };
        let mut request = self
            .http
            .request(method, url.url)
            .basic_auth(user, Some(password.expose()));
        if let Some(form) = form {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form)
                .finish();
            request = request
                .header(
                    reqwest::header::CONTENT_TYPE,
                    "application/x-www-form-urlencoded",
                )
                .body(body);
        }
        let broken = |error: &reqwest::Error| RestError::Transient {
            cause: transient_failure(error, 0),
        };
        let response = request.send().await.map_err(|error| broken(&error))?;
        let failure = status_error(response.status(), response.headers());
        let mut body = SecretBuffer::default();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| broken(&error))?;
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(RestError::Shape("the answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        match failure {
            None => Ok(body),
            Some(RestError::Refused { status, .. }) => Err(RestError::Refused {
                status,
                code: code(&body),
            }),
            Some(failure) => Err(failure),
        }
    }
}

/// Returns what a status means for the caller; `None` for success.
pub(super) fn status_error(status: StatusCode, headers: &HeaderMap) -> Option<RestError> {
    let is_transient = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
    match status {
        status if status.is_success() => None,
        StatusCode::NOT_FOUND => Some(RestError::NotFound),
        StatusCode::TOO_MANY_REQUESTS => Some(RestError::Throttled {
            retry_after: retry_after(headers),
        }),
        status if is_transient => Some(RestError::Transient {
            cause: TransientFailure::Status(status.as_u16()),
        }),
        status => Some(RestError::Refused {
            status: status.as_u16(),
            code: None,
        }),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body)
        .map_err(|_| RestError::Shape("its JSON is not of the documented form"))
}

/// Twilio's code in an error of the 2010 interface.
fn code(body: &[u8]) -> Option<i64> {
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()?
        .get("code")?
        .as_i64()
}

#[cfg(test)]
mod schemas;
#[cfg(test)]
mod tests;
