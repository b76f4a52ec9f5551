//! Copies that the source keeps of a recording, and what became of them: the evidence of their
//! deletion.
//!
//! INVARIANT: what is known of a copy only grows. One that the source confirmed as deleted stays
//! so.

use std::collections::BTreeSet;

use super::{
    error::Error,
    row::Row,
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    media::SourceRef,
    source::{CopyKind, SourceCopy},
};

/// The copies of a recording that were ever found, in the order of kinds and ids.
pub async fn of(tx: &mut Tx, id: RecordingId) -> Result<Vec<SourceCopy>, Error> {
    const SQL: &str = "/* sources.of */
        SELECT recording_id, kind, sid, state, found_at, deleted_at, confirmed_at, left_until
        FROM sources WHERE recording_id = $1 ORDER BY kind, sid";
    tx.fetch_all(SQL, &[Arg::Text(&id.to_string())])
        .await?
        .iter()
        .map(copy)
        .collect()
}

/// Enters copies, or what became of those that are known. What was confirmed stays as it is, and
/// what is deleted is not there again.
pub async fn enter(tx: &mut Tx, id: RecordingId, copies: &[SourceCopy]) -> Result<(), Error> {
    const SQL: &str = "/* sources.enter */
        INSERT INTO sources (recording_id, kind, sid, state, found_at, deleted_at, confirmed_at, left_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (recording_id, kind, sid) DO UPDATE SET
          state = excluded.state,
          deleted_at = COALESCE(sources.deleted_at, excluded.deleted_at),
          confirmed_at = COALESCE(sources.confirmed_at, excluded.confirmed_at),
          left_until = COALESCE(excluded.left_until, sources.left_until)
        WHERE sources.state <> 'confirmed' AND excluded.state <> 'there'";
    let id = id.to_string();
    for copy in copies {
        let args = [
            Arg::Text(&id),
            Arg::Text(copy.kind.as_str()),
            Arg::Text(&copy.sid),
            Arg::Text(copy.state.as_str()),
            Arg::Int(copy.found_at.as_millis()),
            Arg::MaybeInt(copy.deleted_at.map(|at| at.as_millis())),
            Arg::MaybeInt(copy.confirmed_at.map(|at| at.as_millis())),
            Arg::MaybeInt(copy.left_until.map(|at| at.as_millis())),
        ];
        tx.execute(SQL, &args).await?;
    }
    Ok(())
}

/// Transcripts that the source told of as made from this recording, whether they are fetched or
/// not: copies that a list may not show any more.
pub async fn told(tx: &mut Tx, source: &SourceRef) -> Result<BTreeSet<(CopyKind, String)>, Error> {
    const SQL: &str = "/* sources.told */
        SELECT kind, sid FROM transcripts WHERE account = $1 AND source_sid = $2 AND kind IN ('intelligence', 'record')";
    let rows = tx
        .fetch_all(
            SQL,
            &[
                Arg::Text(source.account().as_str()),
                Arg::Text(source.sid()),
            ],
        )
        .await?;
    let told = |row: &Row| {
        let kind = if row.text("kind")? == "record" {
            CopyKind::Transcription
        } else {
            CopyKind::Transcript
        };
        Ok((kind, row.text("sid")?))
    };
    rows.iter().map(told).collect()
}

/// Whether a copy of this id was deleted at the source by the vault.
pub async fn is_deleted(tx: &mut Tx, sid: &str) -> Result<bool, Error> {
    const SQL: &str = "/* sources.is_deleted */ SELECT COUNT(*) FROM sources WHERE sid = $1 AND state IN ('deleted', 'confirmed')";
    Ok(tx.fetch_int(SQL, &[Arg::Text(sid)]).await? > 0)
}

/// Whether the vault still has to fetch a transcript of this recording, or one of these.
pub async fn awaits(
    tx: &mut Tx,
    source: &SourceRef,
    sids: &BTreeSet<String>,
) -> Result<bool, Error> {
    const SQL: &str = "/* sources.awaits */
        SELECT COUNT(*) FROM transcripts JOIN work ON work.kind = 'transcript' AND work.state = 'due'
          AND work.subject = transcripts.account || '/' || transcripts.kind || '/' || transcripts.sid
        WHERE transcripts.account = $1 AND (transcripts.source_sid = $2 OR transcripts.sid IN (SELECT key FROM json_each($3)))";
    let args = [
        Arg::Text(source.account().as_str()),
        Arg::Text(source.sid()),
        Arg::Text(&set(sids)),
    ];
    Ok(tx.fetch_int(SQL, &args).await? > 0)
}

fn copy(row: &Row) -> Result<SourceCopy, Error> {
    const T: &str = "sources";
    Ok(SourceCopy {
        kind: row.parse(T, "kind", "recording_id")?,
        sid: row.text("sid")?,
        state: row.parse(T, "state", "recording_id")?,
        found_at: row.time("found_at")?,
        deleted_at: row.maybe_time("deleted_at")?,
        confirmed_at: row.maybe_time("confirmed_at")?,
        left_until: row.maybe_time("left_until")?,
    })
}
