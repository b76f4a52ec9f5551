//! Keyed hashes of who wrote what, by which recordings of one text find each other.
//!
//! Owns these rows. They live for a day and no longer than their recording, and do not travel: a link
//! that was found is a row of its own.

use std::time::Duration;

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{id::RecordingId, time::Timestamp};

/// How long a row is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Two recordings of one text began at most this long after each other.
const APART: Duration = Duration::from_secs(60);

table! {
    "likenesses" {}

    /// What one recording has in common with another of the same text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LikenessRow {
        key {
            /// The recording.
            pub recording: RecordingId = "recording_id",
        }
        /// The keyed hash of account, author and text.
        pub mark: String = "mark",
        /// When it was written.
        pub at: Timestamp = "at",
        /// When the row was made.
        pub told_at: Timestamp = "told_at",
    }
}

/// Enters the likeness of a recording, and deletes old rows. Returns the recording of another kind that
/// has the same and is nearest in time.
pub async fn enter(tx: &mut Tx, row: &LikenessRow) -> Result<Option<RecordingId>, Error> {
    const SQL: &str = formatcp!(
        "/* likenesses.enter */ {} ON CONFLICT (recording_id) DO NOTHING",
        LikenessRow::INSERT
    );
    const OLD: &str = "/* likenesses.old */ DELETE FROM likenesses WHERE told_at < $1";
    const ALIKE: &str = "/* likenesses.alike */
        SELECT other.id AS id FROM likenesses JOIN recordings AS other ON other.id = likenesses.recording_id
          JOIN recordings AS own ON own.id = $1
        WHERE mark = $2 AND other.kind <> own.kind AND at BETWEEN $3 AND $4
        ORDER BY CASE WHEN at < $5 THEN $5 - at ELSE at - $5 END, other.id LIMIT 1";
    tx.insert_row(SQL, row, &[]).await?;
    let before = row.told_at.before(KEPT).as_millis();
    tx.execute(OLD, &[Arg::Int(before)]).await?;
    let args = [
        Arg::Text(&row.recording.to_string()),
        Arg::Text(&row.mark),
        Arg::Int(row.at.before(APART).as_millis()),
        Arg::Int(row.at.after(APART).as_millis()),
        Arg::Int(row.at.as_millis()),
    ];
    let alike = tx.fetch_first(ALIKE, &args).await?;
    alike
        .map(|row| row.parse("likenesses", "id", "id"))
        .transpose()
}

/// Deletes the likenesses of recordings that are shredded.
pub async fn forget(tx: &mut Tx, recordings: &[RecordingId]) -> Result<(), Error> {
    const SQL: &str = "/* likenesses.forget */ DELETE FROM likenesses WHERE recording_id IN (SELECT key FROM json_each($1))";
    tx.execute(SQL, &[Arg::Text(&set(recordings))])
        .await
        .map(|_| ())
}
