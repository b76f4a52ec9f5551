//! Transcripts of the source: those that wait, and which one each recording has.
//!
//! ```text
//! due ──▶ filed     it is the one that the recording has
//!  ├────▶ passed    the recording has a better one, or one of the application's own, or is shredded
//!  └────▶ dead      until somebody says `recvault retry`
//! ```
//! Leases are those of `work`: the row's `due_at` pushed into the future and the holder's id beside
//! it.
//!
//! INVARIANT: a recording has at most one row that is `filed`, and it has one if its transcript
//! came from the source and was filed since the ledger was made or restored. No row holds a word of
//! what was said.

use super::{
    error::Error,
    lease::Term,
    recordings::{COLUMNS, recording},
    row::Row,
    tx::{Arg, Tx, set},
    utterances,
    work::Backlog,
};
use crate::model::{
    id::{HolderId, RecordingId},
    origin::Origin,
    recording::Recording,
    sid::{AccountSid, CallSid, RecordingSid, TranscriptSid},
    time::Timestamp,
};

/// A transcript that is ours to file until the lease ends.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The account that told of it.
    pub account: AccountSid,
    /// What it is.
    pub origin: Origin,
    /// The recording that it is of, where known. What is found out stands in the row when the lease
    /// is given back.
    pub source: Option<RecordingSid>,
    /// The call, where known.
    pub call: Option<CallSid>,
    /// Of real time: when it began, as the source says.
    pub began_at: Option<Timestamp>,
    /// In whose name.
    pub holder: HolderId,
    /// Leases taken for it so far, this one included.
    pub attempts: i64,
    /// When the vault heard of it, or was asked to try again.
    pub told_at: Timestamp,
}

/// What an event of real time tells of its transcription, besides words.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The account.
    pub account: &'a AccountSid,
    /// The transcription.
    pub transcription: &'a TranscriptSid,
    /// The call.
    pub call: &'a CallSid,
    /// When it began, if this is its beginning.
    pub began_at: Option<Timestamp>,
    /// When it ended, if this is its end.
    pub ended_at: Option<Timestamp>,
}

/// A transcript that was given up.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Dead {
    /// `intelligence`, `record` or `real-time`.
    pub kind: String,
    /// The source's id.
    pub sid: String,
    /// The account.
    pub account: String,
    /// The recording, where known.
    pub source_sid: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// Tells of a transcript, due then. Telling again changes nothing, unless it was given up: then it
/// is due again.
pub async fn tell(
    tx: &mut Tx,
    account: &AccountSid,
    origin: &Origin,
    source: Option<&RecordingSid>,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.tell */
        INSERT INTO transcripts (account, sid, kind, source_sid, state, due_at, attempts, told_at)
        VALUES ($1, $2, $3, $4, 'due', $5, 0, $6)
        ON CONFLICT (account, sid, kind) DO UPDATE SET state = 'due', due_at = excluded.due_at, attempts = 0, told_at = excluded.told_at
        WHERE transcripts.state = 'dead'";
    enter(tx, SQL, account, origin, source, due_at, now)
        .await
        .map(|_| ())
}

/// Enters a transcript that nobody told of, due then, unless it is known: then nothing changes.
/// Whether it is new.
pub async fn find(
    tx: &mut Tx,
    account: &AccountSid,
    origin: &Origin,
    source: &RecordingSid,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "/* transcripts.find */
        INSERT INTO transcripts (account, sid, kind, source_sid, state, due_at, attempts, told_at)
        VALUES ($1, $2, $3, $4, 'due', $5, 0, $6) ON CONFLICT (account, sid, kind) DO NOTHING";
    // A look is no transcript of the recording: who waits for those does not wait for it.
    let source = (!matches!(origin, Origin::Look(_))).then_some(source);
    enter(tx, SQL, account, origin, source, due_at, now).await
}

async fn enter(
    tx: &mut Tx,
    sql: &'static str,
    account: &AccountSid,
    origin: &Origin,
    source: Option<&RecordingSid>,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(origin.sid()),
        Arg::Text(origin.kind()),
        Arg::MaybeText(source.map(RecordingSid::as_str)),
        Arg::Int(due_at.as_millis()),
        Arg::Int(now.as_millis()),
    ];
    Ok(tx.execute(sql, &args).await? == 1)
}

