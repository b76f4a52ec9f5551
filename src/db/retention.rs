//! Retention by age: groups of recordings to which one limit applies, and the members of a group
//! that are due.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::Error,
    recordings::{COLUMNS, recording},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    media::MediaKind,
    name::{HoldName, Tier},
    recording::Recording,
    sid::AccountSid,
    time::Timestamp,
};

/// Recordings that are not shredded, of one tier and pinned to one policy version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionGroup {
    /// The tier.
    pub tier: Tier,
    /// The SHA-256 of the policy file to which they are pinned.
    pub policy_digest: String,
    /// The number of recordings.
    pub count: i64,
    /// The same, by kind.
    pub kinds: BTreeMap<MediaKind, i64>,
    /// When the oldest of them was collected.
    pub oldest: Timestamp,
}

/// Counts of recordings that are kept although they are, or may soon be, due for shredding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionExceptions {
    /// Recordings in quarantine.
    pub quarantined: i64,
    /// When the first of these quarantines ends, upon which the recording is shredded unless
    /// evidence arrives.
    pub quarantine_ends: Option<Timestamp>,
    /// Recordings with a hold.
    pub held: i64,
    /// Held recordings that are to be shredded when the hold ends.
    pub revoked: i64,
}

/// The holds with one name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct HoldGroup {
    /// The name of the holds.
    pub name: HoldName,
    /// The number of recordings with such a hold.
    #[schema(minimum = 0)]
    pub recordings: i64,
    /// When the next review is due.
    pub review_at: Timestamp,
}

/// Returns every non-empty group of these accounts; an empty set means all accounts.
pub async fn groups(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
) -> Result<Vec<RetentionGroup>, Error> {
    let sql = format!(
        "/* retention.groups */
        SELECT tier, policy_digest, COUNT(*) AS n, MIN(kind) AS kind, MIN(collected_at) AS oldest FROM recordings
        WHERE state <> 'shredded'{} GROUP BY tier, policy_digest, kind ORDER BY tier, policy_digest, kind",
        of_accounts(accounts)
    );
    let members = set(accounts);
    let mut args = Vec::new();
    if !accounts.is_empty() {
        args.push(Arg::Text(&members));
    }
    let mut groups: Vec<RetentionGroup> = Vec::new();
    for row in tx.fetch_all(&sql, &args).await? {
        let tier: Tier = row.parse("recordings", "tier", "tier")?;
        let policy_digest = row.text("policy_digest")?;
        let (count, oldest) = (row.int("n")?, row.time("oldest")?);
        let kind = row.parse("recordings", "kind", "tier")?;
        match groups.last_mut() {
            Some(group) if group.tier == tier && group.policy_digest == policy_digest => {
                group.count += count;
                group.kinds.insert(kind, count);
                group.oldest = group.oldest.min(oldest);
            }
            _ => groups.push(RetentionGroup {
                tier,
                policy_digest,
                count,
                kinds: [(kind, count)].into(),
                oldest,
            }),
        }
    }
    Ok(groups)
}

/// Returns recordings of a group that were collected until `until`, oldest first, after `after`; at
/// most `limit`. `held` selects either those with a hold or those without.
pub async fn collected_until(
    tx: &mut Tx,
    group: &RetentionGroup,
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

/// Returns recordings of these accounts that are to be shredded when their holds end, the first
/// revoked first; an empty set means all accounts.
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

/// Counts the recordings of these accounts that are in quarantine, held, or revoked and held; an
/// empty set means all accounts.
pub async fn kept(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
) -> Result<RetentionExceptions, Error> {
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
    Ok(RetentionExceptions {
        quarantined: quarantined.int("n")?,
        quarantine_ends: quarantined.maybe_time("ends")?,
        held: held.int("n")?,
        revoked: held.int("revoked")?,
    })
}

/// Returns the holds in force on recordings of these accounts, by name; an empty set means all
/// accounts.
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

/// Returns the names of the holds in force on these recordings.
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

/// Returns the clause that restricts to accounts, if any are given: `$1` is their set.
fn of_accounts(accounts: &BTreeSet<AccountSid>) -> &'static str {
    if accounts.is_empty() {
        ""
    } else {
        " AND account IN (SELECT key FROM json_each($1))"
    }
}
