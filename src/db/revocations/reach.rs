//! The reach of revocations.
//!
//! Owns the one SQL text that defines which recordings a target includes. A person is reached in
//! every conversation in which they are a party, whether the recording is of the call or of the
//! conference; of a thread, in the messages that they wrote, and in those that they received. A party
//! that was named after the revocation is reached only if the naming was vouched for with the `revoke` action ([`Vouched`](crate::db::parties::Vouched)).

use std::collections::BTreeSet;

use const_format::{concatcp, formatcp};

use super::{COLUMNS, Revocation, StoredRevocation};
use crate::{
    db::{
        error::Error,
        parties::{counts_for, is_of_party},
        row::Row,
        tx::{Arg, Tx, set},
        work::{self, WorkKind},
    },
    model::{
        id::{RecordingId, RevocationId, SubjectId},
        name::LegName,
        recording::Recording,
        revocation::Target,
        sid::AccountSid,
        subject::Conversation,
        time::Timestamp,
    },
};

/// The condition under which a revocation of `revoked_at` reaches a recording through this party:
/// the recording is of the party, and the party was named by then, or its naming is vouched for the
/// recording's account.
macro_rules! by_place {
    ($revoked_at:literal) => {
        concat!(
            "(parties.vouched_for = '*' OR parties.named_at <= ",
            $revoked_at,
            " OR (parties.vouched_for <> '' AND parties.vouched_for LIKE '%' || recordings.account || '%'))"
        )
    };
}

