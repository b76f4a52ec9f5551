//! Gaps: what a rebuilding could not find in the store, and somebody accepted to go without.
//!
//! Owns the rows; they stay for ever. Refuses to know how a gap is found.

use std::{fmt, str::FromStr};

use const_format::formatcp;
use serde::Serialize;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::Tx,
};
use crate::model::time::Timestamp;

/// Audit entries, from the first to the last, of which something may be missing: `FROM-TO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// The number of the first.
    pub first: i64,
    /// The number of the last.
    pub last: i64,
}

/// Why a text is no gap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a gap: expected the numbers of two audit entries as `FROM-TO`, as `recvault snapshot restore` names them"
)]
pub struct InvalidGap;

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for Gap {
    type Err = InvalidGap;

    fn from_str(text: &str) -> Result<Self, InvalidGap> {
        let number = |text: &str| {
            text.parse::<i64>()
                .ok()
                .filter(|number| *number >= 0)
                .ok_or(InvalidGap)
        };
        let (first, last) = text.split_once('-').ok_or(InvalidGap)?;
        let gap = Self {
            first: number(first)?,
            last: number(last)?,
        };
        if gap.first <= gap.last {
            Ok(gap)
        } else {
            Err(InvalidGap)
        }
    }
}

table! {
    "gaps" {}

    #[derive(Debug)]
    pub(super) struct StoredGap {
        key {
            first: i64 = "first",
            last: i64 = "last",
        }
        accepted_at: Timestamp = "accepted_at",
    }
}

/// Notes that somebody accepted a gap.
pub async fn insert(tx: &mut Tx, gap: Gap, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* gaps.insert */ {} ON CONFLICT (first, last) DO NOTHING",
        StoredGap::INSERT
    );
    let row = StoredGap {
        first: gap.first,
        last: gap.last,
        accepted_at: now,
    };
    tx.insert_row(SQL, &row, &[]).await.map(|_| ())
}

/// Every gap that was accepted, and when, in order.
pub async fn all(tx: &mut Tx) -> Result<Vec<(Gap, Timestamp)>, Error> {
    const SQL: &str = formatcp!(
        "/* gaps.all */ SELECT {} FROM gaps ORDER BY first, last",
        StoredGap::COLUMNS
    );
    let rows: Vec<StoredGap> = tx.fetch_rows(SQL, &[]).await?;
    let accepted = |row: StoredGap| {
        let gap = Gap {
            first: row.first,
            last: row.last,
        };
        (gap, row.accepted_at)
    };
    Ok(rows.into_iter().map(accepted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_two_numbers_in_order() {
        assert_eq!("7-9".parse(), Ok(Gap { first: 7, last: 9 }));
        assert_eq!("7-7".parse::<Gap>().unwrap().to_string(), "7-7");
        for bad in ["", "7", "9-7", "-7-9", "a-b", "7-", "-", "7-9-11"] {
            assert_eq!(bad.parse::<Gap>(), Err(InvalidGap), "{bad}");
        }
    }
}
