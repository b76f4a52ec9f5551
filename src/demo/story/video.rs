//! The steps about a video call: its tracks and a composition are sealed, played, and one of the two
//! people withdraws.

use std::time::{Duration, Instant};

use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{Failure, Story};
use crate::{
    demo::stand_in::{CompositionFacts, TrackFacts, matroska},
    model::{
        id::RecordingId,
        sid::{CompositionSid, RoomParticipantSid, RoomSid, TrackRecordingSid},
    },
};

/// The number of these steps.
pub(super) const STEPS: usize = 3;

/// The content of a track; nothing reads it as a film here.
const FILM: &[u8] = &[0x5a; 200_000];

/// A room that has ended.
struct Meeting {
    alice: RoomParticipantSid,
    track: TrackRecordingSid,
    composition: CompositionSid,
}

impl Story<'_> {
    /// Runs the steps, on a room of its own.
    pub(super) async fn video(&mut self) -> Result<(), Failure> {
        let world = self.world;
        let begun = Instant::now();
        let room: RoomSid = world.new_sid("RM")?;
        let stand_in = world.stand_in();
        let join = |who: &str| stand_in.add_room_participant(world.account(), &room, who);
        let (alice, bob) = (join("alice"), join("bob"));
        let track = |whose| {
            let facts = TrackFacts {
                media: Some(matroska(FILM)),
                ..TrackFacts::new(&room, whose)
            };
            stand_in.add_track(world.account(), facts)
        };
        let bobs = track(&bob);
        let meeting = Meeting {
            track: track(&alice),
            composition: stand_in.add_composition(world.account(), CompositionFacts::new(&room)),
            alice,
        };
        let theirs = world.film(&meeting.track).await?;
        let other = world.film(&bobs).await?;
        let both = world.compose(&meeting.composition).await?;
        for id in [theirs, other, both] {
            world.until(id, "sealed").await?;
        }
        let told = "A video call of two: the track of each, and both put together, are fetched \
                    without credentials from Twilio's storage and sealed.";
        self.step("video-sealed", begun, true, told)?;

        let begun = Instant::now();
        let same = self.plays_a_part(theirs).await?;
        let told = "Under a grant a part of a track is played, byte for byte.";
        self.step("video-played", begun, same, told)?;

        let begun = Instant::now();
        let revoked = json!({ "subject": "client:alice", "reason": "subject-request" });
        let (status, _) = world
            .ask(Method::POST, "/v1/revocations", Some(revoked))
            .await?;
        for id in [theirs, both] {
            world.until(id, "shredded").await?;
        }
        let is_gone = self.has_left(&meeting).await;
        let stays = self.plays_a_part(other).await? && stand_in.keeps_track(&bobs);
        let told = "One of them withdraws: their track and the composition are shredded, and \
                    deleted at Twilio with their identity; the other's track stays.";
        let is_done = matches!(status, 200 | 202) && is_gone && stays;
        self.step("video-shredded", begun, is_done, told)
    }

    /// Plays some bytes of a track under a grant.
    async fn plays_a_part(&self, id: RecordingId) -> Result<bool, Failure> {
        let world = self.world;
        let path = format!("/v1/recordings/{id}/grants");
        let asked = json!({ "purpose": "quality-review" });
        let (_, grant) = world.ask(Method::POST, &path, Some(asked)).await?;
        let Value::String(file) = &grant["file_urls"][0] else {
            return Ok(false);
        };
        let part = world
            .http()
            .get(file)
            .header(header::RANGE, "bytes=1000-1999");
        let part = part.send().await?;
        let is_part = part.status() == 206;
        let film = matroska(FILM);
        Ok(is_part && Some(&*part.bytes().await?) == film.get(1000..2000))
    }

    async fn has_left(&self, meeting: &Meeting) -> bool {
        let stand_in = self.world.stand_in();
        for _ in 0..500 {
            let identity = stand_in.room_identity(&meeting.alice);
            if !stand_in.keeps_track(&meeting.track)
                && !stand_in.keeps_composition(&meeting.composition)
                && identity.as_deref() == Some(meeting.alice.as_str())
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}
