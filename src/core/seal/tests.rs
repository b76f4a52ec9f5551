//! Tests of round trips, and the fixtures of the other tests: one key, one context, objects of any
//! length.
#![expect(
    clippy::indexing_slicing,
    reason = "a test that reads beyond the end should fail loudly"
)]

mod agreement;
mod attacks;
mod gcm;

use std::{num::NonZeroUsize, ops::Range};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::{
    model::artefact::{Artefact, Leg},
    secret::Key,
};

const TEXT: usize = SegmentLength::Text.plain();
const BOTH: [SegmentLength; 2] = [SegmentLength::Text, SegmentLength::Media];

fn key() -> Key {
    Key::take(&mut [0x5a; 32])
}

fn context() -> Context {
    Context {
        vault: "vlt_000102030405060708090a0b0c0d0e0f".parse().unwrap(),
        recording: "rec_101112131415161718191a1b1c1d1e1f".parse().unwrap(),
        leg: Leg::All,
        artefact: Artefact::Audio,
    }
}

/// Returns bytes that differ from one segment to the next, so that a wrong order is detected.
fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| u8::try_from((index * 31 + index / 251) % 256).unwrap())
        .collect()
}

fn seal_in(segment: SegmentLength, plain: &[u8], step: usize) -> (Vec<u8>, SealedLength) {
    let mut sealer = Sealer::new(&key(), &context(), segment).unwrap();
    let mut out = BytesMut::new();
    for part in plain.chunks(step) {
        sealer.push(part, &mut out).unwrap();
    }
    let sealed = sealer.finish(&mut out).unwrap();
    (out.to_vec(), sealed)
}

fn seal(segment: SegmentLength, plain: &[u8]) -> Vec<u8> {
    seal_in(segment, plain, usize::MAX).0
}

fn cut(object: &[u8], range: Range<u64>) -> Result<Bytes, Error> {
    let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
    object
        .get(range)
        .map(Bytes::copy_from_slice)
        .ok_or(Error::Truncated)
}

fn opener(
    segment: SegmentLength,
    key: &Key,
    context: &Context,
    object: &[u8],
) -> Result<Opener, Error> {
    let layout = Layout::of(object.len() as u64, segment)?;
    Opener::new(
        key,
        context,
        layout,
        &cut(object, layout.header())?,
        cut(object, layout.final_segment())?,
    )
}

fn read(
    opener: &mut Opener,
    object: &[u8],
    range: Range<u64>,
    max: usize,
) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    for span in opener
        .layout()
        .spans(range, NonZeroUsize::new(max).unwrap())?
    {
        let slices = opener.open(&span, cut(object, span.sealed())?)?;
        assert_eq!(
            slices.iter().map(Bytes::len).sum::<usize>(),
            span.plain_len()
        );
        plain.extend(slices.into_iter().flatten());
    }
    Ok(plain)
}

/// Opens the whole object from front to back, as a listener does.
fn open(segment: SegmentLength, object: &[u8]) -> Result<Vec<u8>, Error> {
    let mut opener = opener(segment, &key(), &context(), object)?;
    let end = opener.layout().plain_len();
    read(&mut opener, object, 0..end, 3)
}

#[test]
fn every_length_comes_back() {
    for segment in BOTH {
        let full = segment.plain();
        for len in [
            0,
            1,
            full - 1,
            full,
            full + 1,
            2 * full - 1,
            2 * full,
            2 * full + 1,
            5 * full + 77,
        ] {
            let plain = content(len);
            let (object, sealed) = seal_in(segment, &plain, usize::MAX);
            assert_eq!(sealed.plain_len, len as u64);
            assert_eq!(sealed.sealed_len, object.len() as u64);
            assert_eq!(object.len(), 74 + len + 32 * len.div_ceil(full).max(1));
            assert_eq!(open(segment, &object).unwrap(), plain, "{segment:?} {len}");
        }
    }
}

#[test]
fn how_the_input_is_cut_does_not_matter() {
    let plain = content(3 * TEXT + 5);
    for step in [1, 7, TEXT - 1, TEXT, TEXT + 1, 2 * TEXT, 2 * TEXT + 1] {
        let (object, _) = seal_in(SegmentLength::Text, &plain, step);
        assert_eq!(open(SegmentLength::Text, &object).unwrap(), plain, "{step}");
    }
}

