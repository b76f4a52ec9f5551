//! Work: one queue for everything that is to be done later, keyed by kind and subject.
//!
//! Owns enqueueing, the backlog and dead work. Leases are in `lease.rs`. Refuses to know how
//! anything is done.

mod kind;
mod lease;
mod stored;

use std::{collections::BTreeMap, fmt::Display};

use const_format::formatcp;

pub(super) use self::stored::StoredWork;
pub use self::{
    kind::WorkKind,
    lease::{
        Lease, bury, claim, due, extend, finish, free_strays, lease, postpone, release, seize, take,
    },
};
use super::{
    error::Error,
    row::Row,
    table::TableRow as _,
    tx::{Arg, Tx, set},
};
use crate::model::{id::RecordingId, time::Timestamp};

const COLUMNS: &str = StoredWork::COLUMNS;
const QUALIFIED: &str = StoredWork::QUALIFIED;
const INSERT_INTO: &str = StoredWork::INSERT_INTO;

/// Dead work as shown to the operator.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeadWorkItem {
    /// The kind of work.
    pub kind: String,
    /// Its subject.
    pub subject: String,
    /// The id of the recording, where known; for a transcript, the source's id.
    pub recording: Option<String>,
    /// The number of attempts.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// The amount of work of one kind and state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Backlog {
    /// The kind.
    pub kind: String,
    /// `due` or `dead`.
    pub state: String,
    /// The number of pieces.
    pub count: i64,
    /// When the oldest of them was enqueued, in milliseconds.
    pub oldest_at: i64,
}

/// Makes dead work due again, and failed deletions at the source that wait for a retry, for one
/// recording or for all. Not transcripts, whose retry period restarts:
/// [`super::transcripts::revive`]. Returns the number of pieces.
pub async fn revive(
    tx: &mut Tx,
    recording: Option<RecordingId>,
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str = "/* work.revive */
        UPDATE work SET state = 'due', due_at = $1, attempts = 0, enqueued_at = $1
        WHERE (state = 'dead' OR kind = 'delete-at-source' AND holder IS NULL AND last_error IS NOT NULL AND due_at > $1)
          AND kind <> 'transcript' AND (recording_id = $2 OR $2 = '*')";
    let which = recording.map_or_else(|| "*".to_owned(), |id| id.to_string());
    tx.execute(SQL, &[Arg::Int(now.as_millis()), Arg::Text(&which)])
        .await
}

/// Enqueues work for each of these subjects, due at `due_at`. Idempotent; dead work becomes due
/// again.
pub async fn enqueue<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[K],
    due_at: Timestamp,
) -> Result<(), Error> {
    enqueue_at(tx, kind, subjects, due_at, due_at).await
}

/// The same, enqueued at `now` and due at another time.
pub async fn enqueue_at<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[K],
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* work.enqueue */ {INSERT_INTO}
        SELECT $1, key, 'due', $3, NULL, 0, 0, NULL, $4 FROM json_each($2) AS asked WHERE true
        ON CONFLICT (kind, subject) DO UPDATE SET
          state = 'due', due_at = excluded.due_at, attempts = 0, enqueued_at = excluded.enqueued_at WHERE work.state = 'dead'"
    );
    let args = [
        Arg::Text(kind.as_str()),
        Arg::Text(&set(subjects)),
        Arg::Int(due_at.as_millis()),
        Arg::Int(now.as_millis()),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// The state of a recording's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkStatus {
    /// Whether the work is dead.
    pub dead: bool,
    /// When the work is due; for dead work, when the lease of its last attempt would have ended.
    pub due_at: Timestamp,
}

/// Returns the state of the work of a kind for these recordings.
pub async fn standing(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[RecordingId],
) -> Result<BTreeMap<RecordingId, WorkStatus>, Error> {
    const SQL: &str = formatcp!(
        "/* work.standing */ SELECT {COLUMNS} FROM work WHERE kind = $1 AND subject IN (SELECT key FROM json_each($2))"
    );
    let args = [Arg::Text(kind.as_str()), Arg::Text(&set(subjects))];
    let rows: Vec<StoredWork> = tx.fetch_rows(SQL, &args).await?;
    let standing = |row: StoredWork| {
        let standing = WorkStatus {
            dead: row.state == "dead",
            due_at: row.due_at,
        };
        Ok((row.subject()?, standing))
    };
    rows.into_iter().map(standing).collect()
}

