//! Legal holds: blocks on shredding.
//!
//! INVARIANT: `recordings.holds` is the number of the recording's holds that are not lifted. Code
//! that changes one changes the other, and locks the recording's row first: a concurrent shred runs
//! wholly before or wholly after.

use std::collections::{BTreeMap, BTreeSet};

use const_format::{concatcp, formatcp};

use super::{
    error::Error,
    news::{self, ChangeNotice},
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::{
    evidence::ShredReason,
    model::{
        actor::Actor,
        hold::Authority,
        id::RecordingId,
        name::{HoldName, Purpose},
        sid::AccountSid,
        time::Timestamp,
    },
};

table! {
    "holds" { subject: Some("recording_id") }

    /// A hold, in force or lifted.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HoldRow {
        key {
            /// The held recording.
            pub recording: RecordingId = "recording_id",
            /// Its name; unique per recording.
            pub name: HoldName = "name",
        }
        /// The purpose that stays open under the hold when all others are closed.
        pub purpose: Purpose = "purpose",
        /// The reason, as a code.
        pub reason: ShredReason = "reason",
        /// The authority that demands it.
        pub authority: Authority = "authority",
        /// When its need must be reviewed.
        pub review_at: Timestamp = "review_at",
        /// When it was placed, or last changed.
        pub placed_at: Timestamp = "placed_at",
        /// The actor who placed it.
        pub placed_by: Actor = "placed_by",
        /// When it was lifted; `None` while it is in force.
        pub lifted_at: Option<Timestamp> = "lifted_at",
    }
}

impl HoldRow {
    /// Returns whether both have the same terms, apart from actor and time.
    fn says_as(&self, other: &Self) -> bool {
        self.purpose == other.purpose
            && self.reason == other.reason
            && self.authority == other.authority
            && self.review_at == other.review_at
    }
}

/// Which holds to list.
#[derive(Clone, Debug, Default)]
pub struct HoldFilter {
    /// Only on recordings of these accounts; empty means all.
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that keep a recording that would be shredded without them.
    pub conflicts: bool,
    /// Only those whose review is due before this time.
    pub review_before: Option<Timestamp>,
    /// Only those that come after this one in the listing: by review, recording and name.
    pub after: Option<(Timestamp, RecordingId, HoldName)>,
}

const COLUMNS: &str = HoldRow::COLUMNS;

