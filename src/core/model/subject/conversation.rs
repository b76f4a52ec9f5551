//! What groups recordings: calls, conferences, chats, threads, rooms and sessions.

use std::{fmt, str::FromStr};

use super::{conversation_kind::ConversationKind, message_thread::ThreadId};
use crate::model::sid::{CallSid, ChatSid, ConferenceSid, ProxySessionSid, RoomSid};

/// A conversation: it groups recordings of any kind. It has no key.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde_with::DeserializeFromStr,
)]
#[serde(untagged)]
pub enum Conversation {
    /// A call.
    Call(CallSid),
    /// A conference.
    Conference(ConferenceSid),
    /// A chat of Conversations.
    Chat(ChatSid),
    /// The messages between two addresses.
    Thread(ThreadId),
    /// A video room.
    Room(RoomSid),
    /// A session in which neither side sees the other's number.
    Session(ProxySessionSid),
}

impl utoipa::ToSchema for Conversation {}

impl utoipa::PartialSchema for Conversation {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::model::schema::text(
            "A conversation: a call, a conference, a chat, a video room or a session by the source's id, or the thread of the messages between two addresses.",
            "^((CA|CF|CH|RM|KC)[0-9a-fA-F]{32}|thr_[0-9a-f]{32})$".into(),
            "thr_0123456789abcdef0123456789abcdef".into(),
        )
    }
}

impl Conversation {
    /// Returns its id as text: the source's, or a thread's own. Its first letters determine the
    /// kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Call(sid) => sid.as_str(),
            Self::Conference(sid) => sid.as_str(),
            Self::Chat(sid) => sid.as_str(),
            Self::Thread(id) => id.as_str(),
            Self::Room(sid) => sid.as_str(),
            Self::Session(sid) => sid.as_str(),
        }
    }

    /// Returns the chat, if it is one.
    pub fn into_chat(self) -> Option<ChatSid> {
        match self {
            Self::Chat(sid) => Some(sid),
            _ => None,
        }
    }

    /// Returns its kind.
    pub fn kind(&self) -> ConversationKind {
        match self {
            Self::Call(_) => ConversationKind::Call,
            Self::Conference(_) => ConversationKind::Conference,
            Self::Chat(_) => ConversationKind::Chat,
            Self::Thread(_) => ConversationKind::Thread,
            Self::Room(_) => ConversationKind::Room,
            Self::Session(_) => ConversationKind::Session,
        }
    }

    /// Returns the thread, if it is one.
    pub fn into_thread(self) -> Option<ThreadId> {
        match self {
            Self::Thread(id) => Some(id),
            _ => None,
        }
    }

    /// Returns the room, if it is one.
    pub fn into_room(self) -> Option<RoomSid> {
        match self {
            Self::Room(sid) => Some(sid),
            _ => None,
        }
    }

    /// Returns the session, if it is one.
    pub fn into_session(self) -> Option<ProxySessionSid> {
        match self {
            Self::Session(sid) => Some(sid),
            _ => None,
        }
    }
}

/// The text is not a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `CA`, `CF`, `CH`, `RM` or `KC` and 32 hex digits, or `thr_` and 32 lower-case hex digits"
)]
pub struct UnknownConversation;

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Conversation {
    type Err = UnknownConversation;

    fn from_str(text: &str) -> Result<Self, UnknownConversation> {
        let call = text.parse().map(Self::Call);
        call.or_else(|_| text.parse().map(Self::Conference))
            .or_else(|_| text.parse().map(Self::Chat))
            .or_else(|_| text.parse().map(Self::Thread))
            .or_else(|_| text.parse().map(Self::Room))
            .or_else(|_| text.parse().map(Self::Session))
            .map_err(|_| UnknownConversation)
    }
}
