//! Fetching a recording's sound from Twilio
//! (<https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>).
//!
//! Owns the request, the redirects, the time-outs and the meaning of each answer. Refuses to know
//! what becomes of the bytes, and never retries by itself: [`FetchError`] says what the caller can
//! do.
//!
//! INVARIANT: the URL is built from ids, never taken from a callback; credentials go to this
//! recording's path at the configured interface and nowhere else, whatever a redirect says; a
//! [`Body`] that ends without an error is a whole RIFF/WAVE file. What Twilio stored elsewhere is
//! fetched from configured buckets only, with their own credentials (`bucket`).

mod body;
mod bucket;
mod check;
mod decrypt;
mod redirect;

use std::{fmt, time::Duration};

use futures_util::StreamExt as _;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER, TRANSFER_ENCODING},
    redirect::Policy,
};

pub(super) use self::bucket::{Bucket, BucketAddress};
pub use self::{
    body::Body,
    decrypt::{DecryptError, Decryptor},
    redirect::MAX_REDIRECTS,
};
use super::{
    account::{Account, Accounts},
    encryption::DetailsError,
    rest::Turns,
};
use crate::model::sid::RecordingSid;

/// A client for the REST interface. Cheap to share; keeps connections open between requests.
#[derive(Debug)]
pub struct TwilioClient {
    pub(super) http: reqwest::Client,
    pub(super) turns: Turns,
}

/// The client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS for twilio; are root certificates installed?")]
pub struct ClientError(#[source] reqwest::Error);

/// A recording's sound, on its way.
#[derive(Debug)]
pub struct Media {
    /// Bytes to come, where the other side said.
    pub content_length: Option<u64>,
    /// The WAV file.
    pub body: Body,
}

/// What the caller can do about a failed fetch. No text in it holds a credential, a query or a
/// path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Ask again later: the media is not there (404). It may follow its callback by minutes, or
    /// never come if it is deleted or kept elsewhere.
    #[error("twilio has no media for the recording yet (404)")]
    NotYet,
    /// The same of a bucket: the object that Twilio names is not there.
    #[error("the object at `{host}` is not there yet (404)")]
    NotYetElsewhere {
        /// The host alone.
        host: String,
    },
    /// Ask again after the time given, or back off.
    #[error("twilio asks for fewer requests (429)")]
    Throttled {
        /// As the other side said, at most one hour.
        retry_after: Option<Duration>,
    },
    /// Ask again soon: the other side or the network stumbled. What was received is worthless.
    #[error("the fetch failed: {cause}")]
    Transient {
        /// Why.
        cause: Hiccup,
    },
    /// Asking again does not help until somebody changes something.
    #[error("the fetch is refused: {cause}")]
    Refused {
        /// Why.
        cause: FetchRefusal,
    },
}

/// A failure that may pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hiccup {
    /// A server error or a request time-out of the other side.
    #[error("the server answered {0}")]
    Status(u16),
    /// No connection.
    #[error("no connection to the server")]
    Connect,
    /// Silence for longer than `twilio.read_idle_timeout_ms`.
    #[error("nothing arrived for longer than `twilio.read_idle_timeout_ms`")]
    Silence,
    /// The connection broke.
    #[error("the connection broke after {received} bytes of sound")]
    Broken {
        /// Bytes of the body until then.
        received: u64,
    },
    /// The body ended, but not where it should.
    #[error("the body ended after {received} bytes instead of {expected}")]
    Length {
        /// Bytes of the body.
        received: u64,
        /// Bytes promised by `Content-Length`; where HTTP promises nothing, the least that the RIFF
        /// header does.
        expected: u64,
    },
    /// The private key that opens an encrypted recording cannot be asked.
    #[error("the private key of `{sid}` cannot be asked: {why}")]
    PrivateKey {
        /// The SID of its public half.
        sid: String,
        /// What its place says; never a secret.
        why: String,
    },
    /// A bucket's server answered something that is no answer.
    #[error("the bucket at `{host}` cannot be asked")]
    Bucket {
        /// The host alone.
        host: String,
    },
}