/// Returns the purposes of the holds in force, for each of these recordings that has one.
pub async fn purposes(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeMap<RecordingId, Vec<Purpose>>, Error> {
    const SQL: &str = "/* holds.purposes */
        SELECT recording_id, purpose FROM holds
        WHERE recording_id IN (SELECT key FROM json_each($1)) AND lifted_at IS NULL ORDER BY recording_id, name";
    let mut purposes: BTreeMap<RecordingId, Vec<Purpose>> = BTreeMap::new();
    for row in tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await? {
        let id = row.parse("holds", "recording_id", "recording_id")?;
        purposes
            .entry(id)
            .or_default()
            .push(row.parse("holds", "purpose", "recording_id")?);
    }
    Ok(purposes)
}

/// Places a hold or changes its terms, and locks the recording's row. Returns whether anything
/// changed; placing the same hold again changes nothing.
///
/// # Errors
/// [`Error::Stale`] if the recording is shredded or does not exist.
pub async fn place(tx: &mut Tx, hold: &HoldRow) -> Result<bool, Error> {
    const PLACE: &str = concatcp!(
        "/* holds.place */ ",
        HoldRow::INSERT,
        " ",
        HoldRow::OR_REPLACE
    );
    lock(tx, hold.recording).await?;
    let before = find(tx, hold.recording, &hold.name)
        .await?
        .filter(|before| before.lifted_at.is_none());
    if before.as_ref().is_some_and(|before| before.says_as(hold)) {
        return Ok(false);
    }
    // A lifted hold comes into force again.
    let standing = HoldRow {
        lifted_at: None,
        ..hold.clone()
    };
    if tx.insert_row(PLACE, &standing, &[]).await? != 1 {
        return Err(Error::Stale("the hold was not placed"));
    }
    if before.is_none() {
        count(tx, hold.recording, 1).await?;
    }
    Ok(true)
}

/// Lifts a hold and locks the recording's row. Returns the number of holds that remain in force, or
/// `None` if there was no hold of that name to lift.
///
/// # Errors
/// [`Error::Stale`] if the recording is shredded or does not exist.
pub async fn lift(
    tx: &mut Tx,
    id: RecordingId,
    name: &HoldName,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    const LIFT: &str = "/* holds.lift */ UPDATE holds SET lifted_at = $3 WHERE recording_id = $1 AND name = $2 AND lifted_at IS NULL";
    const LEFT: &str = "/* holds.left */ SELECT holds FROM recordings WHERE id = $1";
    lock(tx, id).await?;
    let recording = id.to_string();
    if tx
        .execute(
            LIFT,
            &[
                Arg::Text(&recording),
                Arg::Text(name.as_str()),
                Arg::Int(now.as_millis()),
            ],
        )
        .await?
        == 0
    {
        return Ok(None);
    }
    count(tx, id, -1).await?;
    tx.fetch_int(LEFT, &[Arg::Text(&recording)]).await.map(Some)
}

async fn lock(tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
    const SQL: &str = "/* holds.lock */ UPDATE recordings SET holds = holds WHERE id = $1 AND state <> 'shredded'";
    tx.lock_one(
        SQL,
        &[Arg::Text(&id.to_string())],
        "the recording is shredded",
    )
    .await
}

async fn count(tx: &mut Tx, id: RecordingId, by: i64) -> Result<(), Error> {
    const SQL: &str = "/* holds.count */ UPDATE recordings SET holds = holds + $2 WHERE id = $1 AND state <> 'shredded'";
    tx.execute_one(
        SQL,
        &[Arg::Text(&id.to_string()), Arg::Int(by)],
        "the recording is shredded",
    )
    .await
}

/// Returns one hold, in force or lifted.
pub async fn find(tx: &mut Tx, id: RecordingId, name: &HoldName) -> Result<Option<HoldRow>, Error> {
    const SQL: &str = formatcp!(
        "/* holds.find */ SELECT {COLUMNS} FROM holds WHERE recording_id = $1 AND name = $2"
    );
    tx.fetch_row(SQL, &[Arg::Text(&id.to_string()), Arg::Text(name.as_str())])
        .await
}

/// Returns the holds in force on these recordings, by name.
pub async fn standing(tx: &mut Tx, ids: &[RecordingId]) -> Result<Vec<HoldRow>, Error> {
    const SQL: &str = formatcp!(
        "/* holds.standing */ SELECT {COLUMNS} FROM holds
        WHERE recording_id IN (SELECT key FROM json_each($1)) AND lifted_at IS NULL ORDER BY recording_id, name"
    );
    tx.fetch_rows(SQL, &[Arg::Text(&set(ids))]).await
}

/// Returns a page of the holds in force, those with the earliest review first, each with the time
/// at which its recording was revoked.
pub async fn list(
    tx: &mut Tx,
    filter: &HoldFilter,
    limit: i64,
) -> Result<Vec<(HoldRow, Option<Timestamp>)>, Error> {
    const QUALIFIED: &str = HoldRow::QUALIFIED;
    const SQL: &str = formatcp!(
        "/* holds.list */ SELECT {QUALIFIED}, recordings.revoked_at FROM holds JOIN recordings ON recordings.id = holds.recording_id
        WHERE holds.lifted_at IS NULL AND ($1 = '{{}}' OR recordings.account IN (SELECT key FROM json_each($1)))
          AND ($2 = 0 OR recordings.revoked_at IS NOT NULL) AND holds.review_at < $3
          AND (holds.review_at, holds.recording_id, holds.name) > ($4, $5, $6)
        ORDER BY holds.review_at, holds.recording_id, holds.name LIMIT $7"
    );
    let accounts = set(&filter.accounts);
    let end = filter.review_before.map_or(i64::MAX, Timestamp::as_millis);
    let after = filter
        .after
        .as_ref()
        .map(|(at, id, name)| (at.as_millis(), id.to_string(), name.as_str()));
    let (at, id, name) = after.as_ref().map_or((i64::MIN, "", ""), |(at, id, name)| {
        (*at, id.as_str(), *name)
    });
    let conflicts = Arg::Int(i64::from(filter.conflicts));
    let args = [
        Arg::Text(&accounts),
        conflicts,
        Arg::Int(end),
        Arg::Int(at),
        Arg::Text(id),
        Arg::Text(name),
        Arg::Int(limit),
    ];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter()
        .map(|row| Ok((HoldRow::of(row)?, row.maybe_time("revoked_at")?)))
        .collect()
}

/// Closes recordings that a hold keeps: they are shredded for this reason when the last hold ends.
/// Returns those that were not closed before. The commit notifies every process through [`news`],
/// so that running streams end.
pub async fn close(
    tx: &mut Tx,
    ids: &[RecordingId],
    reason: &ShredReason,
    now: Timestamp,
) -> Result<BTreeSet<RecordingId>, Error> {
    const SQL: &str = "/* holds.close */
        UPDATE recordings SET revoked_at = $2, revoked_reason = $3
        WHERE id IN (SELECT key FROM json_each($1)) AND holds > 0 AND revoked_at IS NULL AND state <> 'shredded' RETURNING id";
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = tx
        .fetch_all(
            SQL,
            &[
                Arg::Text(&set(ids)),
                Arg::Int(now.as_millis()),
                Arg::Text(reason.as_str()),
            ],
        )
        .await?;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Returns closed recordings without a hold, each with the reason for which it is to be shredded.
pub async fn released(tx: &mut Tx, limit: i64) -> Result<Vec<(RecordingId, ShredReason)>, Error> {
    const SQL: &str = "/* holds.released */
        SELECT id, revoked_reason FROM recordings
        WHERE revoked_at IS NOT NULL AND holds = 0 AND state <> 'shredded' ORDER BY revoked_at, id LIMIT $1";
    let rows = tx.fetch_all(SQL, &[Arg::Int(limit)]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.parse("recordings", "id", "id")?,
                row.parse("recordings", "revoked_reason", "id")?,
            ))
        })
        .collect()
}
