//! Rows of several timelines in one database, and where they do not go together.
//!
//! Owns the SQL texts. Refuses to know how rows came here; a restore asks.

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::{id::RecordingId, name::HoldName, time::Timestamp};

/// Recordings that have a tombstone and live become shredded, at the time of the tombstone. Which.
pub async fn shred_tombstoned(tx: &mut Tx) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* merged.shred_tombstoned */
        UPDATE recordings SET state = 'shredded', quarantine_ends = NULL, encryption = NULL,
          shredded_at = (SELECT MIN(tombstoned_at) FROM tombstones WHERE tombstones.recording_id = recordings.id)
        WHERE state <> 'shredded' AND id IN (SELECT recording_id FROM tombstones) RETURNING id";
    let rows = tx.fetch_all(SQL, &[]).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Recordings that have a tombstone, and of which a revocation is told that a hold keeps them.
pub async fn unsettled(tx: &mut Tx) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* merged.unsettled */
        SELECT DISTINCT recording_id FROM revoked
        WHERE outcome = 'held' AND recording_id IN (SELECT recording_id FROM tombstones) ORDER BY recording_id";
    let id = "recording_id";
    let rows = tx.fetch_all(SQL, &[]).await?;
    rows.iter()
        .map(|row| row.parse("revoked", id, id))
        .collect()
}

/// Lifts the holds that stand over tombstones, because they keep nothing and nobody can lift them.
/// Which.
pub async fn lift_over_tombstones(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Vec<(RecordingId, HoldName)>, Error> {
    const SQL: &str = "/* merged.lift_over_tombstones */
        UPDATE holds SET lifted_at = $1
        WHERE lifted_at IS NULL AND recording_id IN (SELECT recording_id FROM tombstones) RETURNING recording_id, name";
    let id = "recording_id";
    let rows = tx.fetch_all(SQL, &[Arg::Int(now.as_millis())]).await?;
    let lifted = rows
        .iter()
        .map(|row| Ok((row.parse("holds", id, id)?, row.parse("holds", "name", id)?)));
    lifted.collect()
}

/// Counts the holds that stand on each recording where the count is another. How many there were.
pub async fn count_holds(tx: &mut Tx) -> Result<u64, Error> {
    const SQL: &str = "/* merged.count_holds */
        UPDATE recordings SET holds = (SELECT COUNT(*) FROM holds AS standing WHERE standing.recording_id = recordings.id AND standing.lifted_at IS NULL)
        WHERE (recordings.holds <> 0 OR id IN (SELECT recording_id FROM holds AS kept WHERE kept.lifted_at IS NULL))
          AND recordings.holds <> (SELECT COUNT(*) FROM holds AS standing WHERE standing.recording_id = recordings.id AND standing.lifted_at IS NULL)";
    tx.execute(SQL, &[]).await
}
