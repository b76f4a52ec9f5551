//! Tombstones and receipts.

mod follow_up;

use std::collections::BTreeMap;

use const_format::formatcp;

pub use self::follow_up::{ShredBatch, follow_up};
use super::{
    error::Error,
    news::{self, ChangeNotice},
    table::{TableRow as _, table},
    tx::{Arg, BINDS, Tx, set},
};
use crate::model::{
    artefact::Leg,
    id::{ReceiptId, RecordingId, RevocationId},
    name::Tier,
    time::Timestamp,
};

table! {
    "tombstones" { subject: Some("recording_id"), only_grows: true }

    #[derive(Debug)]
    pub(super) struct StoredTombstone {
        key {
            recording: RecordingId = "recording_id",
            leg: Leg = "leg",
        }
        tombstoned_at: Timestamp = "tombstoned_at",
        receipt: ReceiptId = "receipt_id",
        fingerprint: Option<String> = "fingerprint",
        seq: Option<i64> = "seq",
    }
}

table! {
    "receipts" { subject: Some("recording_id") }

    #[derive(Debug)]
    pub(super) struct StoredReceipt {
        key {
            id: ReceiptId = "id",
        }
        recording: RecordingId = "recording_id",
        state: String = "state",
        jws: String = "jws",
        issued_at: Timestamp = "issued_at",
        epoch: Option<i64> = "epoch",
    }
}

/// A new tombstone.
#[derive(Clone, Debug)]
pub struct NewTombstone {
    /// The recording.
    pub recording: RecordingId,
    /// The receipt of the shred.
    pub receipt: ReceiptId,
    /// The number of its audit entry.
    pub seq: i64,
    /// The fingerprints of the destroyed keys, by leg; empty if there never was one.
    pub destroyed: BTreeMap<Leg, String>,
}

/// A new receipt.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    /// The id of the receipt.
    pub id: ReceiptId,
    /// The recording.
    pub recording: RecordingId,
    /// The progress of the shred that it states.
    pub state: &'static str,
    /// Its signed form.
    pub jws: String,
    /// Whether a key was destroyed, which a turn of the epoch must cover.
    pub had_key: bool,
}

/// The next state of a receipt.
#[derive(Clone, Debug)]
pub struct NextReceipt<'a> {
    /// The id of the receipt.
    pub id: ReceiptId,
    /// The progress of the shred that it states.
    pub state: &'static str,
    /// Its signed form.
    pub jws: String,
    /// The signed form that it replaces.
    pub before: &'a str,
}

/// Inserts tombstones: from the commit on, nothing of these recordings can be opened, in any
/// process. The audit entries whose numbers they have must be appended in the same unit of work: it
/// holds the head of the log until the commit, so tombstones become visible in the order of their
/// numbers. The commit notifies every process through [`news`].
pub async fn insert_tombstones(
    tx: &mut Tx,
    tombstones: &[NewTombstone],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* shreds.insert_tombstones */ {}",
        StoredTombstone::INSERT_INTO
    );
    let row = |tombstone: &NewTombstone, leg, fingerprint: Option<&str>| StoredTombstone {
        recording: tombstone.recording,
        leg,
        tombstoned_at: now,
        receipt: tombstone.receipt,
        fingerprint: fingerprint.map(str::to_owned),
        seq: Some(tombstone.seq),
    };
    let mut rows = Vec::with_capacity(tombstones.len());
    for tombstone in tombstones {
        for (leg, fingerprint) in tombstone.legs() {
            rows.push(row(tombstone, leg, fingerprint));
        }
    }
    tx.insert_rows(SQL, &rows).await?;
    news::tell(tx, ChangeNotice::Tombstone).await
}

impl NewTombstone {
    /// The legs that get a row, with the fingerprints of their keys. A recording that never had a
    /// key gets a row as well.
    fn legs(&self) -> impl Iterator<Item = (Leg, Option<&str>)> {
        let destroyed = self.destroyed.iter();
        let without = self.destroyed.is_empty().then_some((Leg::All, None));
        destroyed
            .map(|(leg, fingerprint)| (*leg, Some(fingerprint.as_str())))
            .chain(without)
    }
}

/// Returns when a recording was tombstoned, and its receipt.
pub async fn find_tombstone(
    tx: &mut Tx,
    id: RecordingId,
) -> Result<Option<(Timestamp, ReceiptId)>, Error> {
    const SQL: &str = formatcp!(
        "/* shreds.find_tombstone */ SELECT {} FROM tombstones WHERE recording_id = $1 ORDER BY leg LIMIT 1",
        StoredTombstone::COLUMNS
    );
    let row: Option<StoredTombstone> = tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await?;
    Ok(row.map(|row| (row.tombstoned_at, row.receipt)))
}

