//! A composition: tracks of a room put together, on request or by a hook, which composes every
//! matching room unasked.

use serde_json::Value;

use super::sources::CompositionSources;
use crate::{
    model::{
        media::SourceRef,
        sid::{AccountSid, CompositionSid, RoomSid},
        time::Timestamp,
    },
    twilio::{
        container::FileContainer,
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// News of a composition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompositionEvent {
    /// `enqueued`, `started`, `progress`, `available`, `failed`, `hook-failed`; an open set.
    pub kind: String,
    /// The composition; none where a hook made none.
    pub composition: Option<Composition>,
    /// The room.
    pub room: Option<RoomSid>,
}

impl CompositionEvent {
    pub(super) fn read(kind: &str, fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        let is_of_hook = kind.starts_with("hook-");
        let composition = match Composition::read(fields) {
            Ok(found) => Some(Composition {
                status: kind.to_owned(),
                ..found
            }),
            Err(_) if is_of_hook => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            kind: kind.chars().take(64).collect(),
            composition,
            room: fields.parsed("RoomSid"),
        })
    }
}

/// A composition, in a callback or a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct Composition {
    /// The composition.
    pub sid: CompositionSid,
    /// The account, where the source names it.
    pub account: Option<AccountSid>,
    /// The room.
    pub room: RoomSid,
    /// `enqueued`, `processing`, `completed`, `deleted`, `failed`; in a callback, its event.
    pub status: String,
    /// `mp4` or `webm`.
    pub format: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Whole seconds.
    pub duration_s: Option<i64>,
    /// The address of the file, if Twilio stored it in the customer's bucket.
    pub media_external_location: Option<PersonalText>,
    /// The creation of Twilio's entry.
    pub created_at: Option<Timestamp>,
    /// When it was complete.
    pub completed_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// What it was made of; only over REST, and only if it is stated.
    pub sources: Option<CompositionSources>,
}

impl Composition {
    fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        let duration_s: Option<i64> = fields.parsed("Duration");
        Ok(Self {
            sid: fields.required(&["CompositionSid", "Sid"], "`CJ` and 32 hex digits")?,
            account: fields.parsed("AccountSid"),
            room: fields.required(&["RoomSid"], "`RM` and 32 hex digits")?,
            status: fields.word("Status").unwrap_or_default(),
            format: fields.word("Format"),
            size: fields.parsed("Size"),
            duration_s: duration_s.filter(|&seconds| seconds >= 0),
            media_external_location: fields.personal("MediaExternalLocation"),
            created_at: fields.time("DateCreated"),
            completed_at: fields.time("DateCompleted"),
            deleted_at: fields.time("DateDeleted"),
            sources: None,
        })
    }

    /// Returns the name of the composition at the source.
    pub fn source_ref(&self, account: &AccountSid) -> SourceRef {
        SourceRef::parse(account.clone(), self.sid.as_str())
            .expect("the id of a composition names a source")
    }

    /// Returns the container that its file must begin as.
    pub fn container(&self) -> FileContainer {
        match self.format.as_deref() {
            Some("mp4") => FileContainer::Mp4,
            _ => FileContainer::Matroska,
        }
    }

    /// Whether Twilio has deleted the file. Its metadata stays for 30 days.
    pub fn is_deleted(&self) -> bool {
        self.status == "deleted"
    }
}

/// A composition of a list over REST.
impl TryFrom<Value> for Composition {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        Ok(Self {
            sources: CompositionSources::read(&value),
            ..of_resource(&value, Self::read)?
        })
    }
}
