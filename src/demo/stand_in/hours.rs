//! The stand-in's time: a clock, and the time by which a test has advanced it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::model::time::{Clock, Timestamp};

/// The age of a recording, a call or anything else when it is added. It is short, because the
/// metadata of old objects would have expired.
const AGO: Duration = Duration::from_secs(60);

pub(super) struct Hours {
    clock: Clock,
    ahead_ms: AtomicI64,
    opened: Timestamp,
}

impl Hours {
    pub(super) fn new(clock: Clock) -> Self {
        let opened = clock.now();
        Self {
            clock,
            ahead_ms: AtomicI64::new(0),
            opened,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(
            self.clock
                .now()
                .as_millis()
                .saturating_add(self.ahead_ms.load(Ordering::SeqCst)),
        )
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(
            i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
            Ordering::SeqCst,
        );
    }

    /// Returns the beginning of an object that is added now, in whole seconds, as Twilio reports
    /// it.
    pub(super) fn lately(&self) -> Timestamp {
        whole_seconds(self.now().before(AGO))
    }

    /// Returns the beginning of an object that was not added: always the same.
    pub(super) fn at_first(&self) -> Timestamp {
        whole_seconds(self.opened.before(AGO))
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(1000) * 1000)
}

/// Formats a time by RFC 2822, as the 2010 interface and its callbacks do.
pub(super) fn rfc2822(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .unwrap_or_default()
        .strftime("%a, %d %b %Y %H:%M:%S +0000")
        .to_string()
}

/// Formats a time by ISO 8601 without fractions, as the newer interfaces do.
pub(super) fn iso8601(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Parses the time of a list filter: `YYYY-MM-DD` (midnight, GMT) or a date and time. The second
/// value: whether it is a whole day.
pub(super) fn filter_time(text: &str) -> Option<(Timestamp, bool)> {
    if text.len() == "2026-01-31".len() {
        return Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).map(|at| (at, true));
    }
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
        .map(|at| (at, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_forms_of_a_moment() {
        let at = Timestamp::from_millis(1_559_009_882_000);
        assert_eq!(rfc2822(at), "Tue, 28 May 2019 02:18:02 +0000");
        assert_eq!(iso8601(at), "2019-05-28T02:18:02Z");
        assert_eq!(filter_time("2019-05-28T02:18:02Z"), Some((at, false)));
        assert_eq!(filter_time("2019-05-28T02:18:02"), Some((at, false)));
        assert_eq!(
            filter_time("2019-05-28"),
            Some((Timestamp::from_millis(1_559_001_600_000), true))
        );
        assert_eq!(filter_time("yesterday"), None);
    }

    #[test]
    fn a_test_moves_it_whatever_its_clock() {
        let hours = Hours::new(Clock::manual(Timestamp::from_millis(5)));
        hours.advance(Duration::from_millis(2));
        assert_eq!(hours.now(), Timestamp::from_millis(7));
    }
}
