//! Time as a value, and the clock as an argument.
//!
//! Rules take a [`Timestamp`]; flows take a [`Clock`]. No other code reads the ambient clock.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON and on the page: RFC 3339 with milliseconds,
/// UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde_with::SerializeDisplay,
    utoipa::ToSchema,
)]
#[schema(value_type = String, format = DateTime, examples("2026-01-31T15:04:05.000Z"))]
pub struct Timestamp(i64);

impl Timestamp {
    /// Converts milliseconds since the epoch, as the database stores them.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by `duration`, saturating.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Earlier by `duration`, saturating.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns the time from `earlier` until `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns RFC 3339 without fractions of a second, as the filters of Twilio's lists require.
    pub fn in_seconds(self) -> String {
        let text = Self(self.0.div_euclid(1000).saturating_mul(1000)).to_string();
        text.strip_suffix(".000Z")
            .map_or_else(|| text.clone(), |whole| format!("{whole}Z"))
    }

    /// Parses RFC 3339.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|at| Self(at.as_millisecond()))
    }

    /// Parses RFC 2822, the form of Twilio's 2010-04-01 interface.
    pub fn parse_rfc2822(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|at| Self(at.timestamp().as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text)
            .ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 time"))
    }
}

/// The source of time: the machine, or a test. Clones share one time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's wall clock.
    #[default]
    System,
    /// A clock that only [`Clock::advance`] and [`Clock::set_ahead`] move.
    Manual(Arc<Hand>),
}

/// The state of a manual clock.
#[derive(Debug)]
pub struct Hand {
    wall: AtomicI64,
    /// Milliseconds of elapsed time, regardless of changes to the wall clock.
    steady: AtomicI64,
}

impl Clock {
    /// Returns a manual clock that shows `at`.
    pub fn manual(at: Timestamp) -> Self {
        Self::Manual(Arc::new(Hand {
            wall: AtomicI64::new(at.0),
            steady: AtomicI64::new(0),
        }))
    }

    /// Returns the present time.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that reads the wall clock"
            )]
            Self::System => Timestamp(jiff::Timestamp::now().as_millisecond()),
            Self::Manual(hand) => Timestamp(hand.wall.load(Ordering::SeqCst)),
        }
    }

    /// Returns the time elapsed since some fixed moment, by a clock that nobody can set and that
    /// continues while the machine sleeps.
    pub fn steady(&self) -> Duration {
        match self {
            Self::System => {
                let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                Duration::new(
                    u64::try_from(passed.tv_sec).unwrap_or(0),
                    u32::try_from(passed.tv_nsec).unwrap_or(0),
                )
            }
            Self::Manual(hand) => Duration::from_millis(
                u64::try_from(hand.steady.load(Ordering::SeqCst)).unwrap_or(0),
            ),
        }
    }

    /// Sets a manual clock ahead, without elapsed time.
    pub fn set_ahead(&self, by: Duration) {
        if let Self::Manual(hand) = self {
            hand.wall.fetch_add(
                i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }

    /// Sets a manual clock back, without elapsed time.
    pub fn set_back(&self, by: Duration) {
        if let Self::Manual(hand) = self {
            hand.wall.fetch_sub(
                i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }

    /// Moves a manual clock forwards; has no effect on the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(hand) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            hand.wall.fetch_add(by, Ordering::SeqCst);
            hand.steady.fetch_add(by, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_agree() {
        let at = Timestamp::from_millis(1_559_009_882_000);
        assert_eq!(at.to_string(), "2019-05-28T02:18:02.000Z");
        assert_eq!(Timestamp::parse_rfc3339("2019-05-28T02:18:02Z"), Some(at));
        assert_eq!(
            Timestamp::parse_rfc2822("Tue, 28 May 2019 02:18:02 +0000"),
            Some(at)
        );
        assert_eq!(
            Timestamp::parse_rfc2822("Tue, 28 May 2019 03:18:02 +0100"),
            Some(at)
        );
        assert_eq!(Timestamp::parse_rfc2822("yesterday"), None);
    }

    #[test]
    fn manual_clocks_share_one_time() {
        let clock = Clock::manual(Timestamp::from_millis(5));
        let other = clock.clone();
        clock.advance(Duration::from_millis(2));
        assert_eq!(other.now(), Timestamp::from_millis(7));
        assert_eq!(other.now().since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
