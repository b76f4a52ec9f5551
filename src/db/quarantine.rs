//! Recordings in quarantine, which wait for evidence of consent, and recordings that new evidence
//! affects.

use std::{collections::BTreeSet, fmt::Display};

use const_format::concatcp;

use super::{
    error::Error,
    news::{self, ChangeNotice},
    recordings::{COLUMNS, recording},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::{RecordingId, SubjectId},
    recording::Recording,
    sid::AccountSid,
    subject::Conversation,
    time::Timestamp,
};

/// The conversations affected by a change: `$1` conversations, `$2` subjects.
const CONCERNED: &str = "SELECT key FROM json_each($1) UNION SELECT conversation FROM parties WHERE subject IN (SELECT key FROM json_each($2))";

/// The conversations and subjects that a change affects.
#[derive(Clone, Debug, Default)]
pub struct AffectedScope {
    conversations: String,
    subjects: String,
}

impl AffectedScope {
    /// The change affects these conversations, and these people in any conversation.
    pub fn of<'a>(
        conversations: impl IntoIterator<Item = &'a Conversation>,
        subjects: impl IntoIterator<Item = &'a SubjectId>,
    ) -> Self {
        Self {
            conversations: set(conversations),
            subjects: set(subjects),
        }
    }

    fn args(&self) -> [Arg<'_>; 2] {
        [Arg::Text(&self.conversations), Arg::Text(&self.subjects)]
    }
}

/// Puts a recording in quarantine. The commit notifies every process through [`news`], so that
/// running streams end. Returns false if the recording is not sealed, or in quarantine already.
pub async fn begin(tx: &mut Tx, id: RecordingId, ends: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* quarantine.begin */
        UPDATE recordings SET quarantine_ends = $2 WHERE id = $1 AND state = 'sealed' AND quarantine_ends IS NULL";
    let args = [Arg::Text(&id.to_string()), Arg::Int(ends.as_millis())];
    let has_begun = tx.execute(SQL, &args).await? == 1;
    if has_begun {
        news::tell(tx, ChangeNotice::Tombstone).await?;
    }
    Ok(has_begun)
}

/// Sets the end of a recording's quarantine.
pub async fn set_end(tx: &mut Tx, id: RecordingId, ends: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* quarantine.set_end */
        UPDATE recordings SET quarantine_ends = $2 WHERE id = $1 AND state = 'sealed' AND quarantine_ends IS NOT NULL";
    let args = [Arg::Text(&id.to_string()), Arg::Int(ends.as_millis())];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Releases a recording from quarantine. Returns false if it is in none.
pub async fn release(tx: &mut Tx, id: RecordingId) -> Result<bool, Error> {
    const SQL: &str = "/* quarantine.release */
        UPDATE recordings SET quarantine_ends = NULL WHERE id = $1 AND state = 'sealed' AND quarantine_ends IS NOT NULL";
    Ok(tx.execute(SQL, &[Arg::Text(&id.to_string())]).await? == 1)
}

/// Returns recordings whose quarantine has ended and that have no hold, in the order of their ids,
/// after the given one; locked for the rest of the unit. Rows that another unit has locked are left
/// out: the sweep comes again, and waits for no unit that may wait for it.
pub async fn due(
    tx: &mut Tx,
    now: Timestamp,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let mut sql = locking(tx, OVER.to_owned());
    if tx.is_postgres() {
        sql.push_str(" SKIP LOCKED");
    }
    page_over(tx, &sql, now, after, limit).await
}

/// The same for who only reads.
pub async fn over(
    tx: &mut Tx,
    now: Timestamp,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    page_over(tx, OVER, now, after, limit).await
}

const OVER: &str = concatcp!(
    "/* quarantine.over */ SELECT ",
    COLUMNS,
    " FROM recordings
    WHERE quarantine_ends IS NOT NULL AND quarantine_ends <= $1 AND state = 'sealed' AND holds = 0 AND id > $2
    ORDER BY id LIMIT $3"
);

async fn page_over(
    tx: &mut Tx,
    sql: &str,
    now: Timestamp,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let args = [
        Arg::Int(now.as_millis()),
        Arg::Text(&after),
        Arg::Int(limit),
    ];
    let rows = tx.fetch_all(sql, &args).await?;
    rows.iter().map(recording).collect()
}

/// Locks the affected recordings that are not sealed yet for the rest of the unit. A concurrent
/// seal of one of them has committed when this returns, or will see the changes of this unit.
pub async fn wait_for_sealing(tx: &mut Tx, bearing: &AffectedScope) -> Result<(), Error> {
    // SQLite has one writer at a time.
    if tx.is_postgres() {
        let sql = format!(
            "/* quarantine.wait_for_sealing */
            SELECT id FROM recordings WHERE state = 'announced' AND (call_sid IN ({CONCERNED}) OR conference_sid IN ({CONCERNED}) OR thread IN ({CONCERNED}))
            ORDER BY id FOR NO KEY UPDATE"
        );
        tx.execute(&sql, &bearing.args()).await?;
    }
    Ok(())
}

/// Returns a page of the affected recordings in quarantine, in the order of their ids, after the
/// given one.
pub async fn waiting(
    tx: &mut Tx,
    bearing: &AffectedScope,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* quarantine.waiting */
        SELECT {COLUMNS} FROM recordings
        WHERE quarantine_ends IS NOT NULL AND state = 'sealed' AND (call_sid IN ({CONCERNED}) OR conference_sid IN ({CONCERNED}) OR thread IN ({CONCERNED}))
          AND id > $3 ORDER BY id LIMIT $4"
    );
    page(tx, sql, bearing, after, limit, None).await
}

