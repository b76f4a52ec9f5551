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
    },
    twilio::{
        Account, RestError, TwilioClient,
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

    /// Its length in seconds and its size in bytes, as far as they are told.
    fn extent(&self) -> (Option<i64>, Option<u64>);

    /// Fetches the item of a recording; `None` if its id is of another kind.
    async fn fetch(
        client: &TwilioClient,
        account: &Account,
        sid: &str,
    ) -> Result<Option<Self>, RestError>
    where
        Self: Sized;

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

    fn extent(&self) -> (Option<i64>, Option<u64>) {
        (self.duration_s, self.size)
    }

    async fn fetch(
        client: &TwilioClient,
        account: &Account,
        sid: &str,
    ) -> Result<Option<Self>, RestError> {
        match sid.parse() {
            Ok(sid) => client.track_recording(account, &sid).await.map(Some),
            Err(_) => Ok(None),
        }
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

    fn extent(&self) -> (Option<i64>, Option<u64>) {
        (self.duration_s, self.size)
    }

    async fn fetch(
        client: &TwilioClient,
        account: &Account,
        sid: &str,
    ) -> Result<Option<Self>, RestError> {
        match sid.parse() {
            Ok(sid) => client.composition(account, &sid).await.map(Some),
            Err(_) => Ok(None),
        }
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
    /// Reads Twilio's list of tracks or of compositions. What is listed no longer waits to be.
    pub(super) async fn walk_videos(
        &self,
        comparison: &mut Comparison<'_>,
        kind: MediaKind,
        window: ListWindow,
        waiting: &mut Vec<Recording>,
    ) -> Result<(), ReconcileFailure> {
        match kind {
            MediaKind::VideoTrack => {
                self.walk_list::<TrackRecording>(comparison, window, waiting)
                    .await
            }
            MediaKind::VideoComposition => {
                self.walk_list::<Composition>(comparison, window, waiting)
                    .await
            }
            MediaKind::CallAudio | MediaKind::Message | MediaKind::ChatMessage => Ok(()),
        }
    }

    async fn walk_list<L: ListedVideo>(
        &self,
        comparison: &mut Comparison<'_>,
        window: ListWindow,
        waiting: &mut Vec<Recording>,
    ) -> Result<(), ReconcileFailure> {
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
            comparison.found.weigh_film(step, listed.extent());
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
        match recording.kind() {
            MediaKind::VideoTrack => self.ask_for::<TrackRecording>(comparison, recording).await,
            MediaKind::VideoComposition => self.ask_for::<Composition>(comparison, recording).await,
            MediaKind::CallAudio | MediaKind::Message | MediaKind::ChatMessage => Ok(()),
        }
    }

    async fn ask_for<L: ListedVideo>(
        &self,
        comparison: &mut Comparison<'_>,
        recording: &Recording,
    ) -> Result<(), ReconcileFailure> {
        let mut patience = Patience::default();
        loop {
            let client = &self.twilio.client;
            let sid = recording.source_ref.sid();
            match L::fetch(client, comparison.account, sid).await {
                // A deleted one is a ghost, too.
                Ok(Some(found)) => {
                    return self
                        .compare_videos(comparison, std::slice::from_ref(&found))
                        .await;
                }
                Ok(None) => return Ok(()),
                Err(RestError::NotFound) => {
                    comparison.found.ghost(recording.id);
                    return Ok(());
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }
}
