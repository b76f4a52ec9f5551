//! Continuation of revocations: page by page, until all reached recordings have an outcome, across
//! interruptions.
//!
//! INVARIANT: a revocation is processed under a lease, and its cursor is moved only under the lease
//! and from the value that was read. Two concurrent workers have the effect of one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Revocations, close::receipt_of};
use crate::{
    db::{
        self, holds,
        outbox::OutboxKind,
        recordings,
        revocations::{self, OutcomeCounts, Revocation},
        work::{self, Lease, WorkKind},
    },
    evidence::{NewEntry, ShredReason},
    flow::{
        erasure::shredding::units::{SayCount, Undurable},
        error::Error,
        liveness::Task,
        retry::Setback,
    },
    model::{
        id::{HolderId, RecordingId, RevocationId},
        numerals,
    },
    policy::{Permit, action},
    vault::{self, Cause, OnHold},
};

/// Recordings in one page: enough that those on the same leaf page are grouped, few enough that a
/// page takes only some seconds.
pub(super) const AT_ONCE: i64 = 10_000;
/// How often the service looks for recordings released from holds.
const PACE: Duration = Duration::from_secs(2);
/// How long a request waits for its consequences. Twilio and most callers wait for 15 s, and other
/// steps need time, too.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most released recordings and revocations processed at a time.
const TAKEN_UP: i64 = 1_000;

/// The result of a continuation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ContinuedRevocations {
    /// The number of recordings that were shredded after their holds were lifted.
    pub released: u64,
    /// The number of revocations that were done.
    pub revocations: u64,
}

impl Revocations {
    /// Processes a revocation until it is done, and takes over the lease from any other worker.
    ///
    /// # Errors
    /// Any database error; committed work stays, and it continues later.
    /// [`vault::Error::NotDurable`] inside if all is done and the store cannot be written.
    pub async fn go_on(&self, id: RevocationId, say: SayCount<'_>) -> Result<(), Error> {
        while let Some(lease) = self.seize_revocation(id).await? {
            match self.go_on_under(&lease, say).await {
                // Another worker took it over. This call was asked to complete it.
                Err(error) if is_lost(&error) => {}
                done => {
                    done?;
                    break;
                }
            }
        }
        // Once, at the end: an unavailable store does not prevent the shred, only the
        // acknowledgement.
        Ok(self.vault.make_durable().await?)
    }

    /// Processes a revocation for a limited time, and leaves the rest to other workers.
    ///
    /// # Errors
    /// As [`Self::go_on`].
    pub async fn go_on_for(&self, id: RevocationId, patience: Duration) -> Result<(), Error> {
        match self.seize_revocation(id).await? {
            Some(lease) => self.go_on_under_for(&lease, patience).await,
            None => Ok(self.vault.make_durable().await?),
        }
    }

    async fn go_on_under_for(
        &self,
        lease: &Lease<RevocationId>,
        patience: Duration,
    ) -> Result<(), Error> {
        match tokio::time::timeout(patience, self.go_on_under(lease, &|_| {})).await {
            Ok(Err(error)) if !is_lost(&error) => return Err(error),
            Ok(_) => {}
            Err(_) => self.release_revocation(lease).await?,
        }
        Ok(self.vault.make_durable().await?)
    }

    /// Releases the lease, so that any worker may continue immediately.
    async fn release_revocation(&self, lease: &Lease<RevocationId>) -> Result<(), Error> {
        let name = "revocation.release";
        let released = self.db.unit(name, async |mut unit| {
            unit.without_entry("whose the work is");
            let now = unit.now().await?;
            work::release(&mut unit, lease, now).await
        });
        match released.await {
            // Another worker has continued it, or it was just finished.
            Err(db::Error::LeaseLost) => {}
            released => released?,
        }
        self.wakeups.work.notify_one();
        Ok(())
    }

    /// Processes a revocation until it is done, page by page, as long as this process holds the
    /// lease.
    ///
    /// # Errors
    /// [`db::Error::LeaseLost`] inside; any database error.
    async fn go_on_under(
        &self,
        lease: &Lease<RevocationId>,
        say: SayCount<'_>,
    ) -> Result<(), Error> {
        tokio::select! {
            done = self.pages_under(lease, say) => done,
            () = self.queue.keep(lease) => Err(db::Error::LeaseLost.into()),
        }
    }

