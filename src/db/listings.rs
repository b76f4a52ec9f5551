//! How far an existing account was listed, so that a long listing goes on where it stopped.

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::{sid::AccountSid, time::Timestamp};

/// A listing of an account, window by window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingRow {
    /// Whose.
    pub account: AccountSid,
    /// It covers what was created from then on...
    pub since: Timestamp,
    /// ...and before then.
    pub until: Timestamp,
    /// So far everything created before then was seen.
    pub done_until: Timestamp,
    /// Recordings seen.
    pub listed: i64,
    /// Of them, new to the vault.
    pub announced: i64,
}

/// The listing of an account, if there was one.
pub async fn find(tx: &mut Tx, account: &AccountSid) -> Result<Option<ListingRow>, Error> {
    const SQL: &str = "/* listings.find */ SELECT account, since, until, done_until, listed, announced FROM listings WHERE account = $1";
    let row = tx.fetch_first(SQL, &[Arg::Text(account.as_str())]).await?;
    row.map(|row| {
        Ok(ListingRow {
            account: row.parse("listings", "account", "account")?,
            since: row.time("since")?,
            until: row.time("until")?,
            done_until: row.time("done_until")?,
            listed: row.int("listed")?,
            announced: row.int("announced")?,
        })
    })
    .transpose()
}

/// Writes down how far a listing is, in place of the account's former one.
pub async fn put(tx: &mut Tx, row: &ListingRow, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* listings.put */
        INSERT INTO listings (account, since, until, done_until, listed, announced, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account) DO UPDATE SET since = excluded.since, until = excluded.until, done_until = excluded.done_until,
          listed = excluded.listed, announced = excluded.announced, updated_at = excluded.updated_at";
    let args = [
        Arg::Text(row.account.as_str()),
        Arg::Int(row.since.as_millis()),
        Arg::Int(row.until.as_millis()),
        Arg::Int(row.done_until.as_millis()),
        Arg::Int(row.listed),
        Arg::Int(row.announced),
        Arg::Int(now.as_millis()),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}
