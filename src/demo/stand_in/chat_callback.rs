//! The post webhooks of Conversations. A removal is signed before the thing is removed.

use serde_json::{Value, json};

use super::{StandIn, callback::SignedCallback, chat::ChatFile, hours::iso8601};
use crate::model::{
    sid::{AccountSid, ChatMessageSid, ChatParticipantSid, ChatSid},
    time::Timestamp,
};

type Params = Vec<(&'static str, String)>;

impl StandIn {
    /// Signs a webhook about a message: `onMessageAdded`, `onMessageUpdated`, `onMessageRemoved`.
    ///
    /// # Panics
    /// If there is no such chat or message, or as [`Self::callback`].
    pub fn chat_message_callback(
        &self,
        chat: &ChatSid,
        sid: &ChatMessageSid,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let (account, mut params) = self.chat_params(chat, event);
        let state = self.world.state();
        let facts = &state.chats.get(chat).expect("the chat was added").facts;
        let message = facts.messages.get(sid).expect("the message was added");
        params.extend([
            ("MessageSid", sid.to_string()),
            ("Index", message.index.to_string()),
            ("Author", message.author.clone()),
            ("Body", message.body.clone()),
            ("Attributes", "{}".to_owned()),
            (
                "DateCreated",
                message.created.map(iso8601).unwrap_or_default(),
            ),
        ]);
        if event != "onMessageAdded" {
            let changed = message.edited.or(message.created);
            params.push(("DateUpdated", changed.map(iso8601).unwrap_or_default()));
        }
        let participant = message.participant.as_ref();
        params.extend(participant.map(|sid| ("ParticipantSid", sid.to_string())));
        if !message.media.is_empty() {
            let media: Vec<Value> = message.media.iter().map(media).collect();
            params.push(("Media", Value::from(media).to_string()));
        }
        drop(state);
        self.chat_callback(&account, params, event, url)
    }

    /// Signs a webhook about a participant: `onParticipantAdded`, `onParticipantRemoved`.
    ///
    /// # Panics
    /// As [`Self::chat_message_callback`].
    pub fn chat_participant_callback(
        &self,
        chat: &ChatSid,
        sid: &ChatParticipantSid,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let (account, mut params) = self.chat_params(chat, event);
        let state = self.world.state();
        let facts = &state.chats.get(chat).expect("the chat was added").facts;
        let participant = facts
            .participants
            .get(sid)
            .expect("the participant was added");
        params.push(("ParticipantSid", sid.to_string()));
        params.push((
            "DateCreated",
            participant.created.map(iso8601).unwrap_or_default(),
        ));
        for (name, value) in [
            ("Identity", &participant.identity),
            ("MessagingBinding.Type", &participant.channel),
            ("MessagingBinding.Address", &participant.address),
            ("MessagingBinding.ProxyAddress", &participant.proxy_address),
        ] {
            params.extend(value.clone().map(|value| (name, value)));
        }
        drop(state);
        self.chat_callback(&account, params, event, url)
    }

    /// Signs a webhook about a chat: `onConversationAdded`, `onConversationRemoved`.
    ///
    /// # Panics
    /// As [`Self::chat_message_callback`].
    pub fn chat_changed_callback(&self, chat: &ChatSid, event: &str, url: &str) -> SignedCallback {
        let (account, params) = self.chat_params(chat, event);
        self.chat_callback(&account, params, event, url)
    }

    /// Signs the webhooks about the deliveries of a message.
    ///
    /// # Panics
    /// As [`Self::chat_message_callback`].
    pub fn chat_delivery_callbacks(
        &self,
        chat: &ChatSid,
        sid: &ChatMessageSid,
        url: &str,
    ) -> Vec<SignedCallback> {
        let event = "onDeliveryUpdated";
        let (account, params) = self.chat_params(chat, event);
        let state = self.world.state();
        let facts = &state.chats.get(chat).expect("the chat was added").facts;
        let message = facts
            .messages
            .get(sid)
            .expect("the message was added")
            .clone();
        drop(state);
        let deliveries = message.deliveries.into_iter();
        let signed = deliveries.map(|delivery| {
            let mut params = params.clone();
            params.extend([
                ("MessageSid", sid.to_string()),
                ("DeliveryReceiptSid", delivery.receipt.to_string()),
                ("ChannelMessageSid", delivery.channel_message.to_string()),
                ("Status", delivery.status),
                ("ErrorCode", "0".to_owned()),
            ]);
            self.chat_callback(&account, params, event, url)
        });
        signed.collect()
    }

    fn chat_params(&self, chat: &ChatSid, event: &str) -> (AccountSid, Params) {
        let state = self.world.state();
        let owned = state.chats.get(chat).expect("the chat was added");
        let params = vec![
            ("AccountSid", owned.account.to_string()),
            ("EventType", event.to_owned()),
            ("Source", "API".to_owned()),
            ("ConversationSid", chat.to_string()),
            ("ChatServiceSid", owned.facts.service.to_string()),
            ("State", owned.facts.state.clone()),
        ];
        (owned.account.clone(), params)
    }

    fn chat_callback(
        &self,
        account: &AccountSid,
        mut params: Params,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let now: Timestamp = self.world.hours.now();
        let is_dated = params.iter().any(|(name, _)| *name == "DateUpdated");
        if !is_dated && (event.ends_with("Updated") || event.ends_with("Removed")) {
            params.push(("DateUpdated", iso8601(now)));
        }
        if event.ends_with("Removed") {
            params.push(("DateRemoved", iso8601(now)));
        }
        let params: Vec<(String, String)> = params
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        self.callback(account, url, &params)
    }
}

/// The names of fields as webhooks have them.
fn media(file: &ChatFile) -> Value {
    json!({
        "Sid": file.sid,
        "Category": "media",
        "Filename": file.filename,
        "ContentType": file.content_type,
        "Size": file.bytes.len(),
    })
}
