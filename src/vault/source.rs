//! What became of the source's copies, written down together with its evidence; of a shredded
//! recording the receipt tells of it, too.
//!
//! Owns the units of work in which that becomes true. Refuses to know how copies are deleted.

use super::{Error, Inner, Vault};
use crate::{
    evidence::{HeldCopy, NewEntry, Receipt, Removal},
    ledger::{
        Tx, Unit,
        marks::Marked,
        shreds, sources,
        work::{self, Lease},
    },
    model::{
        crash,
        id::{ReceiptId, RecordingId},
        source::{CopyState, SourceCopy},
        time::Timestamp,
    },
};

impl Vault {
    /// Enters copies that were found, or what became of them so far.
    ///
    /// # Errors
    /// The ledger's; then nothing is entered.
    pub async fn note_source(&self, id: RecordingId, copies: &[SourceCopy]) -> Result<(), Error> {
        let vault = &*self.0;
        if copies.is_empty() {
            return Ok(());
        }
        vault
            .unit("source.note_source", async |mut unit| {
                let now = vault.clock.now();
                let entry = enter(&mut unit, id, copies, now).await?;
                unit.mark(Marked::Recording, &[id], now);
                if let Some(entry) = entry {
                    unit.audit(entry);
                } else {
                    unit.without_entry("a copy that is looked at again is no news");
                }
                Ok(())
            })
            .await
    }

    /// The work at the source is done: what became of the copies, and, if the recording is
    /// shredded, what its receipt says of all of them. A receipt that says already that they are
    /// removed stays as it is.
    ///
    /// # Errors
    /// [`crate::ledger::Error::Stale`] inside if the work was taken away, as a shred does that
    /// comes between: then nothing is entered.
    pub async fn source_settled(
        &self,
        lease: &Lease<RecordingId>,
        copies: &[SourceCopy],
        source: Removal,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let id = lease.subject;
        vault
            .unit("source.source_settled", async |mut unit| {
                let now = vault.clock.now();
                work::finish(&mut unit, lease).await?;
                let entry = enter(&mut unit, id, copies, now).await?;
                let fence = shreds::find_fence(&mut unit, id).await?;
                if let Some((_, receipt)) = fence {
                    vault.settle_source(&mut unit, receipt, source, now).await?;
                }
                if fence.is_some() || !copies.is_empty() {
                    unit.mark(Marked::Recording, &[id], now);
                }
                if let Some(entry) = entry {
                    unit.audit(entry);
                } else {
                    unit.without_entry("a copy that is looked at again is no news");
                }
                crash::point("erase.before_done");
                Ok(())
            })
            .await
    }

    /// Says that a recording was stopped that was still being made.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn note_stopped(&self, id: RecordingId) -> Result<(), Error> {
        let vault = &*self.0;
        vault
            .unit("source.note_stopped", async |mut unit| {
                unit.audit(NewEntry::source_stopped(vault.clock.now(), id));
                Ok(())
            })
            .await
    }
}

impl Inner {
    async fn settle_source(
        &self,
        tx: &mut Tx,
        receipt: ReceiptId,
        source: Removal,
        now: Timestamp,
    ) -> Result<(), Error> {
        let jws = shreds::find_receipt(tx, receipt)
            .await?
            .ok_or(Error::Gone)?;
        let said = Receipt::verify(&jws, &self.key_set())
            .map_err(|_| Error::Gone)?
            .source();
        match said {
            // Signed before, and still true.
            Some(Removal::Removed(_)) => Ok(()),
            Some(said) if said == source => Ok(()),
            _ => {
                self.settle(tx, receipt, HeldCopy::Source(source), now)
                    .await
            }
        }
    }
}

/// Enters copies; the entry that tells of what changed, if anything did, to be appended last.
async fn enter(
    unit: &mut Unit,
    id: RecordingId,
    copies: &[SourceCopy],
    now: Timestamp,
) -> Result<Option<NewEntry>, Error> {
    if copies.is_empty() {
        return Ok(None);
    }
    let before = sources::of(unit, id).await?;
    sources::enter(unit, id, copies).await?;
    let known = |copy: &SourceCopy| {
        before
            .iter()
            .find(|known| (known.kind, &known.sid) == (copy.kind, &copy.sid))
    };
    for copy in copies {
        if copy.deleted_at.is_some() && known(copy).is_none_or(|known| known.deleted_at.is_none()) {
            unit.count_as(
                "recvault_source_deleted_total",
                "kind",
                copy.kind.as_str(),
                1,
            );
        }
    }
    let is_news = |copy: &SourceCopy| {
        let known = known(copy);
        copy.state != CopyState::There && known.is_none_or(|known| known.state != copy.state)
    };
    Ok(copies
        .iter()
        .any(is_news)
        .then(|| NewEntry::source_deleted(now, id, &before, copies)))
}
