//! Fences and receipts.

use super::{
    Error,
    news::{self, Word},
    tx::{Arg, Tx},
};
use crate::model::{
    id::{ReceiptId, RecordingId},
    name::Tier,
    time::Timestamp,
};

/// Sets the fence: from the commit on, nothing of the recording opens, here or in any other process. `seq` is the number of its audit entry,
/// which must have been appended in the same unit of work: because that holds the log's head until the commit, fences become visible in the
/// order of their numbers. The commit rings in every process that follows the [`news`].
pub async fn insert_fence(
    tx: &mut Tx,
    id: RecordingId,
    now: Timestamp,
    receipt: ReceiptId,
    seq: i64,
    fingerprint: Option<&str>,
) -> Result<(), Error> {
    const SQL: &str =
        "/* shreds.insert_fence */ INSERT INTO fences (recording_id, fenced_at, receipt_id, fingerprint, seq) VALUES ($1, $2, $3, $4, $5)";
    let (id, receipt) = (id.to_string(), receipt.to_string());
    let args = [Arg::Text(&id), Arg::Int(now.as_millis()), Arg::Text(&receipt), Arg::MaybeText(fingerprint), Arg::Int(seq)];
    tx.execute(SQL, &args).await?;
    news::tell(tx, Word::Fence).await
}

/// Fences after a number, in the order in which they were set, with their numbers: what every process must stop streaming. Who has seen all up
/// to a number misses none by asking from there on.
pub async fn fenced_after(tx: &mut Tx, seq: i64, limit: i64) -> Result<Vec<(i64, RecordingId)>, Error> {
    const SQL: &str = "/* shreds.fenced_after */ SELECT seq, recording_id FROM fences WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = tx.fetch_all(SQL, &[Arg::Int(seq), Arg::Int(limit)]).await?;
    rows.iter().map(|row| Ok((row.int("seq")?, row.parse("fences", "recording_id", "recording_id")?))).collect()
}

/// The fence of a recording: when it was set, and the receipt.
pub async fn find_fence(tx: &mut Tx, id: RecordingId) -> Result<Option<(Timestamp, ReceiptId)>, Error> {
    const SQL: &str = "/* shreds.find_fence */ SELECT recording_id, fenced_at, receipt_id FROM fences WHERE recording_id = $1";
    let row = tx.fetch_first(SQL, &[Arg::Text(&id.to_string())]).await?;
    row.map(|row| Ok((row.time("fenced_at")?, row.parse("fences", "receipt_id", "recording_id")?))).transpose()
}

/// Whether a key of this public name was ever destroyed: such a key is not accepted again.
pub async fn is_destroyed(tx: &mut Tx, fingerprint: &str) -> Result<bool, Error> {
    const SQL: &str = "/* shreds.is_destroyed */ SELECT COUNT(*) FROM fences WHERE fingerprint = $1";
    Ok(tx.fetch_int(SQL, &[Arg::Text(fingerprint)]).await? > 0)
}

