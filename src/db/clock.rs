//! The last time that was believed: what a clock is compared with before anything is destroyed by
//! it.
//!
//! Owns the row. Refuses to know what is too far: `flow::clock` says that. It does not travel: a
//! rebuilt vault goes by what its log knew before.

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

/// What was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BelievedTime {
    /// The newest time.
    pub read_at: Timestamp,
    /// How often an operator accepted another one.
    pub accepted: i64,
}

/// The reading, if there is one.
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

/// Notes a time that was believed; never an earlier one than before.
pub async fn believe(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* clock.believe */ {}
        ON CONFLICT (one) DO UPDATE SET read_at = excluded.read_at WHERE clock.read_at < excluded.read_at",
        StoredClock::INSERT
    );
    enter(tx, SQL, at, 0).await
}

/// An operator says that it is this time, whatever was believed.
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

/// The time of the newest entry in the audit log.
pub async fn newest_entry(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    let row = tx
        .fetch_first(
            "/* clock.newest_entry */ SELECT at FROM audit ORDER BY seq DESC LIMIT 1",
            &[],
        )
        .await?;
    row.map(|row| row.time("at")).transpose()
}

/// The time of the newest entry that the vault had before it was rebuilt last; if it never was, of
/// the newest one. What the rebuilding itself entered says nothing of that.
pub async fn last_known(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    const SQL: &str = "/* clock.last_known */
        SELECT at FROM audit WHERE seq < COALESCE((SELECT MAX(seq) FROM audit WHERE event = 'vault.restored'), $1)
          AND told_seq IS NULL AND event <> 'entry.lost'
        ORDER BY seq DESC LIMIT 1";
    let row = tx.fetch_first(SQL, &[Arg::Int(i64::MAX)]).await?;
    row.map(|row| row.time("at")).transpose()
}
