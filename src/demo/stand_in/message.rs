//! Messages as tests create and change them, and what is left of them.

use bytes::Bytes;

use super::{Owned, StandIn, State, World, new_sid};
use crate::model::{
    sid::{AccountSid, MediaSid, MessageSid, MessagingServiceSid},
    time::Timestamp,
};

/// A file of a message.
#[derive(Clone, Debug)]
pub struct MessageFile {
    /// `ME…`, the message's own.
    pub sid: MediaSid,
    /// Its type.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// The upload behind it. Messages that share an upload share the file: it stays until the last
    /// of them lets it go.
    pub upload: String,
}

impl MessageFile {
    /// Creates a file with an upload of its own.
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let sid = new_sid("ME");
        Self {
            upload: sid.clone(),
            sid: sid.parse().expect("it has the prefix and 32 digits"),
            content_type: content_type.into(),
            bytes: bytes.into(),
        }
    }

    /// Creates the file of another message with the same upload.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self {
            upload: self.upload.clone(),
            ..Self::new(self.content_type.clone(), self.bytes.clone())
        }
    }
}

/// The facts of a message besides its account.
#[derive(Clone, Debug)]
pub struct MessageFacts {
    /// `inbound`, `outbound-api`, `outbound-call`, `outbound-reply`.
    pub direction: String,
    /// `received`, `queued`, `sent`, `delivered`…
    pub status: String,
    /// The sender, with the channel's prefix if it has one.
    pub from: String,
    /// The receiver.
    pub to: String,
    /// The text; empty after its redaction.
    pub body: String,
    /// The files, as far as they are not deleted.
    pub media: Vec<MessageFile>,
    /// The Messaging Service.
    pub messaging_service: Option<MessagingServiceSid>,
    /// The reason of a failure.
    pub error_code: Option<u32>,
    /// When it was sent; without it, shortly before it is added.
    pub sent: Option<Timestamp>,
    /// All receivers of a group message; empty for others.
    pub recipients: Vec<String>,
    /// Further parameters of its webhook, such as `ProfileName` or `OptOutType`.
    pub params: Vec<(String, String)>,
}

impl MessageFacts {
    /// Creates a message that was received.
    pub fn inbound(from: &str, to: &str, body: &str) -> Self {
        Self {
            direction: "inbound".to_owned(),
            status: "received".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            body: body.to_owned(),
            media: Vec::new(),
            messaging_service: None,
            error_code: None,
            sent: None,
            recipients: Vec::new(),
            params: Vec::new(),
        }
    }

    /// Creates a message that was delivered.
    pub fn outbound(from: &str, to: &str, body: &str) -> Self {
        Self {
            direction: "outbound-api".to_owned(),
            status: "delivered".to_owned(),
            ..Self::inbound(from, to, body)
        }
    }
}

/// What the stand-in still has of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemainingMessage {
    /// Whether its entry is there.
    pub entry: bool,
    /// Whether it has a text.
    pub text: bool,
    /// `ME…` of its files.
    pub media: Vec<MediaSid>,
}

impl RemainingMessage {
    /// Whether any content remains.
    pub fn content(&self) -> bool {
        self.text || !self.media.is_empty()
    }
}

impl StandIn {
    /// Adds a message under a new id, `MM…` if it has media, and returns the id.
    pub fn add_message(&self, account: &AccountSid, facts: MessageFacts) -> MessageSid {
        let prefix = if facts.media.is_empty() { "SM" } else { "MM" };
        let sid: MessageSid = new_sid(prefix)
            .parse()
            .expect("it has the prefix and 32 digits");
        self.add_message_as(account, sid.clone(), facts);
        sid
    }

    /// Adds a message, replacing one with this id.
    pub fn add_message_as(&self, account: &AccountSid, sid: MessageSid, facts: MessageFacts) {
        let mut owned = self.world.own(account, facts);
        owned.created = owned.facts.sent.unwrap_or(owned.created);
        self.world.state().messages.insert(sid, owned);
    }

    /// Changes the status of a message, without a callback.
    pub fn set_message_status(&self, sid: &MessageSid, status: &str) {
        if let Some(owned) = self.world.state().messages.get_mut(sid) {
            status.clone_into(&mut owned.facts.status);
        }
    }

    /// Returns the ids of an account's messages, in no particular order.
    pub fn messages_of(&self, account: &AccountSid) -> Vec<MessageSid> {
        let state = self.world.state();
        let its = state
            .messages
            .iter()
            .filter(|(_, owned)| owned.account == *account);
        its.map(|(sid, _)| sid.clone()).collect()
    }

    /// Returns the messages that were sent to a number, with their texts, in no particular order.
    pub fn messages_to(&self, number: &str) -> Vec<(MessageSid, String)> {
        let state = self.world.state();
        let theirs = state
            .messages
            .iter()
            .filter(|(_, owned)| owned.facts.to == number && owned.facts.direction != "inbound");
        theirs
            .map(|(sid, owned)| (sid.clone(), owned.facts.body.clone()))
            .collect()
    }

    /// Returns what remains of a message.
    pub fn remaining_message(&self, sid: &MessageSid) -> RemainingMessage {
        let state = self.world.state();
        let Some(Owned { facts, .. }) = state.messages.get(sid) else {
            return RemainingMessage::default();
        };
        RemainingMessage {
            entry: true,
            text: !facts.body.is_empty(),
            media: facts.media.iter().map(|file| file.sid.clone()).collect(),
        }
    }

    /// Whether the file of an upload is still kept for any message.
    pub fn keeps_upload(&self, upload: &str) -> bool {
        let state = self.world.state();
        let mut files = state.messages.values().flat_map(|owned| &owned.facts.media);
        files.any(|file| file.upload == upload)
    }
}

impl State {
    /// Returns a message that the interface shows.
    pub(super) fn message(
        &self,
        account: &AccountSid,
        sid: &str,
        now: Timestamp,
    ) -> Option<(MessageSid, &Owned<MessageFacts>)> {
        let sid: MessageSid = sid.parse().ok()?;
        let owned = self.messages.get(&sid)?;
        (owned.account == *account && self.shows(owned, now)).then_some((sid, owned))
    }

    /// Whether a message is not older than the account's setting.
    pub(super) fn shows(&self, owned: &Owned<MessageFacts>, now: Timestamp) -> bool {
        now < owned.created.after(self.behaviour.messages_shown)
    }
}

impl World {
    /// Whether a message cannot be deleted or redacted yet.
    pub(super) fn is_incomplete(&self, state: &State, owned: &Owned<MessageFacts>) -> bool {
        const COMPLETE: [&str; 6] = [
            "received",
            "delivered",
            "undelivered",
            "failed",
            "canceled",
            "read",
        ];
        let since = owned.created.after(state.behaviour.message_completes);
        self.hours.now() < since || !COMPLETE.contains(&owned.facts.status.as_str())
    }
}
