//! Checks and repairs after rows of several timelines were merged into one database.
//!
//! Owns the SQL texts. Refuses to know how the rows were merged; a restore calls it.

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::{id::RecordingId, name::HoldName, time::Timestamp};

/// Marks recordings that have a tombstone as shredded, at the time of the tombstone. Returns those
/// that were not shredded before.
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

/// Returns the recordings that have a tombstone but whose outcome in a revocation is still `held`.
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

/// Lifts the holds in force on tombstoned recordings, because such a hold keeps nothing and nobody
/// can lift it. Returns them.
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

/// Makes what one principal owns another's: both are the same person or service, named in two
/// timelines.
pub async fn replace_principal(tx: &mut Tx, dropped: &str, kept: &str) -> Result<(), Error> {
    const TOKENS: &str = "/* merged.tokens_of_principal */ UPDATE tokens SET principal_id = $2 WHERE principal_id = $1";
    const ASKED: &str = "/* merged.approvals_of_principal */ UPDATE approvals SET principal_id = $2 WHERE principal_id = $1";
    const DECIDED: &str = "/* merged.approvals_by_principal */ UPDATE approvals SET decided_by = $2 WHERE decided_by = $1";
    for sql in [TOKENS, ASKED, DECIDED] {
        tx.execute(sql, &[Arg::Text(dropped), Arg::Text(kept)])
            .await?;
    }
    Ok(())
}

/// Corrects the hold count of each recording whose count is wrong. Returns the number of corrected
/// recordings.
pub async fn count_holds(tx: &mut Tx) -> Result<u64, Error> {
    const SQL: &str = "/* merged.count_holds */
        UPDATE recordings SET holds = (SELECT COUNT(*) FROM holds AS standing WHERE standing.recording_id = recordings.id AND standing.lifted_at IS NULL)
        WHERE (recordings.holds <> 0 OR id IN (SELECT recording_id FROM holds AS kept WHERE kept.lifted_at IS NULL))
          AND recordings.holds <> (SELECT COUNT(*) FROM holds AS standing WHERE standing.recording_id = recordings.id AND standing.lifted_at IS NULL)";
    tx.execute(SQL, &[]).await
}
