//! A chat message, in a webhook, an event or a list.

use serde_json::Value;

use super::media::ChatMedia;
use crate::{
    model::{
        media::SourceRef,
        sid::{
            AccountSid, ChatMessageSid, ChatParticipantSid, ChatServiceSid, ChatSid,
            MessagingServiceSid,
        },
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// The state of a message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct ChatMessage {
    /// The chat.
    pub chat: ChatSid,
    /// The message.
    pub sid: ChatMessageSid,
    /// The service of the chat, if it is stated.
    pub service: Option<ChatServiceSid>,
    /// Its place in the chat. Numbers may be skipped.
    pub index: Option<u64>,
    /// An identity, a number, `system`, or an application's own word.
    pub author: Option<PersonalText>,
    /// The author as a participant; none for the system and the API.
    pub participant: Option<ChatParticipantSid>,
    /// The text. `None` if the event has none, which is not the same as empty: the message must be
    /// fetched then.
    pub body: Option<PersonalText>,
    /// The application's own data, a JSON text.
    pub attributes: Option<PersonalText>,
    /// The files.
    pub media: Vec<ChatMedia>,
    /// Whether every file was read. If not, the message must be fetched.
    pub media_are_whole: bool,
    /// The Messaging Service.
    pub messaging_service: Option<MessagingServiceSid>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was edited.
    pub updated_at: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

impl ChatMessage {
    pub(super) fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        let (media, media_are_whole) = ChatMedia::all(fields);
        Ok(Self {
            chat: fields.required(&["ConversationSid"], "`CH` and 32 hex digits")?,
            sid: fields.required(&["MessageSid", "Sid"], "`IM` and 32 hex digits")?,
            service: fields.parsed("ChatServiceSid"),
            index: fields.parsed("Index"),
            author: fields.personal("Author"),
            participant: fields.parsed("ParticipantSid"),
            body: fields
                .content("Body")
                .or_else(|| fields.content("MessageBody")),
            attributes: fields.personal("Attributes"),
            media,
            media_are_whole,
            messaging_service: fields.parsed("MessagingServiceSid"),
            created_at: fields.time("DateCreated"),
            updated_at: fields.time("DateUpdated"),
            removed_at: fields.time("DateRemoved"),
        })
    }

    /// Returns the name of the message at the source.
    pub fn source_ref(&self, account: &AccountSid) -> SourceRef {
        SourceRef::parse(account.clone(), self.sid.as_str())
            .expect("the id of a chat message names a source")
    }
}

/// A message of a list over REST.
impl TryFrom<Value> for ChatMessage {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}
