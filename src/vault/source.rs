//! What became of the source's copies, written down together with its evidence; of a shredded
//! recording the receipt tells of it, too.
//!
//! Owns the units of work in which that becomes true. Refuses to know how copies are deleted.

use super::{Error, Inner, Vault};
use crate::{
    evidence::{HeldCopy, NewEntry, Receipt, Removal},
    ledger::{
        Tx, audit,
        marks::{self, Marked},
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
            .unit(async || {
                let mut tx = vault.ledger.begin().await?;
                let now = vault.clock.now();
                let entry = enter(&mut tx, id, copies, now).await?;
                marks::set(&mut tx, Marked::Recording, &[id], now).await?;
                if let Some(entry) = entry {
                    audit::append(&mut tx, entry).await?;
                }
                Ok(tx.commit().await?)
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
        lease: &Lease,
        copies: &[SourceCopy],
        source: Removal,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let id = lease.recording;
        vault
            .unit(async || {
                let mut tx = vault.ledger.begin().await?;
                let now = vault.clock.now();
                work::finish(&mut tx, lease).await?;
                let entry = enter(&mut tx, id, copies, now).await?;
                let fence = shreds::find_fence(&mut tx, id).await?;
                if let Some((_, receipt)) = fence {
                    vault.settle_source(&mut tx, receipt, source, now).await?;
                }
                if fence.is_some() || !copies.is_empty() {
                    marks::set(&mut tx, Marked::Recording, &[id], now).await?;
                }
                if let Some(entry) = entry {
                    audit::append(&mut tx, entry).await?;
                }
                crash::point("erase.before_done");
                Ok(tx.commit().await?)
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
            .unit(async || {
                let mut tx = vault.ledger.begin().await?;
                audit::append(&mut tx, NewEntry::source_stopped(vault.clock.now(), id)).await?;
                Ok(tx.commit().await?)
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
    tx: &mut Tx,
    id: RecordingId,
    copies: &[SourceCopy],
    now: Timestamp,
) -> Result<Option<NewEntry>, Error> {
    if copies.is_empty() {
        return Ok(None);
    }
    let before = sources::of(tx, id).await?;
    sources::enter(tx, id, copies).await?;
    let known = |copy: &SourceCopy| {
        before
            .iter()
            .find(|known| (known.kind, &known.sid) == (copy.kind, &copy.sid))
    };
    for copy in copies {
        if copy.deleted_at.is_some() && known(copy).is_none_or(|known| known.deleted_at.is_none()) {
            tx.count_as(
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
