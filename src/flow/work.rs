//! The loop of work: leases what is due, does it in lanes, and gives back what was not done.
//!
//! Owns the lanes, their places and the leases while work is done. When something is tried again is
//! judged in `retry.rs`. Refuses to know what the work is about: each kind has its handler.
//!
//! INVARIANTS
//! - Each kind of work belongs to one lane at most, and each lane has places of its own: nobody stands
//!   in the line of another lane.
//! - Whatever is done is done under a lease that is kept while it runs. When the lease is lost, what
//!   runs is dropped.
//! - A panic costs one attempt of one piece of work.

mod lane;

use std::{fmt::Display, panic::AssertUnwindSafe, str::FromStr, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::lane::Lane;
use super::{
    Error, Flow, Swept, Task,
    ingest::Fetched,
    retry::{self, AsSetback, RetryDecision, Setback},
};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, Term, Unit,
        transcripts::{self, LeasedTranscript},
        work::{self, Lease, WorkKind},
    },
    model::id::{HolderId, RecordingId, RevocationId},
};

/// `[work]`: how many pieces of work at once, and how patient.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Recordings fetched at once, 1 to 256. Each takes up to 20 MiB of memory. A quarter as many
    /// are deleted at the source beside them.
    pub concurrency: u16,
    /// Seconds that work belongs to a worker that does not say it is still at it.
    pub lease_s: u32,
    /// Attempts before work is set aside as dead.
    pub attempts: u16,
    /// Seconds for which "not there yet" is believed before it counts as an error.
    pub not_yet_s: u32,
    /// Longest pause between two attempts, in seconds.
    pub max_backoff_s: u32,
    /// Hours after which ciphertext that no recording owns is removed.
    pub orphans_h: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            lease_s: 60,
            attempts: 12,
            not_yet_s: 1800,
            max_backoff_s: 900,
            orphans_h: 24,
        }
    }
}

/// No lease and no pause is longer than this, unless the settings say so.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why an attempt did not do its work.
pub(super) struct Failed {
    setback: Setback,
    /// What was found out about the transcript that it is about.
    transcript: Option<Box<LeasedTranscript>>,
}

impl From<Setback> for Failed {
    fn from(setback: Setback) -> Self {
        Self {
            setback,
            transcript: None,
        }
    }
}

impl Failed {
    /// The same of a transcript.
    pub(super) fn of(transcript: LeasedTranscript, setback: Setback) -> Self {
        Self {
            setback,
            transcript: Some(Box::new(transcript)),
        }
    }
}

