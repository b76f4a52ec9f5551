//! Packs: objects in the store, each of which holds the small ciphertext of many artefacts.
//!
//! Owns the list of packs, which artefact is where in which of them, and whose ciphertext an object
//! may hold. Refuses to know the bytes, and when a pack is written or given up.
//!
//! INVARIANTS
//! - An artefact names only a pack that was whole in the store, and not given up, in the unit that
//!   entered the name.
//! - From before the object of a pack is written until it is deleted, a row of `pack_contents` says
//!   of which recordings it has ciphertext. So a pack that is being written, or was given up, counts.
//!
//! Units lock in one order: recordings by their ids, then work, then the pack, then its artefacts and
//! contents. Whoever changes artefacts of many recordings locks these recordings first.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;
use serde::Serialize;

use super::{
    error::Error,
    recordings::{self, SealedArtefact},
    row::Row,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::{ObjectId, RecordingId},
    time::Timestamp,
    timeline::{LogPoint, Timeline},
};

/// The condition on artefacts whose small ciphertext is in the database, as in the indexes.
const HAS_INLINE: &str = "object_id IS NULL AND length(inline) > 0";

table! {
    "packs" {}

    /// An object with the small ciphertext of many artefacts, one after another.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Pack {
        key {
            /// Its number: random, so that no two timelines give the same.
            pub number: i64 = "number",
        }
        /// Its name in the store.
        pub object: ObjectId = "object_id",
        /// Its length in bytes; 0 until it is in the store.
        pub size: u64 = "size",
        /// The SHA-256 of all of it, lower-case hex; empty until it is in the store.
        pub sealed_sha256: String = "sealed_sha256",
        /// When it was begun.
        pub begun_at: Timestamp = "begun_at",
        /// When it was first found to hold bytes that belong to nothing any more.
        pub dented_at: Option<Timestamp> = "dented_at",
        /// The timeline of the entry with which it was given up.
        pub left_timeline: Option<i64> = "left_timeline",
        /// The number of that entry.
        pub left_seq: Option<i64> = "left_seq",
    }
}

impl Pack {
    /// Returns a pack that is about to be stored.
    pub fn begun(number: i64, object: ObjectId, now: Timestamp) -> Self {
        Self {
            number,
            object,
            size: 0,
            sealed_sha256: String::new(),
            begun_at: now,
            dented_at: None,
            left_timeline: None,
            left_seq: None,
        }
    }

    /// Returns the point of the audit log from which on no living artefact names it.
    pub fn left(&self) -> Option<LogPoint> {
        Some(LogPoint {
            timeline: Timeline::try_from(self.left_timeline?).ok()?,
            seq: self.left_seq?,
        })
    }
}

table! {
    "pack_contents" { subject: Some("recording_id") }

    /// The object of a pack has ciphertext of a recording.
    #[derive(Debug)]
    pub(super) struct PackContent {
        key {
            pack: i64 = "pack",
            recording: RecordingId = "recording_id",
        }
    }
}

/// The place of an artefact's ciphertext in a pack.
#[derive(Serialize)]
struct PackPlace<'a> {
    recording: String,
    leg: &'static str,
    artefact: String,
    sha256: &'a str,
    /// Text, because `->>` gives text on both databases.
    at: String,
}

/// Returns up to `limit` artefacts whose small ciphertext is in no pack, in no order; not those of
/// shredded recordings.
pub async fn unpacked(tx: &mut Tx, limit: i64) -> Result<Vec<SealedArtefact>, Error> {
    const SQL: &str = formatcp!(
        "/* packs.unpacked */ SELECT {} FROM artefacts WHERE {HAS_INLINE} AND pack IS NULL
          AND (SELECT state FROM recordings WHERE id = artefacts.recording_id) <> 'shredded' LIMIT $1",
        SealedArtefact::COLUMNS
    );
    tx.fetch_rows(SQL, &[Arg::Int(limit)]).await
}

