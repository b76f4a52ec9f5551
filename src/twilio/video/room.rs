//! A room and its participants.

use serde_json::Value;

use crate::{
    model::{
        sid::{RoomParticipantSid, RoomSid},
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// The kind of a change of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomEventKind {
    /// It began.
    Created,
    /// It ended. Recordings may still be completed after that.
    Ended,
    /// Somebody came.
    ParticipantConnected,
    /// Somebody left.
    ParticipantDisconnected,
}

impl RoomEventKind {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "room-created" => Some(Self::Created),
            "room-ended" => Some(Self::Ended),
            "participant-connected" => Some(Self::ParticipantConnected),
            "participant-disconnected" => Some(Self::ParticipantDisconnected),
            _ => None,
        }
    }
}

/// A change of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomEvent {
    /// Its kind.
    pub kind: RoomEventKind,
    /// The room.
    pub room: RoomSid,
    /// The room's name.
    pub name: Option<PersonalText>,
    /// The participant, of a change of one.
    pub participant: Option<RoomParticipantSid>,
    /// The participant's identity, an application's own text.
    pub identity: Option<PersonalText>,
}

impl RoomEvent {
    pub(super) fn read(
        kind: RoomEventKind,
        fields: &NamedFields<'_>,
    ) -> Result<Self, CallbackError> {
        Ok(Self {
            kind,
            room: fields.required(&["RoomSid"], "`RM` and 32 hex digits")?,
            name: fields.personal("RoomName"),
            participant: fields.parsed("ParticipantSid"),
            identity: fields.personal("ParticipantIdentity"),
        })
    }
}

/// A participant of a list over REST; also of a room that has ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct RoomParticipant {
    /// The participant.
    pub sid: RoomParticipantSid,
    /// The room.
    pub room: RoomSid,
    /// The identity, an application's own text; after anonymisation, the participant's id.
    pub identity: Option<PersonalText>,
    /// `connected`, `disconnected`, `reconnecting`; an open set.
    pub status: Option<String>,
    /// When they came.
    pub joined_at: Option<Timestamp>,
    /// When they left.
    pub left_at: Option<Timestamp>,
}

impl TryFrom<Value> for RoomParticipant {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, |fields| {
            Ok(Self {
                sid: fields.required(&["Sid"], "`PA` and 32 hex digits")?,
                room: fields.required(&["RoomSid"], "`RM` and 32 hex digits")?,
                identity: fields.personal("Identity"),
                status: fields.word("Status"),
                joined_at: fields.time("StartTime"),
                left_at: fields.time("EndTime"),
            })
        })
    }
}
