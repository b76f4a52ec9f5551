//! One attempt to delete a track or composition at the source.
//!
//! Owns the order, and the evidence of each step: compositions before the tracks that they are made
//! of, the object in a bucket before the resource, and the participant's identity last, when the
//! vault keeps nothing more of theirs in the room. INVARIANTS
//! - A copy is recorded before it is deleted, and counts as gone only if the source says so: the
//!   resource as `deleted`, or 404 after the same credential opened the account's recordings.
//! - A composition that the vault keeps, or will, is not deleted for a track.
//! - Of a resource that was gone before it told where its file is, an object in a bucket is unknown.

use super::{
    SourceDeletion,
    book::{CopyBook, CopyName},
    object::object_name,
    trouble::Trouble,
};
use crate::{
    db::recordings,
    model::{
        crash,
        media::MediaKind,
        recording::{Recording, RecordingState},
        residue::{self, ResidueKind},
        sid::{CompositionSid, RoomSid, TrackRecordingSid},
        source::{CopyKind, SourceCopy},
        subject::Conversation,
        time::Timestamp,
    },
    twilio::{
        Account, RestError,
        rest::{Deletion, VideoCopyState},
        video::{Composition, participant_at},
    },
};

/// One attempt and its progress.
pub(super) struct VideoCopies<'a> {
    deletion: &'a SourceDeletion,
    account: &'a Account,
    recording: &'a Recording,
    own: VideoSid,
    book: CopyBook<'a>,
    /// Whether the credential has opened the account's recordings of Video in this attempt.
    is_open: bool,
}

/// The source's id.
#[derive(Clone)]
enum VideoSid {
    Track(TrackRecordingSid),
    Composition(CompositionSid),
}

/// A composition that the vault does not collect.
struct Stray {
    sid: VideoSid,
    /// The address of its file, if that is not at the source.
    object: Option<String>,
}

/// Where the source stored a file.
enum FilePlace {
    AtSource,
    /// In a bucket, at this address.
    Bucket(String),
    /// The resource is gone, and does not tell.
    Untold,
}

impl VideoSid {
    fn of(recording: &Recording) -> Option<Self> {
        let sid = recording.source_ref.sid();
        match recording.kind() {
            MediaKind::VideoTrack => sid.parse().ok().map(Self::Track),
            MediaKind::VideoComposition => sid.parse().ok().map(Self::Composition),
            _ => None,
        }
    }

    fn name(&self) -> CopyName {
        match self {
            Self::Track(sid) => (CopyKind::Track, sid.to_string()),
            Self::Composition(sid) => (CopyKind::Composition, sid.to_string()),
        }
    }
}

impl<'a> VideoCopies<'a> {
    pub(super) async fn of(
        deletion: &'a SourceDeletion,
        account: &'a Account,
        recording: &'a Recording,
    ) -> Result<Self, Trouble> {
        let own = VideoSid::of(recording);
        let own = own.ok_or_else(|| Trouble::Stuck("it is no recording of Video".to_owned()))?;
        Ok(Self {
            deletion,
            account,
            recording,
            own,
            book: CopyBook::of(deletion, recording.id).await?,
            is_open: false,
        })
    }

    /// Returns the copies that this attempt changed.
    pub(super) fn changed(&self) -> Vec<SourceCopy> {
        self.book.changed()
    }

    /// Returns when the last copy was gone.
    pub(super) fn gone_at(&self) -> Option<Timestamp> {
        self.book.gone_at()
    }

