//! The events that end running streams, read by every process in the order of the log.
//!
//! Owns the one query. Refuses to end anything. INVARIANT: every event that ends a stream is a
//! tombstone or an entry of the log, written in the unit that causes it; both become visible in the
//! order of their numbers.

use super::{
    error::Error,
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::id::{GrantId, RecordingId, TokenId};

/// An event after which streams must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnding {
    /// The recording was tombstoned or closed.
    Shredded(RecordingId),
    /// The recording was moved to another tier or put in quarantine. A listener may ask again and
    /// gets a new decision.
    Moved(RecordingId),
    /// The grant ended.
    Grant(GrantId),
    /// The token was revoked.
    Token(TokenId),
}

/// Returns the events with a higher number than `seq`, in order.
///
/// # Errors
/// Any database error.
pub async fn after(tx: &mut Tx, seq: i64, limit: i64) -> Result<Vec<(i64, StreamEnding)>, Error> {
    const SQL: &str = "/* endings.after */
        SELECT seq, 'shred.tombstoned' AS event, recording_id, '{}' AS details FROM tombstones WHERE seq > $1
        UNION ALL SELECT seq, event, recording_id, details FROM audit
        WHERE seq > $1 AND event IN ('recording.revoked', 'recording.quarantined', 'recording.moved', 'recording.reclassified', 'grant.ended', 'token.revoked')
        ORDER BY seq LIMIT $2";
    let rows = tx.fetch_all(SQL, &[Arg::Int(seq), Arg::Int(limit)]).await?;
    rows.iter()
        .map(|row| Ok((row.int("seq")?, ending(row)?)))
        .collect()
}

fn ending(row: &Row) -> Result<StreamEnding, Error> {
    const T: &str = "audit";
    let of_recording = || row.parse(T, "recording_id", "seq");
    let details: serde_json::Value = row.json(T, "details", "seq")?;
    let id = |name: &str| details.get(name).and_then(serde_json::Value::as_str);
    let broken = || row.inconsistent(T, "details", "seq");
    Ok(match row.text("event")?.as_str() {
        "grant.ended" => {
            let grant = id("grant").and_then(|id| id.parse().ok());
            StreamEnding::Grant(grant.ok_or_else(broken)?)
        }
        "token.revoked" => {
            let token = id("token").and_then(|id| id.parse().ok());
            StreamEnding::Token(token.ok_or_else(broken)?)
        }
        "recording.moved" | "recording.reclassified" | "recording.quarantined" => {
            StreamEnding::Moved(of_recording()?)
        }
        _ => StreamEnding::Shredded(of_recording()?),
    })
}
