//! Work rows and their leases.
//!
//! A lease is the row's `due_at` pushed into the future and the holder's id beside it: a worker
//! that dies or sleeps loses it by doing nothing, and what it then tries to commit finds another
//! holder.

use std::collections::BTreeMap;

use super::{
    error::Error,
    lease::Term,
    row::Row,
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::{HolderId, RecordingId},
    time::Timestamp,
};

/// What is to be done for a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Fetch its media and seal it.
    Fetch,
    /// Remove its ciphertext and close its receipt.
    Remove,
    /// Delete what the source keeps of it.
    Erase,
}

impl Kind {
    /// The word in the row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Remove => "remove",
            Self::Erase => "erase",
        }
    }
}

/// A piece of work that is ours until `until`.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What is to be done.
    pub kind: Kind,
    /// For which recording.
    pub recording: RecordingId,
    /// In whose name.
    pub holder: HolderId,
    /// Leases taken for this work so far, this one included.
    pub attempts: i64,
    /// When it was first asked for.
    pub enqueued_at: Timestamp,
    /// When the lease ends unless it is extended.
    pub until: Timestamp,
}

/// Work as the operator sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Dead {
    /// What was to be done.
    pub kind: String,
    /// For which recording.
    pub recording_id: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// Work of one kind and state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Backlog {
    /// The kind.
    pub kind: String,
    /// `due` or `dead`.
    pub state: String,
    /// How many.
    pub count: i64,
    /// When the oldest of them was enqueued, in milliseconds.
    pub oldest_at: i64,
}

/// Takes up to `limit` pieces of due work for a term, those for the source apart: see
/// [`lease_erasures`].
pub async fn lease(
    tx: &mut Tx,
    holder: HolderId,
    term: Term,
    limit: i64,
) -> Result<Vec<Lease>, Error> {
    const SQL: &str = "/* work.lease */
        UPDATE work SET due_at = $2, holder = $3, attempts = attempts + 1
        WHERE (kind, recording_id) IN (
            SELECT kind, recording_id FROM work WHERE state = 'due' AND kind <> 'erase' AND due_at <= $1 ORDER BY due_at LIMIT $4)
          AND state = 'due' AND due_at <= $1
        RETURNING kind, recording_id, attempts, enqueued_at";
    leased(tx, SQL, holder, term, limit).await
}

/// Takes up to `limit` pieces of work at the source for a term. They are many after a revocation,
/// and slow: whoever waits for a fetch does not stand in their line.
pub async fn lease_erasures(
    tx: &mut Tx,
    holder: HolderId,
    term: Term,
    limit: i64,
) -> Result<Vec<Lease>, Error> {
    const SQL: &str = "/* work.lease_erasures */
        UPDATE work SET due_at = $2, holder = $3, attempts = attempts + 1
        WHERE (kind, recording_id) IN (
            SELECT kind, recording_id FROM work WHERE state = 'due' AND kind = 'erase' AND due_at <= $1 ORDER BY due_at LIMIT $4)
          AND state = 'due' AND due_at <= $1
        RETURNING kind, recording_id, attempts, enqueued_at";
    leased(tx, SQL, holder, term, limit).await
}

async fn leased(
    tx: &mut Tx,
    sql: &str,
    holder: HolderId,
    term: Term,
    limit: i64,
) -> Result<Vec<Lease>, Error> {
    let Term { now, until, .. } = term;
    let args = [
        Arg::Int(now.as_millis()),
        Arg::Int(until.as_millis()),
        Arg::Text(&holder.to_string()),
        Arg::Int(limit),
    ];
    tx.fetch_all(sql, &args)
        .await?
        .iter()
        .map(|row| {
            let kind = match row.text("kind")?.as_str() {
                "fetch" => Kind::Fetch,
                "remove" => Kind::Remove,
                "erase" => Kind::Erase,
                _ => return Err(row.inconsistent("work", "kind", "recording_id")),
            };
            let recording = row.parse("work", "recording_id", "recording_id")?;
            Ok(Lease {
                kind,
                recording,
                holder,
                attempts: row.int("attempts")?,
                enqueued_at: row.time("enqueued_at")?,
                until,
            })
        })
        .collect()
}

