//! Chats: Conversations (classic), in its webhooks, its events and over REST
//! (<https://www.twilio.com/docs/conversations/conversations-webhooks>).
//!
//! Owns the parameters of post events and the meaning of each field. The types are those of the
//! resources, too: a webhook, an event of Event Streams and a REST resource differ in the spelling
//! of names only (`fields`). Refuses pre events: they wait for an answer that changes the chat.
//!
//! INVARIANT: `Debug` shows no text, name, identity or number.

mod binding;
mod chat;
mod delivery;
mod media;
mod message;
mod participant;

pub use self::{
    binding::MessagingBinding,
    chat::{Chat, ChatStateChange},
    delivery::ChatDelivery,
    media::ChatMedia,
    message::ChatMessage,
    participant::{ChatParticipant, ParticipantConversation},
};
use super::{
    fields::NamedFields, own_query::own_query, params::CallbackError, personal::PersonalText,
    received_form::ReceivedForm, signature::Verified,
};
use crate::model::sid::AccountSid;

const EVENT_TYPE: &str = "EventType";

/// The events before a change. They wait for an answer, and the change may still be refused.
const PRE_EVENTS: [&str; 10] = [
    "onMessageAdd",
    "onMessageUpdate",
    "onMessageRemove",
    "onConversationAdd",
    "onConversationUpdate",
    "onConversationRemove",
    "onParticipantAdd",
    "onParticipantUpdate",
    "onParticipantRemove",
    "onUserUpdate",
];

/// One webhook of Conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationCallback {
    /// The account or subaccount that signed the request.
    pub account: AccountSid,
    /// What happened.
    pub event: ChatEvent,
    /// The origin of the change, in lower case: `sdk`, `api`, `sms`, `whatsapp`; an open set.
    pub source: Option<String>,
    /// The identity of the SDK's user who made the change.
    pub client_identity: Option<PersonalText>,
    /// The whole form as received.
    pub form: ReceivedForm,
    /// The query parameters of our own URL, in order, for classification.
    pub query: Vec<(String, String)>,
}

/// A change in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatEvent {
    /// A message came.
    MessageAdded(ChatMessage),
    /// A message was edited; the new state.
    MessageUpdated(ChatMessage),
    /// A message was removed at Twilio; its last state.
    MessageRemoved(ChatMessage),
    /// Somebody joined.
    ParticipantAdded(ChatParticipant),
    /// A participant changed, or has read further.
    ParticipantUpdated(ChatParticipant),
    /// Somebody left. Their messages stay.
    ParticipantRemoved(ChatParticipant),
    /// A chat began.
    ChatAdded(Chat),
    /// A chat's names or attributes changed.
    ChatUpdated(Chat),
    /// A chat was removed with all of its messages, of which no event tells.
    ChatRemoved(Chat),
    /// A chat became active, inactive or closed.
    StateChanged(ChatStateChange),
    /// News of the delivery to one participant.
    DeliveryUpdated(ChatDelivery),
    /// A change that concerns no message, participant or chat, such as one of a user.
    Other,
}

impl ConversationCallback {
    /// Parses a verified webhook.
    ///
    /// # Errors
    /// [`CallbackError`], also for a pre event.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let fields = NamedFields::of_form(verified);
        let kind = fields.one(EVENT_TYPE)?;
        let kind = kind.ok_or(CallbackError::Missing { field: EVENT_TYPE })?;
        if PRE_EVENTS.contains(&kind) {
            return Err(CallbackError::Malformed {
                field: EVENT_TYPE,
                expected: "a post event, such as `onMessageAdded`; configure this URL as the \
                           post webhook",
            });
        }

        Ok(Self {
            account: verified.account().clone(),
            event: ChatEvent::read(kind, &fields)?,
            source: fields.word("Source"),
            client_identity: fields.personal("ClientIdentity"),
            form: ReceivedForm::of(verified),
            query: own_query(verified),
        })
    }
}

impl ChatEvent {
    /// Reads a change by the name of its webhook.
    fn read(kind: &str, fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(match kind {
            "onMessageAdded" => Self::MessageAdded(ChatMessage::read(fields)?),
            "onMessageUpdated" => Self::MessageUpdated(ChatMessage::read(fields)?),
            "onMessageRemoved" => Self::MessageRemoved(ChatMessage::read(fields)?),
            "onParticipantAdded" => Self::ParticipantAdded(ChatParticipant::read(fields)?),
            "onParticipantUpdated" => Self::ParticipantUpdated(ChatParticipant::read(fields)?),
            "onParticipantRemoved" => Self::ParticipantRemoved(ChatParticipant::read(fields)?),
            "onConversationAdded" => Self::ChatAdded(Chat::read(fields)?),
            "onConversationUpdated" => Self::ChatUpdated(Chat::read(fields)?),
            "onConversationRemoved" => Self::ChatRemoved(Chat::read(fields)?),
            "onConversationStateUpdated" => Self::StateChanged(ChatStateChange::read(fields)?),
            "onDeliveryUpdated" => Self::DeliveryUpdated(ChatDelivery::read(fields)?),
            _ => Self::Other,
        })
    }

    /// Reads a change from an event of Event Streams. `None` if it is of another kind.
    pub(super) fn of_stream(
        kind: &str,
        fields: &NamedFields<'_>,
    ) -> Option<Result<Self, CallbackError>> {
        let name = match kind {
            "message.added" => "onMessageAdded",
            "message.updated" => "onMessageUpdated",
            "message.removed" => "onMessageRemoved",
            "participant.added" => "onParticipantAdded",
            "participant.updated" => "onParticipantUpdated",
            "participant.removed" => "onParticipantRemoved",
            "conversation.added" => "onConversationAdded",
            "conversation.updated" => "onConversationUpdated",
            "conversation.removed" => "onConversationRemoved",
            "conversation.state-updated" | "conversation.stateupdated" => {
                "onConversationStateUpdated"
            }
            _ => return None,
        };
        Some(Self::read(name, fields))
    }
}

#[cfg(test)]
mod tests;
