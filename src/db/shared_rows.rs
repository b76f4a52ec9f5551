//! Rows that snapshots share: objects in the store, each of which holds lines that one snapshot or
//! more have in common.
//!
//! Owns the list of these objects. Refuses to know the lines, and when an object is written or given
//! up.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::ObjectId,
    time::Timestamp,
    timeline::{LogPoint, Timeline},
};

table! {
    "shared_rows" {}

    /// An object with rows that snapshots share.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SharedRows {
        key {
            /// Its name in the store of snapshots.
            pub object: ObjectId = "object_id",
        }
        /// What its lines are recognised by: see [`keyring::rows_content`](crate::keyring::rows_content).
        pub content: String = "content",
        /// Rows in it.
        pub rows: u64 = "rows",
        /// Its length in bytes; 0 until it is in the store.
        pub size: u64 = "size",
        /// When it was begun.
        pub begun_at: Timestamp = "begun_at",
        /// The timeline of the entry with which it was given up.
        pub left_timeline: Option<i64> = "left_timeline",
        /// The number of that entry.
        pub left_seq: Option<i64> = "left_seq",
    }
}

impl SharedRows {
    /// Returns an object that is about to be stored.
    pub fn begun(object: ObjectId, content: String, rows: u64, now: Timestamp) -> Self {
        Self {
            object,
            content,
            rows,
            size: 0,
            begun_at: now,
            left_timeline: None,
            left_seq: None,
        }
    }

    /// Returns the point of the audit log from which on no snapshot names it.
    pub fn left(&self) -> Option<LogPoint> {
        Some(LogPoint {
            timeline: Timeline::try_from(self.left_timeline?).ok()?,
            seq: self.left_seq?,
        })
    }
}

/// Inserts an object that is about to be stored: from here on it is no orphan.
pub async fn begin(tx: &mut Tx, rows: &SharedRows) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* shared_rows.begin */ {}", SharedRows::INSERT);
    tx.insert_row(SQL, rows, &[]).await.map(|_| ())
}

/// Records that an object is in the store. Returns false if it was given up meanwhile.
pub async fn stored(tx: &mut Tx, rows: &SharedRows) -> Result<bool, Error> {
    const SQL: &str = "/* shared_rows.stored */ UPDATE shared_rows SET size = $2 WHERE object_id = $1 AND left_seq IS NULL";
    let size = i64::try_from(rows.size).unwrap_or(i64::MAX);
    let object = rows.object.to_string();
    let args = [Arg::Text(&object), Arg::Int(size)];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Returns the objects that are not given up.
pub async fn in_use(tx: &mut Tx) -> Result<Vec<SharedRows>, Error> {
    const SQL: &str = formatcp!(
        "/* shared_rows.in_use */ SELECT {} FROM shared_rows WHERE left_seq IS NULL ORDER BY object_id",
        SharedRows::COLUMNS
    );
    tx.fetch_rows(SQL, &[]).await
}

/// Returns the objects that are given up.
pub async fn left(tx: &mut Tx) -> Result<Vec<SharedRows>, Error> {
    const SQL: &str = formatcp!(
        "/* shared_rows.left */ SELECT {} FROM shared_rows WHERE left_seq IS NOT NULL ORDER BY object_id",
        SharedRows::COLUMNS
    );
    tx.fetch_rows(SQL, &[]).await
}

/// Gives objects up at this point of the audit log, whose entry the same unit has written: no later
/// snapshot names them.
pub async fn leave(tx: &mut Tx, objects: &[ObjectId], point: LogPoint) -> Result<(), Error> {
    const SQL: &str =
        "/* shared_rows.leave */ UPDATE shared_rows SET left_timeline = $2, left_seq = $3
        WHERE object_id IN (SELECT key FROM json_each($1)) AND left_seq IS NULL";
    let objects = set(objects);
    let timeline = Arg::Int(point.timeline.number());
    let args = [Arg::Text(&objects), timeline, Arg::Int(point.seq)];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Removes an object that was given up and is gone from the store.
pub async fn remove(tx: &mut Tx, object: ObjectId) -> Result<(), Error> {
    const SQL: &str = "/* shared_rows.remove */ DELETE FROM shared_rows WHERE object_id = $1 AND left_seq IS NOT NULL";
    let object = object.to_string();
    tx.execute(SQL, &[Arg::Text(&object)]).await.map(|_| ())
}