/// The recordings of the party at a place: `$1` is its conversation, `/`, and its leg.
macro_rules! at_place {
    ($length:literal, $leg:literal) => {
        concat!(
            "SELECT recordings.id FROM parties JOIN recordings ON recordings.thread = parties.conversation
             WHERE parties.conversation = substr($1, 1, ",
            $length,
            ") AND parties.leg = substr($1, ",
            $leg,
            ") AND ",
            is_of_party!()
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
            counts_for!(),
            " AND ",
            by_place!("$2"),
            " UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.conference_sid = parties.conversation
             WHERE parties.subject = $1 AND ",
            counts_for!(),
            " AND ",
            by_place!("$2"),
            " UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.thread = parties.conversation
             WHERE parties.subject = $1 AND ",
            is_of_party!(),
            " AND ",
            by_place!("$2")
        ),
        Target::Recording(_) => "SELECT id FROM recordings WHERE id = $1",
        Target::Conversation(_) => {
            "SELECT id FROM recordings WHERE call_sid = $1 UNION SELECT id FROM recordings WHERE conference_sid = $1
             UNION SELECT id FROM recordings WHERE thread = $1"
        }
        Target::Place(conversation, _) => match conversation {
            // The id of a thread has 36 characters, those of the source have 34.
            Conversation::Thread(_) => at_place!("36", "38"),
            _ => at_place!("34", "36"),
        },
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
            UNION SELECT subject FROM parties WHERE subject IS NOT NULL AND conversation IN (SELECT key FROM json_each($3))
            UNION SELECT conversation || '/' || leg FROM parties WHERE conversation IN (SELECT key FROM json_each($3)))
          AND (reach <> 'subject' AND target NOT LIKE '%/%' OR EXISTS (SELECT 1 FROM parties JOIN recordings ON recordings.id = $4
            WHERE parties.conversation IN (SELECT key FROM json_each($3)) AND {}
              AND (parties.subject = revocations.target AND {} OR parties.conversation || '/' || parties.leg = revocations.target)))
        ORDER BY revoked_at, id",
        is_of_party!(),
        by_place!("revocations.revoked_at")
    );
    let conversations: Vec<String> = recording
        .conversations()
        .map(|conversation| conversation.to_string())
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

/// Makes the revocations of a conversation, of a place in it and of its parties that cover one of its
/// recordings run again from the beginning, and returns them. Runs in the unit that names a party, or
/// that enters a recording in the conversation, so that no recording is missed in between.
pub async fn reach_again(
    tx: &mut Tx,
    conversation: &Conversation,
    now: Timestamp,
) -> Result<Vec<RevocationId>, Error> {
    const LEFT: &str = "(call_sid = $1 OR conference_sid = $1 OR thread = $1) AND collected_at <= revocations.revoked_at
              AND NOT EXISTS (SELECT 1 FROM revoked WHERE revoked.recording_id = recordings.id AND revoked.revocation_id = revocations.id)";
    const WITHIN: &str = "(revocations.accounts = '[]' OR revocations.accounts LIKE '%' || recordings.account || '%')";
    const SQL: &str = concatcp!(
        "/* revocations.reach_again */
        SELECT id FROM revocations
        WHERE reach = 'subject' AND target IN (SELECT subject FROM parties WHERE conversation = $1 AND subject IS NOT NULL)
          AND EXISTS (SELECT 1 FROM recordings JOIN parties ON parties.conversation = $1 AND parties.subject = revocations.target
            WHERE ",
        LEFT,
        " AND ",
        is_of_party!(),
        " AND ",
        by_place!("revocations.revoked_at"),
        ") UNION SELECT id FROM revocations
        WHERE reach = 'conversation' AND target = $1
          AND EXISTS (SELECT 1 FROM recordings WHERE ",
        LEFT,
        " AND ",
        WITHIN,
        ") UNION SELECT revocations.id FROM revocations JOIN parties ON parties.conversation = $1
            AND revocations.target = parties.conversation || '/' || parties.leg
        WHERE reach = 'conversation'
          AND EXISTS (SELECT 1 FROM recordings WHERE ",
        LEFT,
        " AND ",
        WITHIN,
        " AND ",
        is_of_party!(),
        ") ORDER BY id"
    );
    let rows = tx
        .fetch_all(SQL, &[Arg::Text(conversation.as_str())])
        .await?;
    let ids: Vec<RevocationId> = rows
        .iter()
        .map(|row| row.parse("revocations", "id", "id"))
        .collect::<Result<_, _>>()?;
    run_again(tx, &ids, now).await?;
    Ok(ids)
}

/// Makes the revocations that now cover these recordings, and have no outcome for them, run again
/// from the beginning. Runs in the unit in which news of the source dated the recordings back.
pub async fn reach_again_dated(
    tx: &mut Tx,
    recordings: &[Recording],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* revocations.has_outcome */
        SELECT revocation_id FROM revoked WHERE recording_id = $1 AND revocation_id = $2";
    let mut left = BTreeSet::new();
    for recording in recordings {
        for revocation in covering(tx, recording).await? {
            let ids = [recording.id.to_string(), revocation.id.to_string()];
            let args = ids.each_ref().map(|id| Arg::Text(id));
            if tx.fetch_first(SQL, &args).await?.is_none() {
                left.insert(revocation.id);
            }
        }
    }
    run_again(tx, &Vec::from_iter(left), now).await
}

/// Makes revocations run again from the beginning, in the order of their ids, so that two units do
/// not lock them in different orders.
async fn run_again(tx: &mut Tx, ids: &[RevocationId], now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* revocations.run_again */
        UPDATE revocations SET state = 'running', cursor = NULL WHERE id = $1";
    for id in ids {
        tx.execute(SQL, &[Arg::Text(&id.to_string())]).await?;
    }
    work::enqueue(tx, WorkKind::Revocation, ids, now).await
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
              AND (recordings.call_sid = parties.conversation OR recordings.conference_sid = parties.conversation
                OR recordings.thread = parties.conversation)
              AND parties.subject IS NOT NULL AND parties.vouched_for <> '*'
              AND recordings.state <> 'shredded' AND recordings.collected_at <= revocations.revoked_at
              AND (revocations.accounts = '[]' OR revocations.accounts LIKE '%' || recordings.account || '%')
              AND NOT EXISTS (SELECT 1 FROM revoked WHERE revoked.recording_id = recordings.id AND revoked.revocation_id = revocations.id)
              AND ",
            is_of_party!(),
            " AND NOT ",
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

/// Returns the legs of a person in these conversations, as they count for recordings of these
/// accounts.
pub async fn legs(
    tx: &mut Tx,
    subject: SubjectId,
    conversations: &[Conversation],
    accounts: &BTreeSet<AccountSid>,
) -> Result<Vec<(Conversation, LegName)>, Error> {
    const SQL: &str = "/* revocations.legs */
        SELECT DISTINCT conversation, leg FROM parties WHERE subject = $1 AND conversation IN (SELECT key FROM json_each($2))
          AND (account = '*' OR account IN (SELECT key FROM json_each($3)))
        ORDER BY conversation, leg";
    let args = [subject.to_string(), set(conversations), set(accounts)];
    let rows = tx
        .fetch_all(SQL, &args.each_ref().map(|arg| Arg::Text(arg)))
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
