//! Work: one queue for whatever is to be done later, keyed by its kind and by what it is about.
//!
//! Owns who may ask for work, what waits and what is dead. Who has a piece of work, and until when, is
//! in `lease.rs`. Refuses to know how anything is done.

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

/// Work as the operator sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Dead {
    /// What was to be done.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// The recording, where known: its id, or of a transcript the source's.
    pub recording: Option<String>,
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

/// Makes dead work due again, and work at the source that failed before and would rest for long;
/// for one recording or for all. Transcripts apart, which count their patience from then on:
/// [`super::transcripts::revive`]. How many pieces.
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

/// Asks for work for each of these, due then; asking twice is asking once, and dead work becomes due.
pub async fn enqueue<K: Display + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subjects: &[K],
    due_at: Timestamp,
) -> Result<(), Error> {
    enqueue_at(tx, kind, subjects, due_at, due_at).await
}

/// The same, asked for at `now` and due at another time.
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
    kind: WorkKind,
    subjects: &[RecordingId],
) -> Result<BTreeMap<RecordingId, Standing>, Error> {
    const SQL: &str = formatcp!(
        "/* work.standing */ SELECT {COLUMNS} FROM work WHERE kind = $1 AND subject IN (SELECT key FROM json_each($2))"
    );
    let args = [Arg::Text(kind.as_str()), Arg::Text(&set(subjects))];
    let rows: Vec<StoredWork> = tx.fetch_rows(SQL, &args).await?;
    let standing = |row: StoredWork| {
        let standing = Standing {
            dead: row.state == "dead",
            due_at: row.due_at,
        };
        Ok((row.subject()?, standing))
    };
    rows.into_iter().map(standing).collect()
}

/// Asks for work for each of these as if it were new, due at once: who is at it already
/// has lost it, because what it is to do has changed.
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

/// Makes work that waits due at once; what is leased, or not there, stays as it is.
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

/// Whether there is work of this kind for something, due or dead.
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

/// Takes the work for these away from whoever holds it.
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

/// Work at the source that is tried again and again in vain: so many attempts are over, or the
/// reason begins like `reason`. Oldest first.
pub async fn stuck_deletions(
    tx: &mut Tx,
    attempts: i64,
    reason: &str,
    limit: i64,
) -> Result<Vec<Dead>, Error> {
    const SQL: &str = formatcp!(
        "/* work.stuck_deletions */ SELECT {COLUMNS}, recording_id AS recording FROM work
        WHERE kind = 'delete-at-source' AND last_error IS NOT NULL AND (attempts >= $1 OR SUBSTR(last_error, 1, LENGTH($2)) = $2)
        ORDER BY enqueued_at LIMIT $3"
    );
    let args = [Arg::Int(attempts), Arg::Text(reason), Arg::Int(limit)];
    tx.fetch_all(SQL, &args)
        .await?
        .iter()
        .map(dead_row)
        .collect()
}

/// Dead work, oldest first. A transcript's subject is taken apart: a SID has 34 characters.
pub async fn dead(tx: &mut Tx, limit: i64) -> Result<Vec<Dead>, Error> {
    const SQL: &str = formatcp!(
        "/* work.dead */ SELECT {QUALIFIED}, COALESCE(recording_id, source_sid) AS recording FROM work
        LEFT JOIN transcripts ON work.kind = 'transcript' AND account = SUBSTR(subject, 1, 34)
          AND sid = SUBSTR(subject, LENGTH(subject) - 33) AND subject = account || '/' || transcripts.kind || '/' || sid
        WHERE work.state = 'dead' ORDER BY enqueued_at, subject LIMIT $1"
    );
    let rows = tx.fetch_all(SQL, &[Arg::Int(limit)]).await?;
    rows.iter().map(dead_row).collect()
}

fn dead_row(row: &Row) -> Result<Dead, Error> {
    let work = StoredWork::of(row)?;
    Ok(Dead {
        kind: work.kind,
        subject: work.subject,
        recording: row.maybe_text("recording")?,
        attempts: work.attempts,
        last_error: work.last_error,
    })
}

/// How much work waits, by kind and state. Polls for transcripts apart: nothing was promised of them,
/// and each recording has one for hours.
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
