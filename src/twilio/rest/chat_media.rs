//! The description of a file of a chat at the media service
//! (<https://www.twilio.com/docs/conversations/media-support-conversations>).
//!
//! INVARIANT: the temporary address gives the file to anyone for some minutes. It is never printed
//! or stored, and a new one is requested for each fetch.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Account, RestApi, RestError, TwilioClient,
    lenient::{or_default, readable, text},
};
use crate::{
    model::sid::{ChatMessageSid, ChatServiceSid, ChatSid, MediaSid},
    twilio::personal::PersonalText,
};

/// A file's description.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatMediaResource {
    /// The file.
    pub sid: MediaSid,
    /// The chat.
    #[serde(default, deserialize_with = "readable", rename = "channel_sid")]
    pub chat: Option<ChatSid>,
    /// The message; none until the file is attached.
    #[serde(default, deserialize_with = "readable", rename = "message_sid")]
    pub message: Option<ChatMessageSid>,
    /// Its type.
    #[serde(default, deserialize_with = "text")]
    pub content_type: String,
    /// Bytes.
    #[serde(default, deserialize_with = "or_default")]
    pub size: Option<u64>,
    /// The name that the sender's program gave.
    #[serde(default, deserialize_with = "readable")]
    pub filename: Option<PersonalText>,
    #[serde(default)]
    links: Value,
}

impl ChatMediaResource {
    /// Returns the temporary address of the bytes.
    pub(in crate::twilio) fn temporary(&self) -> Option<&str> {
        self.links.get("content_direct_temporary")?.as_str()
    }
}

impl TwilioClient {
    /// Returns the description of a file.
    pub async fn chat_media(
        &self,
        account: &Account,
        service: &ChatServiceSid,
        sid: &MediaSid,
    ) -> Result<ChatMediaResource, RestError> {
        let url = account.url(
            RestApi::ChatMedia,
            &format!("/v1/Services/{service}/Media/{sid}"),
        );
        let found: ChatMediaResource = self.get(account, url).await?;
        if found.sid == *sid {
            Ok(found)
        } else {
            Err(RestError::Shape("the answer is about another file"))
        }
    }
}
