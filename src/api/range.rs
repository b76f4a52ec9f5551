//! Byte ranges of RFC 9110, section 14: one range per request.
//!
//! A header that is malformed, has another unit, or names several ranges is ignored, as the RFC
//! allows; then the whole representation is served.

use std::ops::Range;

/// The part of a representation of `len` bytes that a request selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RangeOutcome {
    /// The whole representation: 200.
    Whole,
    /// A part: 206.
    Part(Range<u64>),
    /// No existing byte: 416.
    Unsatisfiable,
}

/// Resolves a `Range` header.
pub(super) fn resolve(header: Option<&str>, len: u64) -> RangeOutcome {
    let Some(set) = header
        .and_then(|value| value.split_once('='))
        .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
    else {
        return RangeOutcome::Whole;
    };
    let Some((first, last)) = set
        .1
        .split_once('-')
        .map(|(first, last)| (first.trim(), last.trim()))
    else {
        return RangeOutcome::Whole;
    };
    match (position(first), position(last)) {
        (Position::None, Position::None) | (Position::Malformed, _) | (_, Position::Malformed) => {
            RangeOutcome::Whole
        }
        // A suffix range.
        (Position::None, Position::At(0)) => RangeOutcome::Unsatisfiable,
        (Position::None, Position::At(_)) if len == 0 => RangeOutcome::Unsatisfiable,
        (Position::None, Position::At(suffix)) => {
            RangeOutcome::Part(len.saturating_sub(suffix)..len)
        }
        (Position::At(first), Position::At(last)) if last < first => RangeOutcome::Whole,
        (Position::At(first), _) if first >= len => RangeOutcome::Unsatisfiable,
        (Position::At(first), Position::At(last)) => {
            RangeOutcome::Part(first..last.saturating_add(1).min(len))
        }
        (Position::At(first), Position::None) => RangeOutcome::Part(first..len),
    }
}

enum Position {
    None,
    At(u64),
    Malformed,
}

fn position(text: &str) -> Position {
    if text.is_empty() {
        return Position::None;
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Position::Malformed;
    }
    // A number too large for `u64` is beyond every end.
    Position::At(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(
            resolve(Some("bytes=0-499"), 10_000),
            RangeOutcome::Part(0..500)
        );
        assert_eq!(
            resolve(Some("bytes=500-999"), 10_000),
            RangeOutcome::Part(500..1000)
        );
        assert_eq!(
            resolve(Some("bytes=-500"), 10_000),
            RangeOutcome::Part(9_500..10_000)
        );
        assert_eq!(
            resolve(Some("bytes=9500-"), 10_000),
            RangeOutcome::Part(9_500..10_000)
        );
        assert_eq!(resolve(Some("bytes=0-0"), 10_000), RangeOutcome::Part(0..1));
        assert_eq!(
            resolve(Some("bytes=-1"), 10_000),
            RangeOutcome::Part(9_999..10_000)
        );
    }

    #[test]
    fn what_does_not_exist_is_unsatisfiable() {
        for header in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(
                resolve(Some(header), 10),
                RangeOutcome::Unsatisfiable,
                "{header}"
            );
        }
        assert_eq!(resolve(Some("bytes=0-"), 0), RangeOutcome::Unsatisfiable);
        assert_eq!(resolve(Some("bytes=-5"), 0), RangeOutcome::Unsatisfiable);
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(resolve(Some(header), 10), RangeOutcome::Whole, "{header}");
        }
        assert_eq!(resolve(None, 10), RangeOutcome::Whole);
    }

    #[test]
    fn ends_are_cut_to_the_length() {
        assert_eq!(resolve(Some("bytes=5-100"), 10), RangeOutcome::Part(5..10));
        assert_eq!(resolve(Some("bytes=-100"), 10), RangeOutcome::Part(0..10));
        assert_eq!(resolve(Some("bytes=9-9"), 10), RangeOutcome::Part(9..10));
        assert_eq!(
            resolve(Some("bytes=0-18446744073709551615"), 10),
            RangeOutcome::Part(0..10)
        );
    }

    proptest! {
        #[test]
        fn any_header_gives_a_part_within_the_whole(header in ".{0,40}", len in 0u64..100) {
            if let RangeOutcome::Part(part) = resolve(Some(&header), len) {
                prop_assert!(part.start < part.end && part.end <= len);
            }
        }

        #[test]
        fn any_two_numbers(first in 0u64..200, last in 0u64..200, len in 0u64..100) {
            let got = resolve(Some(&format!("bytes={first}-{last}")), len);
            let bytes: Vec<u64> = (0..len).filter(|at| (first..=last).contains(at)).collect();
            match (got, bytes.first(), bytes.last()) {
                (RangeOutcome::Part(part), Some(&from), Some(&to)) => prop_assert_eq!(part, from..to + 1),
                (RangeOutcome::Unsatisfiable, None, None) => prop_assert!(first >= len),
                (RangeOutcome::Whole, _, _) => prop_assert!(last < first),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
