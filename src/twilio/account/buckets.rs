//! `[[twilio.buckets]]`: where Twilio stores an account's recordings instead of keeping them.
//!
//! Owns the keys of the settings, and how a prefix of addresses becomes a bucket at an endpoint.
//! Makes no connection. INVARIANT: a bucket has credentials of its own, and is reached over TLS or
//! on this machine.

use std::path::{Path, PathBuf};

use url::Url;

use super::{
    faults::{SettingFaults, one_secret},
    is_confidential,
};
use crate::{
    secret::SecretText,
    twilio::{
        bucket::{Bucket, BucketAddress},
        pace::Pace,
    },
};

/// `[[twilio.buckets]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSettings {
    /// What the address of each recording there begins with, as Twilio's `media_url` has it: bucket
    /// and folder, in the host name or in the path. Ends with `/`.
    pub url_prefix: String,
    /// Region that signatures are made for.
    pub region: String,
    /// Where the bucket is reached, if not where its address says: `https://host`, with a port if
    /// need be.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Access key id. Twilio's credentials are never used there.
    pub access_key_id: String,
    /// The secret of the access key given directly, for the environment.
    #[serde(default)]
    pub secret_access_key: Option<SecretText>,
    /// File with the secret of the access key.
    #[serde(default)]
    pub secret_access_key_file: Option<PathBuf>,
    /// Whether it is reached by plain http, which only a bucket on this machine may be.
    #[serde(default)]
    pub allow_http: bool,
}

/// All of them; a fault for each thing that is wrong.
pub(super) fn resolve(
    settings: Vec<BucketSettings>,
    pace: &Pace,
    base: &Path,
    faults: &mut SettingFaults,
) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::with_capacity(settings.len());
    for (at, settings) in settings.into_iter().enumerate() {
        let key = format!("twilio.buckets[{at}]");
        let before = faults.count();
        let place = place(&settings, &key, faults);
        if settings.region.is_empty() {
            faults.add(format!("{key}.region"), "name the bucket's region");
        }
        if settings.access_key_id.is_empty() {
            faults.add(
                format!("{key}.access_key_id"),
                "give the id of an access key that may read the bucket",
            );
        }
        let secret = one_secret(
            settings.secret_access_key,
            settings.secret_access_key_file,
            &key,
            "secret_access_key",
            base,
            faults,
        );
        if secret.is_none() && faults.count() == before {
            faults.add(
                format!("{key}.secret_access_key_file"),
                "name the file that holds the secret of the access key",
            );
        }
        let (Some(place), Some(secret)) = (place, secret.flatten()) else {
            continue;
        };
        match Bucket::new(
            place,
            &settings.region,
            &settings.access_key_id,
            &secret,
            pace,
        ) {
            Ok(bucket) => buckets.push(bucket),
            Err(problem) => faults.add(key, problem),
        }
    }
    buckets
}

fn place(
    settings: &BucketSettings,
    key: &str,
    faults: &mut SettingFaults,
) -> Option<BucketAddress> {
    const PREFIX: &str = "expected an address that ends with `/`, such as `https://bucket.s3.eu-west-1.amazonaws.com/recordings/`";
    let prefix = Url::parse(&settings.url_prefix)
        .ok()
        .filter(|url| is_bare(url) && url.path().ends_with('/'));
    let Some(prefix) = prefix else {
        faults.add(format!("{key}.url_prefix"), PREFIX);
        return None;
    };
    let endpoint = match &settings.endpoint {
        None => None,
        Some(text) => match Url::parse(text)
            .ok()
            .filter(|url| is_bare(url) && url.path() == "/")
        {
            Some(url) => Some(url),
            None => {
                faults.add(
                    format!("{key}.endpoint"),
                    "expected `https://host`, with an optional port and nothing else",
                );
                return None;
            }
        },
    };
    let reached = endpoint.as_ref().unwrap_or(&prefix);
    if reached.scheme() == "http" && !(settings.allow_http && is_confidential(reached)) {
        let name = if endpoint.is_some() {
            "endpoint"
        } else {
            "url_prefix"
        };
        faults.add(
            format!("{key}.{name}"),
            "plain http: use https; `allow_http` is for a bucket on this machine",
        );
        return None;
    }
    let found = bucket(&prefix, endpoint);
    if found.is_none() {
        faults.add(
            format!("{key}.url_prefix"),
            "names no bucket: expected it in the host name, before `endpoint`'s host, or first in the path",
        );
    }
    found
}

/// Scheme, host, port and path, and nothing else.
fn is_bare(url: &Url) -> bool {
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && is_anonymous
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Reads which bucket an address means
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>).
fn bucket(prefix: &Url, endpoint: Option<Url>) -> Option<BucketAddress> {
    let host = prefix.host_str()?;
    let is_amazons = [".amazonaws.com", ".amazonaws.com.cn"]
        .iter()
        .any(|domain| host.ends_with(domain));
    let named = match &endpoint {
        _ if is_amazons => [".s3.", ".s3-"]
            .iter()
            .filter_map(|mark| host.rfind(mark))
            .max()
            .and_then(|at| host.get(..at)),
        Some(endpoint) => host
            .strip_suffix(endpoint.host_str()?)
            .and_then(|name| name.strip_suffix('.')),
        None => None,
    };
    let reached = endpoint.or_else(|| {
        (!is_amazons)
            .then(|| Url::parse(&prefix.origin().ascii_serialization()).ok())
            .flatten()
    });
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Some(BucketAddress {
            bucket: name.to_owned(),
            root: "/".into(),
            prefix: prefix.clone(),
            endpoint: reached,
        });
    }
    let is_own = is_amazons
        || reached
            .as_ref()
            .is_some_and(|reached| reached.host_str() == Some(host));
    let (name, _) = prefix.path().strip_prefix('/')?.split_once('/')?;
    let is_well = is_own
        && !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    is_well.then(|| BucketAddress {
        bucket: name.to_owned(),
        root: format!("/{name}/"),
        prefix: prefix.clone(),
        endpoint: reached,
    })
}

#[cfg(test)]
mod tests;
