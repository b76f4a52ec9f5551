//! The turn to compare an account: a lease, extended while the comparison runs.

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

/// The length of the lease unless it is extended.
const LEASE: Duration = Duration::from_secs(60);

/// The turn for an account, while its lease lasts.
pub(super) struct Turn<'a> {
    reconciliation: &'a Reconciliation,
    lease: Lease<AccountSid>,
}

impl<'a> Turn<'a> {
    /// Takes the turn, unless another process has it or the account was compared since
    /// `unless_since`.
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

    /// Takes the turn from any process, which then stops; its work so far stays valid.
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

    /// Extends the lease regularly; returns when it is lost.
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

    /// Records a completed comparison, within the unit that writes its result.
    pub(super) async fn done(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        found: &str,
    ) -> Result<(), db::Error> {
        reconciliations::leave(tx, &self.lease, now, Ok(found)).await
    }

    /// Records a failed comparison.
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
