//! Restoring consistency once rows of several timelines are in one database.
//!
//! The newest state of a recording replaces an older one whole, and may come from a timeline that
//! lacks a shred or a hold of another. Owns the changes that follow from the rows. Refuses to enter
//! rows. INVARIANTS
//! - A tombstone wins: its recording is shredded, whichever state came last.
//! - `recordings.holds` is the number of holds that stand, and none stands over a tombstone.

use crate::{
    db::{
        Tx, details, merged, recordings, revocations, waiting,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    model::{actor::Initiator, time::Timestamp},
    vault::error::Error,
};

/// Makes states, holds and outcomes of revocations agree with tombstones. Returns the audit
/// entries.
///
/// # Errors
/// The database's.
pub(super) async fn reconcile(tx: &mut Tx, now: Timestamp) -> Result<Vec<NewEntry>, Error> {
    let dead = merged::shred_tombstoned(tx).await?;
    details::remove(tx, &dead).await?;
    waiting::clear_of(tx, &dead).await?;
    work::cancel(tx, WorkKind::FetchMedia, &dead).await?;
    for id in &dead {
        tracing::warn!(
            recording = %id,
            "a timeline knew nothing of the shred of this recording; it is shredded"
        );
        if !recordings::artefacts(tx, *id).await?.is_empty() {
            work::enqueue(tx, WorkKind::DeleteCiphertext, &[*id], now).await?;
        }
    }

    let unsettled = merged::unsettled(tx).await?;
    if !unsettled.is_empty() {
        revocations::settle(tx, &unsettled, now).await?;
    }

    let lifted = merged::lift_over_tombstones(tx, now).await?;
    merged::count_holds(tx).await?;
    let entry = |(id, name)| NewEntry::hold_lifted(now, Initiator::Vault, id, &name, 0);
    Ok(lifted.into_iter().map(entry).collect())
}
