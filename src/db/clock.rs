//! The last trusted time: clocks are compared with it before anything is destroyed because of its
//! age.
//!
//! Owns the row. Refuses to know which difference is too large: `flow::clock` decides that. The row
//! is not part of a snapshot: a rebuilt vault uses the times of its log instead.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::time::Timestamp;

table! {
    "clock" {}

    #[derive(Debug)]
    pub(super) struct StoredClock {
        key {
            one: i64 = "one",
        }
        read_at: Timestamp = "read_at",
        accepted: i64 = "accepted",
    }
}

/// The last trusted time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BelievedTime {
    /// The newest trusted time.
    pub read_at: Timestamp,
    /// How often an operator accepted another time.
    pub accepted: i64,
}

/// Returns the last trusted time, if any.
pub async fn find(tx: &mut Tx) -> Result<Option<BelievedTime>, Error> {
    const SQL: &str = formatcp!(
        "/* clock.find */ SELECT {} FROM clock WHERE one = 1",
        StoredClock::COLUMNS
    );
    let row: Option<StoredClock> = tx.fetch_row(SQL, &[]).await?;
    Ok(row.map(|row| BelievedTime {
        read_at: row.read_at,
        accepted: row.accepted,
    }))
}

/// Records a trusted time, unless an equal or later one is recorded.
pub async fn believe(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* clock.believe */ {}
        ON CONFLICT (one) DO UPDATE SET read_at = excluded.read_at WHERE clock.read_at < excluded.read_at",
        StoredClock::INSERT
    );
    enter(tx, SQL, at, 0).await
}

/// Records the time that an operator accepted, even if it is earlier.
pub async fn accept(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* clock.accept */ {}
        ON CONFLICT (one) DO UPDATE SET read_at = excluded.read_at, accepted = clock.accepted + 1",
        StoredClock::INSERT
    );
    enter(tx, SQL, at, 1).await
}

async fn enter(tx: &mut Tx, sql: &str, read_at: Timestamp, accepted: i64) -> Result<(), Error> {
    let row = StoredClock {
        one: 1,
        read_at,
        accepted,
    };
    tx.insert_row(sql, &row, &[]).await.map(|_| ())
}

/// Returns the time of the newest entry in the audit log.
pub async fn newest_entry(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    let row = tx
        .fetch_first(
            "/* clock.newest_entry */ SELECT at FROM audit ORDER BY seq DESC LIMIT 1",
            &[],
        )
        .await?;
    row.map(|row| row.time("at")).transpose()
}

/// Returns the time of the newest entry from before the last rebuild, or of the newest entry if the
/// vault was never rebuilt. Entries that the rebuild itself inserted are ignored.
pub async fn last_known(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    const SQL: &str = "/* clock.last_known */
        SELECT at FROM audit WHERE seq < COALESCE((SELECT MAX(seq) FROM audit WHERE event = 'vault.restored'), $1)
          AND told_seq IS NULL AND event <> 'entry.lost'
        ORDER BY seq DESC LIMIT 1";
    let row = tx.fetch_first(SQL, &[Arg::Int(i64::MAX)]).await?;
    row.map(|row| row.time("at")).transpose()
}