/// An event of real time: its transcription is known, and due then unless its end was told before.
/// Locks its row for the rest of the unit. Whether it still takes words; one that is filed or given
/// up does not.
pub async fn hear(
    tx: &mut Tx,
    event: &Event<'_>,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    const HEAR: &str = "/* transcripts.hear */
        INSERT INTO transcripts (account, sid, kind, call_sid, state, due_at, attempts, told_at, began_at, ended_at)
        VALUES ($1, $2, 'real-time', $3, 'due', $4, 0, $5, $6, $7)
        ON CONFLICT (account, sid, kind) DO UPDATE SET
          began_at = CASE WHEN transcripts.began_at IS NULL OR excluded.began_at < transcripts.began_at THEN excluded.began_at
            ELSE transcripts.began_at END,
          due_at = CASE WHEN transcripts.holder IS NULL AND transcripts.ended_at IS NULL THEN excluded.due_at ELSE transcripts.due_at END,
          ended_at = COALESCE(transcripts.ended_at, excluded.ended_at)
        WHERE transcripts.state = 'due'";
    let args = [
        Arg::Text(event.account.as_str()),
        Arg::Text(event.transcription.as_str()),
        Arg::Text(event.call.as_str()),
        Arg::Int(due_at.as_millis()),
        Arg::Int(now.as_millis()),
        Arg::MaybeInt(event.began_at.map(Timestamp::as_millis)),
        Arg::MaybeInt(event.ended_at.map(Timestamp::as_millis)),
    ];
    Ok(tx.execute(HEAR, &args).await? == 1)
}

/// Whether anything is due.
pub async fn any_due(tx: &mut Tx, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* transcripts.any_due */ SELECT sid FROM transcripts WHERE state = 'due' AND due_at <= $1 LIMIT 1";
    Ok(tx
        .fetch_first(SQL, &[Arg::Int(now.as_millis())])
        .await?
        .is_some())
}

/// Makes due what a clock that was ahead has leased for longer than any honest one could. How many.
pub async fn free_strays(tx: &mut Tx, term: Term) -> Result<u64, Error> {
    const SQL: &str = "/* transcripts.free_strays */
        UPDATE transcripts SET due_at = $1, holder = NULL WHERE state = 'due' AND due_at > $2 AND holder IS NOT NULL";
    tx.execute(
        SQL,
        &[
            Arg::Int(term.now.as_millis()),
            Arg::Int(term.beyond.as_millis()),
        ],
    )
    .await
}

/// Takes up to `limit` transcripts that are due, for a term.
pub async fn lease(
    tx: &mut Tx,
    holder: HolderId,
    term: Term,
    limit: i64,
) -> Result<Vec<Lease>, Error> {
    let Term { now, until, .. } = term;
    const SQL: &str = "/* transcripts.lease */
        UPDATE transcripts SET due_at = $2, holder = $3, attempts = attempts + 1
        WHERE (account, sid, kind) IN
            (SELECT account, sid, kind FROM transcripts WHERE state = 'due' AND due_at <= $1 ORDER BY due_at LIMIT $4)
          AND state = 'due' AND due_at <= $1
        RETURNING account, sid, kind, source_sid, call_sid, attempts, told_at, began_at";
    let args = [
        Arg::Int(now.as_millis()),
        Arg::Int(until.as_millis()),
        Arg::Text(&holder.to_string()),
        Arg::Int(limit),
    ];
    tx.fetch_all(SQL, &args)
        .await?
        .iter()
        .map(|row| leased(row, holder))
        .collect()
}

fn leased(row: &Row, holder: HolderId) -> Result<Lease, Error> {
    Ok(Lease {
        account: row.parse(T, "account", "sid")?,
        origin: origin(row)?,
        source: row.maybe_parse(T, "source_sid", "sid")?,
        call: row.maybe_parse(T, "call_sid", "sid")?,
        began_at: row.maybe_time("began_at")?,
        holder,
        attempts: row.int("attempts")?,
        told_at: row.time("told_at")?,
    })
}

/// Gives a transcript back, due again at `due_at`, with the reason why it could not be filed.
///
/// # Errors
/// [`Error::Stale`] if somebody else has it now; so of all that take a lease.
pub async fn postpone(
    tx: &mut Tx,
    lease: &Lease,
    due_at: Timestamp,
    why: &str,
) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.postpone */
        UPDATE transcripts SET due_at = $5, holder = NULL, last_error = $6, source_sid = COALESCE($7, source_sid)
        WHERE account = $1 AND sid = $2 AND kind = $3 AND holder = $4";
    let ([account, sid, kind], holder) = (named(lease), lease.holder.to_string());
    let source = Arg::MaybeText(lease.source.as_ref().map(RecordingSid::as_str));
    let args = [
        Arg::Text(account),
        Arg::Text(sid),
        Arg::Text(kind),
        Arg::Text(&holder),
        Arg::Int(due_at.as_millis()),
        Arg::Text(why),
        source,
    ];
    tx.execute_one(SQL, &args, LOST).await
}

