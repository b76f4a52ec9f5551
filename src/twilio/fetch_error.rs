//! Errors of requests to Twilio or a bucket for a recording, by the caller's possible reactions.
//!
//! Owns the errors, their texts, and the conversion of the HTTP client's errors. Refuses to retry.
//! INVARIANT: no text here holds a credential, a query or a path.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::encryption::{DetailsError, EnvelopeError};
use crate::model::{numerals::counted, sid::PublicKeySid};

/// The most redirects after the first request.
pub const MAX_REDIRECTS: usize = 3;

/// The caller's possible reactions to a failed fetch. No text in it holds a credential, a query or
/// a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Retry later: the media is not there (404). It may be available minutes after its callback,
    /// or never, if it was deleted or is stored elsewhere.
    #[error("twilio has no media for the recording yet (404)")]
    NotYet,
    /// Retry later: the object that Twilio names is not in the bucket (404).
    #[error("the object at `{host}` does not exist yet (404)")]
    NotYetElsewhere {
        /// The host alone.
        host: String,
    },
    /// Retry after the stated time, or back off.
    #[error("twilio asks for fewer requests (429)")]
    Throttled {
        /// The time that the server stated, at most one hour.
        retry_after: Option<Duration>,
    },
    /// Retry soon: a temporary failure of the server or the network. The received bytes are
    /// worthless.
    #[error("the fetch failed: {cause}")]
    Transient {
        /// The cause.
        cause: TransientFailure,
    },
    /// A retry does not help until something changes.
    #[error("the fetch is refused: {cause}")]
    Refused {
        /// The cause.
        cause: FetchRefusal,
    },
}

/// A failure that may be temporary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransientFailure {
    /// A server error or a request time-out.
    #[error("the server answered {0}")]
    Status(u16),
    /// No connection.
    #[error("no connection to the server")]
    Connect,
    /// No bytes for longer than `twilio.read_idle_timeout_ms`.
    #[error("no bytes arrived for longer than `twilio.read_idle_timeout_ms`")]
    Silence,
    /// The connection broke.
    #[error("the connection broke after {} of audio", counted(*received, "byte", "bytes"))]
    Broken {
        /// Bytes of the body until then.
        received: u64,
    },
    /// The body has another length than expected.
    #[error("the body ended after {} instead of {expected}", counted(*received, "byte", "bytes"))]
    Length {
        /// Bytes of the body.
        received: u64,
        /// The bytes of `Content-Length`; without it, the least length in the RIFF header.
        expected: u64,
    },
    /// A file of Video that ends inside a part of it.
    #[error("the file is cut: as {container}, it ends inside a part")]
    Cut {
        /// The container.
        container: &'static str,
    },
    /// The private key for an encrypted recording cannot be used now.
    #[error("the private key of `{sid}` cannot be used: {why}")]
    PrivateKey {
        /// The SID of the public key.
        sid: PublicKeySid,
        /// The reason, without any secret.
        why: String,
    },
    /// No private key that can be used now opens an encrypted file of Video.
    #[error("a private key of `twilio.encryption_keys` cannot be used: {why}")]
    EnvelopeKey {
        /// The reason, without any secret.
        why: String,
    },
    /// The request to a bucket failed: no connection, a server error, or an invalid answer.
    #[error("the bucket at `{host}` cannot be reached")]
    Bucket {
        /// The host alone.
        host: String,
    },
}

