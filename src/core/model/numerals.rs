//! Numbers in text for people: a count with its noun, and a duration.
//!
//! Owns singular and plural, and the choice of the duration's unit. Refuses to know what is
//! counted.

use std::{fmt::Display, time::Duration};

/// Returns `1 recording`, `2 recordings`: the count with the matching form of the noun or phrase.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let noun = if count == N::from(1) { one } else { many };
    format!("{count} {noun}")
}

/// Returns `0.4 s`, `12 s`, `5 min`, `3 h`: a duration with useful precision.
pub fn pause(length: Duration) -> String {
    match length.as_secs() {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let said = |count: u64| counted(count, "recording is", "recordings are");
        assert_eq!(
            [0, 1, 2, 11].map(said),
            [
                "0 recordings are",
                "1 recording is",
                "2 recordings are",
                "11 recordings are"
            ]
        );
        assert_eq!(counted(1_usize, "copy", "copies"), "1 copy");
        assert_eq!(counted(-1_i64, "copy", "copies"), "-1 copies");
    }

    #[test]
    fn a_pause_has_the_unit_that_suits_it() {
        let said = |milliseconds| pause(Duration::from_millis(milliseconds));
        assert_eq!(
            [0, 1_823, 12_700, 119_999, 120_000, 7_200_000].map(said),
            ["0.0 s", "1.8 s", "12 s", "119 s", "2 min", "2 h"]
        );
    }
}
