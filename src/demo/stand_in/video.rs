//! Rooms of Video as tests create them: tracks, compositions, and their callbacks.

use bytes::Bytes;

use super::{Owned, StandIn, callback::SignedCallback, chat::made, hours::iso8601};
use crate::model::{
    sid::{AccountSid, CompositionSid, RoomParticipantSid, RoomSid, TrackRecordingSid},
    time::Timestamp,
};

/// The header of a Matroska file with one segment of no stated length.
const MATROSKA: &[u8] = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff";
/// The header of an MPEG-4 file, and its index.
const MPEG_4: &[u8] = b"\0\0\0\x0cftypisom\0\0\0\x08moov\0\0\0\0mdat";

/// Returns a Matroska file with this content, in parts of at most 1 MiB.
pub fn matroska(content: &[u8]) -> Bytes {
    let mut file = MATROSKA.to_vec();
    for part in content.chunks(1 << 20) {
        // A void element with a length of 8 bytes.
        file.extend([0xec, 0x01]);
        file.extend((part.len() as u64).to_be_bytes().iter().skip(1));
        file.extend(part);
    }
    file.into()
}

/// Returns an MPEG-4 file with this content.
pub fn mpeg_4(content: &[u8]) -> Bytes {
    [MPEG_4, content].concat().into()
}

/// The recording of a track.
#[derive(Clone, Debug)]
pub struct TrackFacts {
    /// The room.
    pub room: RoomSid,
    /// The publisher.
    pub participant: RoomParticipantSid,
    /// `audio` or `video`.
    pub kind: String,
    /// `processing`, `completed`, `failed`; `deleted` after its deletion.
    pub status: String,
    /// The file at Twilio.
    pub media: Option<Bytes>,
    /// Headers of the object, such as those of its encryption.
    pub headers: Vec<(String, String)>,
    /// The location of its file, if Twilio stored it elsewhere.
    pub media_external_location: Option<String>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
}

impl TrackFacts {
    /// Creates a completed recording of a picture.
    pub fn new(room: &RoomSid, participant: &RoomParticipantSid) -> Self {
        Self {
            room: room.clone(),
            participant: participant.clone(),
            kind: "video".to_owned(),
            status: "completed".to_owned(),
            media: Some(matroska(b"a track")),
            headers: Vec::new(),
            media_external_location: None,
            deleted: None,
        }
    }
}

/// A composition.
#[derive(Clone, Debug)]
pub struct CompositionFacts {
    /// The room.
    pub room: RoomSid,
    /// `enqueued`, `processing`, `completed`, `failed`; `deleted` after its deletion.
    pub status: String,
    /// `mp4` or `webm`.
    pub format: String,
    /// The file.
    pub media: Option<Bytes>,
    /// The sources of its sound; empty: not stated.
    pub audio_sources: Vec<String>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
}

impl CompositionFacts {
    /// Creates a completed composition.
    pub fn new(room: &RoomSid) -> Self {
        Self {
            room: room.clone(),
            status: "completed".to_owned(),
            format: "webm".to_owned(),
            media: Some(matroska(b"a composition")),
            audio_sources: Vec::new(),
            deleted: None,
        }
    }
}

/// A participant of a room.
#[derive(Clone, Debug)]
pub struct RoomParticipantFacts {
    /// The room.
    pub room: RoomSid,
    /// The application's own name of the person; after anonymisation, the participant's id.
    pub identity: String,
    /// `connected` or `disconnected`.
    pub status: String,
}

impl StandIn {
    /// Adds a participant of a room that has ended.
    pub fn add_room_participant(
        &self,
        account: &AccountSid,
        room: &RoomSid,
        identity: &str,
    ) -> RoomParticipantSid {
        let sid: RoomParticipantSid = made("PA");
        let facts = RoomParticipantFacts {
            room: room.clone(),
            identity: identity.to_owned(),
            status: "disconnected".to_owned(),
        };
        let owned = self.world.own(account, facts);
        self.world
            .state()
            .room_participants
            .insert(sid.clone(), owned);
        sid
    }

    /// Adds the recording of a track.
    pub fn add_track(&self, account: &AccountSid, facts: TrackFacts) -> TrackRecordingSid {
        let sid: TrackRecordingSid = made("RT");
        let owned = self.world.own(account, facts);
        self.world.state().tracks.insert(sid.clone(), owned);
        sid
    }

    /// Changes the recording of a track.
    pub fn change_track(&self, sid: &TrackRecordingSid, change: impl FnOnce(&mut TrackFacts)) {
        if let Some(owned) = self.world.state().tracks.get_mut(sid) {
            change(&mut owned.facts);
        }
    }

    /// Changes a composition.
    pub fn change_composition(
        &self,
        sid: &CompositionSid,
        change: impl FnOnce(&mut CompositionFacts),
    ) {
        if let Some(owned) = self.world.state().compositions.get_mut(sid) {
            change(&mut owned.facts);
        }
    }

    /// Lets a deleted recording be there again.
    pub fn restore_track(&self, sid: &TrackRecordingSid, media: Bytes) {
        self.change_track(sid, |facts| {
            facts.media = Some(media);
            "completed".clone_into(&mut facts.status);
            facts.deleted = None;
        });
    }

