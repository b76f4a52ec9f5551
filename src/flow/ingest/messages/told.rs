//! What the source tells of a message, whichever way it tells it.
//!
//! Owns the ends of a message and their legs: the account's own line is no person, and everybody else
//! is a party. Refuses to know how a message is kept.

use zeroize::Zeroizing;

use crate::{
    db::accept::Announcement,
    model::{
        details::Participant, id::RecordingId, media::SourceRef, name::LegName, sid::AccountSid,
        subject::Conversation, time::Timestamp,
    },
    twilio::{IncomingMessage, MessageAddress, rest::MessageResource},
};

/// The person's place in a thread.
pub(super) const CONTACT: &str = "contact";
/// The first of the places of people in a group.
pub(super) const MEMBER: &str = "participant-1";
/// The place of the account's own line, which is no person.
pub(super) const LINE: &str = "line";

/// What the source told of a message of any kind.
pub(super) struct Told<'a> {
    pub(super) source_ref: SourceRef,
    /// Its thread or chat; `None` while one is not known.
    pub(super) thread: Option<Conversation>,
    /// The channel over which it came, or who made it.
    pub(super) source: Option<&'a str>,
    /// The place of who wrote it.
    pub(super) author: LegName,
    pub(super) status: &'a str,
    pub(super) error_code: Option<i64>,
    pub(super) files: usize,
    pub(super) query: &'a [(String, String)],
    /// When it was written; `None` for now.
    pub(super) at: Option<Timestamp>,
}

/// What the source told of a message between a line and people, in either direction.
pub(super) struct MessageTold<'a> {
    pub(super) source_ref: SourceRef,
    /// The account's own end.
    pub(super) line: &'a MessageAddress,
    /// The other end.
    pub(super) contact: &'a MessageAddress,
    /// Further people in a group.
    pub(super) others: &'a [MessageAddress],
    /// The place of the end that wrote it.
    pub(super) author: &'static str,
    pub(super) status: &'a str,
    pub(super) error_code: Option<i64>,
    pub(super) files: usize,
    pub(super) query: &'a [(String, String)],
    /// When it was sent, if that was told.
    pub(super) at: Option<Timestamp>,
}

impl<'a> MessageTold<'a> {
    pub(super) fn incoming(message: &'a IncomingMessage) -> Self {
        Self {
            source_ref: message.source_ref(),
            line: &message.receiver,
            contact: &message.sender,
            others: &message.others,
            author: CONTACT,
            status: "received",
            error_code: None,
            files: message.num_media,
            query: &message.query,
            at: message.at,
        }
    }

    /// Returns everybody besides the line.
    pub(super) fn persons(&self) -> impl Iterator<Item = &'a MessageAddress> {
        std::iter::once(self.contact).chain(self.others)
    }
}

/// A message of a group.
pub(super) struct GroupMessage {
    pub(super) id: RecordingId,
    pub(super) account: AccountSid,
    pub(super) thread: Conversation,
    pub(super) author: LegName,
}

pub(super) fn group_of(
    told: &MessageTold<'_>,
    announcement: &Announcement,
    author: &LegName,
) -> Option<GroupMessage> {
    let thread = announcement.thread.clone();
    let thread = thread.filter(|_| !told.others.is_empty())?;
    Some(GroupMessage {
        id: announcement.id,
        account: announcement.source_ref.account().clone(),
        thread,
        author: author.clone(),
    })
}

/// Returns the leg of who wrote a message: in a group, the leg that the naming gave them.
pub(super) fn author_of(told: &MessageTold<'_>, parties: &[Participant]) -> LegName {
    let sender = told.contact.address();
    let of_group = parties
        .iter()
        .find(|party| !told.others.is_empty() && party.address.as_ref() == sender);
    of_group.map_or_else(|| leg(told.author), |party| party.leg.clone())
}

pub(super) fn contact_of(address: &MessageAddress) -> Participant {
    Participant {
        address: address.address().cloned(),
        ..Participant::at(leg(CONTACT))
    }
}

/// Returns the account's own end of a listed message, and the other; `nobody` for one that the list
/// does not name.
pub(super) fn ends<'a>(
    listed: &'a MessageResource,
    nobody: &'a MessageAddress,
) -> (&'a MessageAddress, &'a MessageAddress) {
    let from = listed.from.as_ref().unwrap_or(nobody);
    let to = listed.to.as_ref().unwrap_or(nobody);
    if listed.is_inbound() {
        (to, from)
    } else {
        (from, to)
    }
}

/// Returns fields in the form of a callback.
pub(super) fn form_of(fields: &[(&str, Zeroizing<String>)]) -> Zeroizing<Vec<u8>> {
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Zeroizing::new(serde_json::to_vec(&pairs).expect("pairs of texts have a JSON form"))
}

pub(super) fn leg(name: &str) -> LegName {
    name.parse().expect("the places of the house are places")
}
