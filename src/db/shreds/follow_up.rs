//! Consequences of a shred elsewhere in the database, in the unit that shreds.
//!
//! Owns these changes, so that a shredding unit need not know the queue, the transcripts and the
//! revocations. Refuses to know keys and tombstones.

use crate::{
    db::{
        error::Error,
        likenesses, revocations, transcripts,
        tx::Tx,
        work::{self, WorkKind},
    },
    model::{
        id::{RecordingId, RevocationId},
        revocation::RevocationOutcome,
        time::Timestamp,
    },
};

/// The outcome for recordings that were to be shredded.
#[derive(Clone, Copy, Debug)]
pub struct ShredBatch<'a> {
    /// Recordings that this unit shreds.
    pub fresh: &'a [RecordingId],
    /// Recordings that were shredded before.
    pub earlier: &'a [RecordingId],
    /// Recordings that a hold keeps.
    pub held: &'a [RecordingId],
    /// The revocation that gets these outcomes.
    pub revocation: Option<RevocationId>,
}

/// Cancels fetches and transcripts of these recordings, enqueues the deletion of their bytes in the
/// store and at the source, and updates revocations. Must run before the unit's audit entries are
/// written, because it locks rows that other units lock before their entries.
pub async fn follow_up(tx: &mut Tx, batch: ShredBatch<'_>, now: Timestamp) -> Result<(), Error> {
    let fresh = batch.fresh;
    work::cancel(tx, WorkKind::FetchMedia, fresh).await?;
    work::enqueue(tx, WorkKind::DeleteCiphertext, fresh, now).await?;
    transcripts::forget(tx, fresh).await?;
    likenesses::forget(tx, fresh).await?;
    // Restarted: a deletion after sealing may wait for its date, or be running without updating a
    // receipt.
    work::begin_anew(tx, WorkKind::DeleteAtSource, fresh, now).await?;

    if let Some(revocation) = batch.revocation {
        let shredded = batch.earlier.iter().chain(fresh);
        let outcomes: Vec<_> = shredded
            .map(|id| (*id, RevocationOutcome::Shredded))
            .chain(batch.held.iter().map(|id| (*id, RevocationOutcome::Held)))
            .collect();
        revocations::enter(tx, revocation, &outcomes, now).await?;
    }
    revocations::settle(tx, fresh, now).await
}