/// Whether any work is due.
pub async fn any_due(tx: &mut Tx, now: Timestamp) -> Result<bool, Error> {
    // Each of the two has an index.
    const SQL: &str = "/* work.any_due */
        SELECT kind FROM work WHERE state = 'due' AND kind <> 'erase' AND due_at <= $1
        UNION ALL SELECT kind FROM work WHERE state = 'due' AND kind = 'erase' AND due_at <= $1 LIMIT 1";
    Ok(tx
        .fetch_first(SQL, &[Arg::Int(now.as_millis())])
        .await?
        .is_some())
}

/// Keeps a lease for longer.
///
/// # Errors
/// [`Error::Stale`] if somebody else has it now.
pub async fn extend(tx: &mut Tx, lease: &Lease, term: Term) -> Result<(), Error> {
    const SQL: &str = "/* work.extend */ UPDATE work SET due_at = $4 WHERE kind = $1 AND recording_id = $2 AND holder = $3 AND state = 'due'";
    let args = [
        Arg::Text(lease.kind.as_str()),
        Arg::Text(&lease.recording.to_string()),
        Arg::Text(&lease.holder.to_string()),
        Arg::Int(term.until.as_millis()),
    ];
    tx.execute_one(SQL, &args, LOST).await
}

/// Makes due what no honest clock put so far off: leases that end later than any could, and other
/// work than that at the source, which alone waits for its day. A clock that was ahead, and is not
/// any more, left them behind. How many pieces.
pub async fn free_strays(tx: &mut Tx, term: Term) -> Result<u64, Error> {
    const SQL: &str = "/* work.free_strays */
        UPDATE work SET due_at = $1, holder = NULL WHERE state = 'due' AND due_at > $2 AND (holder IS NOT NULL OR kind <> 'erase')";
    tx.execute(
        SQL,
        &[
            Arg::Int(term.now.as_millis()),
            Arg::Int(term.beyond.as_millis()),
        ],
    )
    .await
}

/// The work is done; in the same unit as what it did.
///
/// # Errors
/// [`Error::Stale`] if somebody else has the lease now: then nothing of the unit may stand.
pub async fn finish(tx: &mut Tx, lease: &Lease) -> Result<(), Error> {
    const SQL: &str =
        "/* work.finish */ DELETE FROM work WHERE kind = $1 AND recording_id = $2 AND holder = $3";
    let args = [
        Arg::Text(lease.kind.as_str()),
        Arg::Text(&lease.recording.to_string()),
        Arg::Text(&lease.holder.to_string()),
    ];
    tx.execute_one(SQL, &args, LOST).await
}

/// Gives the work back, due again at `due_at`, with the reason why it could not be done.
pub async fn postpone(
    tx: &mut Tx,
    lease: &Lease,
    due_at: Timestamp,
    why: &str,
) -> Result<(), Error> {
    const SQL: &str = "/* work.postpone */
        UPDATE work SET due_at = $4, holder = NULL, last_error = $5 WHERE kind = $1 AND recording_id = $2 AND holder = $3";
    let args = [
        Arg::Text(lease.kind.as_str()),
        Arg::Text(&lease.recording.to_string()),
        Arg::Text(&lease.holder.to_string()),
        Arg::Int(due_at.as_millis()),
        Arg::Text(why),
    ];
    tx.execute_one(SQL, &args, LOST).await
}

