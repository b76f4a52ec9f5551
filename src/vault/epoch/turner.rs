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
        self, Term, Unit,
        epochs::{self, EpochRow},
    },
    model::id::HolderId,
    vault::{Inner, Vault, error::Error},
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

    /// Does a unit of work that stands only while the turn is ours.
    ///
    /// # Errors
    /// [`ledger::Error::Stale`] inside when it is not any more; as [`Inner::unit`].
    pub(super) async fn unit<T, F, Fut>(&self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: Fn(Unit) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        self.vault
            .unit(name, async |mut unit| {
                self.extend(&mut unit).await?;
                work(unit).await
            })
            .await
    }

    async fn extend(&self, unit: &mut Unit) -> Result<(), ledger::Error> {
        let term = Term::begin(unit, LEASE).await?;
        epochs::keep_turn(unit, self.holder, self.fence.load(Ordering::SeqCst), term).await
    }

    async fn take(&self) -> Result<bool, Error> {
        let taken = self.vault.unit("turner.take", async |mut unit| {
            unit.without_entry("whose the turn is");
            let term = Term::begin(&mut unit, LEASE).await?;
            let taken = epochs::take_turn(&mut unit, self.holder, term).await?;
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
            let kept = self.vault.ledger.unit("turner.keep", async |mut unit| {
                unit.without_entry("the lease of the turn is kept");
                self.extend(&mut unit).await
            });
            match kept.await {
                Err(lost @ ledger::Error::Stale(_)) => return lost.into(),
                Err(error) => tracing::warn!(%error, "the turn's lease is not extended"),
                Ok(()) => {}
            }
        }
    }

    async fn leave(&self) -> Result<(), Error> {
        let left = self.vault.ledger.unit("turner.leave", async |mut unit| {
            unit.without_entry("whose the turn is");
            epochs::leave_turn(&mut unit, self.holder).await
        });
        Ok(left.await?)
    }
}