/// Gives a transcript up until somebody says `recvault retry`, or the source tells of it again.
pub async fn bury(tx: &mut Tx, lease: &Lease, why: &str) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.bury */
        UPDATE transcripts SET state = 'dead', holder = NULL, last_error = $5, source_sid = COALESCE($6, source_sid)
        WHERE account = $1 AND sid = $2 AND kind = $3 AND holder = $4";
    end(tx, SQL, lease, Some(why)).await
}

/// It is not to be filed: its recording keeps another one, or is shredded.
pub async fn pass(tx: &mut Tx, lease: &Lease) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.pass */
        UPDATE transcripts SET state = 'passed', holder = NULL, last_error = $5, source_sid = COALESCE($6, source_sid)
        WHERE account = $1 AND sid = $2 AND kind = $3 AND holder = $4";
    end(tx, SQL, lease, None).await
}

/// It is the one that the recording has, in the place of another one of the source's.
pub async fn file(tx: &mut Tx, lease: &Lease, recording: &Recording) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.file */
        UPDATE transcripts SET state = 'filed', holder = NULL, last_error = $5, source_sid = COALESCE($6, source_sid)
        WHERE account = $1 AND sid = $2 AND kind = $3 AND holder = $4";
    outdo(tx, recording).await?;
    end(
        tx,
        SQL,
        &Lease {
            source: Some(recording.source_sid.clone()),
            ..lease.clone()
        },
        None,
    )
    .await
}

/// The recording has a transcript that is none of the source's.
pub async fn outdo(tx: &mut Tx, recording: &Recording) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.outdo */
        UPDATE transcripts SET state = 'passed' WHERE source_sid = $1 AND account = $2 AND state = 'filed'";
    tx.execute(
        SQL,
        &[
            Arg::Text(recording.source_sid.as_str()),
            Arg::Text(recording.account.as_str()),
        ],
    )
    .await
    .map(|_| ())
}

async fn end(
    tx: &mut Tx,
    sql: &'static str,
    lease: &Lease,
    why: Option<&str>,
) -> Result<(), Error> {
    let ([account, sid, kind], holder) = (named(lease), lease.holder.to_string());
    let source = Arg::MaybeText(lease.source.as_ref().map(RecordingSid::as_str));
    let args = [
        Arg::Text(account),
        Arg::Text(sid),
        Arg::Text(kind),
        Arg::Text(&holder),
        Arg::MaybeText(why),
        source,
    ];
    tx.execute_one(sql, &args, LOST).await
}

/// Forgets a transcript that is not to be filed, or a look that is done.
pub async fn remove(tx: &mut Tx, lease: &Lease) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.remove */ DELETE FROM transcripts WHERE account = $1 AND sid = $2 AND kind = $3 AND holder = $4";
    let ([account, sid, kind], holder) = (named(lease), lease.holder.to_string());
    tx.execute_one(
        SQL,
        &[
            Arg::Text(account),
            Arg::Text(sid),
            Arg::Text(kind),
            Arg::Text(&holder),
        ],
        LOST,
    )
    .await
}

/// The transcript of the source that a recording has, and when the vault heard of it.
pub async fn filed(
    tx: &mut Tx,
    recording: &Recording,
) -> Result<Option<(Origin, Timestamp)>, Error> {
    const SQL: &str = "/* transcripts.filed */
        SELECT sid, kind, told_at FROM transcripts WHERE source_sid = $1 AND account = $2 AND state = 'filed'";
    let row = tx
        .fetch_first(
            SQL,
            &[
                Arg::Text(recording.source_sid.as_str()),
                Arg::Text(recording.account.as_str()),
            ],
        )
        .await?;
    row.map(|row| Ok((origin(&row)?, row.time("told_at")?)))
        .transpose()
}

