//! Whose turn it is to compare an account: a lease, kept while the comparison runs.

use std::time::Duration;

use super::{ReconcileFailure, Reconciliation};
use crate::{
    db::{
        self, Term, Tx, reconciliations,
        work::{self, Lease},
    },
    flow::error::Error,
    model::{id::HolderId, sid::AccountSid, time::Timestamp},
};

/// How long the turn belongs to a process that does not say it is still at it.
const LEASE: Duration = Duration::from_secs(60);

/// The turn for an account, while its lease lasts.
pub(super) struct Turn<'a> {
    reconciliation: &'a Reconciliation,
    lease: Lease<AccountSid>,
}

impl<'a> Turn<'a> {
    /// Takes it, unless somebody has it or the account was compared since then.
    pub(super) async fn take(
        reconciliation: &'a Reconciliation,
        account: &AccountSid,
        unless_since: Timestamp,
    ) -> Result<Option<Self>, Error> {
        let holder = HolderId::random(&mut rand::rng());
        let taken = reconciliation.db.unit("turn.take", async |mut unit| {
            unit.without_entry("whose the comparison is");
            let term = Term::begin(&mut unit, LEASE).await?;
            reconciliations::take(&mut unit, account, holder, term, unless_since).await
        });
        let lease = taken.await?;
        Ok(lease.map(|lease| Self {
            reconciliation,
            lease,
        }))
    }

    /// Takes it from whoever has it: they stop, and what they did is as good.
    pub(super) async fn seize(
        reconciliation: &'a Reconciliation,
        account: &AccountSid,
    ) -> Result<Self, Error> {
        let holder = HolderId::random(&mut rand::rng());
        let seized = reconciliation.db.unit("turn.seize", async |mut unit| {
            unit.without_entry("whose the comparison is");
            let term = Term::begin(&mut unit, LEASE).await?;
            reconciliations::seize(&mut unit, account, holder, term).await
        });
        let lease = seized.await?;
        Ok(Self {
            reconciliation,
            lease,
        })
    }

    pub(super) fn account(&self) -> &AccountSid {
        &self.lease.subject
    }

    /// Keeps the lease; returns when it is lost.
    pub(super) async fn keep(&self) -> ReconcileFailure {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let kept = self.reconciliation.db.unit("turn.keep", async |mut unit| {
                unit.without_entry("whose the comparison is");
                let term = Term::begin(&mut unit, LEASE).await?;
                work::extend(&mut unit, &self.lease, term).await
            });
            match kept.await {
                Err(db::Error::LeaseLost) => return ReconcileFailure::TakenOver,
                Err(error) => tracing::warn!(%error, "the lease of a comparison is not extended"),
                Ok(()) => {}
            }
        }
    }

    /// The comparison came to its end; within the unit that writes it down.
    pub(super) async fn done(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        found: &str,
    ) -> Result<(), db::Error> {
        reconciliations::leave(tx, &self.lease, now, Ok(found)).await
    }

    /// It did not.
    pub(super) async fn failed(&self, why: &str) -> Result<(), Error> {
        let left = self
            .reconciliation
            .db
            .unit("turn.failed", async |mut unit| {
                unit.without_entry("whose the comparison is");
                let now = self.reconciliation.clock.now();
                reconciliations::leave(&mut unit, &self.lease, now, Err(why)).await
            });
        Ok(left.await?)
    }
}
