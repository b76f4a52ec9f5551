//! Whose turn it is to compare an account: a lease, kept while the comparison runs.

use std::time::Duration;

use super::{Broken, Reconciliation};
use crate::{
    flow::error::Error,
    ledger::{self, Term, Tx, reconciliations},
    model::{id::HolderId, sid::AccountSid, time::Timestamp},
};

/// How long the turn belongs to a process that does not say it is still at it.
const LEASE: Duration = Duration::from_secs(60);

/// The turn for an account, while its lease lasts.
pub(super) struct Turn<'a> {
    reconciliation: &'a Reconciliation,
    account: AccountSid,
    holder: HolderId,
}

impl<'a> Turn<'a> {
    /// Takes it, unless somebody has it or the account was compared since then.
    pub(super) async fn take(
        reconciliation: &'a Reconciliation,
        account: &AccountSid,
        unless_since: Timestamp,
    ) -> Result<Option<Self>, Error> {
        let turn = Self::new(reconciliation, account);
        let taken = reconciliation.ledger.unit("turn.take", async |mut unit| {
            unit.without_entry("whose the comparison is");
            let term = Term::begin(&mut unit, LEASE).await?;
            let taken =
                reconciliations::take(&mut unit, account, turn.holder, term, unless_since).await?;
            Ok::<_, ledger::Error>(taken)
        });
        Ok(taken.await?.then_some(turn))
    }

    /// Takes it from whoever has it: they stop, and what they did is as good.
    pub(super) async fn seize(
        reconciliation: &'a Reconciliation,
        account: &AccountSid,
    ) -> Result<Self, Error> {
        let turn = Self::new(reconciliation, account);
        let seized = reconciliation.ledger.unit("turn.seize", async |mut unit| {
            unit.without_entry("whose the comparison is");
            let term = Term::begin(&mut unit, LEASE).await?;
            reconciliations::seize(&mut unit, account, turn.holder, term).await?;
            Ok::<_, ledger::Error>(())
        });
        seized.await?;
        Ok(turn)
    }

    pub(super) fn account(&self) -> &AccountSid {
        &self.account
    }

    /// Keeps the lease; returns when it is lost.
    pub(super) async fn keep(&self) -> Broken {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let kept = self
                .reconciliation
                .ledger
                .unit("turn.keep", async |mut unit| {
                    unit.without_entry("whose the comparison is");
                    let term = Term::begin(&mut unit, LEASE).await?;
                    reconciliations::keep(&mut unit, &self.account, self.holder, term).await
                });
            match kept.await {
                Err(ledger::Error::Stale(_)) => return Broken::TakenOver,
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
    ) -> Result<(), ledger::Error> {
        reconciliations::leave(tx, &self.account, self.holder, now, Ok(found)).await
    }

    /// It did not.
    pub(super) async fn failed(&self, why: &str) -> Result<(), Error> {
        let left = self
            .reconciliation
            .ledger
            .unit("turn.failed", async |mut unit| {
                unit.without_entry("whose the comparison is");
                let now = self.reconciliation.clock.now();
                reconciliations::leave(&mut unit, &self.account, self.holder, now, Err(why)).await
            });
        Ok(left.await?)
    }

    fn new(reconciliation: &'a Reconciliation, account: &AccountSid) -> Self {
        Self {
            reconciliation,
            account: account.clone(),
            holder: HolderId::random(&mut rand::rng()),
        }
    }
}
