//! Video: recordings of tracks, and compositions of them
//! (<https://www.twilio.com/docs/video/api/status-callbacks>).
//!
//! Owns the callbacks of rooms and compositions, and the resources behind them, under one set of
//! names (`fields`). A track belongs to one participant; a composition to all who were heard or
//! seen, whom its callback does not name.
//!
//! `SequenceNumber` is no order: the time of an event is. INVARIANT: `Debug` shows no identity and
//! no name.

mod composition;
mod room;
mod sources;
mod track;

pub use self::{
    composition::{Composition, CompositionEvent},
    room::{RoomEvent, RoomEventKind, RoomParticipant, participant_at, person, place},
    sources::CompositionSources,
    track::{TrackKind, TrackRecording},
};
use super::{
    fields::NamedFields, own_query::own_query, params::CallbackError, received_form::ReceivedForm,
    signature::Verified,
};
use crate::model::{sid::AccountSid, time::Timestamp};

const EVENT: &str = "StatusCallbackEvent";

/// One callback of Video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoCallback {
    /// The account or subaccount that signed the request.
    pub account: AccountSid,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// What happened.
    pub event: VideoEvent,
    /// The query parameters of our own URL, in order, for classification.
    pub query: Vec<(String, String)>,
    /// The whole form as received.
    pub form: ReceivedForm,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoEvent {
    /// The recording of a track began, is complete or failed: its status says which.
    Track(TrackRecording),
    /// A composition changed.
    Composition(CompositionEvent),
    /// A room or its participants changed.
    Room(RoomEvent),
    /// Anything else, such as a track that was muted.
    Other,
}

impl VideoCallback {
    /// Parses a verified callback.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let fields = NamedFields::of_form(verified);
        let kind = fields.one(EVENT)?;
        let kind = kind.ok_or(CallbackError::Missing { field: EVENT })?;
        Ok(Self {
            account: verified.account().clone(),
            at: fields.time("Timestamp"),
            event: VideoEvent::read(kind, &fields)?,
            query: own_query(verified),
            form: ReceivedForm::of(verified),
        })
    }
}

impl VideoEvent {
    fn read(kind: &str, fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        if let Some(kind) = RoomEventKind::of(kind) {
            return Ok(Self::Room(RoomEvent::read(kind, fields)?));
        }
        Ok(match kind {
            "recording-started" => Self::Track(TrackRecording::told(fields, "processing")?),
            "recording-completed" => Self::Track(TrackRecording::told(fields, "completed")?),
            "recording-failed" => Self::Track(TrackRecording::told(fields, "failed")?),
            _ => match kind.strip_prefix("composition-") {
                Some(kind) => Self::Composition(CompositionEvent::read(kind, fields)?),
                None => Self::Other,
            },
        })
    }
}

#[cfg(test)]
mod tests;
