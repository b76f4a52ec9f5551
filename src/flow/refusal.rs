//! Refusals, and references to shreds.
//!
//! Owns the audit entry of a refusal, and the part of it that the caller may know. Refuses to
//! decide.

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

/// Records a refusal and returns the error that the caller may see.
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

/// The same for a request that is not about a single recording.
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

/// Returns the error of a shredded recording, with its receipt.
pub(super) async fn shredded(db: &Db, id: RecordingId) -> Result<Error, Error> {
    let tombstone = shred_of(&mut db.read().await?, id).await?;
    Ok(
        tombstone.map_or(Error::NotFound, |(at, receipt)| Error::Shredded {
            at,
            receipt,
        }),
    )
}

/// Returns when a recording was shredded, and its receipt, for a response.
///
/// # Errors
/// [`vault::Error::NotDurable`] inside while the store does not have the shred; any database error.
pub(in crate::flow) async fn shred_of(
    tx: &mut Tx,
    id: RecordingId,
) -> Result<Option<(Timestamp, ReceiptId)>, Error> {
    if shreds::is_undurable(tx, id).await? {
        return Err(waits());
    }
    Ok(shreds::find_tombstone(tx, id).await?)
}

/// Returns the error of a shred that is not reported yet, because a restore would not find it.
pub(in crate::flow) fn waits() -> Error {
    vault::Error::NotDurable("it waits to be written there".into()).into()
}