    async fn pages_under(
        &self,
        lease: &Lease<RevocationId>,
        say: SayCount<'_>,
    ) -> Result<(), Error> {
        let id = lease.subject;
        loop {
            let found = revocations::find(&mut self.db.read().await?, id).await?;
            let Some(revocation) = found.filter(|revocation| !revocation.is_done) else {
                return self.queue.drop_work(lease).await;
            };
            let cursor = revocation.cursor;
            let mut looking = self.db.read().await?;
            let ids = revocations::reached(&mut looking, &revocation, cursor, AT_ONCE).await?;
            drop(looking);
            let Some(last) = ids.last() else {
                if self.finish(&revocation, lease).await? {
                    return Ok(());
                }
                continue;
            };
            self.deal_with(&revocation, &ids, say).await?;
            let advanced = self.db.unit("revocation.go_on", async |mut unit| {
                unit.without_entry("how far the work came");
                let term = self.queue.term(&mut unit).await?;
                // If the cursor was moved meanwhile, the next query finds the rest.
                revocations::advance(&mut unit, lease, cursor, *last, term).await
            });
            advanced.await?;
        }
    }

    /// Processes a revocation from the queue.
    pub(in crate::flow) async fn attempt(
        &self,
        lease: &Lease<RevocationId>,
    ) -> Result<(), Setback> {
        let worked = async {
            self.pages_under(lease, &|_| {}).await?;
            Ok::<_, Error>(self.vault.make_durable().await?)
        };
        worked.await.map_err(|error| {
            metrics::counter!("recvault_revocation_failures_total").increment(1);
            Setback::of_ours(&error)
        })
    }

    /// Processes pending work: recordings released from holds, and revocations that no worker
    /// holds.
    ///
    /// # Errors
    /// Any database error; committed work stays, and the rest waits.
    pub async fn continue_all(&self) -> Result<ContinuedRevocations, Error> {
        let mut continued = ContinuedRevocations::default();
        let mut failed = None;
        match self.shred_released().await {
            Ok(released) => continued.released = released,
            Err(error) => failed = Some(error),
        }
        for _ in 0..TAKEN_UP {
            let Some(lease) = self.queue.lease_one(WorkKind::Revocation).await? else {
                break;
            };
            // A revocation that cannot continue, or an unavailable store, must not block the
            // others.
            match self.go_on_under(&lease, &|_| {}).await {
                Ok(()) => continued.revocations += 1,
                Err(error) => {
                    let setback = Setback::of_ours(&error);
                    self.queue.give_back(&lease, &setback).await;
                    failed = failed.or(Some(error));
                }
            }
        }
        if continued.revocations > 0 {
            self.vault.make_durable().await?;
        }
        failed.map_or(Ok(continued), Err)
    }

    /// Leases this revocation, unless another worker holds it.
    async fn take(&self, id: RevocationId) -> Result<Option<Lease<RevocationId>>, Error> {
        let holder = HolderId::random(&mut rand::rng());
        let name = "revocation.take_revocation";
        let taken = self.db.unit(name, async |mut unit| {
            unit.without_entry("whose the work is");
            let term = self.queue.term(&mut unit).await?;
            work::take(&mut unit, WorkKind::Revocation, &id, holder, term).await
        });
        Ok(taken.await?)
    }

    /// Takes over the lease of a revocation from any worker; `None` if it is done.
    async fn seize_revocation(
        &self,
        id: RevocationId,
    ) -> Result<Option<Lease<RevocationId>>, Error> {
        let found = revocations::find(&mut self.db.read().await?, id).await?;
        if found.is_none_or(|revocation| revocation.is_done) {
            return Ok(None);
        }
        let holder = HolderId::random(&mut rand::rng());
        let seized = self.db.unit("revocation.seize", async |mut unit| {
            unit.without_entry("whose the work is");
            let term = self.queue.term(&mut unit).await?;
            work::seize(&mut unit, WorkKind::Revocation, &id, holder, term).await
        });
        Ok(Some(seized.await?))
    }

