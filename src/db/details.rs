//! The participants of recordings, sealed.
//!
//! Owns the rows. Refuses to know their contents: `vault` has the keys. INVARIANT: a row is deleted
//! in the unit that destroys its recording's key.

use std::collections::{BTreeMap, BTreeSet};

use const_format::{concatcp, formatcp};

use super::{
    error::Error,
    recordings,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    name::LegName,
    subject::{Conversation, PartyScope},
    time::Timestamp,
};

table! {
    "details" { subject: Some("recording_id") }

    #[derive(Debug)]
    pub(super) struct StoredDetails {
        key {
            recording: RecordingId = "recording_id",
        }
        sealed: Vec<u8> = "sealed",
        sealed_at: Timestamp = "sealed_at",
    }
}

/// Returns the sealed details of these recordings, where there are any.
pub async fn find(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeMap<RecordingId, Vec<u8>>, Error> {
    const SQL: &str = formatcp!(
        "/* details.find */ SELECT {} FROM details WHERE recording_id IN (SELECT key FROM json_each($1))",
        StoredDetails::COLUMNS
    );
    let rows: Vec<StoredDetails> = tx.fetch_rows(SQL, &[Arg::Text(&set(ids))]).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.recording, row.sealed))
        .collect())
}

/// Returns whether a recording has sealed details.
pub async fn is_there(tx: &mut Tx, id: RecordingId) -> Result<bool, Error> {
    const SQL: &str = "/* details.is_there */ SELECT COUNT(*) FROM details WHERE recording_id = $1";
    Ok(tx.fetch_int(SQL, &[Arg::Text(&id.to_string())]).await? > 0)
}

/// Stores the sealed details of a recording and replaces earlier ones.
pub async fn put(tx: &mut Tx, id: RecordingId, sealed: &[u8], now: Timestamp) -> Result<(), Error> {
    const SQL: &str = concatcp!(
        "/* details.put */ ",
        StoredDetails::INSERT,
        " ",
        StoredDetails::OR_REPLACE
    );
    let row = StoredDetails {
        recording: id,
        sealed: sealed.to_vec(),
        sealed_at: now,
    };
    tx.insert_row(SQL, &row, &[]).await.map(|_| ())
}

/// Stores the sealed details of recordings that have none.
pub async fn insert(
    tx: &mut Tx,
    sealed: Vec<(RecordingId, Vec<u8>)>,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = concatcp!("/* details.insert */ ", StoredDetails::INSERT_INTO);
    let rows: Vec<StoredDetails> = sealed
        .into_iter()
        .map(|(recording, sealed)| StoredDetails {
            recording,
            sealed,
            sealed_at: now,
        })
        .collect();
    tx.insert_rows(SQL, &rows).await.map(|_| ())
}

/// Deletes the sealed details of these recordings.
pub async fn remove(tx: &mut Tx, ids: &[RecordingId]) -> Result<(), Error> {
    const SQL: &str = "/* details.remove */ DELETE FROM details WHERE recording_id IN (SELECT key FROM json_each($1))";
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute(SQL, &[Arg::Text(&set(ids))]).await.map(|_| ())
}

/// Returns the sealed recordings whose parties are those of this conversation, as they are named in
/// this scope, in the order of their ids: those of a conference, and those of a call unless its
/// conference has named parties.
pub async fn sealed_of(
    tx: &mut Tx,
    scope: &PartyScope,
    conversation: &Conversation,
) -> Result<Vec<RecordingId>, Error> {
    let clause = match conversation {
        Conversation::Call(_) => {
            "call_sid = $1 AND (conference_sid IS NULL OR NOT EXISTS (SELECT 1 FROM parties WHERE conversation = conference_sid AND parties.account IN ('*', recordings.account)))"
        }
        Conversation::Conference(_) => "conference_sid = $1",
        Conversation::Thread(_) | Conversation::Chat(_) | Conversation::Room(_) => "thread = $1",
        // The parties of a call through a session are the call's.
        Conversation::Session(_) => "thread = $1 AND call_sid IS NULL",
    };
    let sql = format!(
        "/* details.sealed_of */ SELECT id FROM recordings WHERE {clause} AND ($2 = '*' OR account = $2) AND state = 'sealed' ORDER BY id"
    );
    let args = [Arg::Text(conversation.as_str()), Arg::Text(scope.as_str())];
    let rows = tx.fetch_all(&sql, &args).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Returns those of these recordings that belong to some parties of their conversation alone, with the
/// parties' legs.
pub async fn owned_by_some(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeMap<RecordingId, BTreeSet<LegName>>, Error> {
    const SQL: &str = formatcp!(
        "/* details.owned_by_some */ SELECT {} FROM recordings
        WHERE (kind = 'video-track' OR shows IS NOT NULL) AND id IN (SELECT key FROM json_each($1))",
        recordings::COLUMNS
    );
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    let mut owned = BTreeMap::new();
    for row in &rows {
        let recording = recordings::recording(row)?;
        owned.extend(recording.only_of().map(|legs| (recording.id, legs)));
    }
    Ok(owned)
}

/// Locks the announced and sealed recordings of a conversation for the rest of the unit. A
/// concurrent seal or shred of one of them has committed when this returns, or will see the changes
/// of this unit.
pub async fn lock(tx: &mut Tx, conversation: &Conversation) -> Result<(), Error> {
    const SQL: &str = "/* details.lock */
        SELECT id FROM recordings WHERE (call_sid = $1 OR conference_sid = $1 OR thread = $1) AND state IN ('announced', 'sealed')
        ORDER BY id FOR NO KEY UPDATE";
    // SQLite has one writer at a time anyway.
    if tx.is_postgres() {
        tx.execute(SQL, &[Arg::Text(conversation.as_str())]).await?;
    }
    Ok(())
}
