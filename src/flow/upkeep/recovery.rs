//! Recovery: the data in the store from which, with custody, the vault can be rebuilt.
//!
//! Owns when snapshots are taken and the journal is written. Refuses to know their contents.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    db::{
        Db, epochs,
        gaps::{self, Gap},
        outbox,
    },
    flow::{
        error::Error,
        liveness::{Liveness, Task},
        units::journal_or_warn,
        wakeups::Wakeups,
    },
    model::time::{Clock, Timestamp},
    store,
    vault::Vault,
};

/// `[recovery]`: snapshots and journal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecoverySettings {
    /// Hours between two snapshots, 1 to 720. Each turn of the epoch makes one, too.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 720, _, _>")]
    pub snapshot_every_h: u32,
    /// Another store for snapshots and journal than the one for recordings.
    pub store: Option<store::StoreSettings>,
}

impl Default for RecoverySettings {
    fn default() -> Self {
        Self {
            snapshot_every_h: 24,
            store: None,
        }
    }
}

impl RecoverySettings {
    /// The time between two snapshots.
    pub fn snapshot_every(&self) -> Duration {
        Duration::from_secs(u64::from(self.snapshot_every_h.clamp(1, 720)) * 3600)
    }
}

/// The interval at which the database is checked for lost changes.
const MEMORY_PACE: Duration = Duration::from_secs(2);

/// How far the store is behind the database.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JournalStatus {
    /// Changes that are not in the journal yet, which a loss of the database would lose now.
    pub waiting: i64,
    /// When the oldest of them was made.
    pub oldest_waiting: Option<Timestamp>,
    /// The gaps that rebuilds of this vault accepted, and when.
    pub gaps: Vec<(Gap, Timestamp)>,
    /// Files in the store that could not be opened, of those that this process has tried.
    pub unreadable: usize,
}

/// Maintains the data in the store from which the vault can be rebuilt.
pub struct RecoveryUpkeep {
    vault: Vault,
    db: Db,
    clock: Clock,
    snapshot_every: Duration,
    liveness: Liveness,
    wakeups: Wakeups,
}

impl RecoveryUpkeep {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        snapshot_every: Duration,
        liveness: Liveness,
        wakeups: Wakeups,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            snapshot_every,
            liveness,
            wakeups,
        }
    }

    /// Returns how far the store is behind.
    ///
    /// # Errors
    /// Any database error.
    pub async fn status(&self) -> Result<JournalStatus, Error> {
        let mut tx = self.db.read().await?;
        let (waiting, oldest_waiting) = outbox::waiting(&mut tx).await?;
        Ok(JournalStatus {
            waiting,
            oldest_waiting,
            gaps: gaps::all(&mut tx).await?,
            unreadable: self.vault.unreadable_files(),
        })
    }

    /// Writes changes to the journal. Returns their number.
    ///
    /// # Errors
    /// Errors of the store or the database; the changes stay pending.
    pub async fn journal(&self) -> Result<u64, Error> {
        Ok(self.vault.journal_all().await?)
    }

    /// Takes a snapshot if the epoch has none, or the newest is older than the schedule. Returns
    /// whether it did.
    ///
    /// # Errors
    /// Errors of the store, custody or the database; the next attempt starts over.
    pub async fn keep_snapshots(&self) -> Result<bool, Error> {
        let current = epochs::current(&mut self.db.read().await?)
            .await?
            .ok_or(crate::vault::Error::NoVault)?;
        let is_due = match current.snapshot() {
            // A running turn takes its own.
            _ if current.finished_at.is_none() => false,
            None => true,
            // A snapshot from the future was made with a wrong clock.
            Some((_, at)) => {
                self.clock.now().since(at) >= self.snapshot_every || at > self.clock.now()
            }
        };
        if is_due {
            let checked = self.vault.snapshot().await?;
            tracing::info!(snapshot = %checked.snapshot, rows = checked.rows, "a snapshot is verified");
        }
        Ok(is_due)
    }

    /// Checks regularly until `stop` that the database still has everything that this process has
    /// seen in it. A database that was replaced by an older copy, or a lagging replica that was
    /// promoted, is no longer written.
    pub async fn watch_memory(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Memory);
            // A refusal is logged where it is found; other errors do not concern lost changes or
            // the owner of the roots.
            if let Err(error) = self.vault.check_rollback().await {
                tracing::debug!(%error, "the database could not be compared with the store");
            }
            if let Err(error) = self.vault.check_owner().await {
                tracing::debug!(%error, "the owner of custody could not be checked");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(MEMORY_PACE) => {}
            }
        }
    }

    /// Writes the journal after each change, and snapshots when they are due, until `stop`; then
    /// the journal once more.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.keep_snapshots().await {
                tracing::warn!(%error, "no snapshot can be written now");
                metrics::counter!("recvault_snapshot_failures_total").increment(1);
            }
            let next_look = tokio::time::sleep(Duration::from_secs(60));
            tokio::pin!(next_look);
            loop {
                self.liveness.beat(Task::Recovery);
                journal_or_warn(&self.vault, false).await;
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = &mut next_look => break,
                    () = self.wakeups.journal.notified() => {}
                    // Changes by other processes and the command line, and audit entries of read
                    // accesses.
                    () = tokio::time::sleep(Duration::from_secs(2)) => journal_or_warn(&self.vault, true).await,
                }
            }
        }
        journal_or_warn(&self.vault, true).await;
    }
}
