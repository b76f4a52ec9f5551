//! Messages: metadata, text, lists, sending, redaction, deletion
//! (<https://www.twilio.com/docs/messaging/api/message-resource>), and their media
//! (<https://www.twilio.com/docs/messaging/api/media-resource>).
//!
//! INVARIANT: `Debug` shows neither the text nor the numbers.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Account, RestError, TwilioClient,
    deletion::Deletion,
    lenient::{number, readable, rfc2822, text},
    page::{List, Pages},
    parsed,
};
use crate::{
    model::{
        sid::{AccountSid, MediaSid, MessageSid, MessagingServiceSid},
        time::Timestamp,
    },
    twilio::{
        message::{self, MessageAddress},
        personal::PersonalText,
    },
};

/// A message in Twilio's list. NamedFields that only describe it are absent if they are unreadable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessageResource {
    /// `SM…` for a text, `MM…` for a message with media.
    pub sid: MessageSid,
    /// The account or subaccount.
    #[serde(default, deserialize_with = "readable")]
    pub account_sid: Option<AccountSid>,
    /// The text; empty where it was redacted.
    #[serde(default, deserialize_with = "readable")]
    pub body: Option<PersonalText>,
    /// The sender.
    #[serde(default, deserialize_with = "readable")]
    pub from: Option<MessageAddress>,
    /// The receiver.
    #[serde(default, deserialize_with = "readable")]
    pub to: Option<MessageAddress>,
    /// `inbound`, `outbound-api`, `outbound-call`, `outbound-reply`; an open set.
    #[serde(default, deserialize_with = "text")]
    pub direction: String,
    /// `queued`, `sent`, `delivered`, `received`…; an open set.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
    /// The number of its media; Twilio sends a text.
    #[serde(default, deserialize_with = "number")]
    pub num_media: Option<i64>,
    /// The Messaging Service.
    #[serde(default, deserialize_with = "readable")]
    pub messaging_service_sid: Option<MessagingServiceSid>,
    /// The reason of a failure.
    #[serde(default, deserialize_with = "number")]
    pub error_code: Option<i64>,
    /// The creation of Twilio's entry.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<Timestamp>,
    /// When it was sent; of an incoming message, when Twilio called the webhook. Twilio's lists are
    /// filtered by it.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_sent: Option<Timestamp>,
    /// The last change.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_updated: Option<Timestamp>,
}

/// A file of a message in Twilio's list. Twilio states neither its size nor its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessageMediaResource {
    /// The file.
    pub sid: MediaSid,
    /// The message.
    #[serde(default, deserialize_with = "readable")]
    pub parent_sid: Option<MessageSid>,
    /// The account or subaccount.
    #[serde(default, deserialize_with = "readable")]
    pub account_sid: Option<AccountSid>,
    /// Its type.
    #[serde(default, deserialize_with = "text")]
    pub content_type: String,
    /// The creation of Twilio's entry.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<Timestamp>,
}

/// The filter of a list of an account's messages. Twilio has none for status or direction.
#[derive(Clone, Copy, Debug)]
pub struct MessageListing {
    /// Sent at or after this time; whole seconds.
    pub since: Timestamp,
    /// Sent before this time, by Twilio's filter, which may include the second itself. Whole
    /// seconds. `None`: until now.
    pub until: Option<Timestamp>,
    /// Messages in a page, 1 to 1000.
    pub page_size: u16,
}

impl MessageResource {
    /// Whether it belongs to this account; `true` if no account is reported.
    pub fn is_of(&self, account: &AccountSid) -> bool {
        self.account_sid.as_ref().is_none_or(|of| of == account)
    }

    /// Whether it came in.
    pub fn is_inbound(&self) -> bool {
        self.direction == "inbound"
    }

    /// Whether its status changes no more.
    pub fn is_final(&self) -> bool {
        message::is_final(&self.status)
    }
}

impl TwilioClient {
    /// Returns a message with its text.
    pub async fn message(
        &self,
        account: &Account,
        sid: &MessageSid,
    ) -> Result<MessageResource, RestError> {
        let url = account.account_url(&format!("/Messages/{sid}.json"));
        let resource: MessageResource = self.get(account, url).await?;
        if resource.sid != *sid || !resource.is_of(account.sid()) {
            return Err(RestError::Shape("the answer is about another message"));
        }
        Ok(resource)
    }