/// A failure that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefusal {
    /// 401 or 403.
    #[error(
        "the server does not accept the account's credential ({0}); check `api_key_sid` and its secret, or the first auth token"
    )]
    Credential(u16),
    /// It is of another kind than what is fetched here.
    #[error("{why}, which is not fetched")]
    Kind {
        /// What it is.
        why: String,
    },
    /// Any other answer that is not the media.
    #[error("the server answered {0}")]
    Status(u16),
    /// A redirect to a host that is not listed, or without TLS.
    #[error(
        "redirected to `{host}`; if your media is kept there, add the host to `twilio.media_redirect_hosts`; only https is followed"
    )]
    ForeignHost {
        /// The host alone.
        host: String,
    },
    /// A redirect without a usable target.
    #[error("redirected without a readable location")]
    Location,
    /// More than [`MAX_REDIRECTS`].
    #[error("redirected more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    /// Not sound: most likely an error page.
    #[error("the content type is `{found}`, not audio")]
    ContentType {
        /// What it is, cut at 64 characters; empty if nothing was said.
        found: String,
    },
    /// Sound by its type, but not a WAV file.
    #[error(
        "the body does not begin as a RIFF/WAVE file, and twilio does not say that it is encrypted with a customer key"
    )]
    NotRiff,
    /// What Twilio says about the encryption cannot be read.
    #[error("it is encrypted with your public key, but its encryption details cannot be used: {0}")]
    Details(DetailsError),
    /// Nobody gave us the private key.
    #[error(
        "it is encrypted with your public key `{sid}`: add its private key to `twilio.encryption_keys`, and run `recvault retry`"
    )]
    NoKey {
        /// The SID of the public key.
        sid: String,
    },
    /// The private key is of another pair, or the wrapped key was altered.
    #[error(
        "the private key that `twilio.encryption_keys` has for `{sid}` does not open its content key"
    )]
    WrongKey {
        /// The SID of the public key.
        sid: String,
    },
    /// Decrypted, and no sound.
    #[error(
        "what is decrypted is no RIFF/WAVE file: key, nonce and file do not belong together, or the file was altered"
    )]
    Garbled,
    /// Decrypted, and not authentic.
    #[error("the encrypted file is not authentic: its tag is wrong")]
    Tag,
    /// An encrypted file that is shorter than its own header says.
    #[error(
        "the encrypted file is cut: {received} bytes of sound where its header promises {expected}"
    )]
    Cut {
        /// Bytes of sound.
        received: u64,
        /// The least that the RIFF header promises.
        expected: u64,
    },
    /// An encrypted file that is longer than its encryption allows.
    #[error("the encrypted file is longer than the 64 GiB that AES-GCM can encrypt")]
    TooLong,
    /// Twilio stored it where we may not fetch.
    #[error(
        "twilio stored it at `{host}`, and no `url_prefix` of `twilio.buckets` covers it: add the bucket, and run `recvault retry`"
    )]
    ForeignMedia {
        /// The host alone.
        host: String,
    },
    /// A bucket does not let us in.
    #[error(
        "the bucket at `{host}` does not accept its credential; check `access_key_id` and its secret in `twilio.buckets`, and that they may read"
    )]
    BucketCredential {
        /// The host alone.
        host: String,
    },
    /// Twilio's metadata could not be understood.
    #[error("twilio's metadata of the recording cannot be used: {0}")]
    Metadata(&'static str),
}

impl From<Hiccup> for FetchError {
    fn from(cause: Hiccup) -> Self {
        Self::Transient { cause }
    }
}

impl From<FetchRefusal> for FetchError {
    fn from(cause: FetchRefusal) -> Self {
        Self::Refused { cause }
    }
}

