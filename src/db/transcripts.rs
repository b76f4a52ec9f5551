//! Transcripts of the source: those that are waiting, and the one that each recording has.
//!
//! ```text
//! waiting ──▶ filed     the recording has this transcript
//!     └─────▶ passed    the recording has another one, or is shredded
//! ```
//! A waiting transcript has work in the queue, of the kind [`WorkKind::FetchTranscript`], due or
//! dead; others have none. INVARIANT: a unit that changes both changes the transcript first, so
//! that two units do not lock them in different orders.
//!
//! INVARIANT: a recording has at most one row that is `filed`, and it has one if its transcript
//! came from the source and was filed since the database was created or restored. No row contains
//! any transcribed text.

mod stored;

use std::{fmt, str::FromStr};

use const_format::formatcp;

pub(super) use self::stored::StoredTranscript;
use super::{
    error::Error,
    recordings::{self, recording},
    table::TableRow as _,
    tx::{Arg, Tx, set},
    utterances,
    work::{self, Lease, StoredWork, WorkKind},
};
use crate::model::{
    id::RecordingId,
    origin::Origin,
    recording::Recording,
    sid::{AccountSid, CallSid, RecordingSid, TranscriptSid},
    time::Timestamp,
};

const COLUMNS: &str = StoredTranscript::COLUMNS;
const INSERT: &str = StoredTranscript::INSERT;

/// The subject of a transcript's work: the account, the product that made it, and its SID there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptId {
    /// The account that reported it.
    pub account: AccountSid,
    /// Its product and SID.
    pub origin: Origin,
}

impl fmt::Display for TranscriptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, origin } = self;
        write!(f, "{account}/{}/{}", origin.kind(), origin.sid())
    }
}

/// The error of a text that is no transcript id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a transcript: expected its account, product and SID with slashes between")]
pub struct InvalidTranscriptId;

impl FromStr for TranscriptId {
    type Err = InvalidTranscriptId;

    fn from_str(text: &str) -> Result<Self, InvalidTranscriptId> {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(InvalidTranscriptId);
        let account = next()?.parse().map_err(|_| InvalidTranscriptId)?;
        let origin = Origin::parse(next()?, next()?).ok_or(InvalidTranscriptId)?;
        Ok(Self { account, origin })
    }
}

/// A transcript that this process may file until the lease ends.
#[derive(Clone, Debug)]
pub struct LeasedTranscript {
    /// The lease.
    pub lease: Lease<TranscriptId>,
    /// The recording of the transcript, where known. A recording that is found meanwhile is stored
    /// when the lease is given back.
    pub source: Option<RecordingSid>,
    /// The call, where known.
    pub call: Option<CallSid>,
    /// For a real-time transcription: when it began, according to the source.
    pub began_at: Option<Timestamp>,
    /// When the vault was told of it, or asked to retry.
    pub told_at: Timestamp,
}

impl LeasedTranscript {
    /// The account that reported it.
    pub fn account(&self) -> &AccountSid {
        &self.lease.subject.account
    }

    /// Its product and SID.
    pub fn origin(&self) -> &Origin {
        &self.lease.subject.origin
    }
}

/// The facts that a real-time event reports about its transcription, besides text.
#[derive(Clone, Copy, Debug)]
pub struct TranscriptionEvent<'a> {
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

/// Announces a transcript, due at `due_at`. A repeated announcement changes nothing, unless the
/// transcript was given up: then it is due again.
pub async fn tell(
    tx: &mut Tx,
    id: &TranscriptId,
    source: Option<&RecordingSid>,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* transcripts.tell */ {INSERT}
        ON CONFLICT (account, sid, kind) DO UPDATE SET told_at = CASE
          WHEN EXISTS (SELECT 1 FROM work WHERE work.kind = 'transcript' AND subject = $10 AND work.state = 'dead') THEN excluded.told_at
          ELSE transcripts.told_at END
        WHERE transcripts.state = 'waiting'"
    );
    const AGAIN: &str = formatcp!(
        "/* transcripts.tell_again */ {} VALUES ('transcript', $1, 'due', $2, NULL, 0, 0, NULL, $3)
        ON CONFLICT (kind, subject) DO UPDATE SET
          state = 'due', due_at = excluded.due_at, attempts = 0, enqueued_at = excluded.enqueued_at
        WHERE work.state = 'dead'",
        StoredWork::INSERT_INTO
    );
    // A concurrent `bury` has committed or waits for this unit, because the queue is read
    // afterwards.
    const LOCK: &str = "/* transcripts.lock_told */
        UPDATE transcripts SET state = state WHERE account = $1 AND sid = $2 AND state = 'waiting'";
    let place = [Arg::Text(id.account.as_str()), Arg::Text(id.origin.sid())];
    tx.lock(LOCK, &place).await?;
    let subject = id.to_string();
    let row = StoredTranscript {
        source: source.cloned(),
        ..StoredTranscript::new(id, now)
    };
    if tx.insert_row(SQL, &row, &[Arg::Text(&subject)]).await? == 0 {
        return Ok(());
    }
    let args = [
        Arg::Text(&subject),
        Arg::Int(due_at.as_millis()),
        Arg::Int(now.as_millis()),
    ];
    tx.execute(AGAIN, &args).await.map(|_| ())
}