impl Flow {
    /// Runs the loop until `stop`; then takes no new work and lets running work end or, after
    /// `grace`, gives it back.
    pub async fn work(self, stop: CancellationToken, grace: Duration) {
        let lanes = Lane::ALL.map(|lane| {
            (
                lane,
                Arc::new(Semaphore::new(lane.places(&self.0.settings))),
            )
        });
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            self.beat(Task::Work);
            for (lane, places) in &lanes {
                let leased = self.lease(*lane, places.available_permits()).await;
                let leases = leased.unwrap_or_else(|error| {
                    tracing::warn!(?lane, %error, "no work can be leased");
                    Vec::new()
                });
                for lease in leases {
                    let place = Arc::clone(places).try_acquire_owned().ok();
                    let flow = self.clone();
                    let stop = stop.clone();
                    running.spawn(async move {
                        flow.perform_until(lease, &stop).await;
                        drop(place);
                    });
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // A free place, new work, or the pace at which work of other processes is noticed.
                Some(_) = running.join_next(), if !running.is_empty() => while running.try_join_next().is_some() {},
                () = self.0.bell.notified(), if lanes.iter().any(|(_, places)| places.available_permits() > 0) => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        let _ = tokio::time::timeout(grace, async {
            while running.join_next().await.is_some() {}
        })
        .await;
        running.shutdown().await;
    }

    /// Sweeps once an hour.
    pub async fn sweep_hourly(self, stop: CancellationToken) {
        let age = Duration::from_secs(u64::from(self.0.settings.orphans_h.max(1)) * 3600);
        while !stop.is_cancelled() {
            match self.sweep(age).await {
                Ok(Swept {
                    orphans,
                    uploads,
                    grants,
                    unconsented,
                    retired,
                }) => {
                    tracing::info!(orphans, uploads, grants, unconsented, retired, "swept");
                }
                Err(error) => tracing::warn!(%error, "the sweep was cut short"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
            }
        }
    }

    /// Does all work that is due now, one piece after another, and returns how many pieces; for
    /// tests and the demo, which do not wait. Transcripts that are due are filed as well, and not
    /// counted; revocations are left to [`Self::continue_revocations`].
    ///
    /// # Errors
    /// The ledger's.
    pub async fn work_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            // One at a time, in the order of lanes: what is asked for by the first may change the
            // second.
            let mut leases = self.lease(Lane::Media, 1).await?;
            if leases.is_empty() {
                leases = self.lease(Lane::Source, 1).await?;
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
    /// The ledger's.
    pub async fn transcribe_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let places = Lane::Transcripts.places(&self.0.settings);
            let leases = self.lease(Lane::Transcripts, places).await?;
            if leases.is_empty() {
                return Ok(done);
            }
            done += leases.len();
            let attempts = leases.into_iter().map(|lease| self.perform(lease));
            futures_util::future::join_all(attempts).await;
        }
    }

    /// Leases up to `limit` pieces of due work of a lane.
    async fn lease(&self, lane: Lane, limit: usize) -> Result<Vec<Lease<String>>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let holder = HolderId::random(&mut rand::rng());
        let mut looking = self.0.ledger.read().await?;
        // Asking costs a write; looking does not.
        let term = self.term(&mut looking).await?;
        let due = work::due(&mut looking, lane.kinds(), term).await?;
        drop(looking);
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let leased = self.0.ledger.unit("work.lease", async |mut unit| {
            unit.without_entry("whose the work is");
            let term = self.term(&mut unit).await?;
            work::lease(&mut unit, lane.kinds(), holder, term, limit).await
        });
        Ok(leased.await?)
    }

    /// Leases the revocation that is due for longest, if one is.
    pub(super) async fn lease_revocation(&self) -> Result<Option<Lease<RevocationId>>, Error> {
        let leases = self.lease(Lane::Revocations, 1).await?;
        let lease = leases.into_iter().next();
        Ok(lease.map(|lease| lease.parsed()).transpose()?)
    }

    fn lease_length(&self) -> Duration {
        Duration::from_secs(self.0.settings.lease_s.max(5).into())
    }

    /// The longest that anything honest lasts here.
    fn longest(&self) -> Duration {
        self.lease_length()
            .max(LONGEST)
            .max(Duration::from_secs(self.0.settings.max_backoff_s.into()))
    }

    /// A term of a lease on work that begins now.
    pub(super) async fn term(&self, tx: &mut ledger::Tx) -> Result<Term, ledger::Error> {
        let term = Term::begin(tx, self.lease_length()).await?;
        Ok(term.believing(self.longest()))
    }

    /// Makes due what a clock that was ahead, and is not any more, has put off for longer than
    /// anything honest lasts.
    ///
    /// # Errors
    /// The ledger's.
    pub(super) async fn free_strays(&self) -> Result<(), Error> {
        let freed = self.0.ledger.unit("work.free_strays", async |mut unit| {
            unit.without_entry("when work is due");
            let term = Term::begin(&mut unit, self.longest()).await?;
            work::free_strays(&mut unit, term).await
        });
        let freed = freed.await?;
        if freed > 0 {
            tracing::warn!(
                freed,
                "a clock that was ahead had put work off; it is due now"
            );
        }
        Ok(())
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
            () = self.keep(lease) => Err(Setback::Lost("the lease was lost".to_owned()).into()),
        };
        let Err(failed) = outcome else { return };
        let transcript = failed.transcript.as_deref();
        self.give_back(lease, transcript, &failed.setback).await;
    }

    /// Gives work back that was not done.
    pub(super) async fn give_back<K: Display + Sync>(
        &self,
        lease: &Lease<K>,
        transcript: Option<&LeasedTranscript>,
        setback: &Setback,
    ) {
        let decision = self.decided(lease, setback).await;
        let why = setback.reason(decision);
        let kind = lease.kind.as_str();
        let subject = lease.subject.to_string();
        let attempt = lease.attempts;
        if retry::is_usual(lease.kind, setback) {
            tracing::info!(kind, subject, attempt, ?decision, why, "work was not done");
        } else {
            tracing::warn!(kind, subject, attempt, ?decision, why, "work was not done");
        }
        let put_back = self.put_back(lease, transcript, decision, &why).await;
        // It was done all the same, or somebody else has it.
        if let Err(error) = put_back.or_else(unless_lost) {
            // The lease runs out by itself.
            tracing::warn!(kind, subject, %error, "work cannot be given back");
        }
    }

    /// What follows from a setback. What is given up because it is late is given up by a clock that
    /// is believed only.
    async fn decided<K: Sync>(&self, lease: &Lease<K>, setback: &Setback) -> RetryDecision {
        let settings = &self.0.settings;
        let decision = retry::decide(settings, lease, self.now(), setback);
        if retry::rests_on_the_clock(decision, setback) && self.believed().await.is_err() {
            return retry::without_clock(settings, lease);
        }
        decision
    }

