//! Who turns: one process at a time, held by a lease that every unit of the turn checks.
//!
//! Owns taking, keeping and leaving the lease, which counts by the database's time; each taking has
//! a number, and a unit of another taking does not stand. A turner that slept finds it gone with
//! the next unit, and nothing of that unit stands.

use std::time::Duration;

use crate::{
    db::{
        self, Term, Unit,
        epochs::{self, EpochRow},
        work::{self, Lease},
    },
    model::id::{HolderId, VaultId},
    vault::{Inner, Vault, error::Error},
};

/// How long the turn belongs to a process that does not say it is still at it.
const LEASE: Duration = Duration::from_secs(60);

/// The process that turns, while its lease lasts.
pub(super) struct Turner<'a> {
    pub(super) vault: &'a Inner,
    lease: Lease<VaultId>,
}

impl Vault {
    /// Runs `work` as the one turner; `None` while another process is.
    pub(super) async fn as_turner<T: Send>(
        &self,
        work: impl AsyncFnOnce(&Turner<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.0.follow().await?;
        let vault = &*self.0;
        let Some(lease) = take(vault).await? else {
            return Ok(None);
        };
        let turner = Turner { vault, lease };
        let done = tokio::select! {
            done = work(&turner) => done,
            lost = turner.keep() => Err(lost),
        };
        // A lease that is not given back runs out.
        if let Err(error) = turner.leave().await {
            tracing::warn!(%error, "the lease of the turn is not released");
        }
        done.map(Some)
    }
}

impl Turner<'_> {
    /// The present epoch.
    pub(super) async fn current(&self) -> Result<EpochRow, Error> {
        epochs::current(&mut self.vault.db.read().await?)
            .await?
            .ok_or(Error::NoVault)
    }

    /// Does a unit of work that stands only while the turn is ours.
    ///
    /// # Errors
    /// [`db::Error::LeaseLost`] inside when it is not any more; as [`Inner::unit`].
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

    async fn extend(&self, unit: &mut Unit) -> Result<(), db::Error> {
        let term = Term::begin(unit, LEASE).await?;
        work::extend(unit, &self.lease, term).await
    }

    /// Keeps the lease while long steps run; returns when it is lost.
    async fn keep(&self) -> Error {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let kept = self.vault.db.unit("turner.keep", async |mut unit| {
                unit.without_entry("the lease of the turn is kept");
                self.extend(&mut unit).await
            });
            match kept.await {
                Err(lost @ db::Error::LeaseLost) => return lost.into(),
                Err(error) => tracing::warn!(%error, "the lease of the turn is not extended"),
                Ok(()) => {}
            }
        }
    }

    async fn leave(&self) -> Result<(), Error> {
        let left = self.vault.db.unit("turner.leave", async |mut unit| {
            unit.without_entry("whose the turn is");
            work::finish(&mut unit, &self.lease).await
        });
        match left.await {
            // It is somebody else's by now, or nobody's.
            Err(db::Error::LeaseLost) => Ok(()),
            left => Ok(left?),
        }
    }
}

async fn take(vault: &Inner) -> Result<Option<Lease<VaultId>>, Error> {
    let holder = HolderId::random(&mut rand::rng());
    let taken = vault.unit("turner.take", async |mut unit| {
        unit.without_entry("whose the turn is");
        let term = Term::begin(&mut unit, LEASE).await?;
        Ok(epochs::take_turn(&mut unit, vault.id, holder, term).await?)
    });
    taken.await
}