/// Inserts a transcript of a recording that was found without an announcement, due immediately,
/// unless it is known already. Returns whether it is new.
pub async fn find(
    tx: &mut Tx,
    id: &TranscriptId,
    source: &RecordingSid,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str =
        formatcp!("/* transcripts.find */ {INSERT} ON CONFLICT (account, sid, kind) DO NOTHING");
    let row = StoredTranscript {
        source: Some(source.clone()),
        ..StoredTranscript::new(id, now)
    };
    let is_new = tx.insert_row(SQL, &row, &[]).await? == 1;
    if is_new {
        work::enqueue(tx, WorkKind::FetchTranscript, &[id], now).await?;
    }
    Ok(is_new)
}

/// Records a real-time event: inserts its transcription if it is new, and makes it due at `due_at`
/// unless its end was reported before. Locks its row for the rest of the unit. Returns whether the
/// transcription still accepts text; one that is filed or given up does not.
pub async fn hear(
    tx: &mut Tx,
    event: &TranscriptionEvent<'_>,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    const HEAR: &str = formatcp!(
        "/* transcripts.hear */ {INSERT}
        ON CONFLICT (account, sid, kind) DO UPDATE SET
          began_at = CASE WHEN transcripts.began_at IS NULL OR excluded.began_at < transcripts.began_at THEN excluded.began_at
            ELSE transcripts.began_at END
        WHERE transcripts.state = 'waiting'"
    );
    const DUE: &str = formatcp!(
        "/* transcripts.due */ {} VALUES ('transcript', $3, 'due', $4, NULL, 0, 0, NULL, $5)
        ON CONFLICT (kind, subject) DO UPDATE SET due_at = CASE
          WHEN work.holder IS NULL AND EXISTS (SELECT 1 FROM transcripts AS heard
            WHERE heard.account = $1 AND heard.sid = $2 AND heard.kind = 'real-time' AND heard.ended_at IS NULL) THEN excluded.due_at
          ELSE work.due_at END
        WHERE work.state = 'due'",
        StoredWork::INSERT_INTO
    );
    const END: &str = "/* transcripts.end */
        UPDATE transcripts SET ended_at = $3 WHERE account = $1 AND sid = $2 AND kind = 'real-time' AND ended_at IS NULL";
    let account = Arg::Text(event.account.as_str());
    let sid = Arg::Text(event.transcription.as_str());
    let id = TranscriptId {
        account: event.account.clone(),
        origin: Origin::RealTime(event.transcription.clone()),
    };
    let row = StoredTranscript {
        call: Some(event.call.clone()),
        began_at: event.began_at,
        ..StoredTranscript::new(&id, now)
    };
    if tx.insert_row(HEAR, &row, &[]).await? == 0 {
        return Ok(false);
    }
    let subject = id.to_string();
    let args = [
        account,
        sid,
        Arg::Text(&subject),
        Arg::Int(due_at.as_millis()),
        Arg::Int(now.as_millis()),
    ];
    let takes = tx.execute(DUE, &args).await? == 1;
    if let Some(ended) = event.ended_at.filter(|_| takes) {
        let args = [account, sid, Arg::Int(ended.as_millis())];
        tx.execute(END, &args).await?;
    }
    Ok(takes)
}

/// Returns the stored facts of a leased transcript; `None` if it is no longer waiting.
pub async fn leased(
    tx: &mut Tx,
    lease: Lease<TranscriptId>,
) -> Result<Option<LeasedTranscript>, Error> {
    const SQL: &str = formatcp!(
        "/* transcripts.leased */ SELECT {COLUMNS} FROM transcripts
        WHERE account = $1 AND sid = $2 AND kind = $3 AND state = 'waiting'"
    );
    let row: Option<StoredTranscript> = tx.fetch_row(SQL, &named(&lease)).await?;
    Ok(row.map(|row| LeasedTranscript {
        source: row.source,
        call: row.call,
        began_at: row.began_at,
        told_at: row.told_at,
        lease,
    }))
}

