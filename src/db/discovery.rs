//! How the recordings of an account were discovered: those that are not sealed yet, and those that
//! came without a callback.

use super::{
    error::Error,
    recordings::{COLUMNS, recording},
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::{
    recording::{DiscoveredBy, Recording},
    sid::AccountSid,
    time::Timestamp,
};

/// Returns recordings of an account that the source's list since `since` must contain, if the
/// source has them: announced, not sealed, begun at or after `since`, and discovered before
/// `before`. A recording without a start time is assumed to have begun at most `longest` before its
/// discovery.
pub async fn waiting(
    tx: &mut Tx,
    account: &AccountSid,
    since: Timestamp,
    before: Timestamp,
    longest: std::time::Duration,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* heard.waiting */ SELECT {COLUMNS} FROM recordings
        WHERE state = 'announced' AND kind IN ('call', 'video-track', 'video-composition') AND account = $1 AND announced_at < $2
          AND (started_at >= $3 OR (started_at IS NULL AND announced_at >= $4))
        ORDER BY announced_at LIMIT $5"
    );
    let args = [
        Arg::Text(account.as_str()),
        Arg::Int(before.as_millis()),
        Arg::Int(since.as_millis()),
        Arg::Int(since.after(longest).as_millis()),
        Arg::Int(limit),
    ];
    tx.fetch_all(&sql, &args)
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// How many recordings of a status were first discovered in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryCount {
    /// `completed`, `absent`, `failed`, or another status of the source.
    pub source_status: String,
    /// The way of discovery.
    pub heard_by: DiscoveredBy,
    /// The number of recordings.
    pub count: i64,
}

/// Counts the recordings of an account that began since `since` by the way of their discovery.
/// Recordings of SIP trunks are left out, because the source sends no callbacks for them.
pub async fn counts(
    tx: &mut Tx,
    account: &AccountSid,
    since: Timestamp,
) -> Result<Vec<DiscoveryCount>, Error> {
    const SQL: &str = "/* heard.counts */
        SELECT source_status, heard_by, COUNT(*) AS n FROM recordings
        WHERE account = $1 AND kind = 'call' AND announced_at >= $2 AND collected_at >= $2 AND (source IS NULL OR source <> 'Trunking')
        GROUP BY source_status, heard_by ORDER BY source_status, heard_by";
    let read = |row: &Row| {
        let heard_by = row.parse("recordings", "heard_by", "source_status")?;
        Ok(DiscoveryCount {
            source_status: row.text("source_status")?,
            heard_by,
            count: row.int("n")?,
        })
    };
    tx.fetch_all(
        SQL,
        &[Arg::Text(account.as_str()), Arg::Int(since.as_millis())],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}
