//! A chat as a whole, and its state.

use serde_json::Value;

use super::binding::MessagingBinding;
use crate::{
    model::{
        sid::{ChatServiceSid, ChatSid, MessagingServiceSid},
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// The state of a chat.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct Chat {
    /// The chat.
    pub sid: ChatSid,
    /// Its service, if it is stated.
    pub service: Option<ChatServiceSid>,
    /// The Messaging Service.
    pub messaging_service: Option<MessagingServiceSid>,
    /// `initializing`, `active`, `inactive` or `closed`; an open set.
    pub state: Option<String>,
    /// The name that people see.
    pub friendly_name: Option<PersonalText>,
    /// The application's own id.
    pub unique_name: Option<PersonalText>,
    /// The application's own data, a JSON text.
    pub attributes: Option<PersonalText>,
    /// The addresses of a chat that a message began.
    pub binding: Option<MessagingBinding>,
    /// When it began.
    pub created_at: Option<Timestamp>,
    /// The last change.
    pub updated_at: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

impl Chat {
    pub(super) fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(Self {
            sid: fields.required(&["ConversationSid", "Sid"], "`CH` and 32 hex digits")?,
            service: fields.parsed("ChatServiceSid"),
            messaging_service: fields.parsed("MessagingServiceSid"),
            state: fields.word("State"),
            friendly_name: fields.personal("FriendlyName"),
            unique_name: fields.personal("UniqueName"),
            attributes: fields.personal("Attributes"),
            binding: MessagingBinding::read(fields),
            created_at: fields.time("DateCreated"),
            updated_at: fields.time("DateUpdated"),
            removed_at: fields.time("DateRemoved"),
        })
    }
}

/// A chat of a list over REST.
impl TryFrom<Value> for Chat {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}

/// A change of a chat's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatStateChange {
    /// The chat.
    pub chat: ChatSid,
    /// Its service, if it is stated.
    pub service: Option<ChatServiceSid>,
    /// The former state.
    pub from: Option<String>,
    /// `active`, `inactive` or `closed`; an open set.
    pub to: Option<String>,
    /// `api`, `timer` or `event`; an open set.
    pub reason: Option<String>,
    /// When it changed.
    pub at: Option<Timestamp>,
}

impl ChatStateChange {
    pub(super) fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(Self {
            chat: fields.required(&["ConversationSid"], "`CH` and 32 hex digits")?,
            service: fields.parsed("ChatServiceSid"),
            from: fields.word("StateFrom"),
            to: fields.word("StateTo"),
            reason: fields.word("Reason"),
            at: fields.time("StateUpdated"),
        })
    }
}
