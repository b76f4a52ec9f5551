//! Fetching a recording's audio from Twilio
//! (<https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>).
//!
//! Owns the request, the redirects, and the meaning of each answer. Refuses to know the use of the
//! bytes, and never retries by itself: [`FetchError`] states the caller's possible reactions.
//!
//! INVARIANT: the URL is built from ids, never taken from a callback. Credentials go only to this
//! recording's path at the configured interface, whatever a redirect says. A [`Body`] that ends
//! without an error is a whole RIFF/WAVE file. Audio that Twilio stored elsewhere is fetched from
//! configured buckets only, with their own credentials (`external_storage`).

mod body;
mod chat_file;
mod external_storage;
mod file;
mod file_body;
mod follow;
mod message_file;
mod redirect;
mod unwrap;
mod validator;
mod video_file;

use std::fmt;

use futures_util::StreamExt as _;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, TRANSFER_ENCODING},
};

use self::redirect::MediaOrigin;
pub use self::{
    body::Body, external_storage::BucketDeleteError, file::MediaFile, file_body::FileBody,
    unwrap::decryptor,
};
use super::{
    account::Account,
    client::TwilioClient,
    fetch_error::{FetchError, FetchRefusal, transient_failure},
    rest::status_error,
};
use crate::model::sid::RecordingSid;

/// A recording's audio, as a stream.
#[derive(Debug)]
pub struct Media {
    /// The length of the body, if the server stated it.
    pub content_length: Option<u64>,
    /// The WAV file.
    pub body: Body,
}

impl TwilioClient {
    /// Begins to fetch a recording as WAV.
    ///
    /// Requests both channels unless `channels` is 1. Twilio answers 400 where it cannot separate
    /// them (`<Record>`, old recordings); then one channel is requested. Returns when the headers
    /// have arrived; the audio follows through [`Media::body`].
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
        let mut url = account.endpoints.api_base.clone();
        url.set_path(&format!("{path}.wav"));
        url.set_query(Some(&format!("RequestedChannels={channels}")));
        let origin = MediaOrigin {
            interface: &account.endpoints.api_base,
            path,
            listed: &account.endpoints.redirect_hosts,
            is_known: |_| false,
        };
        media(
            self.follow(&origin, url, Some(account.credential()))
                .await?,
        )
    }
}

/// Checks an answer by its headers.
fn media(response: Response) -> Result<Media, FetchError> {
    let status = response.status();
    if let Some(failure) = status_error(status, response.headers()) {
        return Err(failure.into());
    }
    if status != StatusCode::OK {
        return Err(FetchRefusal::Status(status.as_u16()).into());
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
            expected: "audio",
            found: kind.chars().take(64).collect(),
        }
        .into());
    }
    let content_length = response.content_length();
    let is_chunked = response.headers().contains_key(TRANSFER_ENCODING);
    let chunks = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(|error| transient_failure(&error, 0)));
    let body = Body::new(chunks, content_length);
    Ok(Media {
        content_length,
        body: if is_chunked { body.framed() } else { body },
    })
}

/// Twilio sends `audio/x-wav`. Storage behind a redirect often does not know the type of its
/// objects and sends octets; the later RIFF check makes that safe. Error documents must be refused
/// here: XML, JSON, HTML, text.
fn is_sound(kind: &str) -> bool {
    kind.starts_with("audio/") || matches!(kind, "application/octet-stream" | "binary/octet-stream")
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(…)")
    }
}

#[cfg(test)]
mod tests;
