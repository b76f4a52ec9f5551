//! Dates and times on the command line.

use crate::model::time::Timestamp;

/// Parses a date, which means midnight UTC, or a time.
pub(super) fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let time = Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")));
    time.ok_or("expected a date like `2026-01-31`, or RFC 3339 like `2026-01-31T15:04:05Z`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_begins_at_midnight() {
        assert_eq!(moment("2026-01-31"), moment("2026-01-31T00:00:00Z"));
        assert!(moment("2026-01-31T15:04:05+01:00").is_ok());
        for bad in ["", "yesterday", "2026-01", "2026-13-01", "31.1.2026"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