/// Sets the work aside until somebody says `recvault retry`.
pub async fn bury(tx: &mut Tx, lease: &Lease, why: &str) -> Result<(), Error> {
    const SQL: &str = "/* work.bury */
        UPDATE work SET state = 'dead', holder = NULL, last_error = $4 WHERE kind = $1 AND recording_id = $2 AND holder = $3";
    let args = [
        Arg::Text(lease.kind.as_str()),
        Arg::Text(&lease.recording.to_string()),
        Arg::Text(&lease.holder.to_string()),
        Arg::Text(why),
    ];
    tx.execute_one(SQL, &args, LOST).await
}

/// Makes dead work due again, and work at the source that failed before and would rest for long;
/// for one recording or for all. How many pieces.
pub async fn revive(
    tx: &mut Tx,
    recording: Option<RecordingId>,
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str = "/* work.revive */
        UPDATE work SET state = 'due', due_at = $1, attempts = 0
        WHERE (state = 'dead' OR kind = 'erase' AND holder IS NULL AND last_error IS NOT NULL AND due_at > $1)
          AND (recording_id = $2 OR $2 = '*')";
    let which = recording.map_or_else(|| "*".to_owned(), |id| id.to_string());
    tx.execute(SQL, &[Arg::Int(now.as_millis()), Arg::Text(&which)])
        .await
}

/// Asks for work for each of these recordings, due at once; asking twice is asking once, and dead
/// work becomes due.
pub async fn enqueue(
    tx: &mut Tx,
    kind: Kind,
    recordings: &[RecordingId],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* work.enqueue */
        INSERT INTO work (kind, recording_id, state, due_at, attempts, enqueued_at)
        SELECT $1, key, 'due', $3, 0, $3 FROM json_each($2) AS asked WHERE true
        ON CONFLICT (kind, recording_id) DO UPDATE SET state = 'due', due_at = excluded.due_at, attempts = 0 WHERE work.state = 'dead'";
    tx.execute(
        SQL,
        &[
            Arg::Text(kind.as_str()),
            Arg::Text(&set(recordings)),
            Arg::Int(now.as_millis()),
        ],
    )
    .await
    .map(|_| ())
}

/// Work as it stands for a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it was set aside.
    pub dead: bool,
    /// Not before then; of dead work, when the lease of its last attempt would have ended.
    pub due_at: Timestamp,
}

/// The work of a kind for these recordings, as it stands.
pub async fn standing(
    tx: &mut Tx,
    kind: Kind,
    recordings: &[RecordingId],
) -> Result<BTreeMap<RecordingId, Standing>, Error> {
    const SQL: &str = "/* work.standing */
        SELECT recording_id, state, due_at FROM work WHERE kind = $1 AND recording_id IN (SELECT key FROM json_each($2))";
    let standing = |row: &Row| {
        let standing = Standing {
            dead: row.text("state")? == "dead",
            due_at: row.time("due_at")?,
        };
        Ok((row.parse("work", "recording_id", "recording_id")?, standing))
    };
    tx.fetch_all(
        SQL,
        &[Arg::Text(kind.as_str()), Arg::Text(&set(recordings))],
    )
    .await?
    .iter()
    .map(standing)
    .collect()
}

/// Asks for work for each of these recordings as if it were new, due at once: who is at it already
/// has lost it, because what it is to do has changed.
pub async fn begin_anew(
    tx: &mut Tx,
    kind: Kind,
    recordings: &[RecordingId],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* work.begin_anew */
        INSERT INTO work (kind, recording_id, state, due_at, attempts, enqueued_at)
        SELECT $1, key, 'due', $3, 0, $3 FROM json_each($2) AS asked WHERE true
        ON CONFLICT (kind, recording_id) DO UPDATE SET
          state = 'due', due_at = excluded.due_at, holder = NULL, attempts = 0, last_error = NULL, enqueued_at = excluded.enqueued_at";
    tx.execute(
        SQL,
        &[
            Arg::Text(kind.as_str()),
            Arg::Text(&set(recordings)),
            Arg::Int(now.as_millis()),
        ],
    )
    .await
    .map(|_| ())
}

