//! A customer's bucket in which Twilio stores recordings instead of keeping them (external S3
//! storage).
//!
//! Owns the mapping of addresses to objects, and the client of the bucket. Refuses to know the use
//! of the objects (`media`) and the settings (`account`). Makes no connection by itself.
//!
//! INVARIANT: an address only chooses a path below the bucket's prefix; requests go to the bucket's
//! endpoint with the bucket's own credentials, never Twilio's.

use std::{fmt, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use url::Url;

use super::rate_limit::ClientLimits;
use crate::secret::SecretText;

const RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// A bucket, and the form of its addresses.
#[derive(Debug)]
pub(super) struct BucketAddress {
    /// The bucket's name.
    pub(super) bucket: String,
    /// The path at which the bucket begins in an address: `/`, or `/name/` if the name is in the
    /// path.
    pub(super) root: String,
    /// The prefix of its addresses; its path ends with `/`.
    pub(super) prefix: Url,
    /// The endpoint, for addresses with the bucket's name in the path. `None`: Amazon's own
    /// endpoint.
    pub(super) endpoint: Option<Url>,
}

/// A bucket from which recordings are fetched.
pub(super) struct Bucket {
    pub(super) place: BucketAddress,
    pub(super) store: AmazonS3,
}

impl Bucket {
    /// Creates the client. Makes no connection.
    pub(super) fn new(
        place: BucketAddress,
        region: &str,
        access_key_id: &str,
        secret: &SecretText,
        limits: &ClientLimits,
    ) -> Result<Self, &'static str> {
        let allow_http = place
            .endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.scheme() == "http");
        // A whole request has no time limit: a day of audio takes long, and only silence is a
        // fault.
        let options = ClientOptions::new()
            .with_allow_http(allow_http)
            .with_timeout_disabled()
            .with_connect_timeout(limits.connect_timeout)
            .with_read_timeout(limits.read_idle_timeout);
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(region)
            // A name with dots makes a host name that Amazon's certificate does not cover.
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

    /// Returns the path in this bucket for an address below the prefix, otherwise `None`.
    ///
    /// The URL parser has resolved dot segments before, also escaped ones. The address may have
    /// either scheme, because no request is sent to the address itself.
    pub(super) fn path(&self, address: &Url) -> Option<Path> {
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
        // `Path` silently drops a slash at either end, and would then name another object.
        Path::parse(&key).ok().filter(|path| path.as_ref() == key)
    }
}

/// Shows only the prefix.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket")
            .field(&self.place.prefix.as_str())
            .finish()
    }
}

/// Decodes the percent-escapes of one path segment. `None` if the result would change the path.
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
