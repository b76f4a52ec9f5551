//! The units of work that record the results of deletions at the source, with their evidence; for a
//! shredded recording they also update the receipt.
//!
//! Owns these units of work. Refuses to know how copies are deleted.

use super::SourceDeletion;
use crate::{
    db::{
        self, Unit,
        outbox::OutboxKind,
        recordings, shreds, sources,
        work::{self, Lease, WorkKind},
    },
    evidence::{HeldCopy, NewEntry, Removal},
    flow::{error::Error, links::link_copies},
    model::{
        crash,
        id::RecordingId,
        residue::residue_of,
        source::{CopyState, SourceCopy},
        time::Timestamp,
    },
};

impl SourceDeletion {
    /// Records copies that were found, or their state so far.
    ///
    /// # Errors
    /// Any database error; then nothing is recorded.
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
            if let Some(recording) = recordings::find(&mut unit, id).await? {
                link_copies(
                    &mut unit,
                    self.vault.id(),
                    &recording.source_ref,
                    copies,
                    now,
                )
                .await?;
            }
            let entry = enter(&mut unit, id, copies, now).await?;
            self.tell_receipt(&mut unit, id, copies).await?;
            unit.to_journal(OutboxKind::Recording, &[id], now);
            tell(&mut unit, entry);
            Ok(())
        });
        unit.await
    }

    /// States in the receipt of a shredded recording until when the source may refuse to delete one
    /// of these copies.
    async fn tell_receipt(
        &self,
        unit: &mut Unit,
        id: RecordingId,
        copies: &[SourceCopy],
    ) -> Result<(), Error> {
        let latest = copies.iter().filter_map(SourceCopy::deletable_until).max();
        let (Some(until), Some((_, receipt))) = (latest, shreds::find_tombstone(unit, id).await?)
        else {
            return Ok(());
        };
        let source = HeldCopy::Source(Removal::NotDeletableYet { until });
        let vault = &self.vault;
        Ok(vault.update_receipt(unit, receipt, source, &[]).await?)
    }

    /// Finishes the work at the source and records the state of the copies. Recordings of which a copy
    /// stayed for this one are looked at again. If the recording is
    /// shredded, the receipt gets the result for all of them. A receipt that already states their
    /// removal is not changed.
    ///
    /// # Errors
    /// [`db::Error::LeaseLost`] inside if the lease was lost, for instance to a concurrent shred:
    /// then nothing is recorded.
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
            let waiting = sources::waiting_for(&mut unit, id).await?;
            work::begin_anew(&mut unit, WorkKind::DeleteAtSource, &waiting, now).await?;
            let tombstone = shreds::find_tombstone(&mut unit, id).await?;
            if let Some((_, receipt)) = tombstone {
                let residue = residue_of(&sources::of(&mut unit, id).await?);
                let source = HeldCopy::Source(source);
                vault
                    .update_receipt(&mut unit, receipt, source, &residue)
                    .await?;
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

    /// Records that a recording in progress was stopped.
    ///
    /// # Errors
    /// Any database error.
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

/// Records copies. Returns the audit entry of the change, if anything changed, to be added to the
/// unit.
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
        let is_redacted = copy.redacted_at.is_some();
        // That the source does nothing yet is no act.
        !matches!(copy.state, CopyState::There | CopyState::NotDeletableYet)
            && known.is_none_or(|known| known.state != copy.state)
            || is_redacted && known.is_none_or(|known| known.redacted_at.is_none())
    };
    Ok(copies
        .iter()
        .any(is_news)
        .then(|| NewEntry::source_deleted(now, id, &before, copies)))
}
