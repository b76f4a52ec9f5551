//! Values in columns: what a column holds, and the stored form of each type.
//!
//! Owns the stored form of every type. Refuses to know tables and sessions. A type has one form in
//! all tables: ids, names and enums as text, times and numbers as integers, collections as JSON.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;

use crate::{
    evidence::{ShredReason, VerifyingKey},
    model::{
        access::{PrincipalKind, Ticket},
        actor::Actor,
        artefact::{Artefact, Leg},
        consent::{Answer, Method},
        encryption::Encryption,
        grant_object::GrantObject,
        hold::Authority,
        id::{
            ApprovalId, ConsentId, DatabaseId, GrantId, HolderId, ObjectId, PageId, PrincipalId,
            ReceiptId, RecordingId, RevocationId, SubjectId, TokenId, VaultId,
        },
        link::{LinkKind, LinkReason},
        media::MediaKind,
        name::{HoldName, Label, LegName, Purpose, Role, Tier},
        recording::{DiscoveredBy, RecordingState},
        revocation::{Authorship, RevocationOutcome},
        sid::{
            AccountSid, CallSid, ChatServiceSid, ChatSid, ConferenceSid, MessageSid,
            ProxyParticipantSid, ProxySessionSid, RecordingSid, TranscriptSid,
        },
        source::{CopyKind, CopyState},
        subject::{Conversation, PartyScope},
        text::PrincipalSubject,
        time::Timestamp,
    },
    store::RecoveryName,
};

/// The kind of a column's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::db) enum ColumnKind {
    Text,
    MaybeText,
    Int,
    MaybeInt,
    Bytes,
}

impl ColumnKind {
    /// Returns the nullable kind.
    const fn or_null(self) -> Self {
        match self {
            Self::Text => Self::MaybeText,
            Self::Int => Self::MaybeInt,
            _ => panic!("no column may be null twice, or is of bytes or null"),
        }
    }
}

/// A value of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::db) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// Returns the same value, which borrows nothing.
    pub(in crate::db) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Int(int) => Value::Int(int),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }

    /// Returns the same value without a copy.
    pub(in crate::db) fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Int(int) => Value::Int(*int),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        }
    }
}

/// A type that is stored in a column.
#[diagnostic::on_unimplemented(
    message = "no column holds a `{Self}`",
    note = "say how it is kept, in `src/db/table/value.rs`"
)]
pub(in crate::db) trait ColumnValue: Sized {
    /// The kind of its column.
    const KIND: ColumnKind;

    /// Reads a column's value; `None` if it is invalid.
    fn read(value: Value<'_>) -> Option<Self>;

    /// Returns the value to store.
    fn write(&self) -> Value<'_>;
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    const KIND: ColumnKind = T::KIND.or_null();

    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::read(value).map(Some),
        }
    }

    fn write(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::write)
    }
}

impl ColumnValue for String {
    const KIND: ColumnKind = ColumnKind::Text;

    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    fn write(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}

impl ColumnValue for i64 {
    const KIND: ColumnKind = ColumnKind::Int;

    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }

    fn write(&self) -> Value<'_> {
        Value::Int(*self)
    }
}

/// 0 or 1.
impl ColumnValue for bool {
    const KIND: ColumnKind = ColumnKind::Int;

    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }

    fn write(&self) -> Value<'_> {
        Value::Int((*self).into())
    }
}

/// Milliseconds.
impl ColumnValue for Timestamp {
    const KIND: ColumnKind = ColumnKind::Int;

    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value).map(Self::from_millis)
    }

    fn write(&self) -> Value<'_> {
        Value::Int(self.as_millis())
    }
}

impl ColumnValue for Vec<u8> {
    const KIND: ColumnKind = ColumnKind::Bytes;

    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.into_owned()),
            _ => None,
        }
    }

    fn write(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }
}

impl ColumnValue for Bytes {
    const KIND: ColumnKind = ColumnKind::Bytes;

    fn read(value: Value<'_>) -> Option<Self> {
        Vec::read(value).map(Self::from)
    }

    fn write(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }
}

/// A number beyond the range of a column is stored as the largest that fits.
impl ColumnValue for u64 {
    const KIND: ColumnKind = ColumnKind::Int;

    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }

    fn write(&self) -> Value<'_> {
        Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

/// Integer types that fit in an `i64`.
macro_rules! integers {
    ($($number:ty),+ $(,)?) => {$(
        impl ColumnValue for $number {
            const KIND: ColumnKind = ColumnKind::Int;

            fn read(value: Value<'_>) -> Option<Self> {
                i64::read(value)?.try_into().ok()
            }

            fn write(&self) -> Value<'_> {
                Value::Int(i64::from(*self))
            }
        }
    )+};
}

/// Types stored as text, with the method that formats them; `FromStr` parses them.
macro_rules! texts {
    ($form:ident: $($text:ty),+ $(,)?) => {$(
        impl $crate::db::table::value::ColumnValue for $text {
            const KIND: $crate::db::table::value::ColumnKind = $crate::db::table::value::ColumnKind::Text;

            fn read(value: $crate::db::table::value::Value<'_>) -> Option<Self> {
                match value {
                    $crate::db::table::value::Value::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }

            fn write(&self) -> $crate::db::table::value::Value<'_> {
                $crate::db::table::value::Value::Text(std::borrow::Cow::from(self.$form()))
            }
        }
    )+};
}

pub(in crate::db) use texts;

/// Types stored as JSON.
macro_rules! documents {
    ($($document:ty),+ $(,)?) => {$(
        impl ColumnValue for $document {
            const KIND: ColumnKind = ColumnKind::Text;

            fn read(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Text(text) => serde_json::from_str(&text).ok(),
                    _ => None,
                }
            }

            fn write(&self) -> Value<'_> {
                let document = serde_json::to_string(self).expect("names have a JSON form");
                Value::Text(Cow::Owned(document))
            }
        }
    )+};
}

integers!(u8, u32);

texts!(
    to_string: Actor,
    VerifyingKey,
    ApprovalId,
    Artefact,
    ConsentId,
    DatabaseId,
    GrantId,
    GrantObject,
    HolderId,
    ObjectId,
    PageId,
    PrincipalId,
    ReceiptId,
    RecordingId,
    RecoveryName,
    RevocationId,
    SubjectId,
    TokenId,
    VaultId,
);

texts!(
    as_str: AccountSid,
    Answer,
    Authority,
    CallSid,
    ChatServiceSid,
    ChatSid,
    ProxyParticipantSid,
    ProxySessionSid,
    ConferenceSid,
    Conversation,
    CopyKind,
    CopyState,
    DiscoveredBy,
    HoldName,
    LegName,
    Leg,
    LinkKind,
    LinkReason,
    MediaKind,
    MessageSid,
    Method,
    PartyScope,
    PrincipalKind,
    // Issuers, too: they have the same type.
    PrincipalSubject,
    Purpose,
    RecordingSid,
    RecordingState,
    RevocationOutcome,
    Authorship,
    ShredReason,
    Ticket,
    Tier,
    TranscriptSid,
);

documents!(
    BTreeMap<Label, BTreeSet<String>>,
    BTreeMap<Label, String>,
    BTreeSet<AccountSid>,
    BTreeSet<LegName>,
    BTreeSet<Purpose>,
    Encryption,
    Vec<AccountSid>,
    Vec<Role>,
);
