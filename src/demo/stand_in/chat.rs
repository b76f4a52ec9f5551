//! Chats as tests create and change them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{StandIn, new_sid};
use crate::model::{
    sid::{
        AccountSid, ChatMessageSid, ChatParticipantSid, ChatServiceSid, ChatSid,
        DeliveryReceiptSid, MediaSid, MessageSid,
    },
    time::Timestamp,
};

/// The facts of a chat besides its account.
#[derive(Clone, Debug)]
pub struct ChatFacts {
    /// Its service.
    pub service: ChatServiceSid,
    /// `active`, `inactive`, `closed`.
    pub state: String,
    /// The application's own id.
    pub unique_name: Option<String>,
    pub(super) messages: BTreeMap<ChatMessageSid, ChatMessageFacts>,
    pub(super) participants: BTreeMap<ChatParticipantSid, ChatParticipantFacts>,
    pub(super) next_index: u64,
}

/// The facts of a chat message.
#[derive(Clone, Debug, Default)]
pub struct ChatMessageFacts {
    /// An identity, a number, or `system`.
    pub author: String,
    /// The author as a participant.
    pub participant: Option<ChatParticipantSid>,
    /// The text.
    pub body: String,
    /// The files.
    pub media: Vec<ChatFile>,
    /// The copies in Programmable Messaging, with the receipt of each.
    pub deliveries: Vec<ChatDeliveryFacts>,
    /// Its number in the chat; given when it is added.
    pub index: u64,
    /// When it was written; given when it is added.
    pub created: Option<Timestamp>,
    /// When it was edited; given by an edit.
    pub edited: Option<Timestamp>,
}

/// The delivery of a chat message to one participant.
#[derive(Clone, Debug)]
pub struct ChatDeliveryFacts {
    /// The receipt.
    pub receipt: DeliveryReceiptSid,
    /// The copy.
    pub channel_message: MessageSid,
    /// The receiver.
    pub participant: Option<ChatParticipantSid>,
    /// `sent`, `delivered`, `read`, `failed`, `undelivered`.
    pub status: String,
}

/// A file of a chat message.
#[derive(Clone, Debug)]
pub struct ChatFile {
    /// `ME…`.
    pub sid: MediaSid,
    /// Its name.
    pub filename: String,
    /// Its type.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The facts of a participant.
#[derive(Clone, Debug, Default)]
pub struct ChatParticipantFacts {
    /// The identity of a user of the SDK.
    pub identity: Option<String>,
    /// `sms`, `whatsapp`… for a participant without an SDK.
    pub channel: Option<String>,
    /// The person's address.
    pub address: Option<String>,
    /// The line of the account.
    pub proxy_address: Option<String>,
    pub(super) created: Option<Timestamp>,
}

impl ChatFile {
    /// Creates a file.
    pub fn new(filename: &str, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            sid: made("ME"),
            filename: filename.to_owned(),
            content_type: content_type.to_owned(),
            bytes: bytes.into(),
        }
    }
}

impl ChatDeliveryFacts {
    /// Creates the receipt of a delivery.
    pub fn new(channel_message: MessageSid) -> Self {
        Self {
            receipt: made("DY"),
            channel_message,
            participant: None,
            status: "delivered".to_owned(),
        }
    }
}

impl ChatMessageFacts {
    /// Creates a text.
    pub fn new(author: &str, body: &str) -> Self {
        Self {
            author: author.to_owned(),
            body: body.to_owned(),
            ..Self::default()
        }
    }
}

impl ChatParticipantFacts {
    /// Creates a user of the SDK.
    pub fn identity(identity: &str) -> Self {
        Self {
            identity: Some(identity.to_owned()),
            ..Self::default()
        }
    }

    /// Creates a participant by SMS.
    pub fn sms(address: &str, proxy_address: &str) -> Self {
        Self {
            channel: Some("sms".to_owned()),
            address: Some(address.to_owned()),
            proxy_address: Some(proxy_address.to_owned()),
            ..Self::default()
        }
    }
}