    /// Extends the lease again and again; returns when it is lost.
    pub(super) async fn keep<K: Display + Sync>(&self, lease: &Lease<K>) {
        let third = self.lease_length() / 3;
        loop {
            tokio::time::sleep(third).await;
            let extended = self.0.ledger.unit("work.keep", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = self.term(&mut unit).await?;
                work::extend(&mut unit, lease, term).await
            });
            if let Err(ledger::Error::Stale(_)) = extended.await {
                return;
            }
        }
    }

    /// Each kind's handler on the heap: together they would be too much for a stack.
    fn attempt<'a>(&'a self, lease: &'a Lease<String>) -> BoxFuture<'a, Result<(), Failed>> {
        match lease.kind {
            WorkKind::FetchMedia => {
                Box::pin(async move { Ok(self.attempt_fetch(&typed(lease)?).await?) })
            }
            WorkKind::DeleteCiphertext => Box::pin(async move {
                let removed = self.remove(&typed(lease)?).await;
                Ok(removed.map_err(|error| error.into_setback(&self.0.settings))?)
            }),
            WorkKind::DeleteAtSource => {
                Box::pin(async move { Ok(self.erase(&typed(lease)?).await?) })
            }
            WorkKind::FetchTranscript => {
                Box::pin(async move { self.attempt_transcript(typed(lease)?).await })
            }
            WorkKind::PollTranscripts => {
                Box::pin(async move { Ok(self.poll(&typed(lease)?).await?) })
            }
            WorkKind::Revocation => {
                Box::pin(async move { Ok(self.attempt_revocation(&typed(lease)?).await?) })
            }
            WorkKind::Comparison | WorkKind::EpochTurn => Box::pin(async {
                let why = "no lane has it".to_owned();
                Err(Setback::Lost(why).into())
            }),
        }
    }

    async fn attempt_fetch(&self, lease: &Lease<RecordingId>) -> Result<(), Setback> {
        let settings = &self.0.settings;
        match self.fetch(lease).await {
            Ok(Fetched::Sealed | Fetched::LetGo) => Ok(()),
            Ok(Fetched::Nothing) => self
                .drop_work(lease)
                .await
                .map_err(|error| error.into_setback(settings)),
            Err(failure) => Err(failure.into_setback(settings)),
        }
    }

    /// There is nothing to do.
    pub(super) async fn drop_work<K: Display + Sync>(&self, lease: &Lease<K>) -> Result<(), Error> {
        let dropped = self.0.ledger.unit("work.drop_work", async |mut unit| {
            unit.without_entry("there is nothing to do");
            work::finish(&mut unit, lease).await
        });
        match dropped.await {
            // A shred took the work away; that is as good.
            Err(ledger::Error::Stale(_)) => Ok(()),
            finished => Ok(finished?),
        }
    }

    async fn put_back<K: Display + Sync>(
        &self,
        lease: &Lease<K>,
        transcript: Option<&LeasedTranscript>,
        decision: RetryDecision,
        why: &str,
    ) -> Result<(), Error> {
        let now = self.now();
        let put_back = self.0.ledger.unit("work.put_back", async |mut unit| {
            match (decision, transcript) {
                (RetryDecision::Lost, _) => Ok(()),
                (RetryDecision::Again { after }, found) => {
                    unit.without_entry("work that is put off is no act");
                    match found {
                        Some(ours) => {
                            transcripts::postpone(&mut unit, ours, now.after(after), why).await
                        }
                        None => work::postpone(&mut unit, lease, now.after(after), why).await,
                    }
                }
                (RetryDecision::Bury, Some(ours)) => {
                    self.bury_transcript(&mut unit, ours, why, now).await
                }
                (RetryDecision::Bury, None) => self.bury(&mut unit, lease, why).await,
            }
        });
        Ok(put_back.await?)
    }

    async fn bury<K: Display + Sync>(
        &self,
        unit: &mut Unit,
        lease: &Lease<K>,
        why: &str,
    ) -> Result<(), ledger::Error> {
        work::bury(unit, lease, why).await?;
        let kind = lease.kind.as_str();
        // Only work about a recording is ever set aside without more.
        let recording: RecordingId = lease
            .subject
            .to_string()
            .parse()
            .map_err(|_| ledger::Error::Stale("this work is about no recording"))?;
        unit.audit(NewEntry::work_dead(
            self.now(),
            kind,
            lease.attempts,
            recording,
        ));
        unit.count("recvault_work_dead_total", 1);
        Ok(())
    }
}

/// A panic costs this attempt only: the work is tried again like any other that failed, and the loop
/// and its place go on.
async fn caught(attempt: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let caught = AssertUnwindSafe(attempt).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        let why = "it panicked; the log says where".to_owned();
        Err(Setback::Passing(why).into())
    })
}

fn unless_lost(error: Error) -> Result<(), Error> {
    match Setback::of_ours(&error) {
        Setback::Lost(_) => Ok(()),
        _ => Err(error),
    }
}

/// What the lease is about; a row that says nothing that can be read waits for somebody.
fn typed<K: FromStr>(lease: &Lease<String>) -> Result<Lease<K>, Setback> {
    lease
        .parsed()
        .map_err(|error| Setback::Stuck(error.to_string()))
}

#[cfg(test)]
mod tests;
