//! Gaps: data that a rebuild did not find in the store, and whose absence an operator accepted.
//!
//! Owns the rows, which are never deleted. Refuses to know how a gap is found.

use std::{fmt, str::FromStr};

use const_format::formatcp;
use serde::Serialize;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::Tx,
};
use crate::model::{time::Timestamp, timeline::Timeline};

/// A range of audit entries of which some may be missing: `FROM-TO`, or `TIMELINE/FROM-TO` where
/// the numbers are those of a lost timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// The lost timeline of the numbers; `None` for the rebuilt log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// The number of the first entry.
    pub first: i64,
    /// The number of the last entry.
    pub last: i64,
}

/// The error of a text that is no gap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a gap: expected the numbers of two audit entries as `FROM-TO` or `TIMELINE/FROM-TO`, as `recvault snapshot restore` names them"
)]
pub struct InvalidGap;

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(timeline) = self.timeline {
            write!(f, "{timeline}/")?;
        }
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
        let (timeline, range) = match text.split_once('/') {
            Some((timeline, range)) => (Some(timeline), range),
            None => (None, text),
        };
        let timeline =
            timeline.map(|text| Timeline::try_from(number(text)?).map_err(|_| InvalidGap));
        let (first, last) = range.split_once('-').ok_or(InvalidGap)?;
        let gap = Self {
            timeline: timeline.transpose()?,
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
            timeline: i64 = "timeline",
            first: i64 = "first",
            last: i64 = "last",
        }
        accepted_at: Timestamp = "accepted_at",
    }
}

/// Records that a gap was accepted.
pub async fn insert(tx: &mut Tx, gap: Gap, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* gaps.insert */ {} ON CONFLICT (timeline, first, last) DO NOTHING",
        StoredGap::INSERT
    );
    let row = StoredGap {
        timeline: gap.timeline.map_or(0, Timeline::number),
        first: gap.first,
        last: gap.last,
        accepted_at: now,
    };
    tx.insert_row(SQL, &row, &[]).await.map(|_| ())
}

/// Returns every accepted gap and when it was accepted, in order.
pub async fn all(tx: &mut Tx) -> Result<Vec<(Gap, Timestamp)>, Error> {
    const SQL: &str = formatcp!(
        "/* gaps.all */ SELECT {} FROM gaps ORDER BY timeline, first, last",
        StoredGap::COLUMNS
    );
    let rows: Vec<StoredGap> = tx.fetch_rows(SQL, &[]).await?;
    let accepted = |row: StoredGap| {
        let timeline = match row.timeline {
            0 => None,
            number => Some(
                Timeline::try_from(number)
                    .map_err(|_| StoredGap::TABLE.inconsistent("timeline", row.first))?,
            ),
        };
        let gap = Gap {
            timeline,
            first: row.first,
            last: row.last,
        };
        Ok((gap, row.accepted_at))
    };
    rows.into_iter().map(accepted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_two_numbers_in_order() {
        let gap = Gap {
            timeline: None,
            first: 7,
            last: 9,
        };
        assert_eq!("7-9".parse(), Ok(gap));
        let lost = Gap {
            timeline: Some(Timeline::FIRST.next()),
            ..gap
        };
        assert_eq!("2/7-9".parse(), Ok(lost));
        for text in ["7-7", "2/7-9"] {
            assert_eq!(text.parse::<Gap>().unwrap().to_string(), text);
        }
        for bad in [
            "", "7", "9-7", "-7-9", "a-b", "7-", "-", "7-9-11", "0/7-9", "/7-9", "2/", "2/7",
            "-2/7-9",
        ] {
            assert_eq!(bad.parse::<Gap>(), Err(InvalidGap), "{bad}");
        }
    }
}
