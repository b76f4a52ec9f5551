//! The reach of revocations, and their outcomes.
//!
//! Owns the one SQL text that defines which recordings a target includes. A person is reached in
//! every conversation in which they are a party, whether the recording is of the call or of the
//! conference. A party that was named after the revocation is reached only if the naming was
//! vouched for with the `revoke` action ([`Vouched`](crate::db::parties::Vouched)).

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::{COLUMNS, Revocation, StoredRevocation, reopen};
use crate::{
    db::{
        error::Error,
        news::{self, ChangeNotice},
        row::Row,
        table::{TableRow as _, table},
        tx::{Arg, Tx, set},
        work::{self, WorkKind},
    },
    model::{
        id::{ReceiptId, RecordingId, RevocationId, SubjectId},
        name::{LegName, Purpose},
        recording::Recording,
        revocation::{RevocationOutcome, Target},
        subject::Conversation,
        time::Timestamp,
    },
};

table! {
    "revoked" { subject: Some("recording_id") }

    #[derive(Debug)]
    pub(in crate::db) struct StoredOutcome {
        key {
            recording: RecordingId = "recording_id",
            revocation: RevocationId = "revocation_id",
        }
        outcome: RevocationOutcome = "outcome",
    }
}

/// The number of recordings with each outcome.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
pub struct Counts {
    /// The number of shredded recordings.
    pub shredded: u64,
    /// The number of recordings that have a hold.
    pub held: u64,
    /// The number of recordings that are closed to the revoked purposes.
    pub closed: u64,
}

/// A recording that a revocation reached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ReachedRecording {
    /// The recording.
    pub recording: RecordingId,
    /// The outcome of the revocation.
    pub outcome: RevocationOutcome,
    /// The receipt of the shred.
    pub receipt: Option<ReceiptId>,
}

/// The condition under which a revocation of `revoked_at` reaches a recording through this party:
/// it was named by then, or its naming is vouched for the recording's account.
macro_rules! by_place {
    ($revoked_at:literal) => {
        concat!(
            "(parties.vouched_for = '*' OR parties.named_at <= ",
            $revoked_at,
            " OR (parties.vouched_for <> '' AND parties.vouched_for LIKE '%' || recordings.account || '%'))"
        )
    };
}

/// The recordings of a target: `$1` is the target, `$2` the time of the revocation. The recordings
/// of an account are read in the order of their ids: sorting all recordings of a large account for
/// each page would cost more, so the planner must not use the index on accounts.
fn about(target: &Target) -> &'static str {
    match target {
        Target::Subject(_) => concat!(
            "SELECT recordings.id FROM parties JOIN recordings ON recordings.call_sid = parties.conversation
             WHERE parties.subject = $1 AND ",
            by_place!("$2"),
            " UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.conference_sid = parties.conversation
             WHERE parties.subject = $1 AND ",
            by_place!("$2")
        ),
        Target::Recording(_) => "SELECT id FROM recordings WHERE id = $1",
        Target::Conversation(_) => {
            "SELECT id FROM recordings WHERE call_sid = $1 UNION SELECT id FROM recordings WHERE conference_sid = $1"
        }
        Target::Account(_) => "SELECT id FROM recordings WHERE account || '' = $1",
    }
}

/// The condition on `recordings` under which a revocation still has to process one; `$2` is its
/// time, `$3` the cursor, `$4` the accounts and `$5` its id.
const LEFT: &str = "recordings.collected_at <= $2 AND recordings.id > $3
      AND ($4 = '{}' OR recordings.account IN (SELECT key FROM json_each($4)))
      AND NOT EXISTS (SELECT 1 FROM revoked WHERE revoked.recording_id = recordings.id AND revoked.revocation_id = $5)";

fn left(target: &Target) -> String {
    match target {
        // One pass over the recordings themselves, page by page.
        Target::Account(_) => format!("FROM recordings WHERE account || '' = $1 AND {LEFT}"),
        _ => format!(
            "FROM ({}) AS about JOIN recordings ON recordings.id = about.id WHERE {LEFT}",
            about(target)
        ),
    }
}