impl TwilioClient {
    /// A client with the settings' time-outs. Redirects are followed by hand; proxies in the
    /// environment are ignored, because only configuration may decide whom credentials pass.
    pub fn new(accounts: &Accounts) -> Result<Self, ClientError> {
        let pace = &accounts.pace;
        let http = reqwest::Client::builder()
            .user_agent(concat!("recvault/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(pace.connect_timeout)
            .read_timeout(pace.read_idle_timeout)
            .build()
            .map_err(ClientError)?;
        Ok(Self {
            http,
            turns: Turns::new(pace.requests_per_s),
        })
    }

    /// Begins to fetch a recording as WAV.
    ///
    /// Asks for both channels unless `channels` is 1. Twilio answers 400 where it cannot separate
    /// them (`<Record>`, old recordings); then one channel is asked for. Ends when the headers are
    /// in; the sound comes through [`Media::body`].
    pub async fn media(
        &self,
        account: &Account,
        recording: &RecordingSid,
        channels: Option<i64>,
    ) -> Result<Media, FetchError> {
        const BAD_REQUEST: FetchError = FetchError::Refused {
            cause: FetchRefusal::Status(400),
        };
        if channels == Some(1) {
            return self.fetch(account, recording, 1).await;
        }
        match self.fetch(account, recording, 2).await {
            Err(error) if error == BAD_REQUEST => self.fetch(account, recording, 1).await,
            answer => answer,
        }
    }

    async fn fetch(
        &self,
        account: &Account,
        recording: &RecordingSid,
        channels: u8,
    ) -> Result<Media, FetchError> {
        let path = format!(
            "/2010-04-01/Accounts/{}/Recordings/{recording}",
            account.sid()
        );
        let mut url = account.remote.api_base.clone();
        url.set_path(&format!("{path}.wav"));
        url.set_query(Some(&format!("RequestedChannels={channels}")));
        for _ in 0..=MAX_REDIRECTS {
            let response = self.hop(account, &path, &url).await?;
            if !redirect::is_redirect(response.status()) {
                return media(response);
            }
            url = redirect::target(
                &account.remote,
                &url,
                response
                    .headers()
                    .get(LOCATION)
                    .and_then(|value| value.to_str().ok()),
            )?;
        }
        Err(FetchRefusal::TooManyRedirects.into())
    }

    async fn hop(&self, account: &Account, path: &str, url: &Url) -> Result<Response, FetchError> {
        let mut request = self.http.get(url.clone());
        if redirect::may_carry_credential(&account.remote, path, url) {
            let (user, password) = account.credential();
            request = request.basic_auth(user, Some(password.expose()));
        }
        request
            .send()
            .await
            .map_err(|error| hiccup(&error, 0).into())
    }
}

/// Judges an answer by its headers.
fn media(response: Response) -> Result<Media, FetchError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(FetchError::NotYet),
        StatusCode::TOO_MANY_REQUESTS => {
            return Err(FetchError::Throttled {
                retry_after: retry_after(response.headers()),
            });
        }
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            return Err(FetchRefusal::Credential(status.as_u16()).into());
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            return Err(Hiccup::Status(status.as_u16()).into());
        }
        status => return Err(FetchRefusal::Status(status.as_u16()).into()),
    }
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if !is_sound(&kind) {
        return Err(FetchRefusal::ContentType {
            found: kind.chars().take(64).collect(),
        }
        .into());
    }
    let content_length = response.content_length();
    let is_chunked = response.headers().contains_key(TRANSFER_ENCODING);
    let chunks = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(|error| hiccup(&error, 0)));
    let body = Body::new(chunks, content_length);
    Ok(Media {
        content_length,
        body: if is_chunked { body.framed() } else { body },
    })
}

/// Twilio says `audio/x-wav`. The storage it may redirect to often knows nothing of its objects and
/// says octets; the RIFF check behind this one makes that safe. What must stop here are error
/// documents: XML, JSON, HTML, text.
fn is_sound(kind: &str) -> bool {
    kind.starts_with("audio/") || matches!(kind, "application/octet-stream" | "binary/octet-stream")
}

/// RFC 9110, section 10.2.3, in seconds; a date needs a clock and is left to the caller's own
/// back-off.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

/// What happened, without the URL that `reqwest` would name.
pub(super) fn hiccup(error: &reqwest::Error, received: u64) -> Hiccup {
    if error.is_connect() {
        Hiccup::Connect
    } else if error.is_timeout() {
        Hiccup::Silence
    } else {
        Hiccup::Broken { received }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(…)")
    }
}

#[cfg(test)]
mod tests;
