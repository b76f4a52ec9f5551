//! How the vault stands: for operators, readiness and metrics. Counts only.

use std::time::Duration;

use super::{AccountStatus, ClockStatus, EpochStatus, Error, Flow, JournalStatus, retry::STUCK};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, ClosedFor, Tx, audit, recordings, transcripts,
        work::{self, Backlog, Dead, WorkKind},
    },
    model::{actor::Initiator, id::RecordingId, recording::State, time::Timestamp},
    vault,
};

/// How the vault stands.
#[derive(Debug, serde::Serialize)]
pub struct Status {
    /// Recordings in each state.
    pub recordings: Vec<(State, i64)>,
    /// Work by kind and state.
    pub work: Vec<Backlog>,
    /// The oldest dead work, up to 20 pieces.
    pub dead: Vec<Dead>,
    /// Streams running in this process.
    pub streams: usize,
    /// What is wrong with custody, if anything is.
    pub custody_trouble: Option<String>,
    /// Epochs, and what waits for the next.
    pub epoch: EpochStatus,
    /// How far snapshots and journal are behind.
    pub journal: JournalStatus,
    /// Deletions at the source that are still to be done.
    pub source: SourceStatus,
    /// How often, in the last 7 days, somebody did without the approval that a tier asks for.
    pub broken_glass: i64,
    /// How the comparisons with the sources' lists stand, by account.
    pub accounts: Vec<AccountStatus>,
    /// Whether the clock is believed.
    pub clock: ClockStatus,
}

/// How the deletion of the source's copies stands.
#[derive(Debug, serde::Serialize)]
pub struct SourceStatus {
    /// Recordings whose copies at the source are to be deleted, now or on their day.
    pub pending: i64,
    /// Since when the oldest of them waits, if one waits already.
    pub oldest: Option<Timestamp>,
    /// Those that could not be deleted, with the reason: refused by the source, or tried again and
    /// again. Oldest first, up to 20.
    pub stuck: Vec<Dead>,
}

/// For so long `status` shows emergencies.
const EMERGENCIES: Duration = Duration::from_secs(7 * 24 * 3600);

impl Flow {
    /// How the vault stands now.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn status(&self) -> Result<Status, Error> {
        let mut tx = self.0.ledger.read().await?;
        let (recordings, work, dead) = (
            recordings::count_by_state(&mut tx).await?,
            work::backlog(&mut tx).await?,
            work::dead(&mut tx, 20).await?,
        );
        let source = self.source_status(&mut tx, &work).await?;
        let broken_glass =
            audit::broken_glass_since(&mut tx, self.now().before(EMERGENCIES)).await?;
        drop(tx);
        Ok(Status {
            recordings,
            work,
            dead,
            streams: self.0.streams.count(),
            custody_trouble: self
                .0
                .vault
                .check_owner()
                .await
                .err()
                .map(|error| error.to_string()),
            epoch: self.epoch_status().await?,
            journal: self.journal_status().await?,
            source,
            broken_glass,
            accounts: self.account_status().await?,
            clock: self.clock_status().await?,
        })
    }

    /// Deletions at the source that are in vain so far.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn stuck_deletions(&self) -> Result<Vec<Dead>, Error> {
        let attempts = self.0.settings.attempts.into();
        Ok(work::stuck_deletions(&mut self.0.ledger.read().await?, attempts, STUCK, 20).await?)
    }

    async fn source_status(&self, tx: &mut Tx, backlog: &[Backlog]) -> Result<SourceStatus, Error> {
        let erasures = || {
            backlog
                .iter()
                .filter(|work| work.kind == WorkKind::DeleteAtSource.as_str())
        };
        let oldest = erasures()
            .map(|work| Timestamp::from_millis(work.oldest_at))
            .min()
            .filter(|oldest| *oldest <= self.now());
        let stuck = work::stuck_deletions(tx, self.0.settings.attempts.into(), STUCK, 20).await?;
        Ok(SourceStatus {
            pending: erasures().map(|work| work.count).sum(),
            oldest,
            stuck,
        })
    }

    /// Whether ledger and store answer, and custody did when it was last asked.
    ///
    /// # Errors
    /// Whatever keeps one of them from answering.
    pub async fn probe(&self) -> Result<(), Error> {
        self.0.ledger.probe().await?;
        self.0.store.probe().await?;
        match self.0.vault.custody_trouble() {
            None => Ok(()),
            Some(trouble) => Err(vault::Error::CustodyTrouble(trouble).into()),
        }
    }

    /// Why nothing is written and nothing opens, if that is so: what kind of reason it is.
    pub fn refusal(&self) -> Option<ClosedFor> {
        self.0.ledger.refusal().map(|closed| closed.because)
    }

    /// Makes dead work due again, transcripts that were given up, and deletions at the source that
    /// rest after they failed; for one recording or for all. How many pieces.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn retry(&self, recording: Option<RecordingId>) -> Result<u64, Error> {
        let retried = self.0.ledger.unit("status.retry", async |mut unit| {
            let mut revived = work::revive(&mut unit, recording, self.now()).await?;
            let of = match recording {
                Some(id) => recordings::find(&mut unit, id).await?,
                None => None,
            };
            if recording.is_none() || of.is_some() {
                revived += transcripts::revive(&mut unit, of.as_ref(), self.now()).await?;
            }
            if revived > 0 {
                unit.audit(NewEntry::work_retried(
                    self.now(),
                    Initiator::Operator,
                    recording,
                    revived,
                ));
            }
            Ok::<_, ledger::Error>(revived)
        });
        let revived = retried.await?;
        self.0.bell.notify_one();
        Ok(revived)
    }

    /// Sets the gauges of the metrics listener.
    ///
    /// # Errors
    /// The ledger's.
    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floating point, and counts stay below 2^52"
    )]
    pub async fn measure(&self) -> Result<(), Error> {
        let backlog = work::backlog(&mut self.0.ledger.read().await?).await?;
        let now = self.now().as_millis();
        let counted = WorkKind::ALL
            .into_iter()
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
        let epoch = self.epoch_status().await?;
        let journal = self.journal_status().await?;
        self.clock_status().await?;
        metrics::gauge!("recvault_epoch").set(epoch.epoch as f64);
        metrics::gauge!("recvault_deletion_horizon_seconds").set(epoch.horizon_s as f64);
        metrics::gauge!("recvault_oldest_recoverable_shred_seconds")
            .set(epoch.horizon_now_s as f64);
        metrics::gauge!("recvault_recoverable_shreds").set(epoch.waiting as f64);
        metrics::gauge!("recvault_ledger_refused")
            .set(f64::from(u8::from(self.refusal().is_some())));
        metrics::gauge!("recvault_restore_gaps").set(journal.gaps.len() as f64);
        metrics::gauge!("recvault_unjournaled").set(journal.waiting as f64);
        let age = epoch
            .snapshot
            .map_or(0, |(_, at)| self.now().since(at).as_secs());
        metrics::gauge!("recvault_snapshot_age_seconds").set(age as f64);
        let accounts = self.account_status().await?;
        let ghosts: u64 = accounts
            .iter()
            .filter_map(|account| account.found)
            .map(|found| found.ghosts)
            .sum();
        metrics::gauge!("recvault_ghosts").set(ghosts as f64);
        let longest = accounts
            .iter()
            .filter_map(|account| account.done_at)
            .map(|at| self.now().since(at).as_secs())
            .max();
        metrics::gauge!("recvault_reconcile_age_seconds").set(longest.unwrap_or(0) as f64);
        metrics::gauge!("recvault_streams").set(self.0.streams.count() as f64);
        Ok(())
    }
}
