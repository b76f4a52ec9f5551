//! Video over REST: recordings of tracks, compositions, participants of rooms
//! (<https://www.twilio.com/docs/video/api>).
//!
//! A deleted recording or composition stays for 30 days as metadata with the status `deleted`, and
//! lists hide it; rooms cannot be deleted.

use super::{Account, RestApi, RestError, TwilioClient, deletion::Deletion, page::Pages};
use crate::{
    model::{
        sid::{CompositionSid, RoomParticipantSid, RoomSid, TrackRecordingSid},
        time::Timestamp,
    },
    twilio::video::{Composition, RoomParticipant, TrackRecording},
};

const OTHER_TRACK: RestError = RestError::Shape("the answer is about another recording");
const OTHER_COMPOSITION: RestError = RestError::Shape("the answer is about another composition");

/// Whether a deleted recording or composition of Video is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCopyState {
    /// It is there.
    Present,
    /// The file is deleted; the metadata stays for 30 days.
    Deleted,
    /// Twilio has no such resource. It proves a deletion only where the credential was seen to open
    /// the account (`opens_video`).
    Gone,
}

impl VideoCopyState {
    fn of<T>(
        found: Result<T, RestError>,
        is_deleted: impl Fn(&T) -> bool,
    ) -> Result<Self, RestError> {
        match found {
            Ok(found) if is_deleted(&found) => Ok(Self::Deleted),
            Ok(_) => Ok(Self::Present),
            Err(RestError::NotFound) => Ok(Self::Gone),
            Err(error) => Err(error),
        }
    }
}

impl TwilioClient {
    /// Returns the recordings that were created in a time. Sends no request yet.
    pub fn track_recordings(
        &self,
        account: &Account,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Pages<TrackRecording> {
        let mut url = account
            .url(RestApi::Video, "/v1/Recordings")
            .with("PageSize", "100")
            .with("DateCreatedAfter", &since.in_seconds());
        if let Some(until) = until {
            url = url.with("DateCreatedBefore", &until.in_seconds());
        }
        Pages::new(url, "recordings")
    }

    /// Returns the recordings of a room. Sends no request yet.
    pub fn track_recordings_of(&self, account: &Account, room: &RoomSid) -> Pages<TrackRecording> {
        let url = account.url(RestApi::Video, &format!("/v1/Rooms/{room}/Recordings"));
        Pages::new(url.with("PageSize", "100"), "recordings")
    }

    /// Returns the recording of a track; also of a deleted one, for 30 days.
    pub async fn track_recording(
        &self,
        account: &Account,
        sid: &TrackRecordingSid,
    ) -> Result<TrackRecording, RestError> {
        let url = account.url(RestApi::Video, &format!("/v1/Recordings/{sid}"));
        let found: TrackRecording = self.get(account, url).await?;
        if found.sid == *sid {
            Ok(found)
        } else {
            Err(OTHER_TRACK)
        }
    }

    /// Returns the compositions that were created in a time. Sends no request yet.
    pub fn compositions(
        &self,
        account: &Account,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Pages<Composition> {
        let mut url = account
            .url(RestApi::Video, "/v1/Compositions")
            .with("PageSize", "100")
            .with("DateCreatedAfter", &since.in_seconds());
        if let Some(until) = until {
            url = url.with("DateCreatedBefore", &until.in_seconds());
        }
        Pages::new(url, "compositions")
    }

    /// Returns the compositions of a room. Sends no request yet.
    pub fn compositions_of(&self, account: &Account, room: &RoomSid) -> Pages<Composition> {
        let url = account
            .url(RestApi::Video, "/v1/Compositions")
            .with("RoomSid", room.as_str())
            .with("PageSize", "100");
        Pages::new(url, "compositions")
    }

    /// Returns a composition; also a deleted one, for 30 days.
    pub async fn composition(
        &self,
        account: &Account,
        sid: &CompositionSid,
    ) -> Result<Composition, RestError> {
        let url = account.url(RestApi::Video, &format!("/v1/Compositions/{sid}"));
        let found: Composition = self.get(account, url).await?;
        if found.sid == *sid {
            Ok(found)
        } else {
            Err(OTHER_COMPOSITION)
        }
    }

    /// Returns the participants of a room with this status: after its end, all are `disconnected`.
    /// Sends no request yet.
    pub fn room_participants(
        &self,
        account: &Account,
        room: &RoomSid,
        status: &str,
    ) -> Pages<RoomParticipant> {
        let url = account
            .url(RestApi::Video, &format!("/v1/Rooms/{room}/Participants"))
            .with("Status", status)
            .with("PageSize", "1000");
        Pages::new(url, "participants")
    }

    /// Replaces a participant's identity by their id, in a room that has ended.
    pub async fn anonymize_participant(
        &self,
        account: &Account,
        room: &RoomSid,
        participant: &RoomParticipantSid,
    ) -> Result<(), RestError> {
        let path = format!("/v1/Rooms/{room}/Participants/{participant}/Anonymize");
        self.post(account, account.url(RestApi::Video, &path), &[])
            .await
    }

    /// Deletes the recording of a track. In the customer's bucket the object stays.
    pub async fn delete_track_recording(
        &self,
        account: &Account,
        sid: &TrackRecordingSid,
    ) -> Result<Deletion, RestError> {
        let url = account.url(RestApi::Video, &format!("/v1/Recordings/{sid}"));
        self.remove(account, url).await
    }

    /// Deletes a composition. In the customer's bucket the object stays.
    pub async fn delete_composition(
        &self,
        account: &Account,
        sid: &CompositionSid,
    ) -> Result<Deletion, RestError> {
        let url = account.url(RestApi::Video, &format!("/v1/Compositions/{sid}"));
        self.remove(account, url).await
    }

    /// Returns whether a recording is deleted.
    pub async fn track_recording_state(
        &self,
        account: &Account,
        sid: &TrackRecordingSid,
    ) -> Result<VideoCopyState, RestError> {
        let found = self.track_recording(account, sid).await;
        VideoCopyState::of(found, TrackRecording::is_deleted)
    }

    /// Returns whether a composition is deleted.
    pub async fn composition_state(
        &self,
        account: &Account,
        sid: &CompositionSid,
    ) -> Result<VideoCopyState, RestError> {
        let found = self.composition(account, sid).await;
        VideoCopyState::of(found, Composition::is_deleted)
    }
}
