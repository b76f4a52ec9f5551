//! The status of the vault, for operators, readiness and metrics. Counts only.

pub(super) mod dead_work;
pub(super) mod health;

use std::{sync::Arc, time::Duration};

use self::{
    dead_work::{DeadWork, SourceStatus},
    health::Health,
};
use super::{
    accounts::{AccountReview, AccountStatus},
    clock::{ClockStatus, TrustedClock},
    error::Error,
    streams::Streams,
    upkeep::{
        epoch::{EpochStatus, EpochTurning},
        recovery::{JournalStatus, RecoveryUpkeep},
    },
};
use crate::{
    db::{
        Db, audit, recordings,
        revocations::{self, Unvouched},
        work::{self, Backlog, DeadWorkItem, WorkKind},
    },
    model::recording::RecordingState,
};

/// The status of the vault.
#[derive(Debug, serde::Serialize)]
pub struct Status {
    /// Recordings in each state.
    pub recordings: Vec<(RecordingState, i64)>,
    /// Work by kind and state.
    pub work: Vec<Backlog>,
    /// The oldest dead work, up to 20 pieces.
    pub dead: Vec<DeadWorkItem>,
    /// Streams running in this process.
    pub streams: usize,
    /// The fault of custody, if there is one.
    pub custody_trouble: Option<String>,
    /// Epochs, and the shreds that wait for the next turn.
    pub epoch: EpochStatus,
    /// How far snapshots and journal are behind.
    pub journal: JournalStatus,
    /// Deletions at the source that are still to be done.
    pub source: SourceStatus,
    /// Sealed recordings whose object was missing in the store when they were opened.
    pub missing_ciphertext: i64,
    /// How often a required approval was bypassed in the last 7 days (break-glass).
    pub broken_glass: i64,
    /// The number of recordings of people who revoked that are kept because these people were named
    /// later without the `revoke` action.
    pub unvouched: i64,
    /// The first 20 of them, with their revocations.
    pub first_unvouched: Vec<Unvouched>,
    /// The comparisons with the source's lists, by account.
    pub accounts: Vec<AccountStatus>,
    /// The state of the clock.
    pub clock: ClockStatus,
}

/// The period for which `status` counts bypassed approvals.
const EMERGENCIES: Duration = Duration::from_secs(7 * 24 * 3600);

/// Collects the status.
pub struct Monitoring {
    db: Db,
    clock: Arc<TrustedClock>,
    streams: Streams,
    health: Arc<Health>,
    dead_work: Arc<DeadWork>,
    epochs: Arc<EpochTurning>,
    recovery: Arc<RecoveryUpkeep>,
    accounts: Arc<AccountReview>,
}

impl Monitoring {
    #[expect(
        clippy::too_many_arguments,
        reason = "it needs all of them, and names each"
    )]
    pub(in crate::flow) fn new(
        db: Db,
        clock: Arc<TrustedClock>,
        streams: Streams,
        health: Arc<Health>,
        dead_work: Arc<DeadWork>,
        epochs: Arc<EpochTurning>,
        recovery: Arc<RecoveryUpkeep>,
        accounts: Arc<AccountReview>,
    ) -> Self {
        Self {
            db,
            clock,
            streams,
            health,
            dead_work,
            epochs,
            recovery,
            accounts,
        }
    }

    /// Returns the status of the vault now.
    ///
    /// # Errors
    /// Any database error.
    pub async fn status(&self) -> Result<Status, Error> {
        let mut tx = self.db.read().await?;
        let (recordings, work, dead) = (
            recordings::count_by_state(&mut tx).await?,
            work::backlog(&mut tx).await?,
            work::dead(&mut tx, 20).await?,
        );
        let source = self.dead_work.source_status(&mut tx, &work).await?;
        let broken_glass =
            audit::broken_glass_since(&mut tx, self.clock.now().before(EMERGENCIES)).await?;
        let missing_ciphertext = audit::missing_ciphertext(&mut tx).await?;
        let unvouched = revocations::unvouched(&mut tx).await?;
        let first_unvouched = revocations::list_unvouched(&mut tx, 20).await?;
        drop(tx);
        Ok(Status {
            recordings,
            work,
            dead,
            streams: self.streams.count(),
            custody_trouble: self.health.custody_trouble().await,
            epoch: self.epochs.status().await?,
            journal: self.recovery.status().await?,
            source,
            missing_ciphertext,
            broken_glass,
            unvouched,
            first_unvouched,
            accounts: self.accounts.status().await?,
            clock: self.clock.status().await?,
        })
    }

    /// Sets the gauges of the metrics listener.
    ///
    /// # Errors
    /// Any database error.
    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floating point, and counts stay below 2^52"
    )]
    pub async fn measure(&self) -> Result<(), Error> {
        let mut tx = self.db.read().await?;
        let backlog = work::backlog(&mut tx).await?;
        let unvouched = revocations::unvouched(&mut tx).await?;
        drop(tx);
        metrics::gauge!("recvault_revocations_unvouched").set(unvouched as f64);
        let now = self.clock.now().as_millis();
        let counted = WorkKind::ALL
            .iter()
            .copied()
            .filter(|kind| *kind != WorkKind::PollTranscripts);
        for kind in counted.map(WorkKind::as_str) {
            for state in ["due", "dead"] {
                let found = backlog
                    .iter()
                    .find(|work| work.kind == kind && work.state == state);
                let (count, age) = found.map_or((0, 0), |work| {
                    (work.count, now.saturating_sub(work.oldest_at).max(0))
                });
                metrics::gauge!("recvault_work", "kind" => kind, "state" => state)
                    .set(count as f64);
                metrics::gauge!("recvault_work_oldest_seconds", "kind" => kind, "state" => state)
                    .set(age as f64 / 1000.0);
            }
        }
        let epoch = self.epochs.status().await?;
        let journal = self.recovery.status().await?;
        self.clock.status().await?;
        metrics::gauge!("recvault_epoch").set(epoch.epoch as f64);
        metrics::gauge!("recvault_deletion_horizon_seconds").set(epoch.horizon_s as f64);
        metrics::gauge!("recvault_oldest_recoverable_shred_seconds")
            .set(epoch.horizon_now_s as f64);
        metrics::gauge!("recvault_recoverable_shreds").set(epoch.waiting as f64);
        metrics::gauge!("recvault_database_refused")
            .set(f64::from(u8::from(self.health.refusal().is_some())));
        metrics::gauge!("recvault_restore_gaps").set(journal.gaps.len() as f64);
        metrics::gauge!("recvault_outbox_rows").set(journal.waiting as f64);
        let age = epoch
            .snapshot
            .map_or(0, |(_, at)| self.clock.now().since(at).as_secs());
        metrics::gauge!("recvault_snapshot_age_seconds").set(age as f64);
        let accounts = self.accounts.status().await?;
        let ghosts: u64 = accounts
            .iter()
            .filter_map(|account| account.found)
            .map(|found| found.ghosts)
            .sum();
        metrics::gauge!("recvault_ghosts").set(ghosts as f64);
        let longest = accounts
            .iter()
            .filter_map(|account| account.done_at)
            .map(|at| self.clock.now().since(at).as_secs())
            .max();
        metrics::gauge!("recvault_reconcile_age_seconds").set(longest.unwrap_or(0) as f64);
        metrics::gauge!("recvault_streams").set(self.streams.count() as f64);
        Ok(())
    }
}
