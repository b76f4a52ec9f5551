//! The work loop: processes due work in lanes, and gives back what was not completed.
//!
//! Owns the lanes, their slots and the leases while work runs. `retry.rs` decides when work is
//! retried. Refuses to know what the work is about: each kind has its performer.
//!
//! INVARIANTS
//! - Each kind of work belongs to one lane at most, and each lane has slots of its own, so that no
//!   lane delays another.
//! - Work runs under a lease that is extended meanwhile. When the lease is lost, the work is
//!   dropped.
//! - A panic costs one attempt of one piece of work.

mod lane;

use std::{panic::AssertUnwindSafe, str::FromStr, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::lane::Lane;
use super::{
    erase::SourceDeletion,
    erasure::{revocation::Revocations, shredding::Shredding},
    error::Error,
    ingest::{
        fetched::Fetched,
        fetching::Fetching,
        messages::{chats::read::ChatReading, files::FileFetching, notice::Notices},
        sessions::SessionReading,
    },
    liveness::{Liveness, Task},
    patience::WorkSettings,
    queue::WorkQueue,
    retry::Setback,
    transcription::{Transcription, source::TranscriptSource},
    wakeups::Wakeups,
};
use crate::{
    db::work::{Lease, WorkKind},
    model::id::RecordingId,
};

/// The use cases that perform each kind of work.
pub(super) struct Performers {
    /// Fetches recordings.
    pub(super) fetching: Fetching,
    /// Fetches files of messages.
    pub(super) files: FileFetching,
    /// Reads participants of chats.
    pub(super) chats: ChatReading,
    /// Reads participants of sessions.
    pub(super) sessions: SessionReading,
    /// Deletes copies at the source.
    pub(super) deletion: SourceDeletion,
    /// Deletes ciphertext after a shred.
    pub(super) shredding: Arc<Shredding>,
    /// Fetches and files announced transcripts.
    pub(super) transcription: Transcription,
    /// Polls Twilio for transcripts without a callback.
    pub(super) transcript_source: Arc<TranscriptSource>,
    /// Tells people that messages are kept.
    pub(super) notices: Notices,
    /// Processes revocations.
    pub(super) revocations: Arc<Revocations>,
}

/// Leases due work and has it performed.
pub struct Worker {
    settings: WorkSettings,
    liveness: Liveness,
    wakeups: Wakeups,
    queue: Arc<WorkQueue>,
    performers: Performers,
}

impl Worker {
    pub(in crate::flow) fn new(
        settings: WorkSettings,
        liveness: Liveness,
        wakeups: Wakeups,
        queue: Arc<WorkQueue>,
        performers: Performers,
    ) -> Self {
        Self {
            settings,
            liveness,
            wakeups,
            queue,
            performers,
        }
    }

    /// Runs the loop until `stop`; then takes no new work and lets running work finish or, after
    /// `grace`, aborts it.
    pub async fn work(self: Arc<Self>, stop: CancellationToken, grace: Duration) {
        let lanes =
            Lane::ALL.map(|lane| (lane, Arc::new(Semaphore::new(lane.places(&self.settings)))));
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Work);
            let due = self.due(&lanes).await;
            for (lane, places) in &lanes {
                let free = places.available_permits();
                if free == 0 || !lane.kinds().iter().any(|kind| due.contains(kind)) {
                    continue;
                }
                let leased = self.queue.lease_due(lane.kinds(), free).await;
                let leases = leased.unwrap_or_else(|error| {
                    tracing::warn!(lane = lane.as_str(), %error, "work cannot be leased");
                    Vec::new()
                });
                for lease in leases {
                    let place = Arc::clone(places).try_acquire_owned().ok();
                    let worker = Arc::clone(&self);
                    let stop = stop.clone();
                    running.spawn(async move {
                        worker.perform_until(lease, &stop).await;
                        drop(place);
                    });
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // A free slot, new work, or the interval at which work of other processes is
                // noticed.
                Some(_) = running.join_next(), if !running.is_empty() => while running.try_join_next().is_some() {},
                () = self.wakeups.work.notified(), if lanes.iter().any(|(_, places)| places.available_permits() > 0) => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        let _ = tokio::time::timeout(grace, async {
            while running.join_next().await.is_some() {}
        })
        .await;
        running.shutdown().await;
    }

    /// Returns the kinds of work that are due, of lanes with a free slot: one query for all of
    /// them.
    async fn due(&self, lanes: &[(Lane, Arc<Semaphore>)]) -> Vec<WorkKind> {
        let kinds: Vec<WorkKind> = lanes
            .iter()
            .filter(|(_, places)| places.available_permits() > 0)
            .flat_map(|(lane, _)| lane.kinds().iter().copied())
            .collect();
        self.queue.due(&kinds).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "due work cannot be looked up");
            Vec::new()
        })
    }

    /// Does all work that is due now, one piece after another, and returns the number of pieces;
    /// for tests and the demo, which do not wait. Due transcripts are filed as well, and not
    /// counted; revocations are left to [`Revocations::continue_all`].
    ///
    /// # Errors
    /// Any database error.
    pub async fn work_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            // One at a time, in the order of lanes: the first may change what the second needs.
            let mut leases = self.queue.lease(Lane::Media.kinds(), 1).await?;
            for lane in [Lane::Chats, Lane::Source] {
                if leases.is_empty() {
                    leases = self.queue.lease(lane.kinds(), 1).await?;
                }
            }
            if leases.is_empty() {
                // A transcript that arrived before its recording may have enqueued the fetch, and
                // one may find that its recording is shredded.
                if self.transcribe_off().await? > 0 {
                    continue;
                }
                return Ok(done);
            }
            for lease in leases {
                self.perform(lease).await;
                done += 1;
            }
        }
    }

    /// Files all transcripts that are due now, for tests and the demo, which do not wait. Returns
    /// the number of attempts.
    ///
    /// # Errors
    /// Any database error.
    pub async fn transcribe_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let lane = Lane::Transcripts;
            let places = lane.places(&self.settings);
            let leases = self.queue.lease(lane.kinds(), places).await?;
            if leases.is_empty() {
                return Ok(done);
            }
            done += leases.len();
            let attempts = leases.into_iter().map(|lease| self.perform(lease));
            futures_util::future::join_all(attempts).await;
        }
    }

    /// Like [`Self::perform`], but drops a revocation when the service stops: it may take hours and
    /// resumes at any page.
    async fn perform_until(&self, lease: Lease<String>, stop: &CancellationToken) {
        let is_left = lease.kind == WorkKind::Revocation;
        tokio::select! {
            () = stop.cancelled(), if is_left => {}
            () = self.perform(lease) => {}
        }
    }

    /// Does a piece of work, or gives it back.
    async fn perform(&self, lease: Lease<String>) {
        let lease = &lease;
        let outcome = tokio::select! {
            outcome = caught(self.attempt(lease)) => outcome,
            () = self.queue.keep(lease) => Err(Setback::Lost("the lease was lost".to_owned())),
        };
        if let Err(setback) = outcome {
            self.queue.give_back(lease, &setback).await;
        }
    }

    /// Each performer's future is on the heap: together they would be too large for the stack.
    fn attempt<'a>(&'a self, lease: &'a Lease<String>) -> BoxFuture<'a, Result<(), Setback>> {
        let performers = &self.performers;
        match lease.kind {
            WorkKind::FetchMedia => Box::pin(async move { self.fetch(&typed(lease)?).await }),
            WorkKind::FetchFiles => Box::pin(async move {
                let fetched = performers.files.fetch(&typed(lease)?).await;
                fetched.map_err(|failure| failure.into_setback(&self.settings))
            }),
            WorkKind::ReadChat => Box::pin(async move {
                let read = performers.chats.read(&typed(lease)?).await;
                read.map_err(|failure| failure.into_setback(&self.settings))
            }),
            WorkKind::ReadSession => Box::pin(async move {
                let read = performers.sessions.read(&typed(lease)?).await;
                read.map_err(|failure| failure.into_setback(&self.settings))
            }),
            WorkKind::DeleteCiphertext => Box::pin(async move {
                let removed = performers.shredding.remove(&typed(lease)?).await;
                removed.map_err(|error| Setback::of_ours(&error))
            }),
            WorkKind::DeleteAtSource => {
                Box::pin(async move { performers.deletion.erase(&typed(lease)?).await })
            }
            WorkKind::FetchTranscript => {
                Box::pin(async move { performers.transcription.attempt(typed(lease)?).await })
            }
            WorkKind::PollTranscripts => {
                Box::pin(async move { performers.transcript_source.poll(&typed(lease)?).await })
            }
            WorkKind::SendNotice => {
                Box::pin(async move { performers.notices.perform(&typed(lease)?).await })
            }
            WorkKind::Revocation => {
                Box::pin(async move { performers.revocations.attempt(&typed(lease)?).await })
            }
            WorkKind::Comparison | WorkKind::EpochTurn => Box::pin(async {
                let why = "no lane processes this kind of work".to_owned();
                Err(Setback::Lost(why))
            }),
        }
    }

    async fn fetch(&self, lease: &Lease<RecordingId>) -> Result<(), Setback> {
        match self.performers.fetching.fetch(lease).await {
            Ok(Fetched::Sealed | Fetched::LetGo) => Ok(()),
            Ok(Fetched::Nothing) => {
                let dropped = self.queue.drop_work(lease).await;
                dropped.map_err(|error| Setback::of_ours(&error))
            }
            Err(failure) => Err(failure.into_setback(&self.settings)),
        }
    }
}

/// Catches a panic, which costs this attempt only: the work is retried like any other failure, and
/// the loop and its slot continue.
async fn caught(attempt: impl Future<Output = Result<(), Setback>>) -> Result<(), Setback> {
    let caught = AssertUnwindSafe(attempt).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        Err(Setback::Passing(
            "the work panicked; the log names the place".to_owned(),
        ))
    })
}

/// Parses the subject of the lease; an unreadable row waits for an operator.
fn typed<K: FromStr>(lease: &Lease<String>) -> Result<Lease<K>, Setback> {
    lease
        .parsed()
        .map_err(|error| Setback::Stuck(error.to_string()))
}

#[cfg(test)]
mod tests;
