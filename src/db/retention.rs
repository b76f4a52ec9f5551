//! What is kept, by age: groups of recordings that one limit counts for, and those of a group that
//! are due.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::Error,
    recordings::{COLUMNS, recording},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    name::{HoldName, Tier},
    recording::Recording,
    sid::AccountSid,
    time::Timestamp,
};

/// Recordings that are not shredded, of one tier and pinned to one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their tier.
    pub tier: Tier,
    /// SHA-256 of the policy file to which they are pinned.
    pub policy_digest: String,
    /// How many.
    pub count: i64,
    /// When the oldest of them was collected.
    pub oldest: Timestamp,
}

/// What is kept although something speaks for shredding it, or may soon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionGroup {
    /// Recordings in quarantine.
    pub quarantined: i64,
    /// When the first of them is shredded unless evidence arrives.
    pub quarantine_ends: Option<Timestamp>,
    /// Recordings that a hold keeps.
    pub held: i64,
    /// Those of them that are to be shredded when the hold ends.
    pub revoked: i64,
}

/// The holds of one name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct HoldGroup {
    /// The name.
    pub name: HoldName,
    /// The number of recordings that it keeps.
    #[schema(minimum = 0)]
    pub recordings: i64,
    /// When the next review of the need is due.
    pub review_at: Timestamp,
}

/// Every group that is not empty, of these accounts; none named means all.
pub async fn groups(tx: &mut Tx, accounts: &BTreeSet<AccountSid>) -> Result<Vec<Group>, Error> {
    let sql = format!(
        "/* retention.groups */
        SELECT tier, policy_digest, COUNT(*) AS n, MIN(collected_at) AS oldest FROM recordings
        WHERE state <> 'shredded'{} GROUP BY tier, policy_digest ORDER BY tier, policy_digest",
        of_accounts(accounts)
    );
    let members = set(accounts);
    let mut args = Vec::new();
    if !accounts.is_empty() {
        args.push(Arg::Text(&members));
    }
    let rows = tx.fetch_all(&sql, &args).await?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                tier: row.parse("recordings", "tier", "tier")?,
                policy_digest: row.text("policy_digest")?,
                count: row.int("n")?,
                oldest: row.time("oldest")?,
            })
        })
        .collect()
}

