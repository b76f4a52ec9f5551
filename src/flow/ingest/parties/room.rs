//! The participants of video rooms, which the source lists also after the room has ended.
//!
//! Owns the naming of everybody in a room, whom a composition shows, and the beginning of compositions:
//! whoever was there can revoke what is composed of it later.

use std::collections::BTreeSet;

use super::{LookedUp, PartyLookup};
use crate::{
    db::{self, details, recordings},
    flow::error::Error,
    model::{
        details::Participant,
        media::MediaKind,
        name::LegName,
        recording::{Recording, RecordingState},
        sid::{RoomParticipantSid, RoomSid},
        subject::Conversation,
        time::Timestamp,
    },
    twilio::{
        Account, RestError,
        video::{RoomParticipant, person, place},
    },
    vault::Keeping,
};

/// The lists in which the source has everybody.
const STATUSES: [&str; 2] = ["connected", "disconnected"];

impl PartyLookup {
    /// Looks up the participants of a room; without an account, the source is not queried.
    pub(super) async fn look_up_room(
        &self,
        account: Option<&Account>,
        recording: &Recording,
        room: &RoomSid,
    ) -> Result<LookedUp, Error> {
        let is_sealed = recording.state == RecordingState::Sealed;
        if is_sealed && details::is_there(&mut self.db.read().await?, recording.id).await? {
            return Ok(LookedUp::NotAsked);
        }
        let listed = match account {
            None => Ok(Vec::new()),
            Some(account) => self.people_in(account, room).await,
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) if error.passes() => return Ok(LookedUp::Later(error)),
            Err(error) => {
                tracing::info!(
                    recording = %recording.id, %error,
                    "Twilio does not list the participants of a room"
                );
                Vec::new()
            }
        };
        let conversation = Conversation::Room(room.clone());
        if recording.kind() == MediaKind::VideoComposition {
            let began = listed.iter().filter_map(|person| person.joined_at).min();
            self.begin_by(recording, &conversation, began).await?;
            if let Some(account) = account {
                let everybody = listed.iter().map(|person| person.sid.clone()).collect();
                let shown = self.shown_in(account, recording, room, &everybody).await;
                match shown {
                    Ok(Some(people)) => self.note_shown(recording, &people).await?,
                    Ok(None) => {}
                    Err(error) if error.passes() => return Ok(LookedUp::Later(error)),
                    // Then everybody in the room is.
                    Err(error) => tracing::info!(
                        recording = %recording.id, %error,
                        "Twilio does not state what a composition was made of"
                    ),
                }
            }
        }
        if account.is_none() {
            return Ok(LookedUp::NotAsked);
        }
        if listed.is_empty() {
            return Ok(LookedUp::Unknown);
        }
        let people: Vec<Participant> = listed
            .iter()
            .map(|listed| person(&listed.sid, listed.identity.as_ref()))
            .collect();
        let keeping = if is_sealed {
            Keeping::Waits
        } else {
            Keeping::Carried
        };
        let account = recording.account();
        let named = self
            .parties
            .name_found(account, &conversation, &people, keeping);
        let matched = named.await?;
        metrics::counter!("recvault_parties_looked_up_total").increment(1);
        Ok(LookedUp::Named(matched.parties))
    }

    async fn people_in(
        &self,
        account: &Account,
        room: &RoomSid,
    ) -> Result<Vec<RoomParticipant>, RestError> {
        let client = &self.twilio.client;
        let mut all = Vec::new();
        for status in STATUSES {
            let mut pages = client.room_participants(account, room, status);
            while let Some(page) = pages.next(client, account).await? {
                all.extend(page.items);
            }
        }
        Ok(all)
    }

    /// Returns who is heard or seen in a composition; `None` for everybody in the room.
    async fn shown_in(
        &self,
        account: &Account,
        recording: &Recording,
        room: &RoomSid,
        everybody: &BTreeSet<RoomParticipantSid>,
    ) -> Result<Option<BTreeSet<RoomParticipantSid>>, RestError> {
        let client = &self.twilio.client;
        let Ok(sid) = recording.source_ref.sid().parse() else {
            return Ok(None);
        };
        let Some(sources) = client.composition(account, &sid).await?.sources else {
            return Ok(None);
        };
        let mut tracks = Vec::new();
        let mut pages = client.track_recordings_of(account, room);
        while let Some(page) = pages.next(client, account).await? {
            tracks.extend(page.items);
        }
        Ok(sources.people(&tracks, everybody))
    }

    async fn note_shown(
        &self,
        recording: &Recording,
        people: &BTreeSet<RoomParticipantSid>,
    ) -> Result<(), Error> {
        let legs: BTreeSet<LegName> = people.iter().map(place).collect();
        let unit = self.db.unit("parties.note_shown", async |mut unit| {
            unit.without_entry("what is announced is told when it is sealed");
            recordings::set_shown(&mut unit, recording.id, &legs).await?;
            Ok::<_, db::Error>(())
        });
        Ok(unit.await?)
    }

    async fn begin_by(
        &self,
        recording: &Recording,
        room: &Conversation,
        began: Option<Timestamp>,
    ) -> Result<(), Error> {
        let account = recording.account();
        let unit = self.db.unit("parties.begin_room", async |mut unit| {
            unit.without_entry("what is announced is told when it is sealed");
            let kind = MediaKind::VideoComposition;
            recordings::begin_by(&mut unit, account, room, kind, began).await?;
            Ok::<_, db::Error>(())
        });
        Ok(unit.await?)
    }
}