/// Files a receipt.
pub async fn insert_receipt(
    tx: &mut Tx,
    id: ReceiptId,
    recording: RecordingId,
    state: &str,
    jws: &str,
    had_key: bool,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str =
        "/* shreds.insert_receipt */ INSERT INTO receipts (id, recording_id, state, jws, issued_at, epoch) VALUES ($1, $2, $3, $4, $5, $6)";
    let args = [
        Arg::Text(&id.to_string()),
        Arg::Text(&recording.to_string()),
        Arg::Text(state),
        Arg::Text(jws),
        Arg::Int(now.as_millis()),
        Arg::MaybeInt((!had_key).then_some(0)),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Replaces a receipt by its next state.
///
/// # Errors
/// [`Error::Conflict`] if it is not `before` any more.
pub async fn replace_receipt(tx: &mut Tx, id: ReceiptId, state: &str, jws: &str, before: &str) -> Result<(), Error> {
    const SQL: &str = "/* shreds.replace_receipt */ UPDATE receipts SET state = $2, jws = $3 WHERE id = $1 AND jws = $4";
    match tx.execute(SQL, &[Arg::Text(&id.to_string()), Arg::Text(state), Arg::Text(jws), Arg::Text(before)]).await? {
        1 => Ok(()),
        _ => Err(Error::Conflict),
    }
}

/// The turn to `epoch` covers every receipt that no turn covers yet. How many.
pub async fn cover(tx: &mut Tx, epoch: u64) -> Result<u64, Error> {
    const SQL: &str = "/* shreds.cover */ UPDATE receipts SET epoch = $1 WHERE epoch IS NULL";
    tx.execute(SQL, &[Arg::Int(epoch.try_into().unwrap_or(i64::MAX))]).await
}

/// Takes back what a turn covered and did not complete: in a ledger that was rebuilt, keys may have come to lie on other pages since. How many.
pub async fn uncover(tx: &mut Tx) -> Result<u64, Error> {
    const SQL: &str = "/* shreds.uncover */ UPDATE receipts SET epoch = NULL WHERE state = 'fenced' AND epoch > 0";
    tx.execute(SQL, &[]).await
}

/// Receipts that a turn up to `epoch` covers and that do not say so yet, in their signed form.
pub async fn covered(tx: &mut Tx, epoch: u64, limit: i64) -> Result<Vec<(ReceiptId, String)>, Error> {
    const SQL: &str = "/* shreds.covered */
        SELECT id, jws FROM receipts WHERE state = 'fenced' AND epoch BETWEEN 1 AND $1 ORDER BY epoch, id LIMIT $2";
    let rows = tx.fetch_all(SQL, &[Arg::Int(epoch.try_into().unwrap_or(i64::MAX)), Arg::Int(limit)]).await?;
    rows.iter().map(|row| Ok((row.parse("receipts", "id", "id")?, row.text("jws")?))).collect()
}

/// Whether a shred that no turn covers yet is of a recording of one of these tiers.
pub async fn any_uncovered_of(tx: &mut Tx, tiers: &[&Tier]) -> Result<bool, Error> {
    const SQL: &str = "/* shreds.any_uncovered_of */
        SELECT receipts.id FROM receipts JOIN recordings ON recordings.id = receipts.recording_id
        WHERE receipts.epoch IS NULL AND recordings.tier IN (SELECT key FROM json_each($1)) LIMIT 1";
    let tiers: serde_json::Map<_, _> = tiers.iter().map(|tier| (tier.to_string(), true.into())).collect();
    Ok(tx.fetch_first(SQL, &[Arg::Text(&serde_json::Value::Object(tiers).to_string())]).await?.is_some())
}

/// Shreds of keys that an older copy of the key store may still open: how many, and when the oldest was fenced.
pub async fn waiting(tx: &mut Tx) -> Result<(i64, Option<Timestamp>), Error> {
    const SQL: &str = "/* shreds.waiting */
        SELECT COUNT(*) AS n, MIN(fences.fenced_at) AS oldest FROM receipts JOIN fences ON fences.recording_id = receipts.recording_id
        WHERE receipts.state = 'fenced' AND (receipts.epoch IS NULL OR receipts.epoch > 0)";
    let row = tx.fetch_first(SQL, &[]).await?.ok_or(Error::Stale("the query gave no row"))?;
    Ok((row.int("n")?, row.maybe_time("oldest")?))
}

/// A receipt in its signed form.
pub async fn find_receipt(tx: &mut Tx, id: ReceiptId) -> Result<Option<String>, Error> {
    const SQL: &str = "/* shreds.find_receipt */ SELECT jws FROM receipts WHERE id = $1";
    tx.fetch_first(SQL, &[Arg::Text(&id.to_string())]).await?.map(|row| row.text("jws")).transpose()
}
