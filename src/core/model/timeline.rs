//! Timelines of the audit log: the history in which a number was assigned.
//!
//! A restore continues the log after the entries that it finds in the store. The lost database may
//! have given the same numbers to other entries. So each restore begins a timeline, as PostgreSQL's
//! recovery does: timeline and number together identify an entry, and of two timelines the higher
//! one began later.
//!
//! ```text
//! timeline 1   1 ─── 30 ─── 40          31 to 40 were lost with the database
//! timeline 2          └─ 31 ─── 38 …    its path: timeline 1 to 30, then timeline 2
//! ```
//! Owns the order of timelines and the common part of two logs. Refuses to know where either is
//! stored.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A timeline: 1 for a vault that was never restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Timeline(u32);

/// Why a number is not a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the number of a timeline: expected a whole number from 1")]
pub struct InvalidTimeline;

impl Timeline {
    /// The timeline of a vault before its first restore.
    pub const FIRST: Self = Self(1);

    /// Returns the number, as the database stores it.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// Returns the timeline after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl TryFrom<u32> for Timeline {
    type Error = InvalidTimeline;

    fn try_from(number: u32) -> Result<Self, InvalidTimeline> {
        if number == 0 {
            Err(InvalidTimeline)
        } else {
            Ok(Self(number))
        }
    }
}

impl TryFrom<i64> for Timeline {
    type Error = InvalidTimeline;

    fn try_from(number: i64) -> Result<Self, InvalidTimeline> {
        u32::try_from(number)
            .map_err(|_| InvalidTimeline)?
            .try_into()
    }
}

impl From<Timeline> for u32 {
    fn from(timeline: Timeline) -> Self {
        timeline.0
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that was given in a timeline. Points are ordered as it was done: every point of a later
/// timeline comes behind those of the timelines before.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct LogPoint {
    /// The timeline.
    #[schema(value_type = u32, minimum = 1)]
    pub timeline: Timeline,
    /// The number.
    #[schema(minimum = 1)]
    pub seq: i64,
}

impl fmt::Display for LogPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeline, seq } = self;
        if *timeline == Timeline::FIRST {
            write!(f, "{seq}")
        } else {
            write!(f, "{seq} of timeline {timeline}")
        }
    }
}

/// The beginning of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The timeline.
    pub timeline: Timeline,
    /// The number before its first one. Up to this number it equals the previous timeline.
    pub behind: i64,
}

/// The timelines that a log goes through, from 1 to its own.
///
/// INVARIANT: the first is timeline 1, after 0; each other one is later than the previous one, and
/// begins no earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Fork>", into = "Vec<Fork>")]
pub struct LogPath(Vec<Fork>);

/// Why forks do not form a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a log: timelines begin with 1, and each is later than the one before")]
pub struct InvalidLogPath;

impl LogPath {
    const FIRST: Fork = Fork {
        timeline: Timeline::FIRST,
        behind: 0,
    };

    /// Returns the path of a vault that was never restored.
    pub fn first() -> Self {
        Self(vec![Self::FIRST])
    }

    /// Returns the same log up to a number, followed by a later timeline.
    ///
    /// # Errors
    /// [`InvalidLogPath`] if the timeline is not later, or would begin before the last one.
    pub fn forked(mut self, timeline: Timeline, behind: i64) -> Result<Self, InvalidLogPath> {
        self.0.push(Fork { timeline, behind });
        self.0.try_into()
    }

    /// Returns the beginning of each timeline, in order.
    pub fn forks(&self) -> &[Fork] {
        &self.0
    }

    /// Returns the timeline in which the log continues.
    pub fn current(&self) -> Timeline {
        self.0.last().unwrap_or(&Self::FIRST).timeline
    }

    /// Returns the timeline in which this log has a number.
    pub fn timeline_of(&self, seq: i64) -> Timeline {
        let begun = self.0.iter().rfind(|fork| fork.behind < seq);
        begun.unwrap_or(&Self::FIRST).timeline
    }

    /// Returns the number up to which this log follows a timeline; unlimited for its own timeline.
    /// `None` for a timeline that it does not go through.
    pub fn end_of(&self, timeline: Timeline) -> Option<i64> {
        let at = self.0.iter().position(|fork| fork.timeline == timeline)?;
        Some(self.0.get(at + 1).map_or(i64::MAX, |next| next.behind))
    }

    /// Returns whether this log contains the entry at that point of a timeline, under the same
    /// number.
    pub fn holds(&self, point: LogPoint) -> bool {
        self.timeline_of(point.seq) == point.timeline
    }

