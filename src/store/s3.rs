//! The S3 client: addresses, credentials, trust, and retry limits.
//!
//! [`uploads`] adds the one request that `object_store` does not make.
//!
//! Owns the choice of limits. It retries briefly and then fails, because the work that needs the
//! object has a lease and is repeated; a hanging request would hold memory and the lease for
//! nothing.

pub(super) mod uploads;

use std::{path::Path, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Certificate, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpConnector as _, ReqwestConnector},
};

use self::uploads::UploadListing;
use super::{error::Error, settings::StoreSettings};

/// The time-out of one request; 8 MiB then need 0.6 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time-out between two reads of one response.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// A bucket: its objects, and its list of unfinished uploads.
#[derive(Clone)]
pub(super) struct S3Bucket {
    pub(super) objects: Arc<AmazonS3>,
    pub(super) uploads: Arc<UploadListing>,
}

pub(super) fn client(
    settings: &StoreSettings,
    bucket: &str,
    base: &Path,
) -> Result<S3Bucket, Error> {
    let endpoint = settings.endpoint(bucket)?;
    let allow_http = endpoint.as_ref().is_some_and(|url| url.scheme() == "http");
    let mut options = ClientOptions::new()
        .with_allow_http(allow_http)
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT);
    if let Some(pem) = settings.authorities(base)? {
        for certificate in certificates(&pem)? {
            options = options.with_root_certificate(certificate);
        }
    }
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_virtual_hosted_style_request(!settings.path_style())
        .with_client_options(options.clone())
        .with_retry(RetryConfig {
            backoff,
            max_retries: RETRIES,
            retry_timeout: RETRY_TIMEOUT,
        })
        // One plain DELETE each: not every server supports the bulk request.
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = &endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    if let Some((id, secret)) = settings.credentials(base)? {
        builder = builder
            .with_access_key_id(id)
            .with_secret_access_key(secret.expose());
    }
    // A certificate is decoded only here; the builder's other values are valid by now.
    let no_tls = |_| {
        Error::setting(
            "ca_file",
            "cannot set up TLS with the certificates in this file and the system's",
        )
    };
    let objects = Arc::new(builder.build().map_err(no_tls)?);
    let http = ReqwestConnector::default()
        .connect(&options)
        .map_err(no_tls)?;
    let uploads = UploadListing::new(
        http,
        settings.bucket_url(bucket)?,
        settings.region.clone(),
        objects.credentials().clone(),
    );
    Ok(S3Bucket {
        objects,
        uploads: Arc::new(uploads),
    })
}

fn certificates(pem: &str) -> Result<Vec<Certificate>, Error> {
    match Certificate::from_pem_bundle(pem.as_bytes()) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::setting(
            "ca_file",
            "holds no certificate; expected PEM text with `-----BEGIN CERTIFICATE-----`",
        )),
    }
}