    /// Deletes every copy. On `Ok`, every copy is settled.
    pub(super) async fn delete(&mut self) -> Result<(), Trouble> {
        let own = self.own.clone();
        let name = own.name();
        let room = match &self.recording.thread {
            Some(Conversation::Room(room)) => Some(room.clone()),
            _ => None,
        };
        let strays = match (&own, &room) {
            (VideoSid::Track(_), Some(room)) => self.compositions_of(room).await?,
            _ => Vec::new(),
        };
        let mut places: Vec<String> = Vec::new();
        if !self.book.is_confirmed(&name) {
            match self.place(&own).await? {
                FilePlace::AtSource => {}
                FilePlace::Bucket(address) => places.push(address),
                FilePlace::Untold => self.book.enter_untold(self.account, &name).await?,
            }
        }
        places.extend(strays.iter().filter_map(|stray| stray.object.clone()));
        let names = strays.iter().map(|stray| stray.sid.name());
        let objects = places.iter().map(|address| object_name(address));
        let names: Vec<CopyName> = names.chain(objects).chain([name.clone()]).collect();
        self.book.enter(names).await?;
        crash::point("erase.listed");
        for place in places {
            self.book.delete_object(self.account, &place).await?;
        }
        for stray in strays {
            self.delete_one(&stray.sid).await?;
        }
        if !self.book.is_confirmed(&name) {
            self.delete_one(&own).await?;
        }
        match room {
            Some(room) => self.anonymize(&room).await,
            None => Ok(()),
        }
    }

    /// Returns where the source stored the file.
    async fn place(&mut self, own: &VideoSid) -> Result<FilePlace, Trouble> {
        let client = &self.deletion.twilio.client;
        let told = match own {
            VideoSid::Track(sid) => client
                .track_recording(self.account, sid)
                .await
                .map(|track| track.media_external_location),
            VideoSid::Composition(sid) => client
                .composition(self.account, sid)
                .await
                .map(|composition| composition.media_external_location),
        };
        match told {
            Ok(place) => {
                let address = self.elsewhere(place.as_ref().map(|place| place.expose()));
                Ok(address.map_or(FilePlace::AtSource, FilePlace::Bucket))
            }
            Err(RestError::NotFound) => self.must_open().await.map(|()| FilePlace::Untold),
            Err(other) => Err(other.into()),
        }
    }

    /// Returns an address that is not the source's own.
    fn elsewhere(&self, address: Option<&str>) -> Option<String> {
        let address = address.filter(|address| self.account.is_elsewhere(address));
        address.map(str::to_owned)
    }

    /// Deletes a resource and asks for it again.
    async fn delete_one(&mut self, sid: &VideoSid) -> Result<(), Trouble> {
        let name = sid.name();
        let client = &self.deletion.twilio.client;
        let mut state = self.state(sid).await?;
        if state == VideoCopyState::Present {
            let answer = match sid {
                VideoSid::Track(sid) => client.delete_track_recording(self.account, sid).await?,
                VideoSid::Composition(sid) => client.delete_composition(self.account, sid).await?,
            };
            self.believe(&name, answer).await?;
            self.book.mark_deleted(&name);
            crash::point("erase.deleted");
            state = self.state(sid).await?;
        }
        match state {
            VideoCopyState::Present => Err(Trouble::NotYet(
                "the source does not report the recording as deleted yet",
            )),
            VideoCopyState::Deleted => {
                self.book.mark_deleted(&name);
                let metadata = residue::stated(name.0, ResidueKind::Metadata);
                self.book.mark_confirmed(&name, metadata);
                Ok(())
            }
            VideoCopyState::Gone => {
                self.must_open().await?;
                self.book.mark_deleted(&name);
                self.book.mark_confirmed(&name, None);
                Ok(())
            }
        }
    }

    async fn state(&self, sid: &VideoSid) -> Result<VideoCopyState, RestError> {
        let client = &self.deletion.twilio.client;
        match sid {
            VideoSid::Track(sid) => client.track_recording_state(self.account, sid).await,
            VideoSid::Composition(sid) => client.composition_state(self.account, sid).await,
        }
    }