    /// Processes the revocations that a request began or made run again, for as long as a response
    /// may wait; the service completes the rest.
    pub(in crate::flow) async fn continue_for_a_while(&self, ids: &[RevocationId]) {
        let until = Instant::now() + PATIENCE;
        for id in ids {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let done = async {
                match self.take(*id).await? {
                    Some(lease) => self.go_on_under_for(&lease, left).await,
                    None => Ok(()),
                }
            };
            if let Err(error) = done.await {
                tracing::warn!(
                    %error, revocation = %id,
                    "a revocation cannot continue now; it is due again at once"
                );
            }
        }
        self.wakeups.work.notify_one();
    }

    /// Shreds recordings released from holds, repeatedly until `stop`.
    pub async fn watch_released(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Revocations);
            let shredded = tokio::select! {
                () = stop.cancelled() => return,
                shredded = self.shred_released() => shredded,
            };
            if let Err(error) = shredded {
                tracing::warn!(
                    "recordings released from holds are not shredded, again in {}: {error}",
                    numerals::pause(PACE)
                );
                metrics::counter!("recvault_revocation_failures_total").increment(1);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    /// Shreds closed recordings that no hold keeps any more. Returns their number.
    pub(in crate::flow) async fn shred_released(&self) -> Result<u64, Error> {
        let mut by_reason: BTreeMap<String, (ShredReason, Vec<RecordingId>)> = BTreeMap::new();
        let released = holds::released(&mut self.db.read().await?, TAKEN_UP).await?;
        for (id, reason) in released {
            by_reason
                .entry(reason.to_string())
                .or_insert_with(|| (reason, Vec::new()))
                .1
                .push(id);
        }
        if by_reason.is_empty() {
            return Ok(0);
        }
        let mut all = Undurable::nothing();
        for (reason, ids) in by_reason.into_values() {
            let recordings = recordings::find_all(&mut self.db.read().await?, &ids).await?;
            let permit = Permit::of_vault(action::Shred);
            let cause = Cause::permitted(&permit, &reason);
            let released: Vec<_> = recordings
                .into_iter()
                .filter(|recording| recording.revoked_at.is_some())
                .collect();
            let done = self
                .shredding
                .shred_in_units(&released, cause, OnHold::Close, &|_| {});
            all = all.and(done.await);
        }
        Ok(self
            .shredding
            .tell(all)
            .await?
            .shredded
            .iter()
            .filter(|shredded| shredded.is_new)
            .count() as u64)
    }

    async fn deal_with(
        &self,
        revocation: &Revocation,
        ids: &[RecordingId],
        say: SayCount<'_>,
    ) -> Result<(), Error> {
        let (gone, stay) = self.split(revocation, ids).await?;
        let cause = Cause::revoked(revocation);
        self.shredding
            .shred_in_units(&gone, cause, OnHold::Close, say)
            .await
            .kept()?;
        let closed = self.close_to(revocation, &stay, say).await;
        // All of them: a listener with another purpose may ask again.
        self.shredding.silence(&stay);
        closed
    }

    /// Signs the receipt for the whole revocation, unless more was reached meanwhile. Returns
    /// whether it was signed.
    async fn finish(
        &self,
        revocation: &Revocation,
        lease: &Lease<RevocationId>,
    ) -> Result<bool, Error> {
        let id = revocation.id;
        let now = self.clock.now();
        let finished = self.vault.unit("work.finish", async |mut unit| {
            if !revocations::lock(&mut unit, id, revocation.cursor).await? {
                unit.abandon();
                return Ok::<_, vault::Error>(false);
            }
            let kinds = revocations::count(&mut unit, id).await?;
            let counts = OutcomeCounts::of(&kinds);
            let receipts = revocations::receipts(&mut unit, id).await?;
            let vault = &self.vault;
            let receipt = receipt_of(vault.id(), revocation, kinds, &receipts, now);
            let jws = vault.sign_revocation(&mut unit, &receipt).await?;
            revocations::finish(&mut unit, lease, &jws, now).await?;
            unit.to_journal(OutboxKind::Revocation, &[id], now);
            unit.audit(NewEntry::revocation_done(
                now,
                id,
                counts.shredded,
                counts.held,
                counts.closed,
            ));
            Ok(true)
        });
        Ok(finished.await?)
    }
}

/// Returns whether the lease is lost.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Vault(vault::Error::Db(db::Error::LeaseLost)))
}
