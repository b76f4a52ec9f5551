//! A participant of a chat, and the chats of a person.

use serde_json::Value;

use super::binding::MessagingBinding;
use crate::{
    model::{
        sid::{ChatParticipantSid, ChatServiceSid, ChatSid},
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// The state of a participant: who receives the messages between joining and leaving.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct ChatParticipant {
    /// The chat.
    pub chat: ChatSid,
    /// The participant.
    pub sid: ChatParticipantSid,
    /// The service of the chat, if it is stated.
    pub service: Option<ChatServiceSid>,
    /// The identity of an SDK user; none for a number.
    pub identity: Option<PersonalText>,
    /// The addresses of a participant without an SDK.
    pub binding: Option<MessagingBinding>,
    /// The application's own data, a JSON text.
    pub attributes: Option<PersonalText>,
    /// When they joined.
    pub joined_at: Option<Timestamp>,
    /// The last change.
    pub updated_at: Option<Timestamp>,
    /// When they left.
    pub left_at: Option<Timestamp>,
}

impl ChatParticipant {
    pub(super) fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(Self {
            chat: fields.required(&["ConversationSid"], "`CH` and 32 hex digits")?,
            sid: fields.required(&["ParticipantSid", "Sid"], "`MB` and 32 hex digits")?,
            service: fields.parsed("ChatServiceSid"),
            identity: fields.personal("Identity"),
            binding: MessagingBinding::read(fields),
            attributes: fields.personal("Attributes"),
            joined_at: fields.time("DateCreated"),
            updated_at: fields.time("DateUpdated"),
            left_at: fields.time("DateRemoved"),
        })
    }
}

/// A participant of a list over REST.
impl TryFrom<Value> for ChatParticipant {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}

/// One chat of a person, in the list of their chats.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct ParticipantConversation {
    /// The chat.
    pub chat: ChatSid,
    /// The person as its participant.
    pub participant: ChatParticipantSid,
    /// The service of the chat.
    pub service: Option<ChatServiceSid>,
    /// `active`, `inactive` or `closed`.
    pub state: Option<String>,
}

impl TryFrom<Value> for ParticipantConversation {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, |fields| {
            Ok(Self {
                chat: fields.required(&["ConversationSid"], "`CH` and 32 hex digits")?,
                participant: fields.required(&["ParticipantSid"], "`MB` and 32 hex digits")?,
                service: fields.parsed("ChatServiceSid"),
                state: fields.word("ConversationState"),
            })
        })
    }
}
