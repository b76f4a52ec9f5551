//! The deletion of an object in the customer's bucket, where the source stored a file.
//!
//! Owns its evidence: the bucket is asked again, and must report that the object does not exist. An
//! object whose address nobody tells is unknown.

use super::{
    book::{CopyBook, CopyName},
    trouble::Trouble,
};
use crate::{
    flow::error::Error,
    model::{
        crash,
        source::{CopyKind, CopyState},
    },
    twilio::{Account, media::BucketDeleteError},
};

impl CopyBook<'_> {
    /// Records that an object is unknown: the resource, first seen now, does not tell any more where
    /// its file was. Without buckets, files are at the source.
    pub(super) async fn enter_untold(
        &mut self,
        account: &Account,
        resource: &CopyName,
    ) -> Result<(), Error> {
        if !account.has_buckets() || self.knows(resource) {
            return Ok(());
        }
        tracing::error!(
            recording = %self.recording, resource = resource.1,
            "it was deleted at Twilio before the vault asked where its file is: look for it in your bucket"
        );
        self.enter_unknown((CopyKind::Object, resource.1.clone()))
            .await
    }

    /// Deletes an object. If no bucket is configured, or its credential may not delete, the object
    /// is left and reported as left.
    pub(super) async fn delete_object(
        &mut self,
        account: &Account,
        address: &str,
    ) -> Result<(), Trouble> {
        let name = object_name(address);
        if self.is_confirmed(&name) {
            return Ok(());
        }
        let client = &self.deletion.twilio.client;
        match client.delete_object(account, address).await {
            Ok(()) => self.mark_deleted(&name),
            Err(BucketDeleteError::NotFound) => {}
            Err(
                error @ (BucketDeleteError::NoAddress
                | BucketDeleteError::NoBucket { .. }
                | BucketDeleteError::Forbidden { .. }),
            ) => {
                tracing::error!(
                    recording = %self.recording, %error,
                    "media in a bucket are left there: the vault cannot delete them"
                );
                self.set(&name, |copy| copy.state = CopyState::Left);
                return Ok(());
            }
            Err(BucketDeleteError::Transient(cause)) => return Err(cause.into()),
        }
        crash::point("erase.deleted");
        match client.delete_object(account, address).await {
            Err(BucketDeleteError::NotFound) => {
                self.mark_deleted(&name);
                self.mark_confirmed(&name, None);
                Ok(())
            }
            Ok(()) => Err(Trouble::NotYet(
                "the bucket still has the object after its deletion",
            )),
            Err(BucketDeleteError::Transient(cause)) => Err(cause.into()),
            Err(error) => Err(Trouble::Stuck(error.to_string())),
        }
    }
}

/// Returns the name of an object: the SHA-256 of its address.
pub(super) fn object_name(address: &str) -> CopyName {
    (
        CopyKind::Object,
        hex::encode(aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            address.as_bytes(),
        )),
    )
}
