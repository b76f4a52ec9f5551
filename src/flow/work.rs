//! The lease loop: takes due work, does it, and decides when to try again what could not be done.
//!
//! Owns pace and patience. Refuses to know what the work is about.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    bells::Bells,
    erase::SourceDeletion,
    erasure::shredding::Shredding,
    error::Error,
    ingest::{
        failure::FetchFailure,
        fetching::{Fetched, Fetching},
    },
    liveness::{Liveness, Task},
    patience::{Settings, Verdict, backoff, drop_work, jittered},
    transcription::Transcription,
};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, Ledger, Term, transcripts,
        work::{self, Kind, Lease},
    },
    model::{id::HolderId, time::Clock},
    twilio::{FetchError, RestError},
    vault,
};

/// No lease and no pause is longer than this, unless the settings say so.
const LONGEST: Duration = Duration::from_secs(3600);

/// Who does the work of each kind.
pub(super) struct Performers {
    /// What is fetched.
    pub(super) fetching: Fetching,
    /// What is deleted at the source.
    pub(super) deletion: SourceDeletion,
    /// What is removed after a shred.
    pub(super) shredding: Arc<Shredding>,
    /// What was said.
    pub(super) transcription: Arc<Transcription>,
}

/// Takes due work and has it done.
pub struct Worker {
    ledger: Ledger,
    clock: Clock,
    settings: Settings,
    liveness: Liveness,
    bells: Bells,
    performers: Performers,
}

impl Worker {
    pub(in crate::flow) fn new(
        ledger: Ledger,
        clock: Clock,
        settings: Settings,
        liveness: Liveness,
        bells: Bells,
        performers: Performers,
    ) -> Self {
        Self {
            ledger,
            clock,
            settings,
            liveness,
            bells,
            performers,
        }
    }

    /// Runs the loop until `stop`; then takes no new work and lets running work end or, after
    /// `grace`, gives it back.
    pub async fn work(self: Arc<Self>, stop: CancellationToken, grace: Duration) {
        let slots = Arc::new(Semaphore::new(
            self.settings.concurrency.clamp(1, 256).into(),
        ));
        // Work at the source waits for requests that are rationed. It has places of its own, so
        // that neither it nor a fetch stands in the other's line.
        let erasers = Arc::new(Semaphore::new(
            (usize::from(self.settings.concurrency) / 4).clamp(1, 64),
        ));
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Work);
            let free = slots.available_permits();
            let free_erasers = erasers.available_permits();
            let leases = match free + free_erasers {
                0 => Vec::new(),
                _ => self
                    .lease(free, free_erasers)
                    .await
                    .unwrap_or_else(|error| {
                        tracing::warn!(%error, "no work can be leased");
                        Vec::new()
                    }),
            };
            let got_all = !leases.is_empty() && leases.len() == free + free_erasers;
            for lease in leases {
                let places = if lease.kind == Kind::Erase {
                    &erasers
                } else {
                    &slots
                };
                let slot = Arc::clone(places).try_acquire_owned().ok();
                let worker = Arc::clone(&self);
                running.spawn(async move {
                    worker.perform(lease).await;
                    drop(slot);
                });
            }
            if got_all {
                tokio::task::yield_now().await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // A free slot, new work, or the pace at which work of other processes is noticed.
                Some(_) = running.join_next(), if !running.is_empty() => while running.try_join_next().is_some() {},
                () = self.bells.work.notified(), if slots.available_permits() + erasers.available_permits() > 0 => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        let _ = tokio::time::timeout(grace, async {
            while running.join_next().await.is_some() {}
        })
        .await;
        running.shutdown().await;
    }

