//! The lease loop: takes due work, does it, and decides when to try again what could not be done.
//!
//! Owns pace and patience. Refuses to know what the work is about.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use rand::RngExt as _;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Flow, Swept, Task,
    ingest::{FetchFailure, Fetched},
};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, Term, transcripts,
        work::{self, Kind, Lease},
    },
    model::id::HolderId,
    twilio::{FetchError, RestError},
    vault,
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

/// What to do with work that could not be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Again after the usual pause.
    Later,
    /// Again after this pause.
    After(Duration),
    /// Set aside.
    Dead,
    /// It is somebody else's by now.
    NotOurs,
}

impl Flow {
    /// Runs the loop until `stop`; then takes no new work and lets running work end or, after
    /// `grace`, gives it back.
    pub async fn work(self, stop: CancellationToken, grace: Duration) {
        let slots = Arc::new(Semaphore::new(
            self.0.settings.concurrency.clamp(1, 256).into(),
        ));
        // Work at the source waits for requests that are rationed. It has places of its own, so
        // that neither it nor a fetch stands in the other's line.
        let erasers = Arc::new(Semaphore::new(
            (usize::from(self.0.settings.concurrency) / 4).clamp(1, 64),
        ));
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            self.beat(Task::Work);
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
                let flow = self.clone();
                running.spawn(async move {
                    flow.perform(lease).await;
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
                () = self.0.bell.notified(), if slots.available_permits() + erasers.available_permits() > 0 => {}
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

    async fn lease(&self, limit: usize, erasures: usize) -> Result<Vec<Lease>, Error> {
        let holder = HolderId::random(&mut rand::rng());
        let [limit, erasures] =
            [limit, erasures].map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut looking = self.0.ledger.read().await?;
        // Asking costs a write; looking does not.
        let now = looking.now().await?;
        if !work::any_due(&mut looking, now).await? {
            return Ok(Vec::new());
        }
        drop(looking);
        let leased = self.0.ledger.unit("work.lease", async |mut unit| {
            unit.without_entry("whose the work is");
            let term = Term::begin(&mut unit, self.lease_length()).await?;
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

    fn lease_length(&self) -> Duration {
        Duration::from_secs(self.0.settings.lease_s.max(5).into())
    }

    /// Makes due what a clock that was ahead, and is not any more, has put off for longer than
    /// anything honest lasts.
    ///
    /// # Errors
    /// The ledger's.
    pub(super) async fn free_strays(&self) -> Result<(), Error> {
        let longest = self
            .lease_length()
            .max(LONGEST)
            .max(Duration::from_secs(self.0.settings.max_backoff_s.into()));
        let freed = self.0.ledger.unit("work.free_strays", async |mut unit| {
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
        let third = self.lease_length() / 3;
        loop {
            tokio::time::sleep(third).await;
            let extended = self.0.ledger.unit("work.keep", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = Term::begin(&mut unit, self.lease_length()).await?;
                work::extend(&mut unit, lease, term).await
            });
            if let Err(ledger::Error::Stale(_)) = extended.await {
                return;
            }
        }
    }

    async fn attempt(&self, lease: &Lease) -> Result<(), (Verdict, String)> {
        match lease.kind {
            Kind::Fetch => match self.fetch(lease).await {
                Ok(Fetched::Sealed | Fetched::LetGo) => Ok(()),
                Ok(Fetched::Nothing) => self
                    .drop_work(lease)
                    .await
                    .map_err(|error| (Verdict::Later, error.to_string())),
                Err(failure) => Err(self.judge(lease, failure)),
            },
            Kind::Remove => self.remove(lease).await.map_err(|error| match error {
                Error::Vault(vault::Error::Ledger(ledger::Error::Stale(_))) => {
                    (Verdict::NotOurs, error.to_string())
                }
                // Never set aside: a shred whose bytes are not removed is retried until they are.
                other => (Verdict::Later, other.to_string()),
            }),
            Kind::Erase => self.erase(lease).await,
        }
    }

    pub(super) async fn drop_work(&self, lease: &Lease) -> Result<(), Error> {
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

    fn judge(&self, lease: &Lease, failure: FetchFailure) -> (Verdict, String) {
        let settings = &self.0.settings;
        let waited = self.now().since(lease.enqueued_at);
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
        let now = self.now();
        let pause = match verdict {
            Verdict::NotOurs => return Ok(()),
            Verdict::Later => Some(jittered(backoff(
                lease.attempts,
                self.0.settings.max_backoff_s,
            ))),
            Verdict::After(pause) => Some(pause),
            Verdict::Dead => None,
        };
        let put_back = self.0.ledger.unit("work.put_back", async |mut unit| {
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

/// 2 s, 4 s, 8 s … up to `max_s`.
pub(super) fn backoff(attempts: i64, max_s: u32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20)).unwrap_or(20);
    Duration::from_secs((1u64 << doublings).min(max_s.max(1).into()))
}

/// A random pause between half of it and all of it, so that what failed together does not return
/// together.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stop_growing() {
        assert_eq!([1, 2, 3].map(|n| backoff(n, 900).as_secs()), [2, 4, 8]);
        assert_eq!(
            [10, 1_000_000, i64::MAX].map(|n| backoff(n, 900).as_secs()),
            [900; 3]
        );
        let pause = jittered(Duration::from_secs(10));
        assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&pause));
    }
}