    /// Deletes the compositions of a room that the vault has let go of, which their own work then
    /// finds deleted. Returns those that the vault does not collect: they are copies of a track that
    /// is shredded, made unasked by a hook.
    ///
    /// While one is being made, its tracks are needed.
    async fn compositions_of(&mut self, room: &RoomSid) -> Result<Vec<Stray>, Trouble> {
        let is_shredded = self.recording.state == RecordingState::Shredded;
        let is_collected = self.deletion.keeps(MediaKind::VideoComposition);
        let mut strays = Vec::new();
        for composition in self.listed(room).await? {
            if matches!(composition.status.as_str(), "enqueued" | "processing") {
                return Err(Trouble::NotYet("a composition of its room is being made"));
            }
            if !is_shredded || composition.status != "completed" {
                continue;
            }
            let object = composition.media_external_location.as_ref();
            let object = self.elsewhere(object.map(|address| address.expose()));
            let source = composition.source_ref(self.account.sid());
            let id = source.recording_id(self.deletion.vault.id());
            let known = recordings::find(&mut self.deletion.db.read().await?, id).await?;
            match known.map(|known| known.state) {
                // Only its own work can say what became of the object.
                Some(RecordingState::Shredded) if object.is_some() => {
                    return Err(Trouble::NotYet(
                        "a composition of its room is deleted first",
                    ));
                }
                Some(RecordingState::Shredded) => {
                    let client = &self.deletion.twilio.client;
                    let answer = client.delete_composition(self.account, &composition.sid);
                    let name = (CopyKind::Composition, composition.sid.to_string());
                    self.believe(&name, answer.await?).await?;
                }
                None if !is_collected => strays.push(Stray {
                    sid: VideoSid::Composition(composition.sid),
                    object,
                }),
                _ => {}
            }
        }
        Ok(strays)
    }

    async fn listed(&self, room: &RoomSid) -> Result<Vec<Composition>, RestError> {
        let client = &self.deletion.twilio.client;
        let mut pages = client.compositions_of(self.account, room);
        let mut all = Vec::new();
        while let Some(page) = pages.next(client, self.account).await? {
            all.extend(page.items);
        }
        Ok(all)
    }

    /// Removes the participant's identity at the source, if the recording is shredded and the vault
    /// has nothing more of theirs in the room. Until then, it names the owner of their tracks.
    async fn anonymize(&mut self, room: &RoomSid) -> Result<(), Trouble> {
        let Some(author) = &self.recording.author else {
            return Ok(());
        };
        let Some(participant) = participant_at(author) else {
            return Ok(());
        };
        let name = (CopyKind::Participant, participant.to_string());
        let is_shredded = self.recording.state == RecordingState::Shredded;
        if !is_shredded || self.book.is_confirmed(&name) {
            return Ok(());
        }
        let conversation = Conversation::Room(room.clone());
        let mut tx = self.deletion.db.read().await?;
        let is_due = recordings::is_all_of_author_shredded(&mut tx, &conversation, author).await?;
        drop(tx);
        if !is_due {
            return Ok(());
        }
        self.book.enter([name.clone()]).await?;
        let client = &self.deletion.twilio.client;
        match client
            .anonymize_participant(self.account, room, &participant)
            .await
        {
            Ok(()) => {}
            Err(RestError::NotFound) => self.must_open().await?,
            Err(RestError::Refused { .. }) => {
                return Err(Trouble::NotYet(
                    "Twilio removes an identity only once the room has ended",
                ));
            }
            Err(other) => return Err(other.into()),
        }
        self.book.mark_deleted(&name);
        self.book.mark_confirmed(&name, None);
        crash::point("erase.deleted");
        Ok(())
    }

    /// Converts the answer to a deletion. A resource that is gone counts as deleted if the answer
    /// can be trusted.
    async fn believe(&mut self, name: &CopyName, answer: Deletion) -> Result<(), Trouble> {
        match answer {
            Deletion::Deleted => Ok(()),
            Deletion::Gone => self.must_open().await,
            Deletion::NotYet => Err(self.book.not_deletable_yet(name)),
            Deletion::Refused { status, code } => Err(RestError::Refused { status, code }.into()),
        }
    }

    async fn must_open(&mut self) -> Result<(), Trouble> {
        if self.is_open {
            return Ok(());
        }
        match self.deletion.twilio.client.opens_video(self.account).await {
            Ok(()) => {
                self.is_open = true;
                Ok(())
            }
            Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                Err(Trouble::Stuck(format!(
                    "the credential does not open the recordings of Video of the account, so a 404 does not prove a deletion: {error}"
                )))
            }
            Err(other) => Err(other.into()),
        }
    }
}