/// Makes work that waits due at once; what is leased, or not there, stays as it is.
pub async fn hasten(
    tx: &mut Tx,
    kind: Kind,
    recordings: &[RecordingId],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* work.hasten */
        UPDATE work SET due_at = $3
        WHERE kind = $1 AND recording_id IN (SELECT key FROM json_each($2)) AND state = 'due' AND holder IS NULL AND due_at > $3";
    tx.execute(
        SQL,
        &[
            Arg::Text(kind.as_str()),
            Arg::Text(&set(recordings)),
            Arg::Int(now.as_millis()),
        ],
    )
    .await
    .map(|_| ())
}

/// Whether there is work of this kind for a recording, due or dead.
pub async fn is_asked(tx: &mut Tx, kind: Kind, recording: RecordingId) -> Result<bool, Error> {
    const SQL: &str =
        "/* work.is_asked */ SELECT COUNT(*) FROM work WHERE kind = $1 AND recording_id = $2";
    Ok(tx
        .fetch_int(
            SQL,
            &[Arg::Text(kind.as_str()), Arg::Text(&recording.to_string())],
        )
        .await?
        > 0)
}

/// Takes the work for these recordings away from whoever holds it.
pub async fn cancel(tx: &mut Tx, kind: Kind, recordings: &[RecordingId]) -> Result<(), Error> {
    const SQL: &str = "/* work.cancel */ DELETE FROM work WHERE kind = $1 AND recording_id IN (SELECT key FROM json_each($2))";
    tx.execute(
        SQL,
        &[Arg::Text(kind.as_str()), Arg::Text(&set(recordings))],
    )
    .await
    .map(|_| ())
}

/// Work at the source that is tried again and again in vain: so many attempts are over, or the
/// reason begins like `reason`. Oldest first.
pub async fn stuck_erasures(
    tx: &mut Tx,
    attempts: i64,
    reason: &str,
    limit: i64,
) -> Result<Vec<Dead>, Error> {
    const SQL: &str = "/* work.stuck_erasures */
        SELECT kind, recording_id, attempts, last_error FROM work
        WHERE kind = 'erase' AND last_error IS NOT NULL AND (attempts >= $1 OR SUBSTR(last_error, 1, LENGTH($2)) = $2)
        ORDER BY enqueued_at LIMIT $3";
    let rows = tx
        .fetch_all(
            SQL,
            &[Arg::Int(attempts), Arg::Text(reason), Arg::Int(limit)],
        )
        .await?;
    rows.iter().map(dead_row).collect()
}

/// Dead work, oldest first.
pub async fn dead(tx: &mut Tx, limit: i64) -> Result<Vec<Dead>, Error> {
    const SQL: &str = "/* work.dead */
        SELECT kind, recording_id, attempts, last_error FROM work WHERE state = 'dead' ORDER BY enqueued_at LIMIT $1";
    tx.fetch_all(SQL, &[Arg::Int(limit)])
        .await?
        .iter()
        .map(dead_row)
        .collect()
}

fn dead_row(row: &Row) -> Result<Dead, Error> {
    Ok(Dead {
        kind: row.text("kind")?,
        recording_id: row.text("recording_id")?,
        attempts: row.int("attempts")?,
        last_error: row.maybe_text("last_error")?,
    })
}

/// How much work waits, by kind and state.
pub async fn backlog(tx: &mut Tx) -> Result<Vec<Backlog>, Error> {
    const SQL: &str = "/* work.backlog */
        SELECT kind, state, COUNT(*) AS n, MIN(enqueued_at) AS oldest FROM work GROUP BY kind, state ORDER BY kind, state";
    tx.fetch_all(SQL, &[])
        .await?
        .iter()
        .map(|row| {
            Ok(Backlog {
                kind: row.text("kind")?,
                state: row.text("state")?,
                count: row.int("n")?,
                oldest_at: row.int("oldest")?,
            })
        })
        .collect()
}

const LOST: &str = "the lease was lost to another worker";
