//! Files of any type: pictures, sounds and documents of messages.
//!
//! Owns the recognition of an error document in the place of a file, and the check of a file's
//! length. Refuses to judge the content: a message may hold anything.
//!
//! INVARIANT: a [`FileBody`] that ends without an error has as many bytes as the server stated.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use reqwest::{
    Response, StatusCode, Version,
    header::{CONTENT_TYPE, TRANSFER_ENCODING},
};

use super::redirect::MediaOrigin;
use crate::{
    model::sid::{MediaSid, MessageSid},
    twilio::{
        account::Account,
        client::TwilioClient,
        fetch_error::{FetchError, FetchRefusal, TransientFailure, transient_failure},
        rest::status_error,
    },
};

/// The types of documents that servers send in place of a file.
const ERROR_TYPES: [&str; 4] = [
    "application/json",
    "application/xml",
    "text/xml",
    "text/html",
];

/// A file, as a stream.
#[derive(Debug)]
pub struct MediaFile {
    /// The type that the server states, in lower case and without parameters; empty if it states
    /// none. Storage often states `application/octet-stream` for anything.
    pub content_type: String,
    /// The length that the server states.
    pub content_length: Option<u64>,
    /// The bytes.
    pub body: FileBody,
}

/// The bytes of a file in order; memory is bounded by one network read.
pub struct FileBody {
    /// `None` after the end, with or without an error.
    chunks: Option<BoxStream<'static, Result<Bytes, TransientFailure>>>,
    expected: Option<u64>,
    received: u64,
}

impl TwilioClient {
    /// Begins to fetch a file of a message. `announced` is its type as the message or the list of
    /// media states it: an error document of another type is refused.
    ///
    /// # Errors
    /// [`FetchError::NotYet`] just after the message arrived: the file can be later than its
    /// callback.
    pub async fn message_media(
        &self,
        account: &Account,
        message: &MessageSid,
        media: &MediaSid,
        announced: &str,
    ) -> Result<MediaFile, FetchError> {
        let path = format!(
            "/2010-04-01/Accounts/{}/Messages/{message}/Media/{media}",
            account.sid()
        );
        let mut url = account.endpoints.api_base.clone();
        url.set_path(&path);
        let origin = MediaOrigin {
            interface: &account.endpoints.api_base,
            path,
            listed: &account.endpoints.redirect_hosts,
            is_known: is_message_storage,
        };
        let response = self.follow(&origin, url, account.credential()).await?;
        file(response, announced)
    }
}

/// Whether Twilio stores files of messages at a host.
fn is_message_storage(host: &str) -> bool {
    matches!(host, "mms.twiliocdn.com" | "media.twiliocdn.com")
}

/// Checks an answer by its headers.
pub(super) fn file(response: Response, announced: &str) -> Result<MediaFile, FetchError> {
    let status = response.status();
    if let Some(failure) = status_error(status, response.headers()) {
        return Err(failure.into());
    }
    if status != StatusCode::OK {
        return Err(FetchRefusal::Status(status.as_u16()).into());
    }

    let stated = response.headers().get(CONTENT_TYPE);
    let content_type = kind(
        stated
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default(),
    );
    if ERROR_TYPES.contains(&content_type.as_str()) && content_type != kind(announced) {
        return Err(FetchRefusal::ContentType {
            found: content_type,
        }
        .into());
    }

    let content_length = response.content_length();
    let is_framed =
        response.headers().contains_key(TRANSFER_ENCODING) || response.version() >= Version::HTTP_2;
    if content_length.is_none() && !is_framed {
        return Err(FetchRefusal::Metadata("its end is not stated").into());
    }
    let chunks = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(|error| transient_failure(&error, 0)));
    Ok(MediaFile {
        content_type,
        content_length,
        body: FileBody {
            chunks: Some(chunks.boxed()),
            expected: content_length,
            received: 0,
        },
    })
}

/// Returns a content type without parameters, at most 64 characters.
fn kind(text: &str) -> String {
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.to_ascii_lowercase().chars().take(64).collect()
}

impl FileBody {
    fn take(
        &mut self,
        chunk: Option<Result<Bytes, TransientFailure>>,
    ) -> Option<Result<Bytes, FetchError>> {
        let failure = match chunk {
            Some(Ok(bytes)) => {
                self.received += bytes.len() as u64;
                match self.expected.filter(|&expected| self.received > expected) {
                    None => return Some(Ok(bytes)),
                    Some(expected) => self.wrong_length(expected),
                }
            }
            Some(Err(TransientFailure::Broken { .. })) => TransientFailure::Broken {
                received: self.received,
            },
            Some(Err(failure)) => failure,
            None => match self.expected.filter(|&expected| self.received != expected) {
                None => {
                    self.chunks = None;
                    return None;
                }
                Some(expected) => self.wrong_length(expected),
            },
        };
        self.chunks = None;
        Some(Err(failure.into()))
    }

    fn wrong_length(&self, expected: u64) -> TransientFailure {
        TransientFailure::Length {
            received: self.received,
            expected,
        }
    }
}

impl Stream for FileBody {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(chunks) = &mut this.chunks else {
            return Poll::Ready(None);
        };
        let chunk = ready!(chunks.poll_next_unpin(cx));
        Poll::Ready(this.take(chunk))
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileBody(…)")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt as _, stream};

    use super::*;

    async fn read(chunks: &[&'static [u8]], expected: Option<u64>) -> Result<Vec<u8>, FetchError> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|&chunk| Ok(Bytes::from_static(chunk)))
            .collect();
        let body = FileBody {
            chunks: Some(stream::iter(chunks).boxed()),
            expected,
            received: 0,
        };
        body.try_fold(Vec::new(), async |mut all, chunk| {
            all.extend(chunk);
            Ok(all)
        })
        .await
    }

    #[tokio::test]
    async fn a_file_has_the_length_that_was_stated() {
        for expected in [Some(5), None] {
            assert_eq!(
                read(&[b"ab", b"", b"cde"], expected).await.unwrap(),
                b"abcde"
            );
        }
        for expected in [0, 4, 6] {
            assert!(
                read(&[b"ab", b"cde"], Some(expected)).await.is_err(),
                "{expected}"
            );
        }
        assert!(read(&[], Some(1)).await.is_err());
    }

    #[test]
    fn a_type_is_compared_without_its_parameters() {
        assert_eq!(kind("Text/HTML; charset=utf-8"), "text/html");
        assert_eq!(kind(""), "");
    }

    #[test]
    fn only_twilios_own_storage_is_known() {
        assert!(is_message_storage("mms.twiliocdn.com"));
        for other in [
            "twiliocdn.com",
            "mms.twiliocdn.com.evil.example",
            "evil-mms.twiliocdn.com",
        ] {
            assert!(!is_message_storage(other), "{other}");
        }
    }
}
