//! Files of messages (<https://www.twilio.com/docs/messaging/api/media-resource>).
//!
//! Owns their address and the hosts of their storage.

use super::{
    file::{MediaFile, file},
    redirect::MediaOrigin,
};
use crate::{
    model::sid::{MediaSid, MessageSid},
    twilio::{
        account::Account, client::TwilioClient, container::FileContainer, fetch_error::FetchError,
    },
};

impl TwilioClient {
    /// Begins to fetch a file of a message. `announced` is its type as the message or the list of
    /// media states it: an error document of another type is refused.
    ///
    /// # Errors
    /// [`FetchError::NotYet`] just after the message arrived: the file can be later than its
    /// callback.
    pub async fn message_media(
        &self,
        account: &Account,
        message: &MessageSid,
        media: &MediaSid,
        announced: &str,
    ) -> Result<MediaFile, FetchError> {
        let path = format!(
            "/2010-04-01/Accounts/{}/Messages/{message}/Media/{media}",
            account.sid()
        );
        let mut url = account.endpoints.api_base.clone();
        url.set_path(&path);
        let origin = MediaOrigin {
            interface: &account.endpoints.api_base,
            path,
            listed: &account.endpoints.redirect_hosts,
            is_known: is_storage,
        };
        let response = self
            .follow(&origin, url, Some(account.credential()))
            .await?;
        file(response, announced, FileContainer::Any)
    }
}

/// Whether Twilio stores files of messages at a host.
fn is_storage(host: &str) -> bool {
    matches!(host, "mms.twiliocdn.com" | "media.twiliocdn.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twilios_own_storage_is_known() {
        assert!(is_storage("mms.twiliocdn.com") && is_storage("media.twiliocdn.com"));
        for other in [
            "twiliocdn.com",
            "mms.twiliocdn.com.evil.example",
            "evil-mms.twiliocdn.com",
        ] {
            assert!(!is_storage(other), "{other}");
        }
    }
}
