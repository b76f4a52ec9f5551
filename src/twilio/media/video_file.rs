//! Files of Video: tracks and compositions
//! (<https://www.twilio.com/docs/video/api/recordings-resource>).
//!
//! Owns their addresses: Twilio redirects to a storage address that is valid for minutes. Files that
//! Twilio stored in the customer's bucket are fetched from configured buckets only, as recordings
//! are (`external_storage`).

use super::{
    file::{MediaFile, file},
    redirect::MediaOrigin,
};
use crate::{
    model::sid::{CompositionSid, TrackRecordingSid},
    twilio::{
        account::Account, client::TwilioClient, container::FileContainer, fetch_error::FetchError,
    },
};

impl TwilioClient {
    /// Begins to fetch the recording of a track. An encrypted one has an envelope, and must be
    /// opened ([`MediaFile::opened`]).
    ///
    /// # Errors
    /// [`FetchError::NotYet`] while Twilio processes it, after its deletion, and for a track that
    /// was muted throughout.
    pub async fn track_media(
        &self,
        account: &Account,
        sid: &TrackRecordingSid,
    ) -> Result<MediaFile, FetchError> {
        let path = format!("/v1/Recordings/{sid}/Media");
        self.video_file(account, path, FileContainer::Matroska)
            .await
    }

    /// Begins to fetch a composition.
    ///
    /// # Errors
    /// As [`Self::track_media`].
    pub async fn composition_media(
        &self,
        account: &Account,
        sid: &CompositionSid,
        container: FileContainer,
    ) -> Result<MediaFile, FetchError> {
        let path = format!("/v1/Compositions/{sid}/Media");
        self.video_file(account, path, container).await
    }

    async fn video_file(
        &self,
        account: &Account,
        path: String,
        container: FileContainer,
    ) -> Result<MediaFile, FetchError> {
        let base = &account.endpoints.products.video;
        let mut url = base.clone();
        url.set_path(&path);
        let origin = MediaOrigin {
            interface: base,
            path,
            listed: &account.endpoints.redirect_hosts,
            is_known: is_storage,
        };
        let response = self
            .follow(&origin, url, Some(account.own_credential()))
            .await?;
        file(response, "", container)
    }
}

/// Whether Twilio stores files of Video at a host: a bucket whose name begins with `com-twilio-` at
/// Amazon's own endpoint.
fn is_storage(host: &str) -> bool {
    let Some((bucket, endpoint)) = host.split_once('.') else {
        return false;
    };
    let region = endpoint
        .strip_prefix("s3.")
        .and_then(|rest| rest.strip_suffix("amazonaws.com"));
    let is_region = |text: &str| {
        text.is_empty()
            || text.strip_suffix('.').is_some_and(|name| {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                !name.is_empty() && name.bytes().all(is_plain)
            })
    };
    bucket.starts_with("com-twilio-") && region.is_some_and(is_region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twilios_own_storage_is_known() {
        for own in [
            "com-twilio-us1-video-recording.s3.amazonaws.com",
            "com-twilio-us1-video-composition.s3.us-east-1.amazonaws.com",
        ] {
            assert!(is_storage(own), "{own}");
        }
        for other in [
            "video.s3.amazonaws.com",
            "com-twilio-us1.evil.example",
            "com-twilio-us1.s3.amazonaws.com.evil.example",
            "com-twilio-us1.s3.evil.example.amazonaws.com",
            "com-twilio-us1.s3.evilamazonaws.com",
            "s3.amazonaws.com",
        ] {
            assert!(!is_storage(other), "{other}");
        }
    }
}