/// Returns recordings that a revocation reaches and that have no outcome yet, after the cursor, in
/// the order of their ids.
pub async fn reached(
    tx: &mut Tx,
    revocation: &Revocation,
    cursor: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<RecordingId>, Error> {
    let sql = format!(
        "/* revocations.reached */ SELECT recordings.id {} ORDER BY recordings.id LIMIT $6",
        left(&revocation.target)
    );
    let texts = Texts::of(revocation, cursor);
    let args = [texts.args(revocation).as_slice(), &[Arg::Int(limit)]].concat();
    tx.fetch_all(&sql, &args)
        .await?
        .iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Returns the number of these recordings, wherever the cursor is.
pub async fn pending(tx: &mut Tx, revocation: &Revocation) -> Result<u64, Error> {
    let sql = format!(
        "/* revocations.pending */ SELECT COUNT(*) {}",
        left(&revocation.target)
    );
    let texts = Texts::of(revocation, None);
    Ok(tx
        .fetch_int(&sql, &texts.args(revocation))
        .await?
        .unsigned_abs())
}

struct Texts {
    target: String,
    cursor: String,
    accounts: String,
    id: String,
}

impl Texts {
    fn of(revocation: &Revocation, cursor: Option<RecordingId>) -> Self {
        let cursor = cursor.map(|id| id.to_string()).unwrap_or_default();
        Self {
            target: revocation.target.id(),
            cursor,
            accounts: set(&revocation.accounts),
            id: revocation.id.to_string(),
        }
    }

    fn args(&self, revocation: &Revocation) -> [Arg<'_>; 5] {
        let at = Arg::Int(revocation.revoked_at.as_millis());
        [
            Arg::Text(&self.target),
            at,
            Arg::Text(&self.cursor),
            Arg::Text(&self.accounts),
            Arg::Text(&self.id),
        ]
    }
}

/// Returns every revocation that covers a recording, the earliest first.
pub async fn covering(tx: &mut Tx, recording: &Recording) -> Result<Vec<Revocation>, Error> {
    const SQL: &str = formatcp!(
        "/* revocations.covering */ SELECT {COLUMNS} FROM revocations
        WHERE revoked_at >= $1 AND target IN (SELECT key FROM json_each($2)
            UNION SELECT subject FROM parties WHERE subject IS NOT NULL AND conversation IN (SELECT key FROM json_each($3)))
          AND (reach <> 'subject' OR EXISTS (SELECT 1 FROM parties JOIN recordings ON recordings.id = $4
            WHERE parties.subject = revocations.target AND parties.conversation IN (SELECT key FROM json_each($3)) AND {}))
        ORDER BY revoked_at, id",
        by_place!("revocations.revoked_at")
    );
    let call = recording.call.as_ref().map(ToString::to_string);
    let conversations: Vec<String> = call
        .into_iter()
        .chain(recording.conference.as_ref().map(ToString::to_string))
        .collect();
    let own = set([recording.id.to_string(), recording.account().to_string()]
        .iter()
        .chain(&conversations));
    let conversations = set(&conversations);
    let id = recording.id.to_string();
    let args = [
        Arg::Int(recording.collected_at.as_millis()),
        Arg::Text(&own),
        Arg::Text(&conversations),
        Arg::Text(&id),
    ];
    let rows: Vec<StoredRevocation> = tx.fetch_rows(SQL, &args).await?;
    let mut all = rows
        .into_iter()
        .map(Revocation::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    all.retain(|revocation| revocation.covers(recording));
    Ok(all)
}

/// Makes the revocations of a conversation's parties that cover one of its recordings run again
/// from the beginning, and returns them. Runs in the unit that names the party, so that no
/// recording is missed in between.
pub async fn reach_again(
    tx: &mut Tx,
    conversation: &Conversation,
    now: Timestamp,
) -> Result<Vec<RevocationId>, Error> {
    const SQL: &str = concat!(
        "/* revocations.reach_again */
        SELECT id FROM revocations
        WHERE reach = 'subject' AND target IN (SELECT subject FROM parties WHERE conversation = $1 AND subject IS NOT NULL)
          AND EXISTS (SELECT 1 FROM recordings JOIN parties ON parties.conversation = $1 AND parties.subject = revocations.target
            WHERE (call_sid = $1 OR conference_sid = $1) AND collected_at <= revocations.revoked_at
              AND NOT EXISTS (SELECT 1 FROM revoked WHERE revoked.recording_id = recordings.id AND revoked.revocation_id = revocations.id)
              AND ",
        by_place!("revocations.revoked_at"),
        ") ORDER BY id"
    );
    // In the order of their ids, so that two units do not lock them in different orders.
    const FROM_THE_BEGINNING: &str = "/* revocations.run_again */
        UPDATE revocations SET state = 'running', cursor = NULL WHERE id = $1";
    let rows = tx
        .fetch_all(SQL, &[Arg::Text(conversation.as_str())])
        .await?;
    let ids: Vec<RevocationId> = rows
        .iter()
        .map(|row| row.parse("revocations", "id", "id"))
        .collect::<Result<_, _>>()?;
    for id in &ids {
        tx.execute(FROM_THE_BEGINNING, &[Arg::Text(&id.to_string())])
            .await?;
    }
    work::enqueue(tx, WorkKind::Revocation, &ids, now).await?;
    Ok(ids)
}

/// Parties that were named after their revocation by a caller without `revoke`, joined with the
/// recordings this withholds.
///
/// SQLite joins in the order of `$tables`: the smallest set belongs first.
macro_rules! unvouched {
    ($tables:literal) => {
        concat!(
            "FROM ",
            $tables,
            " WHERE revocations.target = parties.subject AND revocations.reach = 'subject'
              AND (recordings.call_sid = parties.conversation OR recordings.conference_sid = parties.conversation)
              AND parties.subject IS NOT NULL AND parties.vouched_for <> '*'
              AND recordings.state <> 'shredded' AND recordings.collected_at <= revocations.revoked_at
              AND (revocations.accounts = '[]' OR revocations.accounts LIKE '%' || recordings.account || '%')
              AND NOT EXISTS (SELECT 1 FROM revoked WHERE revoked.recording_id = recordings.id AND revoked.revocation_id = revocations.id)
              AND NOT ",
            by_place!("revocations.revoked_at")
        )
    };
}

/// A recording that a revocation does not reach until a caller with `revoke` names the party again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unvouched {
    /// The revocation.
    pub revocation: RevocationId,
    /// The recording.
    pub recording: RecordingId,
}

/// Returns the number of recordings that revocations would reach if the namings after them were
/// vouched for.
pub async fn unvouched(tx: &mut Tx) -> Result<i64, Error> {
    const SQL: &str = concat!(
        "/* revocations.unvouched */ SELECT COUNT(DISTINCT recordings.id) ",
        unvouched!("revocations CROSS JOIN parties CROSS JOIN recordings")
    );
    tx.fetch_int(SQL, &[]).await
}

/// Returns the first of these recordings, with their revocations.
pub async fn list_unvouched(tx: &mut Tx, limit: i64) -> Result<Vec<Unvouched>, Error> {
    const SQL: &str = concat!(
        "/* revocations.list_unvouched */
        SELECT DISTINCT revocations.id AS revocation_id, recordings.id AS recording_id ",
        unvouched!("revocations CROSS JOIN parties CROSS JOIN recordings"),
        " ORDER BY revocations.id, recordings.id LIMIT $1"
    );
    read_unvouched(&tx.fetch_all(SQL, &[Arg::Int(limit)]).await?)
}

/// Returns the first of these recordings in a conversation, with their revocations.
pub async fn unvouched_in(
    tx: &mut Tx,
    conversation: &Conversation,
    limit: i64,
) -> Result<Vec<Unvouched>, Error> {
    const SQL: &str = concat!(
        "/* revocations.unvouched_in */
        SELECT DISTINCT revocations.id AS revocation_id, recordings.id AS recording_id ",
        unvouched!("parties CROSS JOIN revocations CROSS JOIN recordings"),
        " AND parties.conversation = $1 ORDER BY revocations.id, recordings.id LIMIT $2"
    );
    let args = [Arg::Text(conversation.as_str()), Arg::Int(limit)];
    read_unvouched(&tx.fetch_all(SQL, &args).await?)
}

fn read_unvouched(rows: &[Row]) -> Result<Vec<Unvouched>, Error> {
    rows.iter()
        .map(|row| {
            Ok(Unvouched {
                revocation: row.parse("revocations", "revocation_id", "revocation_id")?,
                recording: row.parse("recordings", "recording_id", "recording_id")?,
            })
        })
        .collect()
}

/// Returns the legs of a person in these conversations.
pub async fn legs(
    tx: &mut Tx,
    subject: SubjectId,
    conversations: &[Conversation],
) -> Result<Vec<(Conversation, LegName)>, Error> {
    const SQL: &str = "/* revocations.legs */
        SELECT conversation, leg FROM parties WHERE subject = $1 AND conversation IN (SELECT key FROM json_each($2)) ORDER BY conversation, leg";
    let rows = tx
        .fetch_all(
            SQL,
            &[
                Arg::Text(&subject.to_string()),
                Arg::Text(&set(conversations)),
            ],
        )
        .await?;
    let id = "conversation";
    let leg = "leg";
    rows.iter()
        .map(|row| {
            Ok((
                row.parse("parties", id, id)?,
                row.parse("parties", leg, id)?,
            ))
        })
        .collect()
}

/// Inserts outcomes that are not stored yet. If there are any, a revocation that was done runs
/// again. Returns their number.
pub async fn enter(
    tx: &mut Tx,
    id: RevocationId,
    outcomes: &[(RecordingId, RevocationOutcome)],
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str = formatcp!(
        "/* revocations.enter */ {} SELECT key, $1, value->>'outcome' FROM json_each($2) AS reached
        WHERE true ON CONFLICT (recording_id, revocation_id) DO NOTHING",
        StoredOutcome::INSERT_INTO
    );
    let document: BTreeMap<String, _> = outcomes
        .iter()
        .map(|(recording, outcome)| {
            (
                recording.to_string(),
                serde_json::json!({ "outcome": outcome.as_str() }),
            )
        })
        .collect();
    let document = serde_json::to_string(&document).expect("texts have a JSON form");
    let entered = tx
        .execute(SQL, &[Arg::Text(&id.to_string()), Arg::Text(&document)])
        .await?;
    if entered > 0 {
        reopen(tx, &[id].into(), now).await?;
    }
    Ok(entered)
}

/// Notifies every process through [`news`] that recordings are closed to some purposes, so that
/// running streams end.
pub async fn tell(tx: &mut Tx) -> Result<(), Error> {
    news::tell(tx, ChangeNotice::Tombstone).await
}

/// Changes the outcome of held recordings that are shredded now, and makes their revocations run
/// again for a receipt that includes it.
pub async fn settle(tx: &mut Tx, shredded: &[RecordingId], now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* revocations.settle */
        UPDATE revoked SET outcome = 'shredded' WHERE recording_id IN (SELECT key FROM json_each($1)) AND outcome = 'held' RETURNING revocation_id";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(shredded))]).await?;
    let ids = rows
        .iter()
        .map(|row| row.parse("revoked", "revocation_id", "revocation_id"))
        .collect::<Result<BTreeSet<_>, _>>()?;
    reopen(tx, &ids, now).await
}

/// Returns the purposes to which revocations have closed these recordings.
pub async fn closed(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeMap<RecordingId, BTreeSet<Purpose>>, Error> {
    const SQL: &str = "/* revocations.closed */
        SELECT revoked.recording_id, revocations.purposes FROM revoked JOIN revocations ON revocations.id = revoked.revocation_id
        WHERE revoked.outcome = 'closed' AND revoked.recording_id IN (SELECT key FROM json_each($1))";
    let mut closed: BTreeMap<RecordingId, BTreeSet<Purpose>> = BTreeMap::new();
    for row in tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await? {
        let id = row.parse("revoked", "recording_id", "recording_id")?;
        closed
            .entry(id)
            .or_default()
            .extend(row.json::<BTreeSet<Purpose>>("revocations", "purposes", "recording_id")?);
    }
    Ok(closed)
}

/// Returns the number of recordings with each outcome.
pub async fn count(tx: &mut Tx, id: RevocationId) -> Result<Counts, Error> {
    const SQL: &str = "/* revocations.count */ SELECT outcome, COUNT(*) AS n FROM revoked WHERE revocation_id = $1 GROUP BY outcome";
    let mut counts = Counts::default();
    for row in tx.fetch_all(SQL, &[Arg::Text(&id.to_string())]).await? {
        let n = row.number("revoked", "n", "outcome")?;
        match row.parse("revoked", "outcome", "outcome")? {
            RevocationOutcome::Shredded => counts.shredded = n,
            RevocationOutcome::Held => counts.held = n,
            RevocationOutcome::Closed => counts.closed = n,
        }
    }
    Ok(counts)
}

/// Returns the receipts of all recordings that a revocation shredded or found shredded, in no
/// order.
pub async fn receipts(tx: &mut Tx, id: RevocationId) -> Result<Vec<ReceiptId>, Error> {
    const SQL: &str = "/* revocations.receipts */
        SELECT DISTINCT tombstones.receipt_id FROM revoked JOIN tombstones ON tombstones.recording_id = revoked.recording_id
        WHERE revoked.revocation_id = $1 AND revoked.outcome = 'shredded'";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&id.to_string())]).await?;
    rows.iter()
        .map(|row| row.parse("tombstones", "receipt_id", "receipt_id"))
        .collect()
}

/// Returns a page of outcomes, in the order of the recordings' ids, after `after`; all outcomes, or
/// one kind only.
pub async fn outcomes(
    tx: &mut Tx,
    id: RevocationId,
    only: Option<RevocationOutcome>,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<ReachedRecording>, Error> {
    const SQL: &str = "/* revocations.outcomes */
        SELECT revoked.recording_id, revoked.outcome,
          (SELECT MIN(receipt_id) FROM tombstones WHERE tombstones.recording_id = revoked.recording_id) AS receipt_id
        FROM revoked WHERE revoked.revocation_id = $1 AND ($2 = '' OR revoked.outcome = $2) AND revoked.recording_id > $3
        ORDER BY revoked.recording_id LIMIT $4";
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let only = only.map_or("", RevocationOutcome::as_str);
    let rows = tx
        .fetch_all(
            SQL,
            &[
                Arg::Text(&id.to_string()),
                Arg::Text(only),
                Arg::Text(&after),
                Arg::Int(limit),
            ],
        )
        .await?;
    let key = "recording_id";
    rows.iter()
        .map(|row| {
            Ok(ReachedRecording {
                recording: row.parse("revoked", key, key)?,
                outcome: row.parse("revoked", "outcome", key)?,
                receipt: row.maybe_parse("tombstones", "receipt_id", key)?,
            })
        })
        .collect()
}
