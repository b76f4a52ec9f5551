//! Recovery: what the store must hold so that it and custody alone rebuild the vault.
//!
//! Owns when snapshots are taken and the journal is written. Refuses to know what is in them.

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
        bells::Bells,
        error::Error,
        liveness::{Liveness, Task},
        units::journal_or_warn,
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

/// How often a process asks the database whether it still knows what it knew.
const MEMORY_PACE: Duration = Duration::from_secs(2);

/// How far the store is behind the database.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JournalStatus {
    /// States that are not in the journal yet: what a loss of the database would lose now.
    pub waiting: i64,
    /// Since when the oldest.
    pub oldest_waiting: Option<Timestamp>,
    /// What rebuildings of this vault went without, and when somebody accepted that.
    pub gaps: Vec<(Gap, Timestamp)>,
    /// Files in the store that do not open, of those that this process has tried.
    pub unreadable: usize,
}

/// Keeps the store so that it rebuilds the vault.
pub struct RecoveryUpkeep {
    vault: Vault,
    db: Db,
    clock: Clock,
    snapshot_every: Duration,
    liveness: Liveness,
    bells: Bells,
}

impl RecoveryUpkeep {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        snapshot_every: Duration,
        liveness: Liveness,
        bells: Bells,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            snapshot_every,
            liveness,
            bells,
        }
    }

    /// How far the store is behind.
    ///
    /// # Errors
    /// The database's.
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

    /// Writes what changed to the journal. How many states.
    ///
    /// # Errors
    /// The store's or the database's; it stays to be written.
    pub async fn journal(&self) -> Result<u64, Error> {
        Ok(self.vault.journal_all().await?)
    }

    /// Takes a snapshot if there is none of this epoch, or it is older than the schedule says.
    ///
    /// # Errors
    /// The store's, custody's or the database's; the next try begins anew.
    pub async fn keep_snapshots(&self) -> Result<bool, Error> {
        let current = epochs::current(&mut self.db.read().await?)
            .await?
            .ok_or(crate::vault::Error::NoVault)?;
        let is_due = match current.snapshot() {
            // A turn under way makes its own.
            _ if current.finished_at.is_none() => false,
            None => true,
            // One from the future was made by a clock that was wrong.
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

    /// Asks the database again and again whether it still has what this process has seen of it, until
    /// `stop`: a database that was replaced by an older copy, or a replica that lagged and was
    /// promoted, is written to no more.
    pub async fn watch_memory(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Memory);
            // What is refused is logged where it is found; whatever else goes wrong says nothing
            // about the database's memory or the owner of the roots.
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

    /// Writes the journal as soon as something changes, and snapshots when they are due, until
    /// `stop`; then once more.
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
                    () = self.bells.journal.notified() => {}
                    // What other processes and the command line changed, and what was only heard.
                    () = tokio::time::sleep(Duration::from_secs(2)) => journal_or_warn(&self.vault, true).await,
                }
            }
        }
        journal_or_warn(&self.vault, true).await;
    }
}
