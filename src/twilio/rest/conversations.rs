//! Conversations over REST: chats, messages, participants, receipts
//! (<https://www.twilio.com/docs/conversations/api>).
//!
//! Owns the addresses: below a service where the chat's service is known, and otherwise those of the
//! account's default service. The types are those of the webhooks.

use super::{
    Account, ApiUrl, RestApi, RestError, TwilioClient,
    deletion::Deletion,
    page::{List, Pages},
};
use crate::{
    model::{
        sid::{ChatMessageSid, ChatParticipantSid, ChatServiceSid, ChatSid},
        time::Timestamp,
    },
    twilio::conversations::{
        Chat, ChatDelivery, ChatMessage, ChatParticipant, ParticipantConversation,
    },
};

const OTHER: RestError = RestError::Shape("the answer is about another chat");

/// A chat, and the service that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct ChatPlace<'a> {
    /// Its service; `None` for the account's default service.
    pub service: Option<&'a ChatServiceSid>,
    /// The chat.
    pub sid: &'a ChatSid,
}

/// A person whose chats are listed.
#[derive(Clone, Copy)]
pub enum ChatPerson<'a> {
    /// A user of the SDK.
    Identity(&'a str),
    /// A number, or an address with its channel.
    Address(&'a str),
}

impl Account {
    /// Returns an address of Conversations. `rest` has a form like `/Conversations`.
    fn chat_url(&self, service: Option<&ChatServiceSid>, rest: &str) -> ApiUrl {
        let service = service.map_or_else(String::new, |service| format!("/Services/{service}"));
        self.url(RestApi::Conversations, &format!("/v1{service}{rest}"))
    }

    fn below_chat(&self, chat: ChatPlace<'_>, rest: &str) -> ApiUrl {
        let path = format!("/Conversations/{}{rest}", chat.sid);
        self.chat_url(chat.service, &path)
    }
}

impl TwilioClient {
    /// Returns the chats of a service that were created in a time. Sends no request yet.
    pub fn chats(
        &self,
        account: &Account,
        service: Option<&ChatServiceSid>,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Pages<Chat> {
        let mut url = account
            .chat_url(service, "/Conversations")
            .with("PageSize", "100")
            .with("StartDate", &since.in_seconds());
        if let Some(until) = until {
            url = url.with("EndDate", &until.in_seconds());
        }
        Pages::new(url, "conversations")
    }

    /// Returns a chat.
    pub async fn chat(&self, account: &Account, chat: ChatPlace<'_>) -> Result<Chat, RestError> {
        let found: Chat = self.get(account, account.below_chat(chat, "")).await?;
        if found.sid == *chat.sid {
            Ok(found)
        } else {
            Err(OTHER)
        }
    }

    /// Returns the messages of a chat, oldest first. Twilio has no filter by date. Sends no request
    /// yet.
    pub fn chat_messages(&self, account: &Account, chat: ChatPlace<'_>) -> Pages<ChatMessage> {
        let url = account
            .below_chat(chat, "/Messages")
            .with("Order", "asc")
            .with("PageSize", "100");
        Pages::new(url, "messages")
    }

    /// Returns the messages of a chat, newest first. Sends no request yet.
    pub fn latest_chat_messages(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
    ) -> Pages<ChatMessage> {
        let url = account
            .below_chat(chat, "/Messages")
            .with("Order", "desc")
            .with("PageSize", "100");
        Pages::new(url, "messages")
    }

    /// Returns a message of a chat.
    pub async fn chat_message(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
        sid: &ChatMessageSid,
    ) -> Result<ChatMessage, RestError> {
        let url = account.below_chat(chat, &format!("/Messages/{sid}"));
        let found: ChatMessage = self.get(account, url).await?;
        if found.sid == *sid && found.chat == *chat.sid {
            Ok(found)
        } else {
            Err(OTHER)
        }
    }

    /// Returns the present participants of a chat. Sends no request yet.
    pub fn chat_participants(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
    ) -> Pages<ChatParticipant> {
        let url = account
            .below_chat(chat, "/Participants")
            .with("PageSize", "100");
        Pages::new(url, "participants")
    }

    /// Returns a present participant of a chat.
    pub async fn chat_participant(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
        sid: &ChatParticipantSid,
    ) -> Result<ChatParticipant, RestError> {
        let url = account.below_chat(chat, &format!("/Participants/{sid}"));
        let found: ChatParticipant = self.get(account, url).await?;
        if found.sid == *sid && found.chat == *chat.sid {
            Ok(found)
        } else {
            Err(OTHER)
        }
    }

    /// Returns every chat of a person. Sends no request yet.
    pub fn participant_conversations(
        &self,
        account: &Account,
        service: Option<&ChatServiceSid>,
        person: ChatPerson<'_>,
    ) -> Pages<ParticipantConversation> {
        let (name, value) = match person {
            ChatPerson::Identity(identity) => ("Identity", identity),
            ChatPerson::Address(address) => ("Address", address),
        };
        let url = account
            .chat_url(service, "/ParticipantConversations")
            .with(name, value)
            .with("PageSize", "50");
        Pages::new(url, "conversations")
    }

    /// Returns the delivery receipts of a message: its copies in Programmable Messaging.
    pub async fn chat_receipts(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
        sid: &ChatMessageSid,
    ) -> Result<List<ChatDelivery>, RestError> {
        let url = account.below_chat(chat, &format!("/Messages/{sid}/Receipts"));
        let list: List<ChatDelivery> = self
            .all(account, url.with("PageSize", "50"), "delivery_receipts")
            .await?;
        let is_its = |receipt: &ChatDelivery| receipt.message == *sid;
        if list.items.iter().all(is_its) {
            Ok(list)
        } else {
            Err(RestError::Shape("a receipt is of another message"))
        }
    }

    /// Deletes a message with its files. Its copies in Programmable Messaging stay.
    pub async fn delete_chat_message(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
        sid: &ChatMessageSid,
    ) -> Result<Deletion, RestError> {
        let url = account.below_chat(chat, &format!("/Messages/{sid}"));
        self.remove(account, url).await
    }

    /// Removes a participant from a chat. Their messages stay.
    pub async fn delete_chat_participant(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
        sid: &ChatParticipantSid,
    ) -> Result<Deletion, RestError> {
        let url = account.below_chat(chat, &format!("/Participants/{sid}"));
        self.remove(account, url).await
    }

    /// Deletes a chat with all of its messages, files and participants.
    pub async fn delete_chat(
        &self,
        account: &Account,
        chat: ChatPlace<'_>,
    ) -> Result<Deletion, RestError> {
        self.remove(account, account.below_chat(chat, "")).await
    }
}
