//! Fetching and deleting recordings that Twilio stored in a bucket of yours instead of keeping them
//! (external S3 storage).
//!
//! Owns which bucket an address chooses, and the meaning of each answer. Twilio then has metadata
//! only, whose `media_url` is the object's whole address.
//!
//! INVARIANT: an address is never asked as it is. It only chooses one of the configured buckets and
//! a path in it; the request goes to that bucket's endpoint with that bucket's own credentials,
//! never Twilio's. No error holds more of an address than its host.

use futures_util::StreamExt as _;
use object_store::{ObjectStoreExt as _, path::Path};
use reqwest::Url;

use super::{Media, body::Body};
use crate::twilio::{
    account::Account,
    bucket::Bucket,
    client::TwilioClient,
    fetch_error::{FetchError, FetchRefusal, Hiccup},
    rest::RestError,
};

impl Account {
    /// The bucket and the path in it that an address means.
    fn object(&self, address: &Url) -> Option<(&Bucket, Path)> {
        self.remote
            .buckets
            .iter()
            .find_map(|bucket| Some((bucket, bucket.path(address)?)))
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
