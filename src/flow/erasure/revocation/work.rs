//! Revocations go on: page by page, until everything that they reach has an outcome, through any
//! interruption.
//!
//! INVARIANT: who works on one has it by a lease, and moves its cursor only from where it found it.
//! Two who do the same at once do it once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Revocations, close::receipt_of};
use crate::{
    evidence::{NewEntry, ShredReason},
    flow::{
        erasure::shredding::units::{SayCount, Undurable},
        error::Error,
        liveness::Task,
    },
    ledger::{
        self, Term, holds,
        marks::Marked,
        recordings,
        revocations::{self, Revocation},
    },
    model::id::{RecordingId, RevocationId},
    policy::{Permit, action},
    vault::{Cause, OnHold},
};

/// How long a revocation belongs to who works on it; each page renews it.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// Recordings in one page: so many that those on the same leaf page stand together, so few that a
/// page takes some seconds.
pub(super) const AT_ONCE: i64 = 10_000;
/// How often the service looks for revocations that wait.
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
    /// Works on a revocation that this process began, until it is done.
    ///
    /// # Errors
    /// The ledger's; what was done stays, and it goes on later. [`crate::vault::Error::NotDurable`]
    /// inside if all is done and the store cannot be written.
    pub async fn go_on(&self, id: RevocationId, say: SayCount<'_>) -> Result<(), Error> {
        loop {
            let found = revocations::find(&mut self.ledger.read().await?, id).await?;
            let Some(revocation) = found.filter(|revocation| !revocation.is_done) else {
                break;
            };
            let ids = revocations::reached(
                &mut self.ledger.read().await?,
                &revocation,
                revocation.cursor,
                AT_ONCE,
            )
            .await?;
            match ids.last() {
                Some(last) => {
                    self.deal_with(&revocation, &ids, say).await?;
                    let advanced = self.ledger.unit("revocation.go_on", async |mut unit| {
                        unit.without_entry("how far the work came");
                        let until = Term::begin(&mut unit, LEASE).await?.until();
                        // Where the cursor moved meanwhile, the next look finds what is left.
                        revocations::advance(&mut unit, id, revocation.cursor, *last, until).await
                    });
                    advanced.await?;
                }
                None => self.finish(&revocation).await?,
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
        if let Ok(done) = tokio::time::timeout(patience, self.go_on(id, &|_| {})).await {
            return done;
        }
        let released = self.ledger.unit("revocation.go_on_for", async |mut unit| {
            unit.without_entry("whose the work is");
            let now = unit.now().await?;
            revocations::release(&mut unit, id, now).await
        });
        released.await?;
        Ok(self.vault.make_durable().await?)
    }

    /// Takes up what waits: recordings that holds have released, and revocations that nobody is at
    /// work on.
    ///
    /// # Errors
    /// The ledger's; what was done stays, and the rest waits.
    pub async fn continue_all(&self) -> Result<Continued, Error> {
        let mut continued = Continued::default();
        let mut failed = None;
        match self.shred_released().await {
            Ok(released) => continued.released = released,
            Err(error) => failed = Some(error),
        }
        let mut looking = self.ledger.read().await?;
        let term = Term::begin(&mut looking, LEASE).await?;
        let due = revocations::due(&mut looking, term, TAKEN_UP).await?;
        drop(looking);
        for id in due {
            // One that cannot go on, and a store that is away, are no reason for the others to
            // wait.
            match self.take_up(id).await {
                Ok(is_ours) => continued.revocations += u64::from(is_ours),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(continued), Err)
    }

    /// Works on a revocation until it is done, if nobody else does; whether it was ours.
    async fn take_up(&self, id: RevocationId) -> Result<bool, Error> {
        let is_ours = self.take(id).await?;
        if is_ours {
            self.go_on(id, &|_| self.liveness.beat(Task::Revocations))
                .await?;
        }
        Ok(is_ours)
    }

    async fn take(&self, id: RevocationId) -> Result<bool, Error> {
        let taken = self
            .ledger
            .unit("revocation.take_revocation", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = Term::begin(&mut unit, LEASE).await?;
                revocations::take(&mut unit, id, term).await
            });
        Ok(taken.await?)
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
                if self.take(*id).await? {
                    self.go_on_for(*id, left).await
                } else {
                    Ok(())
                }
            };
            if let Err(error) = done.await {
                tracing::warn!(%error, revocation = %id, "a revocation does not go on");
            }
        }
        self.bells.revocations.notify_one();
    }

    /// Takes up what waits again and again until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Revocations);
            let continued = tokio::select! {
                () = stop.cancelled() => return,
                continued = self.continue_all() => continued,
            };
            if let Err(error) = continued {
                tracing::warn!(%error, "revocations do not go on");
                metrics::counter!("recvault_revocation_failures_total").increment(1);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.bells.revocations.notified() => {}
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    /// Shreds what is closed and what no hold keeps any more; how many.
    pub(in crate::flow) async fn shred_released(&self) -> Result<u64, Error> {
        let mut by_reason: BTreeMap<String, (ShredReason, Vec<RecordingId>)> = BTreeMap::new();
        let released = holds::released(&mut self.ledger.read().await?, TAKEN_UP).await?;
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
            let recordings = recordings::find_all(&mut self.ledger.read().await?, &ids).await?;
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

    /// Signs the receipt for the whole, unless something was reached meanwhile.
    async fn finish(&self, revocation: &Revocation) -> Result<(), Error> {
        let id = revocation.id;
        let now = self.clock.now();
        let finished = self.ledger.unit("work.finish", async |mut unit| {
            if !revocations::lock(&mut unit, id, revocation.cursor).await? {
                unit.abandon();
                return Ok::<_, ledger::Error>(());
            }
            let counts = revocations::count(&mut unit, id).await?;
            let receipts = revocations::receipts(&mut unit, id).await?;
            let vault = &self.vault;
            let receipt = receipt_of(vault.id(), revocation, counts, &receipts, now);
            let jws = vault.sign_revocation(&receipt);
            revocations::finish(&mut unit, id, &jws, now).await?;
            unit.mark(Marked::Revocation, &[id], now);
            unit.audit(NewEntry::revocation_done(
                now,
                id,
                counts.shredded,
                counts.held,
                counts.closed,
            ));
            Ok(())
        });
        Ok(finished.await?)
    }
}