impl StandIn {
    /// Begins a chat.
    pub fn add_chat(&self, account: &AccountSid, service: &ChatServiceSid) -> ChatSid {
        let facts = ChatFacts {
            service: service.clone(),
            state: "active".to_owned(),
            unique_name: None,
            messages: BTreeMap::new(),
            participants: BTreeMap::new(),
            next_index: 0,
        };
        let sid: ChatSid = made("CH");
        let owned = self.world.own(account, facts);
        self.world.state().chats.insert(sid.clone(), owned);
        sid
    }

    /// Adds a message to a chat.
    ///
    /// # Panics
    /// Without the chat.
    pub fn add_chat_message(&self, chat: &ChatSid, mut facts: ChatMessageFacts) -> ChatMessageSid {
        let sid: ChatMessageSid = made("IM");
        let now = self.world.hours.now();
        let mut state = self.world.state();
        let chat = &mut state.chats.get_mut(chat).expect("the chat was added").facts;
        facts.index = chat.next_index;
        facts.created = Some(now);
        chat.next_index += 1;
        chat.messages.insert(sid.clone(), facts);
        sid
    }

    /// Changes the text of a message, without a webhook.
    pub fn edit_chat_message(&self, chat: &ChatSid, sid: &ChatMessageSid, body: &str) {
        let now = self.world.hours.now();
        let mut state = self.world.state();
        let message = state
            .chats
            .get_mut(chat)
            .and_then(|chat| chat.facts.messages.get_mut(sid));
        if let Some(message) = message {
            body.clone_into(&mut message.body);
            message.edited = Some(now);
        }
    }

    /// Adds a participant to a chat.
    ///
    /// # Panics
    /// Without the chat.
    pub fn add_chat_participant(
        &self,
        chat: &ChatSid,
        mut facts: ChatParticipantFacts,
    ) -> ChatParticipantSid {
        let sid: ChatParticipantSid = made("MB");
        facts.created = Some(self.world.hours.now());
        let mut state = self.world.state();
        let chat = state.chats.get_mut(chat).expect("the chat was added");
        chat.facts.participants.insert(sid.clone(), facts);
        sid
    }

    /// Removes a message from a chat, without a webhook.
    pub fn remove_chat_message(&self, chat: &ChatSid, sid: &ChatMessageSid) {
        if let Some(chat) = self.world.state().chats.get_mut(chat) {
            chat.facts.messages.remove(sid);
        }
    }

    /// Removes a participant from a chat, without a webhook. Their messages stay.
    pub fn remove_chat_participant(&self, chat: &ChatSid, sid: &ChatParticipantSid) {
        if let Some(chat) = self.world.state().chats.get_mut(chat) {
            chat.facts.participants.remove(sid);
        }
    }

    /// Sets the state of a chat, without a webhook.
    pub fn set_chat_state(&self, chat: &ChatSid, to: &str) {
        if let Some(chat) = self.world.state().chats.get_mut(chat) {
            to.clone_into(&mut chat.facts.state);
        }
    }

    /// Removes a chat with everything in it, without a webhook.
    pub fn remove_chat(&self, chat: &ChatSid) {
        self.world.state().chats.remove(chat);
    }

    /// Returns the ids of the messages that a chat still has; `None` without the chat.
    pub fn remaining_chat(&self, chat: &ChatSid) -> Option<Vec<ChatMessageSid>> {
        let state = self.world.state();
        let chat = state.chats.get(chat)?;
        Some(chat.facts.messages.keys().cloned().collect())
    }
}

/// Returns a new id of any kind.
pub(super) fn made<T: std::str::FromStr>(prefix: &str) -> T {
    let made = new_sid(prefix).parse().ok();
    made.expect("it has the prefix and 32 digits")
}
