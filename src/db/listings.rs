//! How far an existing account was listed, so that a long listing goes on where it stopped.

use const_format::{concatcp, formatcp};

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::{sid::AccountSid, time::Timestamp};

table! {
    "listings" {}

    /// A listing of an account, window by window.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ListingRow {
        key {
            /// Whose.
            pub account: AccountSid = "account",
        }
        /// It covers what was created from then on...
        pub since: Timestamp = "since",
        /// ...and before then.
        pub until: Timestamp = "until",
        /// So far everything created before then was seen.
        pub done_until: Timestamp = "done_until",
        /// Recordings seen.
        pub listed: i64 = "listed",
        /// Of them, new to the vault.
        pub announced: i64 = "announced",
        /// When this was written down last.
        pub updated_at: Timestamp = "updated_at",
    }
}

/// The listing of an account, if there was one.
pub async fn find(tx: &mut Tx, account: &AccountSid) -> Result<Option<ListingRow>, Error> {
    const SQL: &str = formatcp!(
        "/* listings.find */ SELECT {} FROM listings WHERE account = $1",
        ListingRow::COLUMNS
    );
    tx.fetch_row(SQL, &[Arg::Text(account.as_str())]).await
}

/// Writes down how far a listing is, in place of the account's former one.
pub async fn put(tx: &mut Tx, row: &ListingRow) -> Result<(), Error> {
    const SQL: &str = concatcp!(
        "/* listings.put */ ",
        ListingRow::INSERT,
        " ",
        ListingRow::OR_REPLACE
    );
    tx.insert_row(SQL, row, &[]).await.map(|_| ())
}