/// Gives a transcript back, due again at `due_at`, with the reason why it could not be filed.
///
/// # Errors
/// [`Error::LeaseLost`] if another worker holds it now. The same applies to all functions that take
/// a lease.
pub async fn postpone(
    tx: &mut Tx,
    ours: &LeasedTranscript,
    due_at: Timestamp,
    why: &str,
) -> Result<(), Error> {
    note(tx, ours, "waiting").await?;
    work::postpone(tx, &ours.lease, due_at, why).await
}

/// Gives a transcript up until `recvault retry` runs, or the source announces it again.
pub async fn bury(tx: &mut Tx, ours: &LeasedTranscript, why: &str) -> Result<(), Error> {
    note(tx, ours, "waiting").await?;
    work::bury(tx, &ours.lease, why).await
}

/// Marks a transcript as passed: its recording keeps another one, or is shredded.
pub async fn pass(tx: &mut Tx, ours: &LeasedTranscript) -> Result<(), Error> {
    note(tx, ours, "passed").await?;
    work::finish(tx, &ours.lease).await
}

/// Files a transcript for its recording, in place of an earlier one of the source.
pub async fn file(
    tx: &mut Tx,
    ours: &LeasedTranscript,
    recording: &Recording,
) -> Result<(), Error> {
    mark_superseded(tx, recording).await?;
    let filed = LeasedTranscript {
        source: recording.source_ref.recording_sid().ok(),
        ..ours.clone()
    };
    note(tx, &filed, "filed").await?;
    work::finish(tx, &ours.lease).await
}

/// Records the state of a leased transcript, and the recording that was found.
async fn note(tx: &mut Tx, ours: &LeasedTranscript, state: &str) -> Result<(), Error> {
    let sql = format!(
        "/* transcripts.note */ UPDATE transcripts SET state = $7, source_sid = COALESCE($8, source_sid) WHERE {OURS}"
    );
    let source = ours.source.as_ref().map(RecordingSid::as_str);
    let more = [Arg::Text(state), Arg::MaybeText(source)];
    touch(tx, &sql, ours, &more).await
}

/// The condition for a transcript whose work this lease holds. It locks the transcript before the
/// work.
const OURS: &str = "account = $1 AND sid = $2 AND kind = $3 AND state = 'waiting' AND EXISTS
    (SELECT 1 FROM work WHERE work.kind = 'transcript' AND subject = $4 AND holder = $5 AND token = $6)";

