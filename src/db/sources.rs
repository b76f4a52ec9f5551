//! Copies of a recording at the source, and the evidence of their deletion.
//!
//! INVARIANT: knowledge of a copy only grows. A copy whose deletion the source confirmed stays so.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{
    error::Error,
    row::Row,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    media::SourceRef,
    source::{CopyKind, CopyState, SourceCopy},
    time::Timestamp,
};

table! {
    "sources" { subject: Some("recording_id") }

    #[derive(Debug)]
    pub(super) struct StoredCopy {
        key {
            recording: RecordingId = "recording_id",
            kind: CopyKind = "kind",
            sid: String = "sid",
        }
        state: CopyState = "state",
        found_at: Timestamp = "found_at",
        deleted_at: Option<Timestamp> = "deleted_at",
        confirmed_at: Option<Timestamp> = "confirmed_at",
        left_until: Option<Timestamp> = "left_until",
        refused_at: Option<Timestamp> = "refused_at",
        redacted_at: Option<Timestamp> = "redacted_at",
    }
}

/// Returns all copies of a recording that were ever found, in the order of kinds and ids.
pub async fn of(tx: &mut Tx, id: RecordingId) -> Result<Vec<SourceCopy>, Error> {
    const SQL: &str = formatcp!(
        "/* sources.of */ SELECT {} FROM sources WHERE recording_id = $1 ORDER BY kind, sid",
        StoredCopy::COLUMNS
    );
    let rows: Vec<StoredCopy> = tx.fetch_rows(SQL, &[Arg::Text(&id.to_string())]).await?;
    Ok(rows.into_iter().map(SourceCopy::from).collect())
}

/// Inserts copies or updates known ones. A confirmed copy is not changed, and a deleted copy does
/// not become present or undeletable again.
pub async fn enter(tx: &mut Tx, id: RecordingId, copies: &[SourceCopy]) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* sources.enter */ {}
        ON CONFLICT (recording_id, kind, sid) DO UPDATE SET
          state = excluded.state,
          deleted_at = COALESCE(sources.deleted_at, excluded.deleted_at),
          confirmed_at = COALESCE(sources.confirmed_at, excluded.confirmed_at),
          left_until = COALESCE(excluded.left_until, sources.left_until),
          refused_at = COALESCE(sources.refused_at, excluded.refused_at),
          redacted_at = COALESCE(sources.redacted_at, excluded.redacted_at)
        WHERE sources.state <> 'confirmed'
          AND (excluded.state <> 'there' OR sources.state = 'there' AND excluded.redacted_at IS NOT NULL)
          AND (excluded.state <> 'not-deletable-yet' OR sources.state IN ('there', 'not-deletable-yet'))
          AND (excluded.state NOT IN ('kept', 'unknown') OR sources.state <> 'deleted')",
        StoredCopy::INSERT
    );
    for copy in copies {
        let row = StoredCopy::of_recording(id, copy);
        tx.insert_row(SQL, &row, &[]).await?;
    }
    Ok(())
}

/// Returns transcripts that the source reported as made from this recording, fetched or not: copies
/// that a list may no longer contain.
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

/// Returns the other recordings that have a copy which stayed for this one, and which is now deleted.
pub async fn waiting_for(tx: &mut Tx, id: RecordingId) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* sources.waiting_for */
        SELECT DISTINCT other.recording_id AS recording_id FROM sources AS own
        JOIN sources AS other ON other.sid = own.sid AND other.kind = own.kind
        WHERE own.recording_id = $1 AND own.state = 'confirmed' AND other.state = 'kept' ORDER BY recording_id";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&id.to_string())]).await?;
    rows.iter()
        .map(|row| row.parse("sources", "recording_id", "recording_id"))
        .collect()
}

/// Returns whether the vault deleted a copy with this id at the source.
pub async fn is_deleted(tx: &mut Tx, sid: &str) -> Result<bool, Error> {
    const SQL: &str = "/* sources.is_deleted */ SELECT COUNT(*) FROM sources WHERE sid = $1 AND state IN ('deleted', 'confirmed')";
    Ok(tx.fetch_int(SQL, &[Arg::Text(sid)]).await? > 0)
}

/// Returns whether a transcript of this recording, or one of these transcripts, still has to be
/// fetched.
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

/// Returns copies that the source does not delete yet, with their recordings: those refused longest
/// first.
pub async fn not_deletable_yet(
    tx: &mut Tx,
    limit: i64,
) -> Result<Vec<(RecordingId, SourceCopy)>, Error> {
    const SQL: &str = formatcp!(
        "/* sources.not_deletable_yet */ SELECT {} FROM sources WHERE state = 'not-deletable-yet'
        ORDER BY refused_at, recording_id, kind, sid LIMIT $1",
        StoredCopy::COLUMNS
    );
    let rows: Vec<StoredCopy> = tx.fetch_rows(SQL, &[Arg::Int(limit)]).await?;
    let copies = rows.into_iter();
    Ok(copies.map(|row| (row.recording, row.into())).collect())
}

impl StoredCopy {
    fn of_recording(recording: RecordingId, copy: &SourceCopy) -> Self {
        Self {
            recording,
            kind: copy.kind,
            sid: copy.sid.clone(),
            state: copy.state,
            found_at: copy.found_at,
            deleted_at: copy.deleted_at,
            confirmed_at: copy.confirmed_at,
            left_until: copy.left_until,
            refused_at: copy.refused_at,
            redacted_at: copy.redacted_at,
        }
    }
}

impl From<StoredCopy> for SourceCopy {
    fn from(row: StoredCopy) -> Self {
        Self {
            kind: row.kind,
            sid: row.sid,
            state: row.state,
            found_at: row.found_at,
            deleted_at: row.deleted_at,
            confirmed_at: row.confirmed_at,
            left_until: row.left_until,
            refused_at: row.refused_at,
            redacted_at: row.redacted_at,
        }
    }
}
