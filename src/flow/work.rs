//! The loop of work: does what is due in lanes, and gives back what was not done.
//!
//! Owns the lanes, their places and the leases while work is done. When something is tried again is
//! judged in `retry.rs`. Refuses to know what the work is about: each kind has its performer.
//!
//! INVARIANTS
//! - Each kind of work belongs to one lane at most, and each lane has places of its own: nobody
//!   stands in the line of another lane.
//! - Whatever is done is done under a lease that is kept while it runs. When the lease is lost, what
//!   runs is dropped.
//! - A panic costs one attempt of one piece of work.

mod lane;

use std::{panic::AssertUnwindSafe, str::FromStr, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::lane::Lane;
use super::{
    bells::Bells,
    erase::SourceDeletion,
    erasure::{revocation::Revocations, shredding::Shredding},
    error::Error,
    ingest::fetching::{Fetched, Fetching},
    liveness::{Liveness, Task},
    patience::WorkSettings,
    queue::WorkQueue,
    retry::Setback,
    transcription::{Transcription, source::TranscriptSource},
};
use crate::{
    db::work::{Lease, WorkKind},
    model::id::RecordingId,
};

/// Who does the work of each kind.
pub(super) struct Performers {
    /// What is fetched.
    pub(super) fetching: Fetching,
    /// What is deleted at the source.
    pub(super) deletion: SourceDeletion,
    /// What is removed after a shred.
    pub(super) shredding: Arc<Shredding>,
    /// What was said.
    pub(super) transcription: Transcription,
    /// What was said and nobody told of.
    pub(super) transcript_source: Arc<TranscriptSource>,
    /// What somebody takes back.
    pub(super) revocations: Arc<Revocations>,
}

/// Takes due work and has it done.
pub struct Worker {
    settings: WorkSettings,
    liveness: Liveness,
    bells: Bells,
    queue: Arc<WorkQueue>,
    performers: Performers,
}

impl Worker {
    pub(in crate::flow) fn new(
        settings: WorkSettings,
        liveness: Liveness,
        bells: Bells,
        queue: Arc<WorkQueue>,
        performers: Performers,
    ) -> Self {
        Self {
            settings,
            liveness,
            bells,
            queue,
            performers,
        }
    }

    /// Runs the loop until `stop`; then takes no new work and lets running work end or, after
    /// `grace`, gives it back.
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
                // A free place, new work, or the pace at which work of other processes is noticed.
                Some(_) = running.join_next(), if !running.is_empty() => while running.try_join_next().is_some() {},
                () = self.bells.work.notified(), if lanes.iter().any(|(_, places)| places.available_permits() > 0) => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        let _ = tokio::time::timeout(grace, async {
            while running.join_next().await.is_some() {}
        })
        .await;
        running.shutdown().await;
    }

    /// The kinds of work that are due, of lanes that have a free place: one look for all of them.
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

    /// Does all work that is due now, one piece after another, and returns how many pieces; for
    /// tests and the demo, which do not wait. Transcripts that are due are filed as well, and not
    /// counted; revocations are left to [`Revocations::continue_all`].
    ///
    /// # Errors
    /// The database's.
    pub async fn work_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            // One at a time, in the order of lanes: what is asked for by the first may change the
            // second.
            let mut leases = self.queue.lease(Lane::Media.kinds(), 1).await?;
            if leases.is_empty() {
                leases = self.queue.lease(Lane::Source.kinds(), 1).await?;
            }
            if leases.is_empty() {
                // One that came before its recording may have enqueued its fetch, and the shred of
                // a recording is found out by one.
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

    /// Files everything that is due now; for tests and the demo, which do not wait. How many
    /// attempts that took.
    ///
    /// # Errors
    /// The database's.
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

    /// As [`Self::perform`]; a revocation, which may take for hours and goes on from any page, is
    /// left at once when the service stops.
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

    /// Each kind's performer on the heap: together they would be too much for a stack.
    fn attempt<'a>(&'a self, lease: &'a Lease<String>) -> BoxFuture<'a, Result<(), Setback>> {
        let performers = &self.performers;
        match lease.kind {
            WorkKind::FetchMedia => Box::pin(async move { self.fetch(&typed(lease)?).await }),
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

/// A panic costs this attempt only: the work is tried again like any other that failed, and the
/// loop and its place go on.
async fn caught(attempt: impl Future<Output = Result<(), Setback>>) -> Result<(), Setback> {
    let caught = AssertUnwindSafe(attempt).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        Err(Setback::Passing(
            "the work panicked; the log names the place".to_owned(),
        ))
    })
}

/// What the lease is about; a row that says nothing that can be read waits for somebody.
fn typed<K: FromStr>(lease: &Lease<String>) -> Result<Lease<K>, Setback> {
    lease
        .parsed()
        .map_err(|error| Setback::Stuck(error.to_string()))
}

#[cfg(test)]
mod tests;
