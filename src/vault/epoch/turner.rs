//! Who turns: one process at a time, held by a lease that every unit of the turn checks.
//!
//! Owns taking, keeping and leaving the lease, which counts by the database's time; each taking has
//! a number, and a unit of another taking does not stand. A turner that slept finds it gone with
//! the next unit, and nothing of that unit stands.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::{
    ledger::{
        self, Term, Tx,
        epochs::{self, EpochRow},
    },
    model::id::HolderId,
    vault::{Error, Inner, Vault},
};

/// How long the turn belongs to a process that does not say it is still at it.
const LEASE: Duration = Duration::from_secs(60);

/// The process that turns, while its lease lasts.
pub(super) struct Turner<'a> {
    pub(super) vault: &'a Inner,
    holder: HolderId,
    /// The number of the taking.
    fence: AtomicI64,
}

impl Vault {
    /// Runs `work` as the one turner; `None` while another process is.
    pub(super) async fn as_turner<T: Send>(
        &self,
        work: impl AsyncFnOnce(&Turner<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.0.follow().await?;
        let turner = Turner {
            vault: &self.0,
            holder: HolderId::random(&mut rand::rng()),
            fence: AtomicI64::new(0),
        };
        if !turner.take().await? {
            return Ok(None);
        }
        let done = tokio::select! {
            done = work(&turner) => done,
            lost = turner.keep() => Err(lost),
        };
        // A lease that is not given back runs out.
        if let Err(error) = turner.leave().await {
            tracing::warn!(%error, "the turn is not given back");
        }
        done.map(Some)
    }
}

impl Turner<'_> {
    /// The present epoch.
    pub(super) async fn current(&self) -> Result<EpochRow, Error> {
        epochs::current(&mut self.vault.ledger.read().await?)
            .await?
            .ok_or(Error::NoVault)
    }

    /// Begins a unit that stands only while the turn is ours.
    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        let mut tx = self.vault.ledger.begin().await?;
        let term = Term::begin(&mut tx, LEASE).await?;
        epochs::keep_turn(
            &mut tx,
            self.holder,
            self.fence.load(Ordering::SeqCst),
            term,
        )
        .await?;
        Ok(tx)
    }

    async fn take(&self) -> Result<bool, Error> {
        let taken = self.vault.unit(async || {
            let mut tx = self.vault.ledger.begin().await?;
            let term = Term::begin(&mut tx, LEASE).await?;
            let taken = epochs::take_turn(&mut tx, self.holder, term).await?;
            tx.commit().await?;
            Ok(taken)
        });
        let taken = taken.await?;
        self.fence
            .store(taken.unwrap_or_default(), Ordering::SeqCst);
        Ok(taken.is_some())
    }

    /// Keeps the lease while long steps run; returns when it is lost.
    async fn keep(&self) -> Error {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let kept = async { Ok(self.begin().await?.commit().await?) };
            match kept.await {
                Err(Error::Ledger(lost @ ledger::Error::Stale(_))) => return lost.into(),
                Err(error) => tracing::warn!(%error, "the turn's lease is not extended"),
                Ok(()) => {}
            }
        }
    }

    async fn leave(&self) -> Result<(), Error> {
        let mut tx = self.vault.ledger.begin().await?;
        epochs::leave_turn(&mut tx, self.holder).await?;
        Ok(tx.commit().await?)
    }
}