/// Returns a page of the affected recordings that are sealed under one of these policies and not in
/// quarantine, like [`waiting`].
pub async fn released<D: Display + Sync>(
    tx: &mut Tx,
    bearing: &AffectedScope,
    policies: &[D],
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* quarantine.released */
        SELECT {COLUMNS} FROM recordings
        WHERE id IN (SELECT id FROM recordings WHERE call_sid IN ({CONCERNED})
            UNION SELECT id FROM recordings WHERE conference_sid IN ({CONCERNED})
            UNION SELECT id FROM recordings WHERE thread IN ({CONCERNED}))
          AND quarantine_ends IS NULL AND state = 'sealed' AND policy_digest IN (SELECT key FROM json_each($5))
          AND id > $3 ORDER BY id LIMIT $4"
    );
    let policies = set(policies);
    page(tx, sql, bearing, after, limit, Some(&policies)).await
}

/// Returns the accounts of the recordings of these conversations.
pub async fn accounts_of(
    tx: &mut Tx,
    conversations: &[Conversation],
) -> Result<BTreeSet<AccountSid>, Error> {
    const SQL: &str = "/* quarantine.accounts_of */
        SELECT account FROM recordings WHERE call_sid IN (SELECT key FROM json_each($1))
        UNION SELECT account FROM recordings WHERE conference_sid IN (SELECT key FROM json_each($1))
        UNION SELECT account FROM recordings WHERE thread IN (SELECT key FROM json_each($1))";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(conversations))]).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "account", "account"))
        .collect()
}

/// Returns the query, extended to lock the recordings that it returns for the rest of the unit. A
/// concurrent change of one of them has committed when the query returns and is visible to later
/// queries, or it waits for this unit and sees its changes.
fn locking(tx: &Tx, mut sql: String) -> String {
    // SQLite has one writer at a time.
    if tx.is_postgres() {
        sql.push_str(" FOR NO KEY UPDATE");
    }
    sql
}

async fn page(
    tx: &mut Tx,
    sql: String,
    bearing: &AffectedScope,
    after: Option<RecordingId>,
    limit: i64,
    policies: Option<&str>,
) -> Result<Vec<Recording>, Error> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let args = bearing
        .args()
        .into_iter()
        .chain([Arg::Text(&after), Arg::Int(limit)])
        .chain(policies.map(Arg::Text));
    let sql = locking(tx, sql);
    tx.fetch_all(&sql, &args.collect::<Vec<_>>())
        .await?
        .iter()
        .map(recording)
        .collect()
}
