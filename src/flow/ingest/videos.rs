//! Tracks and compositions of Video: announced by the callbacks of rooms and by the source's lists.
//!
//! Owns what is announced, and who is named in a room. Refuses to know how a file is fetched and
//! sealed: that is done as for calls (`fetching`). A track belongs to its publisher, a composition
//! to everybody in its room.

use std::{sync::Arc, time::Duration};

use super::parties::PartyLookup;
use crate::{
    db::accept::{Acceptor, Announcement},
    flow::{error::Error, wakeups::Wakeups},
    model::{
        details::Participant,
        media::{MediaKind, SourceRef},
        name::LegName,
        recording::DiscoveredBy,
        sid::{AccountSid, RoomParticipantSid, RoomSid},
        subject::Conversation,
        time::Timestamp,
    },
    policy::{ClassificationFacts, Rulebook},
    twilio::{
        CallbackParties, PersonalText, VideoCallback,
        video::{Composition, RoomEventKind, TrackKind, TrackRecording, VideoEvent, person, place},
    },
    vault::Vault,
};

/// The kinds of recordings that a room makes.
const KINDS: [MediaKind; 2] = [MediaKind::VideoTrack, MediaKind::VideoComposition];

/// Announces tracks and compositions.
pub struct VideoIntake {
    vault: Vault,
    rulebook: Arc<Rulebook>,
    wakeups: Wakeups,
    lookup: Arc<PartyLookup>,
    acceptor: Acceptor,
}

impl VideoIntake {
    pub(in crate::flow) fn new(
        vault: Vault,
        rulebook: Arc<Rulebook>,
        wakeups: Wakeups,
        lookup: Arc<PartyLookup>,
        acceptor: Acceptor,
    ) -> Self {
        Self {
            vault,
            rulebook,
            wakeups,
            lookup,
            acceptor,
        }
    }

    /// Makes a verified callback of a room durable, as far as the policy in force keeps what it
    /// tells of. Its participant is named first, so that the fetch knows them; if that fails, they
    /// are looked up later.
    ///
    /// # Errors
    /// [`crate::db::Error::Unavailable`] inside: it is not durable, and the source should send it
    /// again.
    pub async fn accept(&self, callback: &VideoCallback) -> Result<(), Error> {
        let account = &callback.account;
        let told = Told {
            heard_by: DiscoveredBy::Callback,
            query: &callback.query,
            at: callback.at,
        };
        match &callback.event {
            VideoEvent::Track(track) => self.announce_track(account, track, &told).await,
            VideoEvent::Composition(event) => match &event.composition {
                Some(composition) => self.announce_composition(account, composition, &told).await,
                None => Ok(()),
            },
            VideoEvent::Room(event) => {
                let is_arrival = event.kind == RoomEventKind::ParticipantConnected;
                let is_kept = KINDS.into_iter().any(|kind| self.keeps(kind));
                if let Some(participant) = event.participant.as_ref().filter(|_| is_arrival)
                    && is_kept
                {
                    let identity = event.identity.as_ref();
                    self.name(account, &event.room, participant, identity).await;
                }
                Ok(())
            }
            VideoEvent::Other => Ok(()),
        }
    }

    /// Whether the policy in force keeps recordings of this kind.
    pub(in crate::flow) fn keeps(&self, kind: MediaKind) -> bool {
        self.rulebook.current().keeps(kind)
    }