    /// Does all work that is due now, one piece after another, and returns how many pieces; for
    /// tests and the demo, which do not wait. Transcripts that are due are filed as well, and not
    /// counted.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn work_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            // One at a time, in the order of kinds: what is asked for by the first may change the
            // second.
            let mut leases = self.lease(1, 0).await?;
            if leases.is_empty() {
                leases = self.lease(0, 1).await?;
            }
            if leases.is_empty() {
                // One that came before its recording may have enqueued its fetch, and the shred of
                // a recording is found out by one.
                if self.performers.transcription.transcribe_off().await? > 0 {
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

    async fn lease(&self, limit: usize, erasures: usize) -> Result<Vec<Lease>, Error> {
        let holder = HolderId::random(&mut rand::rng());
        let [limit, erasures] =
            [limit, erasures].map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut looking = self.ledger.read().await?;
        // Asking costs a write; looking does not.
        let now = looking.now().await?;
        if !work::any_due(&mut looking, now).await? {
            return Ok(Vec::new());
        }
        drop(looking);
        let leased = self.ledger.unit("work.lease", async |mut unit| {
            unit.without_entry("whose the work is");
            let term = Term::begin(&mut unit, self.settings.lease_length()).await?;
            let mut leases = Vec::new();
            if limit > 0 {
                leases = work::lease(&mut unit, holder, term, limit).await?;
            }
            if erasures > 0 {
                leases.extend(work::lease_erasures(&mut unit, holder, term, erasures).await?);
            }
            Ok::<_, ledger::Error>(leases)
        });
        Ok(leased.await?)
    }

    /// Makes due what a clock that was ahead, and is not any more, has put off for longer than
    /// anything honest lasts.
    ///
    /// # Errors
    /// The ledger's.
    pub(super) async fn free_strays(&self) -> Result<(), Error> {
        let longest = self
            .settings
            .lease_length()
            .max(LONGEST)
            .max(Duration::from_secs(self.settings.max_backoff_s.into()));
        let freed = self.ledger.unit("work.free_strays", async |mut unit| {
            unit.without_entry("when work is due");
            let term = Term::begin(&mut unit, longest).await?;
            let freed = work::free_strays(&mut unit, term).await?
                + transcripts::free_strays(&mut unit, term).await?;
            Ok::<_, ledger::Error>(freed)
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

    async fn perform(&self, lease: Lease) {
        // A panic costs this piece of work only: it is tried again like any other that failed, and
        // the loop and its place go on.
        let attempt = AssertUnwindSafe(self.attempt(&lease)).catch_unwind();
        let outcome = tokio::select! {
            outcome = attempt => outcome.unwrap_or_else(|_| Err((Verdict::Later, "it panicked; the log says where".to_owned()))),
            () = self.keep(&lease) => Err((Verdict::NotOurs, "the lease was lost".to_owned())),
        };
        let Err((verdict, why)) = outcome else { return };
        tracing::warn!(recording = %lease.recording, kind = lease.kind.as_str(), attempt = lease.attempts, ?verdict, why, "work was not done");
        if let Err(error) = self.put_back(&lease, verdict, &why).await {
            // The lease runs out by itself.
            tracing::warn!(recording = %lease.recording, %error, "work cannot be given back");
        }
    }

    /// Extends the lease again and again; returns when it is lost.
    async fn keep(&self, lease: &Lease) {
        let third = self.settings.lease_length() / 3;
        loop {
            tokio::time::sleep(third).await;
            let extended = self.ledger.unit("work.keep", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = Term::begin(&mut unit, self.settings.lease_length()).await?;
                work::extend(&mut unit, lease, term).await
            });
            if let Err(ledger::Error::Stale(_)) = extended.await {
                return;
            }
        }
    }

    async fn attempt(&self, lease: &Lease) -> Result<(), (Verdict, String)> {
        match lease.kind {
            Kind::Fetch => match self.performers.fetching.fetch(lease).await {
                Ok(Fetched::Sealed | Fetched::LetGo) => Ok(()),
                Ok(Fetched::Nothing) => drop_work(&self.ledger, lease)
                    .await
                    .map_err(|error| (Verdict::Later, error.to_string())),
                Err(failure) => Err(self.judge(lease, failure)),
            },
            Kind::Remove => self
                .performers
                .shredding
                .remove(lease)
                .await
                .map_err(|error| match error {
                    Error::Vault(vault::Error::Ledger(ledger::Error::Stale(_))) => {
                        (Verdict::NotOurs, error.to_string())
                    }
                    // Never set aside: a shred whose bytes are not removed is retried until they are.
                    other => (Verdict::Later, other.to_string()),
                }),
            Kind::Erase => self.performers.deletion.erase(lease).await,
        }
    }

    fn judge(&self, lease: &Lease, failure: FetchFailure) -> (Verdict, String) {
        let settings = &self.settings;
        let waited = self.clock.now().since(lease.enqueued_at);
        match failure {
            FetchFailure::UnknownAccount => (
                Verdict::Dead,
                "the account is not in `twilio.accounts`: add it and run `recvault retry`"
                    .to_owned(),
            ),
            FetchFailure::Source(error) => {
                let verdict = match &error {
                    FetchError::NotYet | FetchError::NotYetElsewhere { .. }
                        if waited < Duration::from_secs(settings.not_yet_s.into()) =>
                    {
                        Verdict::After(jittered(backoff(
                            lease.attempts.min(6),
                            settings.max_backoff_s,
                        )))
                    }
                    FetchError::Throttled { retry_after } => Verdict::After(
                        retry_after
                            .unwrap_or_else(|| {
                                jittered(backoff(lease.attempts, settings.max_backoff_s))
                            })
                            .max(Duration::from_secs(1)),
                    ),
                    FetchError::NotYet
                    | FetchError::NotYetElsewhere { .. }
                    | FetchError::Refused { .. } => Verdict::Dead,
                    FetchError::Transient { .. } => patience(lease, waited, settings),
                };
                (verdict, error.to_string())
            }
            FetchFailure::Parties(error) => (
                match error {
                    RestError::Throttled {
                        retry_after: Some(pause),
                    } => Verdict::After(pause.max(Duration::from_secs(1))),
                    _ => Verdict::Later,
                },
                format!("who took part cannot be looked up now: {error}"),
            ),
            FetchFailure::Ours(Error::Vault(vault::Error::Ledger(
                error @ ledger::Error::Stale(_),
            ))) => (Verdict::NotOurs, error.to_string()),
            // Our own trouble, a full disk or a database that is away, is no reason to give a
            // recording up.
            FetchFailure::Ours(error) => (
                Verdict::After(jittered(backoff(lease.attempts, settings.max_backoff_s))),
                error.to_string(),
            ),
        }
    }

    async fn put_back(&self, lease: &Lease, verdict: Verdict, why: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let pause = match verdict {
            Verdict::NotOurs => return Ok(()),
            Verdict::Later => Some(jittered(backoff(
                lease.attempts,
                self.settings.max_backoff_s,
            ))),
            Verdict::After(pause) => Some(pause),
            Verdict::Dead => None,
        };
        let put_back = self.ledger.unit("work.put_back", async |mut unit| {
            if let Some(pause) = pause {
                unit.without_entry("work that is put off is no act");
                work::postpone(&mut unit, lease, now.after(pause), why).await?;
            } else {
                work::bury(&mut unit, lease, why).await?;
                unit.audit(NewEntry::work_dead(
                    now,
                    lease.kind.as_str(),
                    lease.attempts,
                    lease.recording,
                ));
                unit.count("recvault_work_dead_total", 1);
            }
            Ok::<_, ledger::Error>(())
        });
        Ok(put_back.await?)
    }
}

/// Work is given up only when both attempts and time are used up, so that neither a burst of quick
/// failures nor one long wait is enough.
fn patience(lease: &Lease, waited: Duration, settings: &Settings) -> Verdict {
    let is_used_up = lease.attempts >= settings.attempts.into()
        && waited >= Duration::from_secs(settings.not_yet_s.into());
    if is_used_up {
        Verdict::Dead
    } else {
        Verdict::Later
    }
}
