//! `[[twilio.buckets]]`: the buckets in which Twilio stores recordings instead of keeping them.
//!
//! Owns the keys of the settings, and the conversion of an address prefix into a bucket at an
//! endpoint. Makes no connection. INVARIANT: a bucket has credentials of its own, and is reached
//! over TLS or on this machine.

use std::path::PathBuf;

use url::Url;

use super::{
    faults::{ResolvedSecret, SecretSource, TableFaults},
    is_confidential,
};
use crate::{
    secret::SecretText,
    twilio::{
        bucket::{Bucket, BucketAddress},
        rate_limit::ClientLimits,
    },
};

/// `[[twilio.buckets]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSettings {
    /// The prefix of every recording's address, as in Twilio's `media_url`: bucket and folder, in
    /// the host name or in the path. Ends with `/`.
    pub url_prefix: String,
    /// The region for which requests are signed.
    pub region: String,
    /// The endpoint of the bucket, if it differs from the address: `https://host`, with an optional
    /// port.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The access key id. Twilio's credentials are never sent to a bucket.
    pub access_key_id: String,
    /// The secret of the access key given directly, for the environment.
    #[serde(default)]
    pub secret_access_key: Option<SecretText>,
    /// File with the secret of the access key.
    #[serde(default)]
    pub secret_access_key_file: Option<PathBuf>,
    /// Whether plain http is permitted, which is only possible for a bucket on this machine.
    #[serde(default)]
    pub allow_http: bool,
}

/// Resolves the buckets, and reports every fault.
pub(super) fn resolve(
    settings: &[BucketSettings],
    limits: &ClientLimits,
    faults: &mut TableFaults<'_>,
) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::with_capacity(settings.len());
    for (at, settings) in settings.iter().enumerate() {
        let mut faults = faults.at(format_args!("buckets[{at}]"));
        let address = address(settings, &mut faults);
        if settings.region.is_empty() {
            faults.add("region", "name the bucket's region");
        }
        if settings.access_key_id.is_empty() {
            let problem = "give the id of an access key that may read the bucket";
            faults.add("access_key_id", problem);
        }
        let source = SecretSource {
            value: settings.secret_access_key.as_ref(),
            file: settings.secret_access_key_file.as_deref(),
        };
        let secret = faults.secret("secret_access_key", &source);
        if matches!(secret, ResolvedSecret::Absent) {
            let problem = "name the file that holds the secret of the access key";
            faults.add("secret_access_key_file", problem);
        }
        let (Some(address), Some(secret)) = (address, secret.given()) else {
            continue;
        };
        let (region, key) = (&settings.region, &settings.access_key_id);
        match Bucket::new(address, region, key, &secret, limits) {
            Ok(bucket) => buckets.push(bucket),
            Err(problem) => faults.add_here(problem),
        }
    }
    buckets
}

fn address(settings: &BucketSettings, faults: &mut TableFaults<'_>) -> Option<BucketAddress> {
    let prefix = Url::parse(&settings.url_prefix)
        .ok()
        .filter(|url| is_bare(url) && url.path().ends_with('/'));
    let Some(prefix) = prefix else {
        let problem = "expected an address that ends with `/`, such as `https://bucket.s3.eu-west-1.amazonaws.com/recordings/`";
        faults.add("url_prefix", problem);
        return None;
    };
    let endpoint = match &settings.endpoint {
        None => None,
        Some(text) => {
            let url = Url::parse(text).ok();
            let url = url.filter(|url| is_bare(url) && url.path() == "/");
            if url.is_none() {
                let problem = "expected `https://host`, with an optional port and nothing else";
                faults.add("endpoint", problem);
                return None;
            }
            url
        }
    };
    let reached = endpoint.as_ref().unwrap_or(&prefix);
    if reached.scheme() == "http" && !(settings.allow_http && is_confidential(reached)) {
        let name = if endpoint.is_some() {
            "endpoint"
        } else {
            "url_prefix"
        };
        let problem = "plain http: use https; `allow_http` is for a bucket on this machine";
        faults.add(name, problem);
        return None;
    }
    let found = bucket(&prefix, endpoint);
    if found.is_none() {
        let problem = "names no bucket: expected it in the host name, before `endpoint`'s host, or first in the path";
        faults.add("url_prefix", problem);
    }
    found
}

/// Whether a URL has a scheme, a host, an optional port and a path, and nothing else.
fn is_bare(url: &Url) -> bool {
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && is_anonymous
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Parses the bucket and the endpoint from an address
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