/// Inserts a pack that is about to be stored with the ciphertext of these artefacts: from here on its
/// object is no orphan, and their receipts wait for it. Returns false if one of the recordings is
/// shredded; the unit must then be abandoned, and nothing stored.
pub async fn begin(tx: &mut Tx, pack: &Pack, sealed: &[SealedArtefact]) -> Result<bool, Error> {
    const SQL: &str = formatcp!("/* packs.begin */ {}", Pack::INSERT);
    const CONTENTS: &str = formatcp!(
        "/* packs.contents */ {} SELECT $1, key FROM json_each($2) AS held ORDER BY key",
        PackContent::INSERT_INTO
    );
    let recordings = recordings_of(sealed);
    if !lock_living(tx, &recordings).await? {
        return Ok(false);
    }
    tx.insert_row(SQL, pack, &[]).await?;
    let contents = set(&recordings);
    tx.execute(CONTENTS, &[Arg::Int(pack.number), Arg::Text(&contents)])
        .await?;
    Ok(true)
}

fn recordings_of(sealed: &[SealedArtefact]) -> BTreeSet<RecordingId> {
    sealed.iter().map(|sealed| sealed.recording).collect()
}

/// Locks these recordings for the rest of the unit, in the order of their ids. Returns whether all of
/// them are there and none is shredded: then none is before the unit ends.
async fn lock_living(tx: &mut Tx, recordings: &BTreeSet<RecordingId>) -> Result<bool, Error> {
    const LIVING: &str = "/* packs.living */
        SELECT id FROM recordings WHERE id IN (SELECT key FROM json_each($1)) AND state <> 'shredded' ORDER BY id";
    const LOCK: &str = formatcp!("{LIVING} FOR NO KEY UPDATE");
    // SQLite has one writer at a time.
    let sql = if tx.is_postgres() { LOCK } else { LIVING };
    let living = tx.fetch_all(sql, &[Arg::Text(&set(recordings))]).await?;
    Ok(living.len() == recordings.len())
}

/// Enters a stored pack, which holds the ciphertext of these artefacts in this order. Returns false
/// if it was given up meanwhile, one of the artefacts changed, or a recording was shredded; the unit
/// must then be abandoned.
pub async fn enter(tx: &mut Tx, pack: &Pack, sealed: &[SealedArtefact]) -> Result<bool, Error> {
    const STORED: &str = "/* packs.stored */
        UPDATE packs SET size = $2, sealed_sha256 = $3 WHERE number = $1 AND left_seq IS NULL";
    // The plus keeps SQLite from reading all that is in no pack for each place.
    const PLACED: &str = formatcp!(
        "/* packs.placed */
        UPDATE artefacts SET pack = $1, pack_at = CAST(place.value->>'at' AS BIGINT) FROM json_each($2) AS place
        WHERE artefacts.recording_id = place.value->>'recording' AND artefacts.leg = place.value->>'leg'
          AND artefacts.artefact = place.value->>'artefact' AND artefacts.sealed_sha256 = place.value->>'sha256'
          AND {HAS_INLINE} AND +artefacts.pack IS NULL"
    );
    if !lock_living(tx, &recordings_of(sealed)).await? {
        return Ok(false);
    }
    let number = Arg::Int(pack.number);
    let size = i64::try_from(pack.size).unwrap_or(i64::MAX);
    let stored = [number, Arg::Int(size), Arg::Text(&pack.sealed_sha256)];
    if tx.execute(STORED, &stored).await? != 1 {
        return Ok(false);
    }
    let mut at = 0;
    let mut places = BTreeMap::new();
    for (nth, sealed) in sealed.iter().enumerate() {
        let place = PackPlace {
            recording: sealed.recording.to_string(),
            leg: sealed.leg.as_str(),
            artefact: sealed.artefact.to_string(),
            sha256: &sealed.sealed_sha256,
            at: at.to_string(),
        };
        places.insert(nth, place);
        at += sealed.inline.len();
    }
    let places = serde_json::to_string(&places).expect("texts have a JSON form");
    let placed = tx.execute(PLACED, &[number, Arg::Text(&places)]).await?;
    Ok(placed == sealed.len() as u64)
}

/// Returns every pack that is not given up, and how many of its bytes belong to living artefacts.
pub async fn in_use(tx: &mut Tx) -> Result<Vec<(Pack, u64)>, Error> {
    const SQL: &str = formatcp!(
        "/* packs.in_use */
        SELECT {}, COALESCE((SELECT CAST(SUM(sealed_len) AS BIGINT) FROM artefacts WHERE {HAS_INLINE} AND pack = packs.number), 0) AS living
        FROM packs WHERE left_seq IS NULL ORDER BY number",
        Pack::QUALIFIED
    );
    let rows = tx.fetch_all(SQL, &[]).await?;
    let pack = |row: &Row| Ok((Pack::of(row)?, row.int("living")?.unsigned_abs()));
    rows.iter().map(pack).collect()
}

