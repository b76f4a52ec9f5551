//! Fetching and deleting recordings that Twilio stored in a customer's bucket instead of keeping
//! them (external S3 storage).
//!
//! Owns the choice of the bucket for an address, and the meaning of each answer. For such a
//! recording Twilio has metadata only, and its `media_url` is the full address of the object.
//!
//! INVARIANT: no request is sent to an address as it is. An address only chooses one of the
//! configured buckets and a path in it. The request goes to that bucket's endpoint with that
//! bucket's own credentials, never Twilio's. No error holds more of an address than its host.

use futures_util::StreamExt as _;
use object_store::{Attribute, GetResult, ObjectStoreExt as _, path::Path};
use reqwest::Url;

use super::{
    Media,
    body::Body,
    file::{MediaFile, kind},
    file_body::FileBody,
};
use crate::twilio::{
    account::Account,
    bucket::Bucket,
    client::TwilioClient,
    container::FileContainer,
    encryption::FileEnvelope,
    fetch_error::{FetchError, FetchRefusal, TransientFailure},
};

impl Account {
    /// Returns the bucket and the path in it for an address.
    fn object(&self, address: &Url) -> Option<(&Bucket, Path)> {
        self.endpoints
            .buckets
            .iter()
            .find_map(|bucket| Some((bucket, bucket.path(address)?)))
    }
}

impl TwilioClient {
    /// Begins to fetch a recording that Twilio stored elsewhere, from the address in its metadata.
    /// `None` if the address is Twilio's own, or cannot be parsed.
    ///
    /// # Errors
    /// [`FetchRefusal::ForeignMedia`] if no bucket covers the address; otherwise as [`TwilioClient::media`].
    pub async fn external_media(
        &self,
        account: &Account,
        media_url: &str,
    ) -> Result<Option<Media>, FetchError> {
        let Some(got) = get(account, media_url).await? else {
            return Ok(None);
        };
        let content_length = Some(got.meta.size);
        let chunks = got
            .into_stream()
            .map(|chunk| chunk.map_err(|_| TransientFailure::Broken { received: 0 }));
        Ok(Some(Media {
            content_length,
            body: Body::new(chunks, content_length),
        }))
    }

    /// Begins to fetch a file of Video that Twilio stored elsewhere, from the address in its
    /// metadata. `None` as for [`Self::external_media`].
    ///
    /// # Errors
    /// As [`Self::external_media`]; also for headers of an encryption that cannot be used.
    pub async fn external_file(
        &self,
        account: &Account,
        location: &str,
        container: FileContainer,
    ) -> Result<Option<MediaFile>, FetchError> {
        let Some(got) = get(account, location).await? else {
            return Ok(None);
        };
        let attribute = |name: &'static str| {
            let value = got.attributes.get(&Attribute::Metadata(name.into()));
            value.map(|value| &**value)
        };
        let envelope = FileEnvelope::read(attribute).map_err(FetchRefusal::Envelope)?;
        let content_type = got.attributes.get(&Attribute::ContentType);
        let content_type = kind(content_type.map_or("", |value| value));
        let content_length = Some(got.meta.size);
        let chunks = got
            .into_stream()
            .map(|chunk| chunk.map_err(|_| TransientFailure::Broken { received: 0 }));
        Ok(Some(MediaFile {
            content_type,
            content_length,
            envelope,
            body: FileBody::new(chunks, content_length).within(container),
        }))
    }

    /// Deletes the object in which Twilio stored a recording. In a bucket that keeps versions, this
    /// hides it only.
    ///
    /// # Errors
    /// [`BucketDeleteError`]. No request is sent if no bucket covers the address.
    pub async fn delete_object(
        &self,
        account: &Account,
        media_url: &str,
    ) -> Result<(), BucketDeleteError> {
        let Ok(address) = Url::parse(media_url) else {
            return Err(BucketDeleteError::NoAddress);
        };
        let Some((bucket, path)) = account.object(&address) else {
            let host = host(&address);
            return Err(BucketDeleteError::NoBucket { host });
        };
        let failed = |error| {
            let host = host(&bucket.place.prefix);
            match error {
                object_store::Error::NotFound { .. } => BucketDeleteError::NotFound,
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. } => {
                    BucketDeleteError::Forbidden { host }
                }
                _ => BucketDeleteError::Transient(TransientFailure::Bucket { host }),
            }
        };
        // S3 reports success for the deletion of an object that never existed.
        bucket.store.head(&path).await.map_err(failed)?;
        bucket.store.delete(&path).await.map_err(failed)
    }
}

/// Requests an object. `None` if the address is Twilio's own, or cannot be parsed.
async fn get(account: &Account, address: &str) -> Result<Option<GetResult>, FetchError> {
    let Ok(address) = Url::parse(address) else {
        return Ok(None);
    };
    let host = host(&address);
    let Some((bucket, path)) = account.object(&address) else {
        return if account.is_twilio_host(&address) {
            Ok(None)
        } else {
            Err(FetchRefusal::ForeignMedia { host }.into())
        };
    };
    let got = bucket.store.get(&path).await.map_err(|error| match error {
        object_store::Error::NotFound { .. } => FetchError::NotYetElsewhere { host },
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => {
            FetchRefusal::BucketCredential { host }.into()
        }
        _ => TransientFailure::Bucket { host }.into(),
    })?;
    Ok(Some(got))
}

/// The reason why an object in a bucket was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketDeleteError {
    /// There is no such object, or no longer.
    #[error("the bucket has no such object")]
    NotFound,
    /// Twilio's address is not a URL.
    #[error("the address of the audio is not a URL")]
    NoAddress,
    /// No configured bucket covers the address.
    #[error(
        "twilio stored the audio at `{host}`, and no `url_prefix` of `twilio.buckets` covers it: add the bucket, or delete the object there"
    )]
    NoBucket {
        /// The host alone.
        host: String,
    },
    /// The bucket's credential has no permission to delete.
    #[error(
        "the bucket at `{host}` does not let its credential delete: check `access_key_id`, its secret and its permissions in `twilio.buckets`"
    )]
    Forbidden {
        /// The host alone.
        host: String,
    },
    /// Retry soon.
    #[error(transparent)]
    Transient(TransientFailure),
}

fn host(address: &Url) -> String {
    address.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