/// Enqueues work for each of these subjects as if it were new, due immediately. A current lease on
/// it is lost, because the work has changed.
pub async fn begin_anew<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[K],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* work.begin_anew */ {INSERT_INTO}
        SELECT $1, key, 'due', $3, NULL, 0, 0, NULL, $3 FROM json_each($2) AS asked WHERE true
        ON CONFLICT (kind, subject) DO UPDATE SET
          state = 'due', due_at = excluded.due_at, holder = NULL, attempts = 0, last_error = NULL, enqueued_at = excluded.enqueued_at"
    );
    tx.execute(
        SQL,
        &[
            Arg::Text(kind.as_str()),
            Arg::Text(&set(subjects)),
            Arg::Int(now.as_millis()),
        ],
    )
    .await
    .map(|_| ())
}

/// Makes waiting work due immediately; leased and missing work is not changed.
pub async fn hasten<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[K],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* work.hasten */
        UPDATE work SET due_at = $3
        WHERE kind = $1 AND subject IN (SELECT key FROM json_each($2)) AND state = 'due' AND holder IS NULL AND due_at > $3";
    tx.execute(
        SQL,
        &[
            Arg::Text(kind.as_str()),
            Arg::Text(&set(subjects)),
            Arg::Int(now.as_millis()),
        ],
    )
    .await
    .map(|_| ())
}

/// Returns whether work of this kind exists for a subject, due or dead.
pub async fn is_asked<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subject: K,
) -> Result<bool, Error> {
    const SQL: &str =
        "/* work.is_asked */ SELECT COUNT(*) FROM work WHERE kind = $1 AND subject = $2";
    Ok(tx
        .fetch_int(
            SQL,
            &[Arg::Text(kind.as_str()), Arg::Text(&subject.to_string())],
        )
        .await?
        > 0)
}

/// Deletes the work for these subjects; a current lease on it is lost.
pub async fn cancel<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[K],
) -> Result<(), Error> {
    const SQL: &str = "/* work.cancel */ DELETE FROM work WHERE kind = $1 AND subject IN (SELECT key FROM json_each($2))";
    tx.execute(SQL, &[Arg::Text(kind.as_str()), Arg::Text(&set(subjects))])
        .await
        .map(|_| ())
}

/// Returns deletions at the source that keep failing: with at least `attempts` attempts, or a
/// reason that begins with `reason`; not those whose reason begins with `patience`, whatever their
/// attempts. Oldest first.
pub async fn stuck_deletions(
    tx: &mut Tx,
    attempts: i64,
    reason: &str,
    patience: &str,
    limit: i64,
) -> Result<Vec<DeadWorkItem>, Error> {
    const SQL: &str = formatcp!(
        "/* work.stuck_deletions */ SELECT {COLUMNS}, recording_id AS recording FROM work
        WHERE kind = 'delete-at-source' AND last_error IS NOT NULL AND (attempts >= $1 OR SUBSTR(last_error, 1, LENGTH($2)) = $2)
          AND SUBSTR(last_error, 1, LENGTH($3)) <> $3
        ORDER BY enqueued_at LIMIT $4"
    );
    let args = [
        Arg::Int(attempts),
        Arg::Text(reason),
        Arg::Text(patience),
        Arg::Int(limit),
    ];
    tx.fetch_all(SQL, &args)
        .await?
        .iter()
        .map(dead_row)
        .collect()
}

/// Returns dead work, oldest first. The subject of a transcript is split for the join: a SID has 34
/// characters.
pub async fn dead(tx: &mut Tx, limit: i64) -> Result<Vec<DeadWorkItem>, Error> {
    const SQL: &str = formatcp!(
        "/* work.dead */ SELECT {QUALIFIED}, COALESCE(recording_id, source_sid) AS recording FROM work
        LEFT JOIN transcripts ON work.kind = 'transcript' AND account = SUBSTR(subject, 1, 34)
          AND sid = SUBSTR(subject, LENGTH(subject) - 33) AND subject = account || '/' || transcripts.kind || '/' || sid
        WHERE work.state = 'dead' ORDER BY enqueued_at, subject LIMIT $1"
    );
    let rows = tx.fetch_all(SQL, &[Arg::Int(limit)]).await?;
    rows.iter().map(dead_row).collect()
}

fn dead_row(row: &Row) -> Result<DeadWorkItem, Error> {
    let work = StoredWork::of(row)?;
    Ok(DeadWorkItem {
        kind: work.kind,
        subject: work.subject,
        recording: row.maybe_text("recording")?,
        attempts: work.attempts,
        last_error: work.last_error,
    })
}

/// Returns the amount of work by kind and state. Polls for transcripts are left out: nobody was
/// promised their result, and each recording has one for hours.
pub async fn backlog(tx: &mut Tx) -> Result<Vec<Backlog>, Error> {
    const SQL: &str = "/* work.backlog */
        SELECT kind, state, COUNT(*) AS n, MIN(enqueued_at) AS oldest FROM work
        WHERE kind <> 'transcript-poll' GROUP BY kind, state ORDER BY kind, state";
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