/// Returns whether the store lacks this recording's tombstone.
pub async fn is_undurable(tx: &mut Tx, id: RecordingId) -> Result<bool, Error> {
    const SQL: &str = "/* shreds.is_undurable */
        SELECT COUNT(*) FROM tombstones WHERE recording_id = $1 AND seq > (SELECT durable_to FROM turner WHERE one = 1)";
    Ok(tx.fetch_int(SQL, &[Arg::Text(&id.to_string())]).await? > 0)
}

/// Returns whether the store lacks the shred for which this receipt was signed.
pub async fn is_receipt_undurable(tx: &mut Tx, id: ReceiptId) -> Result<bool, Error> {
    const SQL: &str = "/* shreds.is_receipt_undurable */
        SELECT COUNT(*) FROM tombstones WHERE receipt_id = $1 AND seq > (SELECT durable_to FROM turner WHERE one = 1)";
    Ok(tx.fetch_int(SQL, &[Arg::Text(&id.to_string())]).await? > 0)
}

/// Returns the number of a revocation's shreds that the store lacks.
pub async fn undurable_of(tx: &mut Tx, id: RevocationId) -> Result<i64, Error> {
    const SQL: &str = "/* shreds.undurable_of */
        SELECT COUNT(DISTINCT tombstones.recording_id) FROM tombstones JOIN revoked ON revoked.recording_id = tombstones.recording_id
        WHERE revoked.revocation_id = $1 AND tombstones.seq > (SELECT durable_to FROM turner WHERE one = 1)";
    tx.fetch_int(SQL, &[Arg::Text(&id.to_string())]).await
}

/// Returns whether a key with one of these fingerprints was ever destroyed; such a key is not
/// accepted again.
pub async fn is_any_destroyed(tx: &mut Tx, fingerprints: &[String]) -> Result<bool, Error> {
    const SQL: &str = "/* shreds.is_any_destroyed */
        SELECT COUNT(*) FROM tombstones WHERE fingerprint IN (SELECT key FROM json_each($1))";
    Ok(tx.fetch_int(SQL, &[Arg::Text(&set(fingerprints))]).await? > 0)
}

/// Returns the tombstones and receipts of these recordings: recording, time of the tombstone,
/// receipt, and the receipt's signed form.
pub async fn find_tombstones(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<Vec<(RecordingId, Timestamp, ReceiptId, String)>, Error> {
    const SQL: &str = "/* shreds.find_tombstones */
        SELECT DISTINCT tombstones.recording_id, tombstones.tombstoned_at, tombstones.receipt_id, receipts.jws
        FROM tombstones JOIN receipts ON receipts.id = tombstones.receipt_id WHERE tombstones.recording_id IN (SELECT key FROM json_each($1))";
    let id = "recording_id";
    let receipt = "receipt_id";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.parse("tombstones", id, id)?,
                row.time("tombstoned_at")?,
                row.parse("tombstones", receipt, id)?,
                row.text("jws")?,
            ))
        })
        .collect()
}

/// Inserts receipts.
pub async fn insert_receipts(
    tx: &mut Tx,
    receipts: &[NewReceipt],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* shreds.insert_receipts */ {}",
        StoredReceipt::INSERT_INTO
    );
    let row = |receipt: &NewReceipt| StoredReceipt {
        id: receipt.id,
        recording: receipt.recording,
        state: receipt.state.to_owned(),
        jws: receipt.jws.clone(),
        issued_at: now,
        epoch: (!receipt.had_key).then_some(0),
    };
    let rows: Vec<_> = receipts.iter().map(row).collect();
    tx.insert_rows(SQL, &rows).await.map(|_| ())
}

