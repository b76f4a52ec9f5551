//! Files of chats, from the media service of Conversations.
//!
//! Owns the use of a file's temporary address, which gives the file to anyone for some minutes.
//! INVARIANT: it is requested anew for each fetch, and no request to it carries a credential.

use super::{
    file::{MediaFile, file},
    redirect::{self, MediaOrigin},
};
use crate::{
    model::sid::{ChatServiceSid, MediaSid},
    twilio::{
        account::Account,
        client::TwilioClient,
        container::FileContainer,
        fetch_error::{FetchError, FetchRefusal},
    },
};

impl TwilioClient {
    /// Begins to fetch a file of a chat.
    ///
    /// # Errors
    /// As [`TwilioClient::message_media`].
    pub async fn chat_media_file(
        &self,
        account: &Account,
        service: &ChatServiceSid,
        media: &MediaSid,
    ) -> Result<MediaFile, FetchError> {
        let found = self.chat_media(account, service, media).await?;
        let base = &account.endpoints.products.chat_media;
        let origin = MediaOrigin {
            interface: base,
            path: base.path().to_owned(),
            listed: &account.endpoints.redirect_hosts,
            is_known: is_storage,
        };
        let temporary = found.temporary().ok_or(FetchRefusal::Location)?;
        let url = redirect::target(&origin, base, Some(temporary))?;
        let response = self.follow(&origin, url, None).await?;
        file(response, &found.content_type, FileContainer::Any)
    }
}

/// Whether Twilio stores files of chats at a host: `media.us1.twilio.com` and other regions.
fn is_storage(host: &str) -> bool {
    let region = host
        .strip_prefix("media.")
        .and_then(|rest| rest.strip_suffix(".twilio.com"));
    region.is_some_and(|region| {
        !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twilios_own_storage_is_known() {
        assert!(is_storage("media.us1.twilio.com") && is_storage("media.ie1.twilio.com"));
        for other in [
            "media.twilio.com",
            "media..twilio.com",
            "media.us1.twilio.com.evil.example",
            "media.evil.example/.twilio.com",
        ] {
            assert!(!is_storage(other), "{other}");
        }
    }
}
