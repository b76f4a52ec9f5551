//! A room and its participants.

use serde_json::Value;

use crate::{
    model::{
        details::Participant,
        name::LegName,
        sid::{RoomParticipantSid, RoomSid},
        subject::Address,
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

/// Returns the place of a participant in their room: their id, in lower case.
///
/// # Panics
/// Never: such an id is a name.
pub fn place(participant: &RoomParticipantSid) -> LegName {
    participant
        .as_str()
        .to_ascii_lowercase()
        .parse()
        .expect("an id of letters and digits is a name")
}

/// Returns the participant at a place; `None` for the place of somebody else.
pub fn participant_at(place: &LegName) -> Option<RoomParticipantSid> {
    let digits = place.as_str().strip_prefix("pa")?;
    format!("PA{digits}").parse().ok()
}

/// Returns a participant as a party of their room. An identity that was anonymised is the id.
pub fn person(participant: &RoomParticipantSid, identity: Option<&PersonalText>) -> Participant {
    let known = identity.filter(|identity| identity.expose() != participant.as_str());
    Participant {
        address: known.and_then(|identity| Address::of_identity(identity.expose()).ok()),
        ..Participant::at(place(participant))
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