/// Replaces distinct receipts by their next states.
///
/// # Errors
/// [`Error::Conflict`] if one of them is no longer `before`.
pub async fn replace_receipts(tx: &mut Tx, receipts: &[NextReceipt<'_>]) -> Result<(), Error> {
    const WIDTH: usize = 4;
    for receipts in receipts.chunks(BINDS / WIDTH) {
        // `column1` is the first of `VALUES` on both databases.
        let sql = format!(
            "/* shreds.replace_receipts */ UPDATE receipts SET state = new.column2, jws = new.column3
             FROM (VALUES {}) AS new WHERE receipts.id = new.column1 AND receipts.jws = new.column4",
            tx.values(receipts.len(), WIDTH)
        );
        let ids: Vec<String> = receipts
            .iter()
            .map(|receipt| receipt.id.to_string())
            .collect();
        let next = receipts.iter().zip(&ids);
        let args = next.flat_map(|(next, id)| {
            [
                Arg::Text(id),
                Arg::Text(next.state),
                Arg::Text(&next.jws),
                Arg::Text(next.before),
            ]
        });
        let args: Vec<Arg<'_>> = args.collect();
        if tx.execute(&sql, &args).await? != receipts.len() as u64 {
            return Err(Error::Conflict);
        }
    }
    Ok(())
}

/// Assigns every receipt that no turn covers yet to the turn to `epoch`. Returns their number.
pub async fn cover(tx: &mut Tx, epoch: u64) -> Result<u64, Error> {
    const SQL: &str = "/* shreds.cover */ UPDATE receipts SET epoch = $1 WHERE epoch IS NULL";
    tx.execute(SQL, &[Arg::Int(epoch.try_into().unwrap_or(i64::MAX))])
        .await
}

/// Undoes the assignments of a turn that was not completed: in a rebuilt database, keys may be on
/// other pages since. Returns the number of receipts.
pub async fn uncover(tx: &mut Tx) -> Result<u64, Error> {
    const SQL: &str = "/* shreds.uncover */ UPDATE receipts SET epoch = NULL WHERE state = 'tombstoned' AND epoch > 0";
    tx.execute(SQL, &[]).await
}

/// Returns receipts, in their signed form, that a turn up to `epoch` covers but that do not state
/// it yet.
pub async fn covered(
    tx: &mut Tx,
    epoch: u64,
    limit: i64,
) -> Result<Vec<(ReceiptId, String)>, Error> {
    const SQL: &str = "/* shreds.covered */
        SELECT id, jws FROM receipts WHERE state = 'tombstoned' AND epoch BETWEEN 1 AND $1 ORDER BY epoch, id LIMIT $2";
    let rows = tx
        .fetch_all(
            SQL,
            &[
                Arg::Int(epoch.try_into().unwrap_or(i64::MAX)),
                Arg::Int(limit),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.parse("receipts", "id", "id")?, row.text("jws")?)))
        .collect()
}

/// Returns whether a shredded recording of one of these tiers is not covered by a turn yet.
pub async fn any_uncovered_of(tx: &mut Tx, tiers: &[&Tier]) -> Result<bool, Error> {
    const SQL: &str = "/* shreds.any_uncovered_of */
        SELECT receipts.id FROM receipts JOIN recordings ON recordings.id = receipts.recording_id
        WHERE receipts.epoch IS NULL AND recordings.tier IN (SELECT key FROM json_each($1)) LIMIT 1";
    let tiers: serde_json::Map<_, _> = tiers
        .iter()
        .map(|tier| (tier.to_string(), true.into()))
        .collect();
    Ok(tx
        .fetch_first(
            SQL,
            &[Arg::Text(&serde_json::Value::Object(tiers).to_string())],
        )
        .await?
        .is_some())
}

/// Returns the number of shreds whose keys can still be opened with an older copy of the key store,
/// and the time of the oldest tombstone.
pub async fn waiting(tx: &mut Tx) -> Result<(i64, Option<Timestamp>), Error> {
    const SQL: &str = "/* shreds.waiting */
        SELECT COUNT(DISTINCT receipts.id) AS n, MIN(tombstones.tombstoned_at) AS oldest FROM receipts JOIN tombstones ON tombstones.recording_id = receipts.recording_id
        WHERE receipts.state = 'tombstoned' AND (receipts.epoch IS NULL OR receipts.epoch > 0)";
    let row = tx.fetch_first(SQL, &[]).await?.ok_or_else(Error::no_row)?;
    Ok((row.int("n")?, row.maybe_time("oldest")?))
}

/// Which recordings these are, in the order of their ids.
pub async fn waiting_recordings(tx: &mut Tx) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* shreds.waiting_recordings */
        SELECT DISTINCT recording_id FROM receipts
        WHERE state = 'tombstoned' AND (epoch IS NULL OR epoch > 0) ORDER BY recording_id";
    let rows = tx.fetch_all(SQL, &[]).await?;
    rows.iter()
        .map(|row| row.parse("receipts", "recording_id", "recording_id"))
        .collect()
}

/// Returns a receipt in its signed form.
pub async fn find_receipt(tx: &mut Tx, id: ReceiptId) -> Result<Option<String>, Error> {
    const SQL: &str = "/* shreds.find_receipt */ SELECT jws FROM receipts WHERE id = $1";
    tx.fetch_first(SQL, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| row.text("jws"))
        .transpose()
}
