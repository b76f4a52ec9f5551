//! How a story says no, and what it says of what is gone.
//!
//! Owns the entry that goes with a no, and what of it the asker hears. Refuses to decide.

use super::{error::Error, units::note};
use crate::{
    db::{Db, Tx, shreds},
    evidence::NewEntry,
    model::{
        access::Principal,
        id::{GrantId, ReceiptId, RecordingId},
        recording::RecordingState,
        time::Timestamp,
    },
    policy::{DecisionFacts, Denial},
    vault,
};

/// Writes a refusal down and turns it into what the asker may know.
pub(super) async fn refuse(
    db: &Db,
    now: Timestamp,
    facts: &DecisionFacts<'_>,
    grant: Option<GrantId>,
    denial: Denial,
) -> Result<Error, Error> {
    note(db, || {
        NewEntry::decision_denied(now, facts, grant, &denial).with_request(facts)
    })
    .await?;
    if denial.is_hidden() {
        return Ok(Error::NotFound);
    }
    if facts.recording.state == RecordingState::Shredded {
        return shredded(db, facts.recording.id).await;
    }
    Ok(Error::Denied(denial))
}

/// The same for what is about no single recording.
pub(super) async fn refuse_request(
    db: &Db,
    now: Timestamp,
    principal: &Principal,
    what: &'static str,
    denial: Denial,
) -> Result<Error, Error> {
    note(db, || {
        NewEntry::request_denied(now, principal.initiator(), what, &denial)
    })
    .await?;
    Ok(if denial.is_hidden() {
        Error::NotFound
    } else {
        Error::Denied(denial)
    })
}

/// That a recording is shredded, with its receipt.
pub(super) async fn shredded(db: &Db, id: RecordingId) -> Result<Error, Error> {
    let tombstone = shred_of(&mut db.read().await?, id).await?;
    Ok(
        tombstone.map_or(Error::NotFound, |(at, receipt)| Error::Shredded {
            at,
            receipt,
        }),
    )
}

/// When a recording was shredded, and its receipt, for an answer.
///
/// # Errors
/// [`vault::Error::NotDurable`] inside while the store does not know of it; the database's.
pub(in crate::flow) async fn shred_of(
    tx: &mut Tx,
    id: RecordingId,
) -> Result<Option<(Timestamp, ReceiptId)>, Error> {
    if shreds::is_undurable(tx, id).await? {
        return Err(waits());
    }
    Ok(shreds::find_tombstone(tx, id).await?)
}

/// That something is not told yet, because a restore would not know of it.
pub(in crate::flow) fn waits() -> Error {
    vault::Error::NotDurable("it waits to be written there".into()).into()
}
