//! Recordings that Twilio stored in a bucket of yours instead of keeping them (external S3
//! storage).
//!
//! Owns which addresses are fetched, and with which credentials. Twilio then has metadata only,
//! whose `media_url` is the object's whole address.
//!
//! INVARIANT: an address is never asked as it is. It only chooses one of the configured buckets and
//! a path in it; the request goes to that bucket's endpoint with that bucket's own credentials,
//! never Twilio's. No error holds more of an address than its host.

use std::{fmt, time::Duration};

use futures_util::StreamExt as _;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use reqwest::Url;

use super::{FetchError, FetchRefusal, Hiccup, Media, TwilioClient, body::Body};
use crate::{
    secret::SecretText,
    twilio::{
        account::{Account, Pace},
        rest::RestError,
    },
};

const RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Which bucket, and what its addresses look like.
#[derive(Debug)]
pub(in crate::twilio) struct BucketAddress {
    /// The bucket's name.
    pub(in crate::twilio) bucket: String,
    /// Where the bucket begins in the path of an address: `/`, or `/name/` if the name is in the
    /// path.
    pub(in crate::twilio) root: String,
    /// What an address begins with; its path ends with `/`.
    pub(in crate::twilio) prefix: Url,
    /// Where the bucket is reached with its name in the path; `None`: where Amazon has it.
    pub(in crate::twilio) endpoint: Option<Url>,
}

/// A bucket that recordings may be fetched from.
pub(in crate::twilio) struct Bucket {
    place: BucketAddress,
    store: AmazonS3,
}

impl Bucket {
    /// Makes no connection.
    pub(in crate::twilio) fn new(
        place: BucketAddress,
        region: &str,
        access_key_id: &str,
        secret: &SecretText,
        pace: &Pace,
    ) -> Result<Self, &'static str> {
        let allow_http = place
            .endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.scheme() == "http");
        // No limit for a whole request: a day of sound takes its time, and only silence is a fault.
        let options = ClientOptions::new()
            .with_allow_http(allow_http)
            .with_timeout_disabled()
            .with_connect_timeout(pace.connect_timeout)
            .with_read_timeout(pace.read_idle_timeout);
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(region)
            // A name with dots is no host that Amazon's certificate covers.
            .with_virtual_hosted_style_request(
                place.endpoint.is_none() && !place.bucket.contains('.'),
            )
            .with_client_options(options)
            .with_retry(RetryConfig {
                backoff,
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
            })
            .with_access_key_id(access_key_id)
            .with_secret_access_key(secret.expose());
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let store = builder.build().map_err(
            |_| "a client for it cannot be set up; check that root certificates are installed",
        )?;
        Ok(Self { place, store })
    }

    /// The path in this bucket that an address means, if it is one below the prefix.
    ///
    /// The parser of URLs has resolved dots by now, also those that are written in hex. Its scheme
    /// is left alone, because it is never asked.
    fn path(&self, address: &Url) -> Option<Path> {
        let prefix = &self.place.prefix;
        let is_anonymous = address.username().is_empty() && address.password().is_none();
        let is_plain = is_anonymous && address.query().is_none() && address.fragment().is_none();
        let is_here = matches!(address.scheme(), "https" | "http")
            && address.host() == prefix.host()
            && address.port() == prefix.port();
        let below = address
            .path()
            .strip_prefix(prefix.path())
            .is_some_and(|rest| !rest.is_empty());
        if !(is_plain && is_here && below) {
            return None;
        }
        let key = address.path().strip_prefix(&self.place.root)?;
        let parts: Option<Vec<String>> = key.split('/').map(decoded).collect();
        let key = parts?.join("/");
        // `Path` quietly drops a slash at either end, and would name another object then.
        Path::parse(&key).ok().filter(|path| path.as_ref() == key)
    }
}

/// Only what may be seen.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket")
            .field(&self.place.prefix.as_str())
            .finish()
    }
}