/// A failure that needs an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefusal {
    /// 401 or 403.
    #[error(
        "the server does not accept the account's credential ({0}); check `api_key_sid` and its secret, or the first auth token"
    )]
    Credential(u16),
    /// A recording of a kind that is not fetched.
    #[error("{why}, which is not fetched")]
    Kind {
        /// The kind.
        why: String,
    },
    /// Any other answer that is not the media.
    #[error("the server answered {0}")]
    Status(u16),
    /// A redirect to a host that is not listed, or without TLS.
    #[error(
        "redirected to `{host}`; if your media is stored there, add the host to \
         `twilio.media_redirect_hosts`; only https is followed"
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
    /// Something else than the media: most likely an error page.
    #[error("the content type is `{found}`, not {expected}")]
    ContentType {
        /// What was expected.
        expected: &'static str,
        /// The content type, cut at 64 characters; empty if there was none.
        found: String,
    },
    /// Audio by its type, but not a WAV file.
    #[error(
        "the body does not begin as a RIFF/WAVE file, and twilio does not report it as encrypted \
         with a customer key"
    )]
    NotRiff,
    /// The encryption details of Twilio cannot be used.
    #[error("it is encrypted with your public key, but its encryption details cannot be used: {0}")]
    Details(DetailsError),
    /// No private key is configured.
    #[error(
        "it is encrypted with your public key `{sid}`: add its private key to `twilio.encryption_keys`, and run `recvault retry`"
    )]
    NoKey {
        /// The SID of the public key.
        sid: PublicKeySid,
    },
    /// The private key belongs to another public key, or the wrapped key was altered.
    #[error(
        "the private key that `twilio.encryption_keys` has for `{sid}` does not open its content key"
    )]
    WrongKey {
        /// The SID of the public key.
        sid: PublicKeySid,
    },
    /// Decrypted, but not a WAV file.
    #[error(
        "the decrypted file is not a RIFF/WAVE file: key, nonce and file do not belong together, \
         or the file was altered"
    )]
    Garbled,
    /// Decrypted, but not authentic.
    #[error("the encrypted file is not authentic: its tag is wrong")]
    Tag,
    /// An encrypted file that is shorter than its own header states.
    #[error(
        "the encrypted file is truncated: {} of audio, but its header states {expected}",
        counted(*received, "byte", "bytes")
    )]
    Cut {
        /// Bytes of audio.
        received: u64,
        /// The least length in the RIFF header.
        expected: u64,
    },
    /// An encrypted file that is longer than its encryption allows.
    #[error("the encrypted file is longer than the 64 GiB that AES-GCM can encrypt")]
    TooLong,
    /// Twilio stored the audio in a bucket that is not configured.
    #[error(
        "twilio stored it at `{host}`, and no `url_prefix` of `twilio.buckets` covers it: add the bucket, and run `recvault retry`"
    )]
    ForeignMedia {
        /// The host alone.
        host: String,
    },
    /// The bucket refuses the credential.
    #[error(
        "the bucket at `{host}` does not accept its credential; check `access_key_id` and its \
         secret in `twilio.buckets`, and their read permission"
    )]
    BucketCredential {
        /// The host alone.
        host: String,
    },
    /// A file of Video that does not begin as its container.
    #[error("the file does not begin as {expected}")]
    Container {
        /// The container.
        expected: &'static str,
    },
    /// A file of Video that begins as its container, and goes on as something else.
    #[error("the file is damaged: it has a part that is not of {container}")]
    Damaged {
        /// The container.
        container: &'static str,
    },
    /// The headers of an encrypted file of Video cannot be used.
    #[error("it is encrypted with your public key, but {0}")]
    Envelope(EnvelopeError),
    /// No private key opens an encrypted file of Video.
    #[error(
        "it is encrypted with your public key, but no private key of `twilio.encryption_keys` opens its content key: add the key, and run `recvault retry`"
    )]
    NoEnvelopeKey,
    /// A decrypted file of Video with a wrong padding, length or beginning.
    #[error("the encrypted file was cut or altered, or its content key is another one: {0}")]
    EnvelopeContent(&'static str),
    /// Twilio's metadata cannot be used.
    #[error("twilio's metadata of the recording cannot be used: {0}")]
    Metadata(&'static str),
}

impl From<TransientFailure> for FetchError {
    fn from(cause: TransientFailure) -> Self {
        Self::Transient { cause }
    }
}

impl From<FetchRefusal> for FetchError {
    fn from(cause: FetchRefusal) -> Self {
        Self::Refused { cause }
    }
}

/// Parses `Retry-After` in seconds (RFC 9110, section 10.2.3), at most one hour. A date counts as
/// absent, because it needs a clock: the caller then backs off.
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

/// Classifies an error, without the URL that `reqwest` would name.
pub(super) fn transient_failure(error: &reqwest::Error, received: u64) -> TransientFailure {
    if error.is_connect() {
        TransientFailure::Connect
    } else if error.is_timeout() {
        TransientFailure::Silence
    } else {
        TransientFailure::Broken { received }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_bounded() {
        for (text, expected) in [
            ("0", Some(0)),
            ("17", Some(17)),
            (" 5 ", Some(5)),
            ("999999", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(
                retry_after(&headers),
                expected.map(Duration::from_secs),
                "{text}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
