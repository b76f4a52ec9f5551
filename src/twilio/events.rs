//! Event Streams: batches of events about messages and chats
//! (<https://www.twilio.com/docs/events/webhook-quickstart>).
//!
//! Owns the form of a batch: a JSON array of CloudEvents, whose digest is signed. Twilio delivers an
//! event at least once, in no order. Refuses to remember: the caller drops the ids that it has seen.
//!
//! INVARIANT: a faulty event costs only itself, and events of unknown types are only counted. An
//! event is about the account that signed the batch, or about one of its configured subaccounts;
//! any other is left out and counted.

use serde_json::{Map, Value};

use super::{
    account::Accounts,
    conversations::ChatEvent,
    fields::NamedFields,
    message::MessageAddress,
    params::CallbackError,
    personal::PersonalText,
    signature::{Verified, event_account},
};
use crate::model::{
    media::SourceRef,
    sid::{AccountSid, MessageSid, MessagingServiceSid},
    time::Timestamp,
};

/// The most characters of an event's id.
const MAX_ID: usize = 64;
const INCOMING: &str = "com.twilio.messaging.inbound-message.received";
const OUTGOING: &str = "com.twilio.messaging.message.";
const CHAT: &str = "com.twilio.conversations.";

/// A batch, as far as it was understood.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The account that signed it.
    pub account: AccountSid,
    /// The events, in the order received.
    pub events: Vec<StreamEvent>,
    /// Events of types that are not read.
    pub unknown: usize,
    /// Events that cannot be read.
    pub faulty: usize,
    /// Events of accounts for which the signer does not speak.
    pub foreign: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its id: an event that comes again has the same. At most 64 letters, digits, `-` and `_`.
    pub id: String,
    /// The account or subaccount that it is about.
    pub account: AccountSid,
    /// When it was sent, by its envelope.
    pub at: Option<Timestamp>,
    /// What happened.
    pub kind: StreamEventKind,
    /// The whole event as JSON, for a seal.
    pub document: PersonalText,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEventKind {
    /// A message came in.
    IncomingMessage(StreamedMessage),
    /// An outgoing message has a new status.
    OutgoingMessage(StreamedMessage),
    /// A chat changed.
    Chat(ChatEvent),
}

/// A message in an event. Its media are not named: they must be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedMessage {
    /// The message.
    pub sid: MessageSid,
    /// The sender.
    pub from: MessageAddress,
    /// The receiver.
    pub to: MessageAddress,
    /// All receivers of a group message; empty for others.
    pub recipients: Vec<MessageAddress>,
    /// The text.
    pub body: Option<PersonalText>,
    /// The number of media.
    pub num_media: usize,
    /// The Messaging Service.
    pub messaging_service: Option<MessagingServiceSid>,
    /// The status in lower case, as callbacks have it; none for an incoming message.
    pub status: Option<String>,
    /// The reason of a failure.
    pub error_code: Option<i64>,
    /// When it happened.
    pub at: Option<Timestamp>,
}

impl EventBatch {
    /// Parses a verified batch.
    ///
    /// # Errors
    /// [`CallbackError::Malformed`] if it is no array.
    pub fn parse(verified: &Verified, accounts: &Accounts) -> Result<Self, CallbackError> {
        let events = verified.json().and_then(Value::as_array);
        let events = events.ok_or(CallbackError::Malformed {
            field: "body",
            expected: "a JSON array of events; configure this URL as the sink's destination",
        })?;
        let mut batch = Self {
            account: verified.account().clone(),
            events: Vec::with_capacity(events.len()),
            unknown: 0,
            faulty: 0,
            foreign: 0,
        };
        for event in events {
            match StreamEvent::read(event, &batch.account, accounts) {
                Ok(event) => batch.events.push(event),
                Err(Unread::Unknown) => batch.unknown += 1,
                Err(Unread::Faulty) => batch.faulty += 1,
                Err(Unread::Foreign) => batch.foreign += 1,
            }
        }
        Ok(batch)
    }
}

/// The reason why an event is left out.
enum Unread {
    Unknown,
    Faulty,
    Foreign,
}

impl From<CallbackError> for Unread {
    fn from(_: CallbackError) -> Self {
        Self::Faulty
    }
}

impl StreamEvent {
    fn read(event: &Value, signer: &AccountSid, accounts: &Accounts) -> Result<Self, Unread> {
        let account = match event_account(event) {
            None => signer.clone(),
            Some(named) => named.parse().map_err(|_| Unread::Faulty)?,
        };
        let parent = accounts.get(&account).and_then(|account| account.parent());
        if account != *signer && parent != Some(signer) {
            return Err(Unread::Foreign);
        }

        let text = |name| event.get(name).and_then(Value::as_str);
        let kind = text("type").ok_or(Unread::Faulty)?;
        let id = text("id").filter(|id| is_id(id)).ok_or(Unread::Faulty)?;
        let data = event.get("data").and_then(Value::as_object);
        Ok(Self {
            id: id.to_owned(),
            account,
            at: text("time").and_then(Timestamp::parse_rfc3339),
            kind: StreamEventKind::read(kind, data)?,
            document: event.to_string().into(),
        })
    }
}

fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    matches!(text.len(), 1..=MAX_ID) && text.bytes().all(is_plain)
}

impl StreamEventKind {
    fn read(kind: &str, data: Option<&Map<String, Value>>) -> Result<Self, Unread> {
        let is_message = kind == INCOMING || kind.starts_with(OUTGOING);
        let chat = kind.strip_prefix(CHAT);
        if !is_message && chat.is_none() {
            return Err(Unread::Unknown);
        }

        let fields = NamedFields::of_json(data.ok_or(Unread::Faulty)?);
        if let Some(chat) = chat {
            let event = ChatEvent::of_stream(chat, &fields).ok_or(Unread::Unknown)?;
            return Ok(Self::Chat(event?));
        }
        let message = StreamedMessage::read(&fields)?;
        if kind == INCOMING {
            return Ok(Self::IncomingMessage(message));
        }
        let told = kind.strip_prefix(OUTGOING).map(str::to_ascii_lowercase);
        let status = message.status.clone().or(told);
        Ok(Self::OutgoingMessage(StreamedMessage { status, ..message }))
    }
}

impl StreamedMessage {
    fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        let end = |field| MessageAddress::parse(fields.readable(field).unwrap_or_default());
        Ok(Self {
            sid: fields.required(&["messageSid"], "`SM` or `MM` and 32 hex digits")?,
            from: end("from"),
            to: end("to"),
            recipients: fields
                .all("recipients")
                .filter(|text| !text.starts_with('['))
                .map(MessageAddress::parse)
                .collect(),
            body: fields.content("body"),
            num_media: fields.parsed("numMedia").unwrap_or_default(),
            messaging_service: fields.parsed("messagingServiceSid"),
            status: fields.word("messageStatus"),
            error_code: fields.parsed("errorCode"),
            at: fields.time("timestamp"),
        })
    }

    /// Returns the name of the message at the source.
    pub fn source_ref(&self, account: &AccountSid) -> SourceRef {
        SourceRef::parse(account.clone(), self.sid.as_str())
            .expect("the id of a message names a source")
    }
}

#[cfg(test)]
mod tests;
