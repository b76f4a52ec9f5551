//! Comparison of the tracks and compositions that Twilio lists with those of the vault.
//!
//! Owns what is particular to Video: two lists, from which Twilio leaves out what is deleted, and
//! how an item is announced without a callback. Refuses to decide what a listed item needs (`step`).

use std::collections::HashSet;

use futures_util::future::try_join_all;

use super::{
    ReconcileFailure, Reconciliation,
    compare::Comparison,
    list::{ListWindow, ListedResource, Lister, Patience},
    step::{ReconcileAction, step},
};
use crate::{
    flow::{error::Error, ingest::videos},
    model::{
        id::RecordingId,
        media::{MediaKind, SourceRef},
        recording::Recording,
        sid::AccountSid,
        time::Timestamp,
    },
    twilio::{
        RestError,
        rest::VideoCopyState,
        video::{Composition, TrackRecording},
    },
};

/// The most announcements that share a commit.
const BATCH: usize = 200;

/// An item of one of the lists.
trait ListedVideo: ListedResource + Send + Sync {
    const KIND: MediaKind;

    fn source_ref(&self, account: &AccountSid) -> SourceRef;

    /// Its status, in the terms of recordings.
    fn status(&self) -> &str;

    async fn announce(
        &self,
        reconciliation: &Reconciliation,
        account: &AccountSid,
    ) -> Result<(), Error>;
}

impl ListedVideo for TrackRecording {
    const KIND: MediaKind = MediaKind::VideoTrack;

    fn source_ref(&self, account: &AccountSid) -> SourceRef {
        self.source_ref(account)
    }

    fn status(&self) -> &str {
        &self.status
    }

    async fn announce(
        &self,
        reconciliation: &Reconciliation,
        account: &AccountSid,
    ) -> Result<(), Error> {
        let videos = &reconciliation.videos;
        videos.announce_listed_track(account, self).await
    }
}

impl ListedVideo for Composition {
    const KIND: MediaKind = MediaKind::VideoComposition;

    fn source_ref(&self, account: &AccountSid) -> SourceRef {
        self.source_ref(account)
    }

    fn status(&self) -> &str {
        videos::status(self)
    }

    async fn announce(
        &self,
        reconciliation: &Reconciliation,
        account: &AccountSid,
    ) -> Result<(), Error> {
        let videos = &reconciliation.videos;
        videos.announce_listed_composition(account, self).await
    }
}

impl Reconciliation {
    /// Reads Twilio's lists of tracks and of compositions, as far as the policy in force keeps them.
    /// What is listed no longer waits to be.
    pub(super) async fn walk_videos(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
        waiting: &mut Vec<Recording>,
    ) -> Result<(), ReconcileFailure> {
        self.walk_kind::<TrackRecording>(comparison, since, waiting)
            .await?;
        self.walk_kind::<Composition>(comparison, since, waiting)
            .await
    }

    async fn walk_kind<L: ListedVideo>(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
        waiting: &mut Vec<Recording>,
    ) -> Result<(), ReconcileFailure> {
        if !self.videos.keeps(L::KIND) {
            return Ok(());
        }
        let window = ListWindow {
            since,
            until: None,
            with_deleted: false,
        };
        let mut list: Lister<'_, L> = Lister::of(&self.twilio.client, comparison.account, window);
        while let Some(page) = list.next().await? {
            let listed: HashSet<&str> = page.iter().map(L::sid).collect();
            waiting.retain(|recording| !listed.contains(recording.source_ref.sid()));
            self.compare_videos(comparison, &page).await?;
        }
        Ok(())
    }

    async fn compare_videos<L: ListedVideo>(
        &self,
        comparison: &mut Comparison<'_>,
        page: &[L],
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account.sid();
        let vault = self.vault.id();
        let ids: Vec<RecordingId> = page
            .iter()
            .map(|listed| listed.source_ref(account).recording_id(vault))
            .collect();
        let known = comparison.known(&ids).await?;
        let terms = comparison.terms();
        let mut tell = Vec::new();
        let mut fetch = Vec::new();
        let mut erase = Vec::new();
        for (listed, id) in page.iter().zip(ids) {
            let step = step(listed.status(), known.of(id), terms);
            comparison.found.note_told_once(id, L::KIND, step, true);
            comparison.would(id, step);
            match step {
                ReconcileAction::Nothing | ReconcileAction::Ghost => {}
                ReconcileAction::Announce | ReconcileAction::Advance => tell.push(listed),
                ReconcileAction::Fetch => fetch.push(id),
                ReconcileAction::Erase => erase.push(id),
            }
        }
        if comparison.is_dry() {
            return Ok(());
        }
        for some in tell.chunks(BATCH) {
            let told = some.iter().map(|listed| listed.announce(self, account));
            try_join_all(told).await?;
        }
        Ok(comparison.enqueue(&fetch, &[], &erase).await?)
    }

    /// Queries Twilio for a track or composition that its lists do not contain.
    pub(super) async fn ask_for_video(
        &self,
        comparison: &mut Comparison<'_>,
        recording: &Recording,
    ) -> Result<(), ReconcileFailure> {
        let mut patience = Patience::default();
        loop {
            match self.video_state(comparison, recording).await {
                Ok(Some(VideoCopyState::Deleted | VideoCopyState::Gone)) => {
                    comparison.found.ghost(recording.id);
                    return Ok(());
                }
                Ok(Some(VideoCopyState::Present) | None) => return Ok(()),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    async fn video_state(
        &self,
        comparison: &Comparison<'_>,
        recording: &Recording,
    ) -> Result<Option<VideoCopyState>, RestError> {
        let client = &self.twilio.client;
        let (account, sid) = (comparison.account, recording.source_ref.sid());
        Ok(match recording.kind() {
            MediaKind::VideoTrack => match sid.parse() {
                Ok(sid) => Some(client.track_recording_state(account, &sid).await?),
                Err(_) => None,
            },
            MediaKind::VideoComposition => match sid.parse() {
                Ok(sid) => Some(client.composition_state(account, &sid).await?),
                Err(_) => None,
            },
            _ => None,
        })
    }
}