#[test]
fn output_that_the_caller_takes_away_is_not_missed() {
    let plain = content(4 * TEXT);
    let mut sealer = Sealer::new(&key(), &context(), SegmentLength::Text).unwrap();
    let mut out = BytesMut::new();
    let mut object = Vec::new();
    for part in plain.chunks(5000) {
        sealer.push(part, &mut out).unwrap();
        object.extend_from_slice(&out.split());
    }
    sealer.finish(&mut out).unwrap();
    object.extend_from_slice(&out);
    assert_eq!(open(SegmentLength::Text, &object).unwrap(), plain);
}

#[test]
fn no_more_than_one_segment_is_kept_back() {
    let mut sealer = Sealer::new(&key(), &context(), SegmentLength::Text).unwrap();
    let mut out = BytesMut::new();
    sealer.push(&content(TEXT), &mut out).unwrap();
    assert_eq!(out.len(), 74, "a full segment may still be the final one");
    sealer.push(&[1], &mut out).unwrap();
    assert_eq!(out.len(), 74 + 16_384);
}

#[test]
fn two_sealings_of_the_same_bytes_have_nothing_in_common() {
    let plain = content(100);
    let one = seal(SegmentLength::Text, &plain);
    let other = seal(SegmentLength::Text, &plain);
    assert_ne!(one[10..], other[10..]);
}

#[test]
fn opening_in_place_and_in_a_copy_agree() {
    let plain = content(2 * TEXT + 9);
    let object = Bytes::from(seal(SegmentLength::Text, &plain));
    let mut opener = opener(SegmentLength::Text, &key(), &context(), &object).unwrap();
    let span = opener
        .layout()
        .spans(0..plain.len() as u64, NonZeroUsize::new(9).unwrap())
        .unwrap()
        .next()
        .unwrap();
    let sealed =
        usize::try_from(span.sealed().start).unwrap()..usize::try_from(span.sealed().end).unwrap();
    let shared = object.slice(sealed.clone());
    let before = shared.clone();
    assert_eq!(opener.open(&span, shared).unwrap().concat(), plain);
    assert_eq!(
        before,
        object[sealed.clone()],
        "bytes that somebody else still holds stay as they are"
    );
    assert_eq!(
        opener
            .open(&span, Bytes::copy_from_slice(&object[sealed]))
            .unwrap()
            .concat(),
        plain
    );
}

#[test]
fn a_span_of_another_object_is_refused() {
    let one = seal(SegmentLength::Text, &content(3 * TEXT));
    let other = seal(SegmentLength::Text, &content(2 * TEXT));
    let span = Layout::of(other.len() as u64, SegmentLength::Text)
        .unwrap()
        .spans(0..9, NonZeroUsize::MIN)
        .unwrap()
        .next()
        .unwrap();
    let mut opener = opener(SegmentLength::Text, &key(), &context(), &one).unwrap();
    let sealed = cut(&one, span.sealed()).unwrap();
    assert_eq!(
        opener.open(&span, sealed).unwrap_err(),
        Error::OutOfRange {
            plain_len: 3 * TEXT as u64
        }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_range_is_the_slice(len in 0..5 * TEXT, a in any::<usize>(), b in any::<usize>(), max in 1..4usize, step in 1..3 * TEXT) {
        let plain = content(len);
        let (object, _) = seal_in(SegmentLength::Text, &plain, step);
        let mut opener = opener(SegmentLength::Text, &key(), &context(), &object).unwrap();
        let a = a % (len + 1);
        let b = b % (len + 1);
        let range = a.min(b)..a.max(b);
        let got = read(&mut opener, &object, range.start as u64..range.end as u64, max).unwrap();
        prop_assert_eq!(&got[..], &plain[range]);
    }

    #[test]
    fn nothing_that_comes_from_outside_panics(object in proptest::collection::vec(any::<u8>(), 0..400), media in any::<bool>()) {
        let segment = if media { SegmentLength::Media } else { SegmentLength::Text };
        prop_assert!(open(segment, &object).is_err());
    }
}
