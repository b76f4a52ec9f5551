//! What can go wrong while Twilio or a bucket is asked for a recording, and what the caller can do.
//!
//! Owns the errors, their words, and how the HTTP client's own become them. Refuses to retry.
//! INVARIANT: no text here holds a credential, a query or a path.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::encryption::DetailsError;
use crate::model::{numerals::counted, sid::PublicKeySid};

/// Hops after the first request.
pub const MAX_REDIRECTS: usize = 3;

/// What the caller can do about a failed fetch. No text in it holds a credential, a query or a
/// path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Ask again later: the media is not there (404). It may follow its callback by minutes, or
    /// never come if it is deleted or kept elsewhere.
    #[error("twilio has no media for the recording yet (404)")]
    NotYet,
    /// The same of a bucket: the object that Twilio names is not there.
    #[error("the object at `{host}` does not exist yet (404)")]
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
        cause: TransientFailure,
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
pub enum TransientFailure {
    /// A server error or a request time-out of the other side.
    #[error("the server answered {0}")]
    Status(u16),
    /// No connection.
    #[error("no connection to the server")]
    Connect,
    /// Silence for longer than `twilio.read_idle_timeout_ms`.
    #[error("no bytes arrived for longer than `twilio.read_idle_timeout_ms`")]
    Silence,
    /// The connection broke.
    #[error("the connection broke after {} of audio", counted(*received, "byte", "bytes"))]
    Broken {
        /// Bytes of the body until then.
        received: u64,
    },
    /// The body ended, but not where it should.
    #[error("the body ended after {} instead of {expected}", counted(*received, "byte", "bytes"))]
    Length {
        /// Bytes of the body.
        received: u64,
        /// Bytes promised by `Content-Length`; where HTTP promises nothing, the least that the RIFF
        /// header does.
        expected: u64,
    },
    /// The private key that opens an encrypted recording cannot be asked.
    #[error("the private key of `{sid}` cannot be used: {why}")]
    PrivateKey {
        /// The SID of its public half.
        sid: PublicKeySid,
        /// What its place says; never a secret.
        why: String,
    },
    /// A bucket's server answered something that is no answer.
    #[error("the bucket at `{host}` cannot be reached")]
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
    /// Not sound: most likely an error page.
    #[error("the content type is `{found}`, not audio")]
    ContentType {
        /// What it is, cut at 64 characters; empty if nothing was said.
        found: String,
    },
    /// Sound by its type, but not a WAV file.
    #[error(
        "the body does not begin as a RIFF/WAVE file, and twilio does not report it as encrypted \
         with a customer key"
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
        sid: PublicKeySid,
    },
    /// The private key is of another pair, or the wrapped key was altered.
    #[error(
        "the private key that `twilio.encryption_keys` has for `{sid}` does not open its content key"
    )]
    WrongKey {
        /// The SID of the public key.
        sid: PublicKeySid,
    },
    /// Decrypted, and no sound.
    #[error(
        "the decrypted file is not a RIFF/WAVE file: key, nonce and file do not belong together, \
         or the file was altered"
    )]
    Garbled,
    /// Decrypted, and not authentic.
    #[error("the encrypted file is not authentic: its tag is wrong")]
    Tag,
    /// An encrypted file that is shorter than its own header says.
    #[error(
        "the encrypted file is truncated: {} of audio, but its header states {expected}",
        counted(*received, "byte", "bytes")
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
        "the bucket at `{host}` does not accept its credential; check `access_key_id` and its \
         secret in `twilio.buckets`, and their read permission"
    )]
    BucketCredential {
        /// The host alone.
        host: String,
    },
    /// Twilio's metadata could not be understood.
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
