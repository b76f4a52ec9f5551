//! The last time that was believed: what a clock is compared with before anything is destroyed by
//! it.
//!
//! Owns the row. Refuses to know what is too far: `flow::clock` says that. It does not travel: a
//! rebuilt vault goes by what its log knew before.

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::time::Timestamp;

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
    let row = tx
        .fetch_first(
            "/* clock.find */ SELECT read_at, accepted FROM clock WHERE one = 1",
            &[],
        )
        .await?;
    row.map(|row| {
        Ok(BelievedTime {
            read_at: row.time("read_at")?,
            accepted: row.int("accepted")?,
        })
    })
    .transpose()
}

/// Notes a time that was believed; never an earlier one than before.
pub async fn believe(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* clock.believe */
        INSERT INTO clock (one, read_at) VALUES (1, $1)
        ON CONFLICT (one) DO UPDATE SET read_at = excluded.read_at WHERE clock.read_at < excluded.read_at";
    tx.execute(SQL, &[Arg::Int(at.as_millis())])
        .await
        .map(|_| ())
}

/// An operator says that it is this time, whatever was believed.
pub async fn accept(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* clock.accept */
        INSERT INTO clock (one, read_at, accepted) VALUES (1, $1, 1)
        ON CONFLICT (one) DO UPDATE SET read_at = excluded.read_at, accepted = clock.accepted + 1";
    tx.execute(SQL, &[Arg::Int(at.as_millis())])
        .await
        .map(|_| ())
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