    /// Returns an account's messages, in Twilio's order: newest first. Sends no request yet.
    pub fn messages(&self, account: &Account, listing: &MessageListing) -> Pages<MessageResource> {
        let mut url = account
            .account_url("/Messages.json")
            .with("PageSize", &listing.page_size.clamp(1, 1000).to_string())
            // Twilio's own syntax of a range: the comparison is part of the name.
            .with("DateSent>", &listing.since.in_seconds());
        if let Some(until) = listing.until {
            url = url.with("DateSent<", &until.in_seconds());
        }
        Pages::new(url, "messages")
    }

    /// Returns an account's messages from one address to another, newest first. Sends no request yet.
    pub fn messages_between(
        &self,
        account: &Account,
        from: &str,
        to: &str,
    ) -> Pages<MessageResource> {
        let url = account
            .account_url("/Messages.json")
            .with("PageSize", "1000")
            .with("From", from)
            .with("To", to);
        Pages::new(url, "messages")
    }

    /// Sends a message.
    ///
    /// # Errors
    /// After [`RestError::Transient`] and [`RestError::Shape`] the message may have been sent.
    pub async fn send_message(
        &self,
        account: &Account,
        from: &str,
        to: &str,
        body: &str,
    ) -> Result<MessageResource, RestError> {
        let url = account.account_url("/Messages.json");
        let form = [("From", from), ("To", to), ("Body", body)];
        let answer = self.ask(account, Method::POST, url, Some(&form)).await?;
        parsed(&answer)
    }

    /// Returns every file of a message. For seconds after its arrival the list can be shorter than
    /// `NumMedia` states.
    pub async fn message_media_list(
        &self,
        account: &Account,
        message: &MessageSid,
    ) -> Result<List<MessageMediaResource>, RestError> {
        let url = account
            .account_url(&format!("/Messages/{message}/Media.json"))
            .with("PageSize", "1000");
        let list: List<MessageMediaResource> = self.all(account, url, "media_list").await?;
        let is_its = |media: &MessageMediaResource| {
            media.parent_sid.as_ref().is_none_or(|of| of == message)
                && media
                    .account_sid
                    .as_ref()
                    .is_none_or(|of| of == account.sid())
        };
        if list.items.iter().all(is_its) {
            Ok(list)
        } else {
            Err(RestError::Shape("a file is of another message"))
        }
    }

    /// Empties the text of a message. Its numbers, dates and media stay.
    ///
    /// [`Deletion::Deleted`] if Twilio's answer has no text any more.
    pub async fn redact_message(
        &self,
        account: &Account,
        sid: &MessageSid,
    ) -> Result<Deletion, RestError> {
        let url = account.account_url(&format!("/Messages/{sid}.json"));
        let answer = self
            .send(account, Method::POST, url, Some(&[("Body", "")]))
            .await?;
        if answer.failure.is_some() {
            return answer.deletion();
        }
        let resource: Value = parsed(&answer.body)?;
        let is_its = resource.get("sid").and_then(Value::as_str) == Some(sid.as_str());
        match resource.get("body") {
            Some(Value::String(body)) if is_its && body.is_empty() => Ok(Deletion::Deleted),
            _ => Err(RestError::Shape("the message still has its text")),
        }
    }

    /// Deletes a message. Its media are deleted too, except files that other messages share.
    pub async fn delete_message(
        &self,
        account: &Account,
        sid: &MessageSid,
    ) -> Result<Deletion, RestError> {
        let url = account.account_url(&format!("/Messages/{sid}.json"));
        self.remove(account, url).await
    }

    /// Deletes a file of a message.
    pub async fn delete_message_media(
        &self,
        account: &Account,
        message: &MessageSid,
        media: &MediaSid,
    ) -> Result<Deletion, RestError> {
        let url = account.account_url(&format!("/Messages/{message}/Media/{media}.json"));
        self.remove(account, url).await
    }
}