/// The recordings of a call, in no order. One of a conference that the call is in is among them
/// only if the source named the call, too.
pub async fn recordings_of(
    tx: &mut Tx,
    account: &AccountSid,
    call: &CallSid,
) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* transcripts.recordings_of */ SELECT {COLUMNS} FROM recordings WHERE call_sid = $1 AND account = $2"
    );
    tx.fetch_all(
        &sql,
        &[Arg::Text(call.as_str()), Arg::Text(account.as_str())],
    )
    .await?
    .iter()
    .map(recording)
    .collect()
}

/// Recordings are let go of: no transcript of them is filed any more, and transcriptions of their
/// calls that wait go with every word. The ids of what the source made stay, because it is to be
/// deleted there. What is filed for another recording of the same call stays.
pub async fn forget(tx: &mut Tx, recordings: &[RecordingId]) -> Result<(), Error> {
    // By the source's ids alone, which are nobody else's: with the account beside them SQLite would
    // look through all rows of the account.
    const CALLS: &str = "/* transcripts.forget_calls */
        DELETE FROM transcripts WHERE state <> 'filed' AND kind = 'real-time' AND call_sid IN
          (SELECT call_sid FROM recordings WHERE id IN (SELECT key FROM json_each($1)))
        RETURNING account, sid";
    const SOURCES: &str = "/* transcripts.forget */
        UPDATE transcripts SET state = 'passed', holder = NULL WHERE source_sid IN
          (SELECT source_sid FROM recordings WHERE id IN (SELECT key FROM json_each($1)))";
    let ids = set(recordings);
    // The transcription before its words, as whoever hears one: so that neither waits for the
    // other.
    for row in tx.fetch_all(CALLS, &[Arg::Text(&ids)]).await? {
        utterances::remove(
            tx,
            &row.parse(T, "account", "sid")?,
            &row.parse(T, "sid", "sid")?,
        )
        .await?;
    }
    tx.execute(SOURCES, &[Arg::Text(&ids)]).await.map(|_| ())
}

/// Makes transcripts that were given up due again, of one recording and its call or of all. How
/// many.
pub async fn revive(
    tx: &mut Tx,
    recording: Option<&Recording>,
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str = "/* transcripts.revive */
        UPDATE transcripts SET state = 'due', due_at = $1, attempts = 0, told_at = $1
        WHERE state = 'dead' AND ($2 = '*' OR (account = $3 AND (source_sid = $2 OR call_sid = $4)))";
    let source = recording.map_or("*", |recording| recording.source_sid.as_str());
    let account = recording.map_or("*", |recording| recording.account.as_str());
    let call = recording
        .and_then(|recording| recording.call.as_ref())
        .map(CallSid::as_str);
    tx.execute(
        SQL,
        &[
            Arg::Int(now.as_millis()),
            Arg::Text(source),
            Arg::Text(account),
            Arg::MaybeText(call),
        ],
    )
    .await
}

/// Transcripts that were given up, oldest first.
pub async fn dead(tx: &mut Tx, limit: i64) -> Result<Vec<Dead>, Error> {
    const SQL: &str = "/* transcripts.dead */
        SELECT kind, sid, account, source_sid, attempts, last_error FROM transcripts WHERE state = 'dead' ORDER BY told_at, sid LIMIT $1";
    let rows = tx.fetch_all(SQL, &[Arg::Int(limit)]).await?;
    rows.iter()
        .map(|row| {
            Ok(Dead {
                kind: row.text("kind")?,
                sid: row.text("sid")?,
                account: row.text("account")?,
                source_sid: row.maybe_text("source_sid")?,
                attempts: row.int("attempts")?,
                last_error: row.maybe_text("last_error")?,
            })
        })
        .collect()
}

/// How many wait and how many were given up, by kind and state.
pub async fn backlog(tx: &mut Tx) -> Result<Vec<Backlog>, Error> {
    const SQL: &str = "/* transcripts.backlog */
        SELECT kind, state, COUNT(*) AS n, MIN(told_at) AS oldest FROM transcripts
        WHERE state IN ('due', 'dead') AND kind <> 'look' GROUP BY kind, state ORDER BY kind, state";
    let rows = tx.fetch_all(SQL, &[]).await?;
    rows.iter()
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

fn named(lease: &Lease) -> [&str; 3] {
    [
        lease.account.as_str(),
        lease.origin.sid(),
        lease.origin.kind(),
    ]
}

fn origin(row: &Row) -> Result<Origin, Error> {
    Origin::parse(&row.text("kind")?, &row.text("sid")?)
        .ok_or_else(|| row.inconsistent(T, "kind", "sid"))
}

const T: &str = "transcripts";
const LOST: &str = "the lease was lost to another worker";
