//! Entering sealed artefacts: their rows, with the mark for the journal.
//!
//! Owns the rule that small ciphertext is written to the journal when it is new. Refuses to know
//! what an artefact is.

use const_format::formatcp;

use super::{
    error::Error, outbox::OutboxKind, recordings::SealedArtefact, table::TableRow as _, tx::Arg,
    unit::Unit,
};
use crate::model::{
    id::{ObjectId, RecordingId},
    time::Timestamp,
};

/// Inserts sealed artefacts.
pub async fn insert(
    unit: &mut Unit,
    sealed: &[SealedArtefact],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* artefacts.insert */ {}", SealedArtefact::INSERT_INTO);
    unit.insert_rows(SQL, sealed).await?;
    let (stored, small): (Vec<&SealedArtefact>, Vec<&SealedArtefact>) =
        sealed.iter().partition(|sealed| sealed.object.is_some());
    for (kind, sealed) in [
        (OutboxKind::Recording, stored),
        (OutboxKind::Ciphertext, small),
    ] {
        let ids: Vec<RecordingId> = sealed.iter().map(|sealed| sealed.recording).collect();
        unit.to_journal(kind, &ids, now);
    }
    Ok(())
}

/// Inserts a sealed artefact and deletes an older one of the same leg and name. Returns the name of
/// the older one in the store, if it was there.
pub async fn replace(
    unit: &mut Unit,
    sealed: &SealedArtefact,
    now: Timestamp,
) -> Result<Option<ObjectId>, Error> {
    const SQL: &str = "/* artefacts.take */
        DELETE FROM artefacts WHERE recording_id = $1 AND leg = $2 AND artefact = $3 RETURNING recording_id, object_id";
    let args = [
        Arg::Text(&sealed.recording.to_string()),
        Arg::Text(sealed.leg.as_str()),
        Arg::Text(&sealed.artefact.word()),
    ];
    let older = unit
        .fetch_first(SQL, &args)
        .await?
        .map(|row| row.maybe_parse("artefacts", "object_id", "recording_id"))
        .transpose()?
        .flatten();
    insert(unit, std::slice::from_ref(sealed), now).await?;
    Ok(older)
}
