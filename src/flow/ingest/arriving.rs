//! What must hold from the moment on at which a recording is sealed: without evidence of consent it
//! is in quarantine.
//!
//! Owns that check, in the unit that seals the recording and after its row was locked: a concurrent
//! naming of its parties waits for this unit, or is visible here.

use crate::{
    db::{Unit, consents, quarantine},
    evidence::NewEntry,
    flow::erasure::quarantine::end_of,
    model::{actor::Initiator, recording::Recording, time::Timestamp},
    policy::covers_recording,
    vault,
};

/// Puts those of these recordings in quarantine, each with its longest end, that not every party
/// consented to. Returns them.
///
/// # Errors
/// The database's.
pub(super) async fn quarantine_uncovered(
    unit: &mut Unit,
    waiting: Vec<(Recording, Timestamp)>,
    now: Timestamp,
) -> Result<Vec<Recording>, vault::Error> {
    let recordings: Vec<Recording> = waiting
        .iter()
        .map(|(recording, _)| recording.clone())
        .collect();
    if recordings.is_empty() {
        return Ok(recordings);
    }
    let mut consents = consents::gather(unit, &recordings).await?;
    let mut uncovered = waiting;
    uncovered.retain(|(recording, _)| {
        let consents = consents.remove(&recording.id).unwrap_or_default();
        !covers_recording(&consents, recording, now)
    });
    let recordings: Vec<Recording> = uncovered
        .iter()
        .map(|(recording, _)| recording.clone())
        .collect();
    let vouched = consents::gather_vouched(unit, &recordings).await?;
    for (recording, ends) in &uncovered {
        let ends = end_of(vouched.get(&recording.id), recording, *ends, now);
        if quarantine::begin(unit, recording.id, ends).await? {
            let by = Initiator::Vault;
            unit.audit(NewEntry::recording_quarantined(now, by, recording.id, ends));
        }
    }
    Ok(recordings)
}
