//! Twilio's REST interface without media: <https://www.twilio.com/docs/usage/api>.
//!
//! Owns the form of requests, their rate, the iteration over lists, and the meaning of each answer.
//! Refuses to know the use of the answers, and never retries by itself: [`RestError`] states the
//! caller's possible reactions.
//!
//! INVARIANT: every address is built from the account's configured roots and from ids. The address
//! of a next page is followed on the same root only. Redirects are not followed, and credentials go
//! nowhere else. The root determines the credential: addresses of Conversational Intelligence name
//! no account, so a parent's credential is never sent there. An answer is read up to [`MAX_ANSWER`]
//! bytes. No error holds an address, a credential or the content of an answer.
//!
//! In Twilio's schemas nearly every field may be `null` (<https://github.com/twilio/twilio-oai>).
//! An unreadable value costs at most its item: a field that only describes is absent then, and
//! [`List::unreadable`] counts the unreadable items of a list.

mod access;
mod accounts;
mod add_ons;
mod calls;
mod chat_media;
mod conversations;
mod deletion;
mod lenient;
mod messages;
mod page;
mod protection;
mod proxy;
mod recordings;
mod sentences;
mod start;
mod transcriptions;
mod transcripts;
mod video;

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode, Url, header::HeaderMap};
use serde::de::DeserializeOwned;

pub use self::{
    accounts::{AccountResource, IncomingNumber},
    add_ons::AddOnResource,
    calls::{CallResource, ParticipantResource},
    chat_media::ChatMediaResource,
    conversations::{ChatPerson, ChatPlace},
    deletion::Deletion,
    messages::{MessageListing, MessageMediaResource, MessageResource},
    page::{List, ListPage, Pages},
    proxy::ProxyPlace,
    recordings::{Listing, RecordingResource},
    sentences::{SentenceResource, WordResource},
    transcriptions::TranscriptionResource,
    transcripts::TranscriptResource,
    video::VideoCopyState,
};
use super::{
    account::Account,
    client::TwilioClient,
    fetch_error::{FetchError, FetchRefusal, TransientFailure, retry_after, transient_failure},
};
use crate::secret::SecretBuffer;

/// The longest answer that is read, in bytes: a page of 5,000 sentences with words has a few
/// megabytes.
pub const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// The caller's possible reactions to a failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// Not found (404): never existed, or deleted.
    #[error("twilio has no such resource (404)")]
    NotFound,
    /// Retry after the stated time, or back off. Nothing was done.
    #[error("twilio asks for fewer requests (429)")]
    Throttled {
        /// The time that the server stated, at most one hour.
        retry_after: Option<Duration>,
    },
    /// Retry soon: a temporary failure of the server or the network. The request may have taken
    /// effect.
    #[error("the request failed: {cause}")]
    Transient {
        /// The cause.
        cause: TransientFailure,
    },
    /// A retry does not help until something changes.
    #[error("twilio refused with {status}{}", code.map(|code| format!(", error {code}")).unwrap_or_default())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Twilio's error code (<https://www.twilio.com/docs/api/errors>), if it sent one.
        code: Option<i64>,
    },
    /// The answer does not have the documented form.
    #[error("twilio answered, but {0}")]
    Shape(&'static str),
}

impl RestError {
    /// Whether the same request may succeed later without intervention.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Transient { .. })
    }
}

/// The same failure, during a fetch.
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

/// One of an account's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestApi {
    /// `api.twilio.com`, version 2010-04-01.
    Api,
    /// `intelligence.twilio.com`, version 2.
    Intelligence,
    /// `conversations.twilio.com`, version 1.
    Conversations,
    /// `mcs.us1.twilio.com`, version 1: media of Conversations.
    ChatMedia,
    /// `proxy.twilio.com`, version 1.
    Proxy,
    /// `video.twilio.com`, version 1.
    Video,
}

/// An address below one of the roots. The root determines the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiUrl {
    root: RestApi,
    url: Url,
}

impl ApiUrl {
    /// Adds a query parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }
}

impl Account {
    /// Returns an address. `path` begins with a slash and consists of constants and ids only.
    pub(super) fn url(&self, root: RestApi, path: &str) -> ApiUrl {
        let mut url = match root {
            RestApi::Api => self.endpoints.api_base.clone(),
            RestApi::Intelligence => self.endpoints.intelligence_base.clone(),
            RestApi::Conversations => self.endpoints.products.conversations.clone(),
            RestApi::ChatMedia => self.endpoints.products.chat_media.clone(),
            RestApi::Proxy => self.endpoints.products.proxy.clone(),
            RestApi::Video => self.endpoints.products.video.clone(),
        };
        url.set_path(path);
        ApiUrl { root, url }
    }

    /// Returns an address below the account's own resources of version 2010-04-01. `rest` has a
    /// form like `/Recordings.json`.
    pub(super) fn account_url(&self, rest: &str) -> ApiUrl {
        self.url(
            RestApi::Api,
            &format!("/2010-04-01/Accounts/{}{rest}", self.sid()),
        )
    }
}

impl TwilioClient {
    /// Sends a GET and parses the answer.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        account: &Account,
        url: ApiUrl,
    ) -> Result<T, RestError> {
        parsed(&self.ask(account, Method::GET, url, None).await?)
    }

    /// Sends a POST with a form. A success status is enough; the body is not parsed.
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

    async fn ask(
        &self,
        account: &Account,
        method: Method,
        url: ApiUrl,
        form: Option<&[(&str, &str)]>,
    ) -> Result<SecretBuffer, RestError> {
        let answer = self.send(account, method, url, form).await?;
        match answer.failure {
            None => Ok(answer.body),
            Some(RestError::Refused { status, .. }) => Err(RestError::Refused {
                status,
                code: code(&answer.body),
            }),
            Some(failure) => Err(failure),
        }
    }

    /// Sends a request and reads the answer, whatever its status.
    async fn send(
        &self,
        account: &Account,
        method: Method,
        url: ApiUrl,
        form: Option<&[(&str, &str)]>,
    ) -> Result<RestAnswer, RestError> {
        self.limiter.wait().await;
        let (user, password) = match url.root {
            RestApi::Api => account.credential(),
            RestApi::Intelligence
            | RestApi::Conversations
            | RestApi::ChatMedia
            | RestApi::Proxy
            | RestApi::Video => account.own_credential(),
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
        let status = response.status();
        let failure = status_error(status, response.headers());
        let mut body = SecretBuffer::default();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| broken(&error))?;
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(RestError::Shape("the answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(RestAnswer {
            status,
            failure,
            body,
        })
    }
}

/// An answer, read to its end.
struct RestAnswer {
    status: StatusCode,
    /// What the status means; `None` for success.
    failure: Option<RestError>,
    body: SecretBuffer,
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

/// Returns Twilio's code from an error of the 2010 interface.
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