/// One part of a path, `%` and two hex digits resolved. `None` for what would be another path then.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, later)) = rest.split_first() {
        rest = later;
        bytes.push(match first {
            b'%' => {
                let (digits, later) = rest.split_first_chunk::<2>()?;
                rest = later;
                hex::decode(digits).ok()?.first().copied()?
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_part = !text.is_empty()
        && text != "."
        && text != ".."
        && !text.contains(|letter: char| letter == '/' || letter.is_control());
    is_part.then_some(text)
}

impl Account {
    /// The bucket and the path in it that an address means.
    fn object(&self, address: &Url) -> Option<(&Bucket, Path)> {
        self.remote
            .buckets
            .iter()
            .find_map(|bucket| Some((bucket, bucket.path(address)?)))
    }

    /// Whether an address is one of Twilio's own: the interface's host, or Twilio's domain. The
    /// samples in its documentation have another scheme.
    pub(in crate::twilio) fn is_twilios(&self, address: &Url) -> bool {
        let interface = &self.remote.api_base;
        let is_interface = address.host() == interface.host() && address.port() == interface.port();
        is_interface
            || address
                .host_str()
                .is_some_and(|host| host == "twilio.com" || host.ends_with(".twilio.com"))
    }
}

impl TwilioClient {
    /// Begins to fetch a recording that Twilio stored elsewhere, from where its metadata says.
    /// `None` if that is Twilio itself, or nothing that can be read.
    ///
    /// # Errors
    /// [`FetchRefusal::ForeignMedia`] if no bucket covers the address; otherwise as [`TwilioClient::media`].
    pub async fn elsewhere(
        &self,
        account: &Account,
        media_url: &str,
    ) -> Result<Option<Media>, FetchError> {
        let Ok(address) = Url::parse(media_url) else {
            return Ok(None);
        };
        let host = host(&address);
        let Some((bucket, path)) = account.object(&address) else {
            return if account.is_twilios(&address) {
                Ok(None)
            } else {
                Err(FetchRefusal::ForeignMedia { host }.into())
            };
        };
        let got = bucket.store.get(&path).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => {
                FetchError::NotYetElsewhere { host: host.clone() }
            }
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => {
                FetchRefusal::BucketCredential { host: host.clone() }.into()
            }
            _ => Hiccup::Bucket { host: host.clone() }.into(),
        })?;
        let content_length = Some(got.meta.size);
        let chunks = got
            .into_stream()
            .map(|chunk| chunk.map_err(|_| Hiccup::Broken { received: 0 }));
        Ok(Some(Media {
            content_length,
            body: Body::new(chunks, content_length),
        }))
    }

    /// Deletes the object in which Twilio stored a recording. In a bucket that keeps versions, this
    /// hides it only.
    ///
    /// # Errors
    /// [`RestError::NotFound`] if it is gone; [`RestError::Refused`] if no bucket covers the
    /// address (403), or the bucket's credential may not delete (401 or 403);
    /// [`RestError::Transient`] if the bucket cannot be asked.
    pub async fn delete_object(&self, account: &Account, media_url: &str) -> Result<(), RestError> {
        let address = Url::parse(media_url).ok();
        let found = address.as_ref().and_then(|address| account.object(address));
        let Some((bucket, path)) = found else {
            return Err(RestError::Refused {
                status: 403,
                code: None,
            });
        };
        let told = |error| match error {
            object_store::Error::NotFound { .. } => RestError::NotFound,
            object_store::Error::PermissionDenied { .. } => RestError::Refused {
                status: 403,
                code: None,
            },
            object_store::Error::Unauthenticated { .. } => RestError::Refused {
                status: 401,
                code: None,
            },
            _ => RestError::Transient {
                cause: Hiccup::Bucket {
                    host: bucket
                        .place
                        .prefix
                        .host_str()
                        .unwrap_or_default()
                        .to_owned(),
                },
            },
        };
        // S3 says of every object that it is deleted, also of one that never was.
        bucket.store.head(&path).await.map_err(told)?;
        bucket.store.delete(&path).await.map_err(told)
    }
}

fn host(address: &Url) -> String {
    address.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
