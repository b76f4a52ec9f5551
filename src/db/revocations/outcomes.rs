//! What became of each recording that a revocation reached.
//!
//! Owns the outcomes and their counts. Refuses to know which recordings are reached; `reach` knows
//! that. INVARIANT: an outcome that is entered makes its revocation run again, so that its receipt
//! includes it.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::{Revocation, reopen};
use crate::{
    db::{
        error::Error,
        news::{self, ChangeNotice},
        table::{TableRow as _, table},
        tx::{Arg, Tx, set},
    },
    evidence::CountedKind,
    model::{
        id::{ReceiptId, RecordingId, RevocationId},
        media::MediaKind,
        name::Purpose,
        revocation::{Authorship, RevocationOutcome, Target},
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
        authorship: Authorship = "authorship",
        kind: MediaKind = "kind",
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
pub struct OutcomeCounts {
    /// The number of shredded recordings.
    pub shredded: u64,
    /// The number of recordings that have a hold.
    pub held: u64,
    /// The number of recordings that are closed to the revoked purposes.
    pub closed: u64,
}

impl OutcomeCounts {
    /// Returns the numbers of all kinds together.
    pub fn of(kinds: &[CountedKind]) -> Self {
        let mut all = Self::default();
        for kind in kinds {
            all.shredded += kind.shredded;
            all.held += kind.held;
            all.closed += kind.closed;
        }
        all
    }
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

/// The condition under which a person made a recording that a revocation of theirs reaches.
macro_rules! made {
    ($person:literal) => {
        concat!(
            "(recordings.author IS NULL OR EXISTS (SELECT 1 FROM parties WHERE parties.subject = ",
            $person,
            " AND parties.leg = recordings.author AND ",
            crate::db::parties::counts_for!(),
            "
                AND parties.conversation IN (recordings.call_sid, recordings.conference_sid, recordings.thread)))"
        )
    };
}

/// The condition under which somebody else wrote a recording that the withdrawal of a place reaches.
macro_rules! received_at {
    ($place:literal, $reach:literal) => {
        concat!(
            "(",
            $reach,
            " = 'conversation' AND ",
            $place,
            " LIKE '%/%' AND recordings.author IS NOT NULL AND recordings.thread || '/' || recordings.author <> ",
            $place,
            ")"
        )
    };
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
        "/* revocations.enter */ {} SELECT reached.key, $1, reached.value->>'outcome',
          CASE WHEN revocations.reach = 'subject' AND NOT {} OR {} THEN 'received' ELSE 'own' END, recordings.kind
        FROM json_each($2) AS reached JOIN recordings ON recordings.id = reached.key LEFT JOIN revocations ON revocations.id = $1
        WHERE true ON CONFLICT (recording_id, revocation_id) DO NOTHING",
        StoredOutcome::INSERT_INTO,
        made!("revocations.target"),
        received_at!("revocations.target", "revocations.reach")
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

/// Returns those of these recordings that others wrote to the revocation's person or place.
pub async fn received(
    tx: &mut Tx,
    revocation: &Revocation,
    ids: &[RecordingId],
) -> Result<BTreeSet<RecordingId>, Error> {
    const SQL: &str = formatcp!(
        "/* revocations.received */ SELECT recordings.id FROM recordings
        WHERE recordings.id IN (SELECT key FROM json_each($2)) AND NOT {}",
        made!("$1")
    );
    const AT: &str = formatcp!(
        "/* revocations.received_at */ SELECT recordings.id FROM recordings
        WHERE recordings.id IN (SELECT key FROM json_each($2)) AND {}",
        received_at!("$1", "'conversation'")
    );
    let sql = match revocation.target {
        Target::Subject(_) => SQL,
        Target::Place(..) => AT,
        Target::Recording(_) | Target::Account(_) | Target::Conversation(_) => {
            return Ok(BTreeSet::new());
        }
    };
    let target = revocation.target.id();
    let args = [Arg::Text(&target), Arg::Text(&set(ids))];
    let rows = tx.fetch_all(sql, &args).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
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

/// Returns the number of recordings with each outcome, by kind and part.
pub async fn count(tx: &mut Tx, id: RevocationId) -> Result<Vec<CountedKind>, Error> {
    const SQL: &str = "/* revocations.count */
        SELECT kind, authorship, COUNT(CASE WHEN outcome = 'shredded' THEN 1 END) AS shredded,
          COUNT(CASE WHEN outcome = 'held' THEN 1 END) AS held, COUNT(CASE WHEN outcome = 'closed' THEN 1 END) AS closed
        FROM revoked WHERE revocation_id = $1 GROUP BY kind, authorship";
    const T: &str = "revoked";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&id.to_string())]).await?;
    let counted = rows.iter().map(|row| {
        Ok(CountedKind {
            kind: row.parse(T, "kind", "kind")?,
            authorship: row.parse(T, "authorship", "kind")?,
            shredded: row.number(T, "shredded", "kind")?,
            held: row.number(T, "held", "kind")?,
            closed: row.number(T, "closed", "kind")?,
        })
    });
    let mut counted = counted.collect::<Result<Vec<_>, Error>>()?;
    counted.sort_by_key(|counted| (counted.kind, counted.authorship));
    Ok(counted)
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