async fn touch(
    tx: &mut Tx,
    sql: &str,
    ours: &LeasedTranscript,
    more: &[Arg<'_>],
) -> Result<(), Error> {
    let subject = ours.lease.subject.to_string();
    let holder = ours.lease.holder().to_string();
    let held = [
        Arg::Text(&subject),
        Arg::Text(&holder),
        Arg::Int(ours.lease.token()),
    ];
    let named = named(&ours.lease);
    let args = [named.as_slice(), &held, more].concat();
    // If the lease is lost, the operation on the lease reports it.
    tx.execute(sql, &args).await.map(|_| ())
}

/// Marks the recording's filed transcript of the source as passed, because another transcript
/// replaces it.
pub async fn mark_superseded(tx: &mut Tx, recording: &Recording) -> Result<(), Error> {
    const SQL: &str = "/* transcripts.outdo */
        UPDATE transcripts SET state = 'passed' WHERE source_sid = $1 AND account = $2 AND state = 'filed'";
    tx.execute(
        SQL,
        &[
            Arg::Text(recording.source_ref.sid()),
            Arg::Text(recording.account().as_str()),
        ],
    )
    .await
    .map(|_| ())
}

/// Deletes a transcript that is not to be filed.
pub async fn remove(tx: &mut Tx, ours: &LeasedTranscript) -> Result<(), Error> {
    let sql = format!("/* transcripts.remove */ DELETE FROM transcripts WHERE {OURS}");
    touch(tx, &sql, ours, &[]).await?;
    work::finish(tx, &ours.lease).await
}

/// Returns the recording's filed transcript of the source, and when the vault was told of it.
pub async fn filed(
    tx: &mut Tx,
    recording: &Recording,
) -> Result<Option<(Origin, Timestamp)>, Error> {
    const SQL: &str = formatcp!(
        "/* transcripts.filed */ SELECT {COLUMNS} FROM transcripts WHERE source_sid = $1 AND account = $2 AND state = 'filed'"
    );
    let row: Option<StoredTranscript> = tx
        .fetch_row(
            SQL,
            &[
                Arg::Text(recording.source_ref.sid()),
                Arg::Text(recording.account().as_str()),
            ],
        )
        .await?;
    row.map(|row| Ok((row.origin()?, row.told_at))).transpose()
}

/// Returns the recordings of a call, in no order. A recording of a conference is included only if
/// the source also named the call.
pub async fn recordings_of(
    tx: &mut Tx,
    account: &AccountSid,
    call: &CallSid,
) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* transcripts.recordings_of */ SELECT {} FROM recordings WHERE call_sid = $1 AND account = $2",
        recordings::COLUMNS
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

/// Cancels the transcripts of recordings that are shredded: none is filed any more, and unfiled
/// real-time transcriptions of their calls are deleted with their text. The ids of the source's
/// transcripts stay, because they are to be deleted there. A transcript that is filed for another
/// recording of the same call stays.
pub async fn forget(tx: &mut Tx, recordings: &[RecordingId]) -> Result<(), Error> {
    // By the source's ids alone, which are unique: with the account as well SQLite would scan all
    // rows of the account.
    const CALLS: &str = formatcp!(
        "/* transcripts.forget_calls */
        DELETE FROM transcripts WHERE state <> 'filed' AND kind = 'real-time' AND call_sid IN
          (SELECT call_sid FROM recordings WHERE id IN (SELECT key FROM json_each($1)))
        RETURNING {COLUMNS}"
    );
    const SOURCES: &str = formatcp!(
        "/* transcripts.forget */
        UPDATE transcripts SET state = 'passed' WHERE source_sid IN
          (SELECT source_sid FROM recordings WHERE id IN (SELECT key FROM json_each($1)))
        RETURNING {COLUMNS}"
    );
    let recordings = set(recordings);
    let mut gone = Vec::new();
    // The transcription before its utterances, like the code that records one, so that the two
    // cannot deadlock.
    let which = [Arg::Text(&recordings)];
    for row in tx.fetch_rows::<StoredTranscript>(CALLS, &which).await? {
        let id = TranscriptId::try_from(row)?;
        if let Origin::RealTime(transcription) = &id.origin {
            utterances::remove(tx, &id.account, transcription).await?;
        }
        gone.push(id);
    }
    for row in tx.fetch_rows::<StoredTranscript>(SOURCES, &which).await? {
        gone.push(TranscriptId::try_from(row)?);
    }
    work::cancel(tx, WorkKind::FetchTranscript, &gone).await
}

/// Makes given-up transcripts due again, of one recording and its call or of all, and restarts
/// their retry period. Returns their number.
pub async fn revive(
    tx: &mut Tx,
    recording: Option<&Recording>,
    now: Timestamp,
) -> Result<u64, Error> {
    const TELL: &str = formatcp!(
        "/* transcripts.revive */
        UPDATE transcripts SET told_at = $1
        WHERE state = 'waiting' AND ($2 = '*' OR (account = $3 AND (source_sid = $2 OR call_sid = $4)))
          AND EXISTS (SELECT 1 FROM work WHERE work.kind = 'transcript' AND work.state = 'dead'
            AND work.subject = transcripts.account || '/' || transcripts.kind || '/' || transcripts.sid)
        RETURNING {COLUMNS}"
    );
    const WORK: &str = "/* transcripts.revive_work */
        UPDATE work SET state = 'due', due_at = $1, attempts = 0, enqueued_at = $1
        WHERE kind = 'transcript' AND subject IN (SELECT key FROM json_each($2)) AND state = 'dead'";
    let source = recording.map_or("*", |recording| recording.source_ref.sid());
    let account = recording.map_or("*", |recording| recording.account().as_str());
    let call = recording
        .and_then(|recording| recording.call.as_ref())
        .map(CallSid::as_str);
    let now = Arg::Int(now.as_millis());
    let args = [
        now,
        Arg::Text(source),
        Arg::Text(account),
        Arg::MaybeText(call),
    ];
    let rows: Vec<StoredTranscript> = tx.fetch_rows(TELL, &args).await?;
    let told = rows
        .into_iter()
        .map(TranscriptId::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    tx.execute(WORK, &[now, Arg::Text(&set(&told))]).await
}

fn named(lease: &Lease<TranscriptId>) -> [Arg<'_>; 3] {
    let TranscriptId { account, origin } = &lease.subject;
    [
        Arg::Text(account.as_str()),
        Arg::Text(origin.sid()),
        Arg::Text(origin.kind()),
    ]
}