/// Returns every pack.
pub async fn all(tx: &mut Tx) -> Result<Vec<Pack>, Error> {
    const SQL: &str = formatcp!(
        "/* packs.all */ SELECT {} FROM packs ORDER BY number",
        Pack::COLUMNS
    );
    tx.fetch_rows(SQL, &[]).await
}

/// Records when a pack was first found to hold bytes that belong to nothing any more.
pub async fn note_dent(tx: &mut Tx, number: i64, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* packs.note_dent */ UPDATE packs SET dented_at = $2 WHERE number = $1 AND dented_at IS NULL";
    tx.execute(SQL, &[Arg::Int(number), Arg::Int(now.as_millis())])
        .await
        .map(|_| ())
}

/// Gives a pack up: its living artefacts are in no pack, to be packed again. Returns false if it was
/// given up before. [`note_left`] must follow in the same unit.
pub async fn leave(tx: &mut Tx, number: i64) -> Result<bool, Error> {
    const LOCK: &str =
        "/* packs.leave */ UPDATE packs SET left_seq = 0 WHERE number = $1 AND left_seq IS NULL";
    const RELEASE: &str = formatcp!(
        "/* packs.release */ UPDATE artefacts SET pack = NULL, pack_at = NULL WHERE {HAS_INLINE} AND pack = $1"
    );
    const RECORDINGS: &str = "/* packs.lock_contents */
        SELECT id FROM recordings WHERE id IN (SELECT recording_id FROM pack_contents WHERE pack = $1)
        ORDER BY id FOR NO KEY UPDATE";
    let number = [Arg::Int(number)];
    if tx.is_postgres() {
        tx.execute(RECORDINGS, &number).await?;
    }
    if tx.execute(LOCK, &number).await? != 1 {
        return Ok(false);
    }
    tx.execute(RELEASE, &number).await?;
    Ok(true)
}

/// Releases what is in the database from packs that cannot be relied on: given up, or not whole. A
/// restore can bring such rows back, and snapshots leave out what a pack has.
pub async fn release_unusable(tx: &mut Tx) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* packs.release_unusable */ UPDATE artefacts SET pack = NULL, pack_at = NULL
        WHERE {HAS_INLINE} AND pack IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM packs WHERE number = artefacts.pack AND size > 0 AND left_seq IS NULL)"
    );
    tx.execute(SQL, &[]).await.map(|_| ())
}

/// Records the point of the audit log at which a pack was given up.
pub async fn note_left(tx: &mut Tx, number: i64, point: LogPoint) -> Result<(), Error> {
    const SQL: &str = "/* packs.note_left */ UPDATE packs SET left_timeline = $2, left_seq = $3 WHERE number = $1";
    let timeline = Arg::Int(point.timeline.number());
    tx.execute(SQL, &[Arg::Int(number), timeline, Arg::Int(point.seq)])
        .await
        .map(|_| ())
}

/// Returns the shredded recordings of which a pack has ciphertext: their receipts wait for it.
pub async fn awaited_by(tx: &mut Tx, number: i64) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* packs.awaited_by */
        SELECT recording_id FROM pack_contents WHERE pack = $1
          AND (SELECT state FROM recordings WHERE id = pack_contents.recording_id) = 'shredded' ORDER BY recording_id";
    let rows = tx.fetch_all(SQL, &[Arg::Int(number)]).await?;
    rows.iter().map(recording_of).collect()
}

/// Removes a pack whose object is gone, and that nothing names: it was given up, or not entered.
pub async fn remove(tx: &mut Tx, number: i64) -> Result<(), Error> {
    const PACK: &str = "/* packs.remove */ DELETE FROM packs WHERE number = $1 AND (left_seq IS NOT NULL OR size = 0)";
    const CONTENTS: &str = "/* packs.remove_contents */ DELETE FROM pack_contents
        WHERE pack = $1 AND NOT EXISTS (SELECT 1 FROM packs WHERE number = $1)";
    let number = [Arg::Int(number)];
    tx.execute(PACK, &number).await?;
    tx.execute(CONTENTS, &number).await.map(|_| ())
}