/// Recordings of a group that were collected until `until`, oldest first, from the place after
/// `after` on; at most `limit`. Those that a hold keeps, or the others.
pub async fn collected_until(
    tx: &mut Tx,
    group: &Group,
    until: Timestamp,
    held: bool,
    after: Option<(Timestamp, RecordingId)>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* retention.collected_until */
        SELECT {COLUMNS} FROM recordings
        WHERE state <> 'shredded' AND tier = $1 AND policy_digest = $2 AND collected_at <= $3
          AND collected_at >= $4 AND (collected_at > $4 OR id > $5) AND CASE WHEN holds > 0 THEN 1 ELSE 0 END = $6
        ORDER BY collected_at, id LIMIT $7"
    );
    let (at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| {
        (at.as_millis(), id.to_string())
    });
    let args = [
        Arg::Text(group.tier.as_str()),
        Arg::Text(&group.policy_digest),
        Arg::Int(until.as_millis()),
        Arg::Int(at),
        Arg::Text(&id),
        Arg::Int(held.into()),
        Arg::Int(limit),
    ];
    tx.fetch_all(&sql, &args)
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// Recordings of these accounts that are to be shredded when their holds end, the first revoked
/// first; no account named means all.
pub async fn revoked(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let clause = of_accounts(accounts);
    let place = if accounts.is_empty() { 1 } else { 2 };
    let sql = format!(
        "/* retention.revoked */
        SELECT {COLUMNS} FROM recordings WHERE revoked_at IS NOT NULL AND state <> 'shredded'{clause} ORDER BY revoked_at, id LIMIT ${place}"
    );
    let members = set(accounts);
    let all = [Arg::Text(&members), Arg::Int(limit)];
    let args = if accounts.is_empty() {
        &all[1..]
    } else {
        &all[..]
    };
    tx.fetch_all(&sql, args)
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// How many recordings of these accounts are in quarantine, held, or revoked and held; no account
/// named means all.
pub async fn kept(tx: &mut Tx, accounts: &BTreeSet<AccountSid>) -> Result<RetentionGroup, Error> {
    let of_accounts = of_accounts(accounts);
    let members = set(accounts);
    let mut args = Vec::new();
    if !accounts.is_empty() {
        args.push(Arg::Text(&members));
    }
    let quarantined = format!(
        "/* retention.quarantined */ SELECT COUNT(*) AS n, MIN(quarantine_ends) AS ends FROM recordings
        WHERE state <> 'shredded' AND quarantine_ends IS NOT NULL{of_accounts}"
    );
    let held = format!(
        "/* retention.held */ SELECT COUNT(*) AS n, COUNT(revoked_at) AS revoked FROM recordings
        WHERE state <> 'shredded' AND holds > 0{of_accounts}"
    );
    let quarantined = tx
        .fetch_first(&quarantined, &args)
        .await?
        .ok_or_else(Error::no_row)?;
    let held = tx
        .fetch_first(&held, &args)
        .await?
        .ok_or_else(Error::no_row)?;
    Ok(RetentionGroup {
        quarantined: quarantined.int("n")?,
        quarantine_ends: quarantined.maybe_time("ends")?,
        held: held.int("n")?,
        revoked: held.int("revoked")?,
    })
}

/// The holds that stand on recordings of these accounts, by name; no account named means all.
pub async fn holds(tx: &mut Tx, accounts: &BTreeSet<AccountSid>) -> Result<Vec<HoldGroup>, Error> {
    const ALL: &str = "/* retention.holds */
        SELECT name, COUNT(*) AS n, MIN(review_at) AS review_at FROM holds WHERE lifted_at IS NULL GROUP BY name ORDER BY name";
    const OF_ACCOUNTS: &str = "/* retention.holds_of */
        SELECT h.name, COUNT(*) AS n, MIN(h.review_at) AS review_at FROM holds h JOIN recordings r ON r.id = h.recording_id
        WHERE h.lifted_at IS NULL AND r.account IN (SELECT key FROM json_each($1)) GROUP BY h.name ORDER BY h.name";
    let members = set(accounts);
    let rows = match accounts.is_empty() {
        true => tx.fetch_all(ALL, &[]).await?,
        false => tx.fetch_all(OF_ACCOUNTS, &[Arg::Text(&members)]).await?,
    };
    let held = |row: &super::row::Row| {
        Ok(HoldGroup {
            name: row.parse("holds", "name", "name")?,
            recordings: row.int("n")?,
            review_at: row.time("review_at")?,
        })
    };
    rows.iter().map(held).collect()
}

/// The names of the holds that stand on these recordings.
pub async fn hold_names(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeMap<RecordingId, Vec<HoldName>>, Error> {
    const SQL: &str = "/* retention.hold_names */
        SELECT recording_id, name FROM holds
        WHERE lifted_at IS NULL AND recording_id IN (SELECT key FROM json_each($1)) ORDER BY recording_id, name";
    let mut names: BTreeMap<RecordingId, Vec<HoldName>> = BTreeMap::new();
    for row in tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await? {
        let name = row.parse("holds", "name", "recording_id")?;
        names
            .entry(row.parse("holds", "recording_id", "recording_id")?)
            .or_default()
            .push(name);
    }
    Ok(names)
}

/// The clause that narrows to accounts, where some are named: `$1` is their set.
fn of_accounts(accounts: &BTreeSet<AccountSid>) -> &'static str {
    if accounts.is_empty() {
        ""
    } else {
        " AND account IN (SELECT key FROM json_each($1))"
    }
}
