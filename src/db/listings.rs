//! Progress of listing an existing account, so that a long listing can be resumed.

use const_format::{concatcp, formatcp};

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::{media::MediaKind, sid::AccountSid, time::Timestamp};

table! {
    "listings" {}

    /// A listing of an account, window by window.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ListingRow {
        key {
            /// The account.
            pub account: AccountSid = "account",
            /// Which of its lists.
            pub kind: MediaKind = "kind",
        }
        /// The listing covers recordings created from this time on...
        pub since: Timestamp = "since",
        /// ...and before this time.
        pub until: Timestamp = "until",
        /// Every recording created before this time has been seen.
        pub done_until: Timestamp = "done_until",
        /// The number of recordings seen.
        pub listed: i64 = "listed",
        /// The number of them that were new to the vault.
        pub announced: i64 = "announced",
        /// When this row was last written.
        pub updated_at: Timestamp = "updated_at",
    }
}

/// Returns the listing of an account's communications of a kind, if there was one.
pub async fn find(
    tx: &mut Tx,
    account: &AccountSid,
    kind: MediaKind,
) -> Result<Option<ListingRow>, Error> {
    const SQL: &str = formatcp!(
        "/* listings.find */ SELECT {} FROM listings WHERE account = $1 AND kind = $2",
        ListingRow::COLUMNS
    );
    let args = [Arg::Text(account.as_str()), Arg::Text(kind.as_str())];
    tx.fetch_row(SQL, &args).await
}

/// Stores the progress of a listing and replaces its former one.
pub async fn put(tx: &mut Tx, row: &ListingRow) -> Result<(), Error> {
    const SQL: &str = concatcp!(
        "/* listings.put */ ",
        ListingRow::INSERT,
        " ",
        ListingRow::OR_REPLACE
    );
    tx.insert_row(SQL, row, &[]).await.map(|_| ())
}