/// Removes contents of packs that are not there. Returns the shredded recordings among them. Rows of
/// several timelines can leave such ones.
pub async fn forget_removed(tx: &mut Tx) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* packs.forget_removed */ DELETE FROM pack_contents
        WHERE NOT EXISTS (SELECT 1 FROM packs WHERE number = pack_contents.pack)
        RETURNING recording_id, (SELECT state FROM recordings WHERE id = recording_id) AS state";
    let rows = tx.fetch_all(SQL, &[]).await?;
    let mut dead = BTreeSet::new();
    for row in &rows {
        if row.text("state")? == "shredded" {
            dead.insert(recording_of(row)?);
        }
    }
    Ok(dead.into_iter().collect())
}

fn recording_of(row: &Row) -> Result<RecordingId, Error> {
    row.parse("pack_contents", "recording_id", "recording_id")
}

/// Drops the ciphertext of a shredded recording from the database. Returns whether objects of packs
/// have some of it, whatever became of the packs.
pub async fn drop_ciphertext(tx: &mut Tx, id: RecordingId) -> Result<bool, Error> {
    const HELD: &str =
        "/* packs.held */ SELECT COUNT(*) FROM pack_contents WHERE recording_id = $1";
    recordings::remove_artefacts(tx, id).await?;
    Ok(tx.fetch_int(HELD, &[Arg::Text(&id.to_string())]).await? > 0)
}

/// The condition on artefacts of living recordings whose small ciphertext only a pack has, as in the
/// index: a restore did not find it there.
const LACKING: &str = "pack IS NOT NULL AND length(inline) = 0
    AND (SELECT state FROM recordings WHERE id = artefacts.recording_id) <> 'shredded'";

/// Returns the packs, given up or not, in which a restore did not find what living recordings lack.
pub async fn lacked(tx: &mut Tx) -> Result<Vec<Pack>, Error> {
    const SQL: &str = formatcp!(
        "/* packs.lacked */ SELECT {} FROM packs WHERE number IN (SELECT pack FROM artefacts WHERE {LACKING}) ORDER BY number",
        Pack::COLUMNS
    );
    tx.fetch_rows(SQL, &[]).await
}

/// Returns the artefacts of living recordings that lack what this pack should have.
pub async fn lacking_of(tx: &mut Tx, number: i64) -> Result<Vec<SealedArtefact>, Error> {
    const SQL: &str = formatcp!(
        "/* packs.lacking_of */ SELECT {} FROM artefacts WHERE {LACKING} AND pack = $1 ORDER BY pack_at",
        SealedArtefact::COLUMNS
    );
    tx.fetch_rows(SQL, &[Arg::Int(number)]).await
}

/// Enters ciphertext that artefacts lacked and a pack had after all. If the pack was given up, they
/// are in no pack, to be packed again. Returns how many artefacts have theirs now.
pub async fn refill(tx: &mut Tx, number: i64, found: &[SealedArtefact]) -> Result<u64, Error> {
    const SQL: &str = formatcp!(
        "/* packs.refill */ UPDATE artefacts SET inline = $5
        WHERE recording_id = $1 AND leg = $2 AND artefact = $3 AND sealed_sha256 = $4 AND {LACKING}"
    );
    const RELEASE: &str = formatcp!(
        "/* packs.release_left */ UPDATE artefacts SET pack = NULL, pack_at = NULL
        WHERE {HAS_INLINE} AND pack = $1 AND EXISTS (SELECT 1 FROM packs WHERE number = $1 AND left_seq IS NOT NULL)"
    );
    // Of those that are shredded meanwhile nothing is entered.
    lock_living(tx, &recordings_of(found)).await?;
    let mut filled = 0;
    for sealed in found {
        let args = [
            Arg::Text(&sealed.recording.to_string()),
            Arg::Text(sealed.leg.as_str()),
            Arg::Text(&sealed.artefact.word()),
            Arg::Text(&sealed.sealed_sha256),
            Arg::Bytes(&sealed.inline),
        ];
        filled += tx.execute(SQL, &args).await?;
    }
    tx.execute(RELEASE, &[Arg::Int(number)]).await?;
    Ok(filled)
}

/// Returns the recordings that are not shredded and lack small ciphertext.
pub async fn lacking(tx: &mut Tx) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* packs.lacking */
        SELECT id FROM recordings WHERE state <> 'shredded'
          AND id IN (SELECT recording_id FROM artefacts WHERE object_id IS NULL AND length(inline) = 0) ORDER BY id";
    let rows = tx.fetch_all(SQL, &[]).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}
