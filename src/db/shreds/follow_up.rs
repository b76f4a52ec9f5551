//! What ends and what becomes due elsewhere in the database, in the unit that shreds.
//!
//! Owns these rows, so that whoever shreds need not know of the queue, of transcripts and of
//! revocations. Refuses to know keys and tombstones.

use crate::{
    db::{
        error::Error,
        revocations, transcripts,
        tx::Tx,
        work::{self, WorkKind},
    },
    model::{
        id::{RecordingId, RevocationId},
        revocation::RevocationOutcome,
        time::Timestamp,
    },
};

/// What came of recordings that were to be shredded.
#[derive(Clone, Copy, Debug)]
pub struct ShredBatch<'a> {
    /// Those that this unit shreds.
    pub fresh: &'a [RecordingId],
    /// Those that were shredded before.
    pub earlier: &'a [RecordingId],
    /// Those that a hold keeps.
    pub held: &'a [RecordingId],
    /// The revocation that is told what came of each.
    pub revocation: Option<RevocationId>,
}

/// Nothing of these recordings is fetched any more, and no transcript of them is waited for; their
/// bytes are to be removed, here and at the source; revocations are told. To be called before the
/// entries of the unit are written, because it locks rows that other units lock before theirs.
pub async fn follow_up(tx: &mut Tx, batch: ShredBatch<'_>, now: Timestamp) -> Result<(), Error> {
    let fresh = batch.fresh;
    work::cancel(tx, WorkKind::FetchMedia, fresh).await?;
    work::enqueue(tx, WorkKind::DeleteCiphertext, fresh, now).await?;
    transcripts::forget(tx, fresh).await?;
    // Anew: a deletion after sealing may wait for its day, or be under way with nothing to say to a
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
