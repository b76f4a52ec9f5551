//! The arithmetic from plaintext ranges to ciphertext ranges.
//!
//! Owns this arithmetic and nothing else: it has no key, so its results are not authenticated.
//! [`super::Opener`] uses them and checks the object against them.

use std::{num::NonZeroUsize, ops::Range};

use fast_floe::{
    Header,
    low_level::{MessageLayout, SegmentLayout},
};

use super::{Error, segment::SegmentLength};

/// The layout of a sealed object, derived from its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout(MessageLayout);

impl Layout {
    /// The shape of an object of `sealed_len` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] if no whole object has this length, [`Error::TooLong`] if none may have
    /// it.
    pub fn of(sealed_len: u64, segment: SegmentLength) -> Result<Self, Error> {
        Ok(Self(segment.parameters()?.ciphertext_layout(sealed_len)?))
    }

    /// Bytes of plaintext.
    pub fn plain_len(&self) -> u64 {
        self.0.plaintext_length()
    }

    /// Where the header is.
    pub fn header(&self) -> Range<u64> {
        0..Header::LEN as u64
    }

    /// Where the final segment is; a few bytes up to one full segment.
    pub fn final_segment(&self) -> Range<u64> {
        sealed_range(self.last())
    }

    /// Cuts a range of plaintext into spans of at most `max_segments` segments each, in order.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range is not within the plaintext.
    pub fn spans(&self, plain: Range<u64>, max_segments: NonZeroUsize) -> Result<Spans, Error> {
        if plain.start > plain.end || plain.end > self.plain_len() {
            return Err(Error::OutOfRange {
                plain_len: self.plain_len(),
            });
        }
        Ok(Spans {
            layout: *self,
            plain,
            max_segments: max_segments.get() as u64,
        })
    }

    pub(super) fn last(&self) -> SegmentLayout {
        self.0.final_segment()
    }

    pub(super) fn segment(&self, position: u64) -> Option<SegmentLayout> {
        self.0.segment_for_position(position)
    }

    pub(super) fn parameters(&self) -> fast_floe::Parameters {
        self.0.parameters()
    }
}

/// A run of neighbouring segments and the plaintext wanted from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The object it belongs to.
    pub(super) layout: Layout,
    /// Positions of the segments to fetch. The final segment is never among them: the opener kept
    /// it.
    pub(super) positions: Range<u64>,
    /// The ciphertext of these positions.
    sealed: Range<u64>,
    /// Whether the kept final segment follows.
    pub(super) final_too: bool,
    /// Bytes of plaintext to drop at the front.
    pub(super) skip: usize,
    /// Bytes of plaintext to release after that.
    pub(super) take: usize,
}

impl Span {
    /// The ciphertext to fetch. Empty if the wanted bytes are all in the final segment, which needs
    /// no fetching.
    pub fn sealed(&self) -> Range<u64> {
        self.sealed.clone()
    }

    /// Bytes of plaintext that opening it releases.
    pub fn plain_len(&self) -> usize {
        self.take
    }
}

/// The spans of one range, in order.
#[derive(Clone, Debug)]
pub struct Spans {
    layout: Layout,
    /// The range that is not cut yet.
    plain: Range<u64>,
    max_segments: u64,
}

impl Iterator for Spans {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        if self.plain.is_empty() {
            return None;
        }
        let full = self.layout.parameters().plaintext_segment_length() as u64;
        let first = self.plain.start / full;
        let last = ((self.plain.end - 1) / full).min(first.saturating_add(self.max_segments - 1));
        let end = self.plain.end.min((last + 1) * full);
        let final_segment = self.layout.last();
        let final_too = last == final_segment.position();
        let positions = first..if final_too { last } else { last + 1 };
        let sealed = self.offset(positions.start)..self.offset(positions.end);
        let span = Span {
            layout: self.layout,
            positions,
            sealed,
            final_too,
            skip: usize::try_from(self.plain.start % full).ok()?,
            take: usize::try_from(end - self.plain.start).ok()?,
        };
        self.plain.start = end;
        Some(span)
    }
}

impl Spans {
    /// Where the segment at `position` begins in the ciphertext.
    fn offset(&self, position: u64) -> u64 {
        self.layout.header().end
            + position * self.layout.parameters().ciphertext_segment_length() as u64
    }
}

