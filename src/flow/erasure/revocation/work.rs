//! Revocations go on: page by page, until everything that they reach has an outcome, through any
//! interruption.
//!
//! INVARIANT: who works on one has it by a lease, and moves its cursor only under it and from where it
//! found it. Two who do the same at once do it once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Revocations, close::receipt_of};
use crate::{
    db::{
        self, holds,
        outbox::OutboxKind,
        recordings,
        revocations::{self, Revocation},
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

/// Recordings in one page: so many that those on the same leaf page stand together, so few that a
/// page takes some seconds.
pub(super) const AT_ONCE: i64 = 10_000;
/// How often the service looks for what holds have released.
const PACE: Duration = Duration::from_secs(2);
/// How long an answer waits for what follows from it. Twilio and most callers wait for 15 s, and
/// there is more to be done than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// Released recordings and revocations taken up at a time.
const TAKEN_UP: i64 = 1_000;

/// What was gone on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Continued {
    /// So many recordings that holds had kept were shredded.
    pub released: u64,
    /// So many revocations were done.
    pub revocations: u64,
}

impl Revocations {
    /// Works on a revocation until it is done, whoever else has it: they find it taken over.
    ///
    /// # Errors
    /// The database's; what was done stays, and it goes on later. [`vault::Error::NotDurable`] inside if
    /// all is done and the store cannot be written.
    pub async fn go_on(&self, id: RevocationId, say: SayCount<'_>) -> Result<(), Error> {
        while let Some(lease) = self.seize_revocation(id).await? {
            match self.go_on_under(&lease, say).await {
                // Somebody had it while we slept. We were asked to see it done.
                Err(error) if is_lost(&error) => {}
                done => {
                    done?;
                    break;
                }
            }
        }
        // Once, behind everything: a store that is away keeps nothing from being shredded, only
        // from being told.
        Ok(self.vault.make_durable().await?)
    }

    /// Works on a revocation for so long at most, and leaves the rest to whoever comes next.
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

    /// Anybody may go on with it at once.
    async fn release_revocation(&self, lease: &Lease<RevocationId>) -> Result<(), Error> {
        let name = "revocation.release";
        let released = self.db.unit(name, async |mut unit| {
            unit.without_entry("whose the work is");
            let now = unit.now().await?;
            work::release(&mut unit, lease, now).await
        });
        match released.await {
            // Somebody goes on with it already, or it was done at the last moment.
            Err(db::Error::Stale(_)) => {}
            released => released?,
        }
        self.bells.work.notify_one();
        Ok(())
    }

    /// Works on a revocation until it is done, page by page, as long as the lease is ours.
    ///
    /// # Errors
    /// [`db::Error::Stale`] inside if it was lost; the database's.
    async fn go_on_under(
        &self,
        lease: &Lease<RevocationId>,
        say: SayCount<'_>,
    ) -> Result<(), Error> {
        tokio::select! {
            done = self.pages_under(lease, say) => done,
            () = self.queue.keep(lease) => Err(db::Error::Stale("another process took the revocation over").into()),
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
                // Where the cursor moved meanwhile, the next look finds what is left.
                revocations::advance(&mut unit, lease, cursor, *last, term).await
            });
            advanced.await?;
        }
    }

    /// A revocation from the queue.
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

    /// Takes up what waits: recordings that holds have released, and revocations that nobody is at
    /// work on.
    ///
    /// # Errors
    /// The database's; what was done stays, and the rest waits.
    pub async fn continue_all(&self) -> Result<Continued, Error> {
        let mut continued = Continued::default();
        let mut failed = None;
        match self.shred_released().await {
            Ok(released) => continued.released = released,
            Err(error) => failed = Some(error),
        }
        for _ in 0..TAKEN_UP {
            let Some(lease) = self.queue.lease_one(WorkKind::Revocation).await? else {
                break;
            };
            // One that cannot go on, and a store that is away, are no reason for the others to
            // wait.
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

    /// Takes a revocation that nobody has, this one.
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

    /// Takes a revocation from whoever has it; `None` if it is done.
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

    /// Works on the revocations that somebody's request began or made run again, and on no others,
    /// for so long as an answer may wait; the rest is left to the service.
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
        self.bells.work.notify_one();
    }

    /// Shreds what holds have released, again and again until `stop`.
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

    /// Shreds what is closed and what no hold keeps any more; how many.
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
        // All of them: who hears one for another purpose may come again.
        self.shredding.silence(&stay);
        closed
    }

    /// Signs the receipt for the whole, unless something was reached meanwhile. Whether it did.
    async fn finish(
        &self,
        revocation: &Revocation,
        lease: &Lease<RevocationId>,
    ) -> Result<bool, Error> {
        let id = revocation.id;
        let now = self.clock.now();
        let finished = self.db.unit("work.finish", async |mut unit| {
            if !revocations::lock(&mut unit, id, revocation.cursor).await? {
                unit.abandon();
                return Ok::<_, db::Error>(false);
            }
            let counts = revocations::count(&mut unit, id).await?;
            let receipts = revocations::receipts(&mut unit, id).await?;
            let vault = &self.vault;
            let receipt = receipt_of(vault.id(), revocation, counts, &receipts, now);
            let jws = vault.sign_revocation(&receipt);
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

/// Whether somebody else has the work now.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Vault(vault::Error::Db(db::Error::Stale(_))))
}