    /// Forgets who was in a room.
    pub fn forget_room_participants(&self, room: &RoomSid) {
        let mut state = self.world.state();
        state
            .room_participants
            .retain(|_, owned| owned.facts.room != *room);
    }

    /// Adds a composition.
    pub fn add_composition(&self, account: &AccountSid, facts: CompositionFacts) -> CompositionSid {
        let sid: CompositionSid = made("CJ");
        let owned = self.world.own(account, facts);
        self.world.state().compositions.insert(sid.clone(), owned);
        sid
    }

    /// Signs a callback about a track: `recording-started`, `recording-completed`…
    ///
    /// # Panics
    /// If the recording was not added, or as [`Self::callback`].
    pub fn track_callback(
        &self,
        sid: &TrackRecordingSid,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let state = self.world.state();
        let Owned { account, facts, .. } = state.tracks.get(sid).expect("the track was added");
        let participant = state.room_participants.get(&facts.participant);
        let identity = participant.map(|owned| owned.facts.identity.clone());
        let is_audio = facts.kind == "audio";
        let account = account.clone();
        let mut params = vec![
            ("AccountSid", account.to_string()),
            ("StatusCallbackEvent", event.to_owned()),
            ("RoomSid", facts.room.to_string()),
            ("RoomName", "visit".to_owned()),
            ("RoomType", "group".to_owned()),
            ("Timestamp", iso8601(self.world.hours.now())),
            ("RecordingSid", sid.to_string()),
            ("ParticipantSid", facts.participant.to_string()),
            ("ParticipantIdentity", identity.unwrap_or_default()),
            ("Container", if is_audio { "mka" } else { "mkv" }.to_owned()),
            ("Codec", if is_audio { "OPUS" } else { "vp8" }.to_owned()),
        ];
        if event == "recording-completed" {
            let size = facts.media.as_ref().map_or(0, Bytes::len);
            params.extend([
                ("MediaUri", format!("/v1/Recordings/{sid}/Media")),
                ("Size", size.to_string()),
                ("Duration", "3".to_owned()),
                ("OffsetFromTwilioVideoEpoch", "1000".to_owned()),
            ]);
            let elsewhere = facts.media_external_location.clone();
            params.extend(elsewhere.map(|at| ("MediaExternalLocation", at)));
        }
        drop(state);
        self.callback(&account, url, &owned(params))
    }

    /// Signs a callback about a composition: `composition-available`…
    ///
    /// # Panics
    /// If the composition was not added, or as [`Self::callback`].
    pub fn composition_callback(
        &self,
        sid: &CompositionSid,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let state = self.world.state();
        let held = state
            .compositions
            .get(sid)
            .expect("the composition was added");
        let account = held.account.clone();
        let params = vec![
            ("AccountSid", account.to_string()),
            ("StatusCallbackEvent", event.to_owned()),
            ("RoomSid", held.facts.room.to_string()),
            ("CompositionSid", sid.to_string()),
            ("Timestamp", iso8601(self.world.hours.now())),
            ("MediaUri", format!("/v1/Compositions/{sid}/Media")),
        ];
        drop(state);
        self.callback(&account, url, &owned(params))
    }

    /// Signs a callback about a participant: `participant-connected`…
    ///
    /// # Panics
    /// If the participant was not added, or as [`Self::callback`].
    pub fn participant_callback(
        &self,
        sid: &RoomParticipantSid,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let state = self.world.state();
        let held = state
            .room_participants
            .get(sid)
            .expect("the participant was added");
        let account = held.account.clone();
        let params = vec![
            ("AccountSid", account.to_string()),
            ("StatusCallbackEvent", event.to_owned()),
            ("RoomSid", held.facts.room.to_string()),
            ("Timestamp", iso8601(self.world.hours.now())),
            ("ParticipantSid", sid.to_string()),
            ("ParticipantIdentity", held.facts.identity.clone()),
        ];
        drop(state);
        self.callback(&account, url, &owned(params))
    }

    /// Signs a callback about a room: `room-created`, `room-ended`.
    ///
    /// # Panics
    /// As [`Self::callback`].
    pub fn room_callback(
        &self,
        account: &AccountSid,
        room: &RoomSid,
        event: &str,
        url: &str,
    ) -> SignedCallback {
        let params = vec![
            ("AccountSid", account.to_string()),
            ("StatusCallbackEvent", event.to_owned()),
            ("RoomSid", room.to_string()),
            ("Timestamp", iso8601(self.world.hours.now())),
        ];
        self.callback(account, url, &owned(params))
    }

    /// Whether the file of a recording is still there.
    pub fn keeps_track(&self, sid: &TrackRecordingSid) -> bool {
        let state = self.world.state();
        state
            .tracks
            .get(sid)
            .is_some_and(|owned| owned.facts.media.is_some())
    }

    /// Whether the file of a composition is still there.
    pub fn keeps_composition(&self, sid: &CompositionSid) -> bool {
        let state = self.world.state();
        state
            .compositions
            .get(sid)
            .is_some_and(|owned| owned.facts.media.is_some())
    }

    /// Returns the identity that a participant has now.
    pub fn room_identity(&self, sid: &RoomParticipantSid) -> Option<String> {
        let state = self.world.state();
        let owned = state.room_participants.get(sid)?;
        Some(owned.facts.identity.clone())
    }
}

fn owned(params: Vec<(&str, String)>) -> Vec<(String, String)> {
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
