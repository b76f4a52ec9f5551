//! The audit log's rows: appended in the transaction of what they tell, numbered without gaps in commit order.

use super::{
    Error,
    tx::{Arg, Tx},
};
use crate::evidence::{Entry, NewEntry};

/// Appends an entry and returns its number. Last in a unit of work: it holds the log's head until the commit.
pub async fn append(tx: &mut Tx, entry: NewEntry) -> Result<i64, Error> {
    const NEXT: &str = "/* audit.next */ UPDATE audit_head SET seq = seq + 1 WHERE one = 1 RETURNING seq";
    const APPEND: &str =
        "/* audit.append */ INSERT INTO audit (seq, at, actor, event, recording_id, details) VALUES ($1, $2, $3, $4, $5, $6)";
    let seq = tx.fetch_int(NEXT, &[]).await?;
    let recording = entry.recording().map(|id| id.to_string());
    let args = [
        Arg::Int(seq),
        Arg::Int(entry.at().as_millis()),
        Arg::Text(&entry.actor().to_string()),
        Arg::Text(entry.event().as_str()),
        Arg::MaybeText(recording.as_deref()),
        Arg::Text(&entry.details().to_string()),
    ];
    tx.execute(APPEND, &args).await?;
    Ok(seq)
}

/// Entries after a number, in order.
pub async fn after(tx: &mut Tx, seq: i64, limit: i64) -> Result<Vec<Entry>, Error> {
    const SQL: &str = "/* audit.after */
        SELECT seq, at, actor, event, recording_id, details FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
    const T: &str = "audit";
    tx.fetch_all(SQL, &[Arg::Int(seq), Arg::Int(limit)])
        .await?
        .iter()
        .map(|row| {
            Ok(Entry {
                seq: row.int("seq")?,
                at: row.time("at")?,
                actor: row.parse(T, "actor", "seq")?,
                event: row.parse(T, "event", "seq")?,
                recording: row.maybe_parse(T, "recording_id", "seq")?,
                details: row.parse(T, "details", "seq")?,
            })
        })
        .collect()
}
