//! Event Streams: batches of events about messages and chats
//! (<https://www.twilio.com/docs/events/webhook-quickstart>).
//!
//! Owns the form of a batch: a JSON array of CloudEvents, whose digest is signed. Twilio delivers an
//! event at least once, in no order. Refuses to remember: what an event leads to is the same however
//! often it comes.
//!
//! INVARIANT: a faulty event costs only itself and names its field, and events of unknown types are only counted. An
//! event is about the account that signed the batch, or about one of its configured subaccounts;
//! any other is left out and counted.

use serde_json::{Map, Value};

use super::{
    account::Accounts,
    conversations::ChatEvent,
    fields::NamedFields,
    message::{IncomingMessage, MessageAddress},
    own_query::own_query,
    params::CallbackError,
    personal::PersonalText,
    received_form::ReceivedForm,
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
    pub faults: Vec<EventFault>,
    /// Events of accounts for which the signer does not speak.
    pub foreign: usize,
    /// The query parameters of our own URL, in order, for classification.
    pub query: Vec<(String, String)>,
}

/// Why an event cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {number} of the batch: {why}")]
pub struct EventFault {
    /// Its place in the batch, from 1 on.
    pub number: usize,
    /// The field, and what is expected there.
    pub why: CallbackError,
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
    /// The number of media, where the event states it.
    pub num_media: Option<usize>,
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
            faults: Vec::new(),
            foreign: 0,
            query: own_query(verified),
        };
        for (number, event) in (1..).zip(events) {
            match StreamEvent::read(event, &batch.account, accounts) {
                Ok(event) => batch.events.push(event),
                Err(Unread::Unknown) => batch.unknown += 1,
                Err(Unread::Faulty(why)) => batch.faults.push(EventFault { number, why }),
                Err(Unread::Foreign) => batch.foreign += 1,
            }
        }
        Ok(batch)
    }
}

/// The reason why an event is left out.
enum Unread {
    Unknown,
    Faulty(CallbackError),
    Foreign,
}

impl From<CallbackError> for Unread {
    fn from(why: CallbackError) -> Self {
        Self::Faulty(why)
    }
}

impl StreamEvent {
    fn read(event: &Value, signer: &AccountSid, accounts: &Accounts) -> Result<Self, Unread> {
        let account = match event_account(event) {
            None => signer.clone(),
            Some(named) => named.parse().map_err(|_| CallbackError::Malformed {
                field: "accountSid",
                expected: "`AC` and 32 hex digits",
            })?,
        };
        let parent = accounts.get(&account).and_then(|account| account.parent());
        if account != *signer && parent != Some(signer) {
            return Err(Unread::Foreign);
        }

        let text = |name| event.get(name).and_then(Value::as_str);
        let kind = text("type").ok_or(CallbackError::Missing { field: "type" })?;
        let id = text("id").ok_or(CallbackError::Missing { field: "id" })?;
        if !is_id(id) {
            let expected = "1 to 64 letters, digits, `-` and `_`";
            let field = "id";
            return Err(CallbackError::Malformed { field, expected }.into());
        }
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

impl StreamEvent {
    /// Returns the whole event as a form, for a seal.
    pub fn form(&self) -> ReceivedForm {
        ReceivedForm::of_event(self.document.expose())
    }

    /// Returns a message that came in, as its webhook would tell of it.
    pub fn incoming(
        &self,
        message: &StreamedMessage,
        query: &[(String, String)],
    ) -> IncomingMessage {
        let external_user_id = message.from.external_user_id().map(PersonalText::from);
        IncomingMessage {
            account: self.account.clone(),
            sid: message.sid.clone(),
            from: message.from.address().cloned(),
            body: message
                .body
                .as_ref()
                .map_or("", PersonalText::expose)
                .to_owned(),
            keyword: None,
            sender: message.from.clone(),
            receiver: message.to.clone(),
            others: message.others(),
            external_user_id,
            num_media: message.files().unwrap_or_default(),
            media: Vec::new(),
            messaging_service: message.messaging_service.clone(),
            query: query.to_vec(),
            form: self.form(),
            at: message.at.or(self.at),
        }
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

        let fields = NamedFields::of_json(data.ok_or(CallbackError::Missing { field: "data" })?);
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
            num_media: fields.parsed("numMedia"),
            messaging_service: fields.parsed("messagingServiceSid"),
            status: fields.word("messageStatus"),
            error_code: fields.parsed("errorCode"),
            at: fields.time("timestamp"),
        })
    }

    /// Returns the receivers of a group message besides the line that Twilio names.
    fn others(&self) -> Vec<MessageAddress> {
        let is_other = |one: &&MessageAddress| **one != self.to && **one != self.from;
        self.recipients.iter().filter(is_other).cloned().collect()
    }

    /// Returns the number of its media, where it is certain: a message with an id `SM…` has none.
    pub fn files(&self) -> Option<usize> {
        let is_text = self.sid.as_str().starts_with("SM");
        self.num_media.or(is_text.then_some(0))
    }

    /// Whether the event has everything of the message but its media. An event without a text does
    /// not say whether the message has none, or whether the account redacts it.
    pub fn is_whole(&self) -> bool {
        self.body.as_ref().is_some_and(|body| !body.is_empty()) && self.files().is_some()
    }

    /// Returns the name of the message at the source.
    pub fn source_ref(&self, account: &AccountSid) -> SourceRef {
        SourceRef::parse(account.clone(), self.sid.as_str())
            .expect("the id of a message names a source")
    }
}

#[cfg(test)]
mod tests;
