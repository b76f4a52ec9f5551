//! The lease of the turn: one process turns at a time, and every unit of the turn checks the lease.
//!
//! Owns taking, renewing and releasing the lease, measured by the database's clock. Each
//! acquisition has a number, and a unit of another acquisition is rolled back: a process that was
//! suspended finds its lease lost at the next unit, and nothing of that unit is committed.

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

/// The time after which a lease expires unless it is renewed.
const LEASE: Duration = Duration::from_secs(60);

/// The process that turns, while its lease lasts.
pub(super) struct Turner<'a> {
    pub(super) vault: &'a Inner,
    lease: Lease<VaultId>,
}

impl Vault {
    /// Runs `work` under the lease; returns `None` while another process holds it.
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
        // A lease that is not released expires.
        if let Err(error) = turner.leave().await {
            tracing::warn!(%error, "the lease of the turn is not released");
        }
        done.map(Some)
    }
}

impl Turner<'_> {
    /// Returns the present epoch.
    pub(super) async fn current(&self) -> Result<EpochRow, Error> {
        epochs::current(&mut self.vault.db.read().await?)
            .await?
            .ok_or(Error::NoVault)
    }

    /// Runs a unit of work that commits only while this process holds the lease.
    ///
    /// # Errors
    /// [`db::Error::LeaseLost`] inside once it does not; as [`Inner::unit`].
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

    /// Renews the lease while long steps run; returns when it is lost.
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
            // Another process holds it by now, or none does.
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