fn sealed_range(segment: SegmentLayout) -> Range<u64> {
    segment.ciphertext_offset()..segment.ciphertext_offset() + segment.ciphertext_length() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: u64 = 16_384 - 32;
    const HEADER: u64 = 74;

    fn layout(plain_len: u64) -> Layout {
        let sealed_len = HEADER + plain_len + 32 * plain_len.div_ceil(PLAIN).max(1);
        let layout = Layout::of(sealed_len, SegmentLength::Text).unwrap();
        assert_eq!(layout.plain_len(), plain_len);
        layout
    }

    fn spans(layout: &Layout, plain: Range<u64>, max: usize) -> Vec<Span> {
        layout
            .spans(plain, NonZeroUsize::new(max).unwrap())
            .unwrap()
            .collect()
    }

    #[test]
    fn lengths_that_no_object_has_are_refused() {
        for sealed_len in [0, 1, 73, 74, 75, 74 + 31, 74 + 16_384 + 1, 74 + 16_384 + 31] {
            assert_eq!(
                Layout::of(sealed_len, SegmentLength::Text),
                Err(Error::Truncated),
                "{sealed_len}"
            );
        }
        for sealed_len in [74 + 32, 74 + 16_384, 74 + 16_384 + 32] {
            assert!(
                Layout::of(sealed_len, SegmentLength::Text).is_ok(),
                "{sealed_len}"
            );
        }
        assert_eq!(
            Layout::of(u64::MAX, SegmentLength::Text),
            Err(Error::TooLong)
        );
    }

    #[test]
    fn an_empty_range_costs_nothing() {
        assert_eq!(spans(&layout(0), 0..0, 1), []);
        assert_eq!(spans(&layout(10), 10..10, 1), []);
    }

    #[test]
    fn a_range_beyond_the_end_is_refused() {
        let max = NonZeroUsize::MIN;
        assert!(layout(10).spans(0..10, max).is_ok());
        assert_eq!(
            layout(10).spans(0..11, max).unwrap_err(),
            Error::OutOfRange { plain_len: 10 }
        );
        #[expect(
            clippy::reversed_empty_ranges,
            reason = "the reversed range is the case"
        )]
        let reversed = 5..4;
        assert!(layout(10).spans(reversed, max).is_err());
    }

    #[test]
    fn the_final_segment_is_not_fetched_again() {
        let layout = layout(PLAIN + 10);
        let [tail]: [Span; 1] = spans(&layout, PLAIN..PLAIN + 10, 4).try_into().unwrap();
        assert!(tail.sealed().is_empty() && tail.final_too);
        let [both]: [Span; 1] = spans(&layout, PLAIN - 1..PLAIN + 1, 4).try_into().unwrap();
        assert_eq!(both.sealed(), HEADER..HEADER + 16_384);
        assert_eq!((both.skip, both.take), (16_351, 2));
    }

    proptest! {
        #[test]
        fn spans_cover_the_range_once_and_touch_no_more_than_its_segments(
            plain_len in 0..PLAIN * 9, from in 0.0..=1.0f64, to in 0.0..=1.0f64, max in 1..5usize,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of the length")]
            let at = |share: f64| ((plain_len as f64 * share) as u64).min(plain_len);
            let range = at(from).min(at(to))..at(from).max(at(to));
            let mut next = range.start;
            let mut fetched = 0;
            for span in spans(&layout(plain_len), range.clone(), max) {
                let segments = span.positions.end - span.positions.start + u64::from(span.final_too);
                prop_assert!((1..=max as u64).contains(&segments));
                prop_assert_eq!(span.positions.start * PLAIN + span.skip as u64, next);
                prop_assert!(span.take > 0);
                prop_assert_eq!(span.sealed().end - span.sealed().start, 16_384 * (span.positions.end - span.positions.start));
                next += span.take as u64;
                fetched += span.sealed().end - span.sealed().start;
            }
            prop_assert_eq!(next, range.end.max(range.start));
            let touched = if range.is_empty() { 0 } else { (range.end - 1) / PLAIN - range.start / PLAIN + 1 };
            prop_assert!(fetched <= touched * 16_384);
        }
    }
}
