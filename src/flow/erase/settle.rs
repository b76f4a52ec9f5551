//! What became of the source's copies, written down together with its evidence; of a shredded
//! recording the receipt tells of it, too.
//!
//! Owns the units of work in which that becomes true. Refuses to know how copies are deleted.

use super::SourceDeletion;
use crate::{
    db::{
        self, Unit,
        outbox::OutboxKind,
        shreds, sources,
        work::{self, Lease},
    },
    evidence::{HeldCopy, NewEntry, Removal},
    flow::error::Error,
    model::{
        crash,
        id::RecordingId,
        source::{CopyState, SourceCopy},
        time::Timestamp,
    },
};

impl SourceDeletion {
    /// Enters copies that were found, or what became of them so far.
    ///
    /// # Errors
    /// The database's; then nothing is entered.
    pub(super) async fn note_source(
        &self,
        id: RecordingId,
        copies: &[SourceCopy],
    ) -> Result<(), Error> {
        if copies.is_empty() {
            return Ok(());
        }
        let unit = self.vault.unit("source.note_source", async |mut unit| {
            let now = self.clock.now();
            let entry = enter(&mut unit, id, copies, now).await?;
            unit.to_journal(OutboxKind::Recording, &[id], now);
            tell(&mut unit, entry);
            Ok(())
        });
        unit.await
    }

    /// The work at the source is done: what became of the copies, and, if the recording is
    /// shredded, what its receipt says of all of them. A receipt that says already that they are
    /// removed stays as it is.
    ///
    /// # Errors
    /// [`db::Error::LeaseLost`] inside if the work was taken away, as a shred does that comes
    /// between: then nothing is entered.
    pub(super) async fn source_settled(
        &self,
        lease: &Lease<RecordingId>,
        copies: &[SourceCopy],
        source: Removal,
    ) -> Result<(), Error> {
        let id = lease.subject;
        let vault = &self.vault;
        let unit = vault.unit("source.source_settled", async |mut unit| {
            let now = self.clock.now();
            work::finish(&mut unit, lease).await?;
            let entry = enter(&mut unit, id, copies, now).await?;
            let tombstone = shreds::find_tombstone(&mut unit, id).await?;
            if let Some((_, receipt)) = tombstone {
                let source = HeldCopy::Source(source);
                vault.settle_receipt(&mut unit, receipt, source).await?;
            }
            if tombstone.is_some() || !copies.is_empty() {
                unit.to_journal(OutboxKind::Recording, &[id], now);
            }
            tell(&mut unit, entry);
            crash::point("erase.before_done");
            Ok(())
        });
        unit.await
    }

    /// Says that a recording was stopped that was still being made.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn note_stopped(&self, id: RecordingId) -> Result<(), Error> {
        let unit = self.vault.unit("source.note_stopped", async |mut unit| {
            unit.audit(NewEntry::source_stopped(self.clock.now(), id));
            Ok(())
        });
        unit.await
    }
}

fn tell(unit: &mut Unit, entry: Option<NewEntry>) {
    if let Some(entry) = entry {
        unit.audit(entry);
    } else {
        unit.without_entry("a copy that is looked at again is no news");
    }
}

/// Enters copies; the entry that tells of what changed, if anything did, to be appended last.
async fn enter(
    unit: &mut Unit,
    id: RecordingId,
    copies: &[SourceCopy],
    now: Timestamp,
) -> Result<Option<NewEntry>, db::Error> {
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