    /// Returns the number up to which two logs are equal.
    pub fn shared_with(&self, other: &Self) -> i64 {
        let common = self.0.iter().zip(&other.0);
        let common = common.take_while(|(ours, theirs)| ours == theirs).count();
        let end = |path: &Self| path.0.get(common).map_or(i64::MAX, |fork| fork.behind);
        end(self).min(end(other))
    }
}

impl TryFrom<Vec<Fork>> for LogPath {
    type Error = InvalidLogPath;

    fn try_from(forks: Vec<Fork>) -> Result<Self, InvalidLogPath> {
        let is_ordered = forks.is_sorted_by(|a, b| a.timeline < b.timeline && a.behind <= b.behind);
        if forks.first() == Some(&Self::FIRST) && is_ordered {
            Ok(Self(forks))
        } else {
            Err(InvalidLogPath)
        }
    }
}

impl From<LogPath> for Vec<Fork> {
    fn from(path: LogPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(number: u32) -> Timeline {
        number.try_into().unwrap()
    }

    fn point(number: u32, seq: i64) -> LogPoint {
        LogPoint {
            timeline: timeline(number),
            seq,
        }
    }

    fn path(forks: &[(u32, i64)]) -> LogPath {
        forks
            .iter()
            .fold(LogPath::first(), |path, (number, behind)| {
                path.forked(timeline(*number), *behind).unwrap()
            })
    }

    #[test]
    fn a_log_has_each_number_in_one_timeline() {
        let log = path(&[(2, 30), (4, 38)]);
        assert_eq!(log.current(), timeline(4));
        for (seq, number) in [(1, 1), (30, 1), (31, 2), (38, 2), (39, 4), (i64::MAX, 4)] {
            assert_eq!(log.timeline_of(seq), timeline(number), "{seq}");
            assert!(log.holds(point(number, seq)));
        }
        for (number, seq) in [(1, 31), (2, 30), (2, 39), (3, 35), (4, 38), (5, 39)] {
            assert!(!log.holds(point(number, seq)), "{seq} of {number}");
        }
        let ends = [1, 2, 3, 4].map(|number| log.end_of(timeline(number)));
        assert_eq!(ends, [Some(30), Some(38), None, Some(i64::MAX)]);
    }

    #[test]
    fn two_logs_share_what_is_before_they_part() {
        let log = path(&[(2, 30), (4, 38)]);
        for (other, shared) in [
            (path(&[]), 30),
            (path(&[(2, 30)]), 38),
            (path(&[(3, 20)]), 20),
            (path(&[(3, 35)]), 30),
            (path(&[(2, 30), (3, 33)]), 33),
            (path(&[(2, 30), (3, 50)]), 38),
            (path(&[(2, 25)]), 25),
            (log.clone(), i64::MAX),
        ] {
            assert_eq!(log.shared_with(&other), shared, "{other:?}");
            assert_eq!(other.shared_with(&log), shared, "{other:?}");
        }
    }

    #[test]
    fn a_later_timeline_comes_behind_whatever_its_numbers_say() {
        assert!(point(1, 40) < point(2, 31) && point(2, 31) < point(2, 32));
        assert_eq!(point(1, 40).to_string(), "40");
        assert_eq!(point(2, 31).to_string(), "31 of timeline 2");
    }

    #[test]
    fn forks_that_are_no_path_are_refused() {
        let read = |text: &str| serde_json::from_str::<LogPath>(text);
        let good = r#"[{"timeline":1,"behind":0},{"timeline":3,"behind":7}]"#;
        assert_eq!(serde_json::to_string(&read(good).unwrap()).unwrap(), good);
        for bad in [
            "[]",
            r#"[{"timeline":0,"behind":0}]"#,
            r#"[{"timeline":1,"behind":1}]"#,
            r#"[{"timeline":2,"behind":0}]"#,
            r#"[{"timeline":1,"behind":0},{"timeline":1,"behind":7}]"#,
            r#"[{"timeline":1,"behind":0},{"timeline":3,"behind":7},{"timeline":2,"behind":9}]"#,
            r#"[{"timeline":1,"behind":0},{"timeline":2,"behind":7},{"timeline":3,"behind":6}]"#,
            r#"[{"timeline":1,"behind":0},{"timeline":2,"behind":-1}]"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            path(&[(2, 30)]).forked(timeline(2), 40),
            Err(InvalidLogPath)
        );
        assert_eq!(Timeline::try_from(-1_i64), Err(InvalidTimeline));
        assert_eq!(Timeline::try_from(1_i64 << 32), Err(InvalidTimeline));
    }
}
