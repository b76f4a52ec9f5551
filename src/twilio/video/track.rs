//! The recording of one track.

use serde_json::Value;

use crate::{
    model::{
        media::SourceRef,
        sid::{AccountSid, RoomParticipantSid, RoomSid, TrackRecordingSid},
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// Sound: `mka`.
    Audio,
    /// Picture: `mkv`.
    Video,
}

/// A recording, in a callback or a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct TrackRecording {
    /// The recording.
    pub sid: TrackRecordingSid,
    /// The account, where the source names it.
    pub account: Option<AccountSid>,
    /// The room.
    pub room: RoomSid,
    /// The room's name.
    pub room_name: Option<PersonalText>,
    /// The participant who published the track.
    pub participant: Option<RoomParticipantSid>,
    /// The participant's identity, an application's own text.
    pub identity: Option<PersonalText>,
    /// `processing`, `completed`, `failed`, `deleted`; an open set.
    pub status: String,
    /// Sound or picture, by its type, or else by its container or codec.
    pub kind: Option<TrackKind>,
    /// `mkv` or `mka`.
    pub container: Option<String>,
    /// `pcmu`, `opus`, `vp8`, `h264`; an open set.
    pub codec: Option<String>,
    /// `MT…`: the track.
    pub track: Option<String>,
    /// The name that the publisher gave the track.
    pub track_name: Option<PersonalText>,
    /// Bytes.
    pub size: Option<u64>,
    /// Whole seconds, at least 1.
    pub duration_s: Option<i64>,
    /// Milliseconds on the clock that is common to the tracks of a room.
    pub offset_ms: Option<i64>,
    /// The address of the file, if Twilio stored it in the customer's bucket.
    pub media_external_location: Option<PersonalText>,
    /// The step that failed.
    pub failed_operation: Option<String>,
    /// The creation of Twilio's entry.
    pub created_at: Option<Timestamp>,
}

impl TrackRecording {
    /// Reads a callback, whose event is the status.
    pub(super) fn told(fields: &NamedFields<'_>, status: &str) -> Result<Self, CallbackError> {
        Ok(Self {
            status: status.to_owned(),
            ..Self::read(fields)?
        })
    }

    fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        let kind = fields.word("Type");
        let container = fields
            .word("Container")
            .or_else(|| fields.word("ContainerFormat"));
        let codec = fields.word("Codec");
        let words = [kind.as_deref(), container.as_deref(), codec.as_deref()];
        let kind = words.into_iter().flatten().find_map(kind_of);
        let duration_s: Option<i64> = fields.parsed("Duration");
        Ok(Self {
            sid: fields.required(&["RecordingSid", "Sid"], "`RT` and 32 hex digits")?,
            account: fields.parsed("AccountSid"),
            room: fields.required(
                &["RoomSid", "GroupingSids.RoomSid"],
                "`RM` and 32 hex digits",
            )?,
            room_name: fields.personal("RoomName"),
            participant: fields
                .parsed("ParticipantSid")
                .or_else(|| fields.parsed("GroupingSids.ParticipantSid")),
            identity: fields.personal("ParticipantIdentity"),
            status: fields.word("Status").unwrap_or_default(),
            kind,
            container,
            codec,
            track: fields.readable("SourceSid").map(str::to_owned),
            track_name: fields.personal("TrackName"),
            size: fields.parsed("Size"),
            duration_s: duration_s.filter(|&seconds| seconds >= 0),
            offset_ms: fields
                .parsed("OffsetFromTwilioVideoEpoch")
                .or_else(|| fields.parsed("Offset")),
            media_external_location: fields.personal("MediaExternalLocation"),
            failed_operation: fields.word("FailedOperation"),
            created_at: fields.time("DateCreated"),
        })
    }

    /// Returns the name of the recording at the source.
    pub fn source_ref(&self, account: &AccountSid) -> SourceRef {
        SourceRef::parse(account.clone(), self.sid.as_str())
            .expect("the id of a track's recording names a source")
    }

    /// Whether Twilio has deleted the file. Its metadata stays for 30 days.
    pub fn is_deleted(&self) -> bool {
        self.status == "deleted"
    }
}

fn kind_of(word: &str) -> Option<TrackKind> {
    match word {
        "audio" | "mka" | "pcmu" | "opus" => Some(TrackKind::Audio),
        "video" | "mkv" | "vp8" | "vp9" | "h264" => Some(TrackKind::Video),
        _ => None,
    }
}

/// A recording of a list over REST.
impl TryFrom<Value> for TrackRecording {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}