    /// Announces a track that the source lists and no callback told of.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub(in crate::flow) async fn announce_listed_track(
        &self,
        account: &AccountSid,
        track: &TrackRecording,
    ) -> Result<(), Error> {
        self.announce_track(account, track, &Told::BY_LIST).await
    }

    /// Announces a composition that the source lists and no callback told of.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub(in crate::flow) async fn announce_listed_composition(
        &self,
        account: &AccountSid,
        composition: &Composition,
    ) -> Result<(), Error> {
        self.announce_composition(account, composition, &Told::BY_LIST)
            .await
    }

    async fn announce_track(
        &self,
        account: &AccountSid,
        track: &TrackRecording,
        told: &Told<'_>,
    ) -> Result<(), Error> {
        if !self.keeps(MediaKind::VideoTrack) {
            return Ok(());
        }
        if let Some(participant) = &track.participant {
            let identity = track.identity.as_ref();
            self.name(account, &track.room, participant, identity).await;
        }
        let source = track.kind.map(|kind| match kind {
            TrackKind::Audio => "audio",
            TrackKind::Video => "video",
        });
        let facts = Facts {
            source_ref: track.source_ref(account),
            room: &track.room,
            author: track.participant.as_ref().map(place),
            source,
            status: &track.status,
            duration_s: track.duration_s,
            began: track.created_at.or_else(|| began(track, told.at)),
        };
        self.announce(facts, told).await
    }

    async fn announce_composition(
        &self,
        account: &AccountSid,
        composition: &Composition,
        told: &Told<'_>,
    ) -> Result<(), Error> {
        if !self.keeps(MediaKind::VideoComposition) {
            return Ok(());
        }
        let facts = Facts {
            source_ref: composition.source_ref(account),
            room: &composition.room,
            author: None,
            source: None,
            status: status(composition),
            duration_s: composition.duration_s,
            // Before its fetch it is dated back to the beginning of its room.
            began: composition.created_at.or(told.at),
        };
        self.announce(facts, told).await
    }

    async fn announce(&self, facts: Facts<'_>, told: &Told<'_>) -> Result<(), Error> {
        let rules = self.rulebook.current();
        let tier = rules.classify(&ClassificationFacts {
            account: facts.source_ref.account(),
            source: facts.source,
            conference: false,
            parameters: told.query,
        });
        let announcement = Announcement {
            id: facts.source_ref.recording_id(self.vault.id()),
            source_ref: facts.source_ref,
            call: None,
            conference: None,
            thread: Some(Conversation::Room(facts.room.clone())),
            author: facts.author,
            files: 0,
            source: facts.source.map(str::to_owned),
            source_status: facts.status.to_owned(),
            error_code: None,
            duration_s: facts.duration_s,
            channels: None,
            tier: tier.clone(),
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            started_at: facts.began.map(Timestamp::as_millis),
            labels: rules.labels(told.query),
            heard_by: told.heard_by,
            encryption: None,
        };
        self.acceptor.accept(announcement).await?;
        self.wakeups.work.notify_one();
        Ok(())
    }

    async fn name(
        &self,
        account: &AccountSid,
        room: &RoomSid,
        participant: &RoomParticipantSid,
        identity: Option<&PersonalText>,
    ) {
        let told: Vec<Participant> = vec![person(participant, identity)];
        let parties = CallbackParties {
            conversation: Conversation::Room(room.clone()),
            parties: told,
        };
        self.lookup.name_told(account, Some(parties)).await;
    }
}

/// How the source told.
struct Told<'a> {
    heard_by: DiscoveredBy,
    query: &'a [(String, String)],
    /// When it happened.
    at: Option<Timestamp>,
}

impl Told<'_> {
    const BY_LIST: Self = Self {
        heard_by: DiscoveredBy::Reconcile,
        query: &[],
        at: None,
    };
}

/// What the source told, of either kind.
struct Facts<'a> {
    source_ref: SourceRef,
    room: &'a RoomSid,
    author: Option<LegName>,
    source: Option<&'static str>,
    status: &'a str,
    duration_s: Option<i64>,
    began: Option<Timestamp>,
}

/// Returns when a track began, as far as a callback tells: its end tells how long it is.
fn began(track: &TrackRecording, at: Option<Timestamp>) -> Option<Timestamp> {
    let seconds = track.duration_s.and_then(|seconds| seconds.try_into().ok());
    Some(at?.before(Duration::from_secs(seconds.unwrap_or(0))))
}

/// Returns the status of a composition in the terms of recordings; a callback has an event instead.
pub(in crate::flow) fn status(composition: &Composition) -> &str {
    match composition.status.as_str() {
        "available" | "completed" => "completed",
        "enqueued" | "started" | "progress" | "processing" => "processing",
        other => other,
    }
}
