//! The delivery of a chat message over a channel: the exact link between a chat message and its
//! copy in Programmable Messaging.

use serde_json::Value;

use crate::{
    model::sid::{
        ChatMessageSid, ChatParticipantSid, ChatServiceSid, ChatSid, DeliveryReceiptSid, MessageSid,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
    },
};

/// A delivery receipt.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct ChatDelivery {
    /// The chat.
    pub chat: ChatSid,
    /// The chat message.
    pub message: ChatMessageSid,
    /// The receipt.
    pub receipt: DeliveryReceiptSid,
    /// The service of the chat, if it is stated.
    pub service: Option<ChatServiceSid>,
    /// The copy in Programmable Messaging; none for a channel with other ids.
    pub channel_message: Option<MessageSid>,
    /// The receiver.
    pub participant: Option<ChatParticipantSid>,
    /// `sent`, `delivered`, `read`, `failed`, `undelivered`; an open set.
    pub status: Option<String>,
    /// 0, or the reason of a failure.
    pub error_code: Option<i64>,
}

impl ChatDelivery {
    pub(super) fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(Self {
            chat: fields.required(&["ConversationSid"], "`CH` and 32 hex digits")?,
            message: fields.required(&["MessageSid"], "`IM` and 32 hex digits")?,
            receipt: fields.required(&["DeliveryReceiptSid", "Sid"], "`DY` and 32 hex digits")?,
            service: fields.parsed("ChatServiceSid"),
            channel_message: fields.parsed("ChannelMessageSid"),
            participant: fields.parsed("ParticipantSid"),
            status: fields.word("Status"),
            error_code: fields.parsed("ErrorCode"),
        })
    }
}

/// A receipt of a list over REST.
impl TryFrom<Value> for ChatDelivery {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}
