//! Tests of attacks by anyone with write access to the store: none of them yields a byte.

use super::super::Bound as _;
use super::*;
use crate::model::{
    encoding::length_prefixed,
    id::{RecordingId, VaultId},
};

const HEADER: usize = 74;
const STEP: usize = 16_384;

fn refused(object: &[u8]) -> Error {
    match open(SegmentLength::Text, object) {
        Err(error) => error,
        Ok(plain) => panic!("{} bytes were released", plain.len()),
    }
}

/// Returns the object with its segments in another order.
fn arranged(object: &[u8], order: &[usize]) -> Vec<u8> {
    let segments: Vec<&[u8]> = object[HEADER..].chunks(STEP).collect();
    let mut arranged = object[..HEADER].to_vec();
    arranged.extend(order.iter().flat_map(|index| segments[*index]));
    arranged
}

#[test]
fn each_byte_flipped() {
    let object = seal(SegmentLength::Text, b"what was said");
    for at in 0..object.len() {
        for bit in [0x01, 0x80] {
            let mut altered = object.clone();
            altered[at] ^= bit;
            let error = refused(&altered);
            assert!(
                matches!(
                    error,
                    Error::NotAuthentic | Error::Truncated | Error::UnknownFormat
                ),
                "{at}: {error:?}"
            );
        }
    }
}

#[test]
fn one_byte_flipped_in_any_segment_spoils_its_span_and_no_other() {
    let plain = content(4 * TEXT);
    let object = seal(SegmentLength::Text, &plain);
    for at in [
        HEADER,
        HEADER + 5,
        HEADER + STEP + 100,
        HEADER + 3 * STEP - 1,
    ] {
        let mut altered = object.clone();
        altered[at] ^= 1;
        let bad = (at - HEADER) / STEP;
        let mut opener = opener(SegmentLength::Text, &key(), &context(), &altered).unwrap();
        for index in 0..4 {
            let range = (index * TEXT) as u64..((index + 1) * TEXT) as u64;
            assert_eq!(
                read(&mut opener, &altered, range, 1).is_err(),
                index == bad,
                "{at} {index}"
            );
        }
        assert_eq!(
            read(&mut opener, &altered, 0..4 * TEXT as u64, 4),
            Err(Error::NotAuthentic)
        );
    }
}

#[test]
fn segments_swapped_dropped_repeated() {
    let object = seal(SegmentLength::Text, &content(3 * TEXT + 10));
    assert!(open(SegmentLength::Text, &arranged(&object, &[0, 1, 2, 3])).is_ok());
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 2, 1, 3],
        &[0, 0, 2, 3],
        &[0, 2, 3],
        &[1, 2, 3],
        &[0, 1, 1, 2, 3],
        &[0, 1, 2, 3, 3],
        &[0, 1, 2, 2],
        &[3],
        &[0, 1, 2],
        &[],
    ] {
        assert!(
            matches!(
                refused(&arranged(&object, order)),
                Error::NotAuthentic | Error::Truncated
            ),
            "{order:?}"
        );
    }
}

#[test]
fn segments_spliced_from_another_object_of_the_same_key_and_context() {
    let one = seal(SegmentLength::Text, &content(3 * TEXT));
    let other = seal(SegmentLength::Text, &content(3 * TEXT));
    for index in 0..3 {
        let mut spliced = one.clone();
        let place = HEADER + index * STEP..HEADER + (index + 1) * STEP;
        spliced[place.clone()].copy_from_slice(&other[place]);
        assert_eq!(refused(&spliced), Error::NotAuthentic, "{index}");
    }
    let mut beheaded = one;
    beheaded[..HEADER].copy_from_slice(&other[..HEADER]);
    assert_eq!(refused(&beheaded), Error::NotAuthentic);
}

#[test]
fn every_truncation_of_a_small_object() {
    let object = seal(SegmentLength::Text, &content(300));
    for len in 0..object.len() {
        assert_eq!(refused(&object[..len]), Error::Truncated, "{len}");
    }
}

#[test]
fn truncation_at_and_around_each_segment_boundary() {
    for len in [4 * TEXT, 4 * TEXT + 1] {
        let object = seal(SegmentLength::Text, &content(len));
        for boundary in (0..=4)
            .map(|index| HEADER + index * STEP)
            .filter(|boundary| *boundary < object.len())
        {
            for cut in [
                boundary - 1,
                boundary,
                boundary + 1,
                boundary + 31,
                boundary + 32,
            ] {
                if cut < object.len() {
                    assert_eq!(refused(&object[..cut]), Error::Truncated, "{cut}");
                }
            }
        }
    }
}

#[test]
fn bytes_added_at_the_end() {
    let object = seal(SegmentLength::Text, &content(300));
    for more in [1, 31, 32, STEP] {
        let mut longer = object.clone();
        longer.resize(object.len() + more, 0);
        assert!(
            matches!(refused(&longer), Error::NotAuthentic | Error::Truncated),
            "{more}"
        );
    }
}

#[test]
fn a_piece_of_the_wrong_length_is_not_opened() {
    let object = seal(SegmentLength::Text, &content(2 * TEXT));
    let layout = Layout::of(object.len() as u64, SegmentLength::Text).unwrap();
    let header = cut(&object, layout.header()).unwrap();
    let last = cut(&object, layout.final_segment()).unwrap();
    for (header, last) in [
        (header.slice(1..), last.clone()),
        (header.clone(), last.slice(1..)),
        (header.clone(), Bytes::new()),
    ] {
        assert_eq!(
            Opener::new(&key(), &context(), layout, &header, last).err(),
            Some(Error::Truncated)
        );
    }
    let mut opener = Opener::new(&key(), &context(), layout, &header, last).unwrap();
    let span = layout
        .spans(0..1, NonZeroUsize::MIN)
        .unwrap()
        .next()
        .unwrap();
    for len in [0, STEP - 1, STEP + 1] {
        assert_eq!(
            opener.open(&span, Bytes::from(vec![0; len])).unwrap_err(),
            Error::Truncated
        );
    }
}

#[test]
fn each_field_of_the_context_changed_alone() {
    let object = seal(SegmentLength::Text, b"what was said");
    let vault = VaultId::random(&mut rand::rng());
    let recording = RecordingId::random(&mut rand::rng());
    let legs = [Leg::Caller, Leg::Callee].map(|leg| Context { leg, ..context() });
    let artefacts = [
        Artefact::Transcript,
        Artefact::Media(0),
        Artefact::Media(255),
    ];
    let artefacts = artefacts.map(|artefact| Context {
        artefact,
        ..context()
    });
    let others = [
        Context { vault, ..context() },
        Context {
            recording,
            ..context()
        },
    ];
    for other in others.into_iter().chain(legs).chain(artefacts) {
        assert_eq!(
            opener(SegmentLength::Text, &key(), &other, &object).err(),
            Some(Error::NotAuthentic),
            "{other:?}"
        );
    }
}

/// The label is a constant; its changes and those of the other fields are passed to FLOE directly.
#[test]
fn each_field_of_the_associated_data_changed_alone() {
    let object = seal(SegmentLength::Text, b"what was said");
    let floe = fast_floe::Key::from_bytes([0x5a; 32]);
    let vault = context().vault;
    let recording = context().recording;
    let right = [
        b"recvault/object/1".as_slice(),
        vault.as_bytes(),
        recording.as_bytes(),
        b"all",
        b"audio",
    ];
    assert!(fast_floe::decrypt(&floe, &length_prefixed(&right), &object).is_ok());
    for (index, wrong) in [
        b"recvault/object/2".as_slice(),
        &[0; 16],
        &[0; 16],
        b"1",
        b"transcript",
    ]
    .into_iter()
    .enumerate()
    {
        let mut fields = right;
        fields[index] = wrong;
        assert!(
            fast_floe::decrypt(&floe, &length_prefixed(&fields), &object).is_err(),
            "{index}"
        );
    }
}

#[test]
fn the_wrong_key() {
    let object = seal(SegmentLength::Text, b"what was said");
    let mut bytes = [0x5a; 32];
    bytes[31] ^= 1;
    assert_eq!(
        opener(
            SegmentLength::Text,
            &Key::take(&mut bytes),
            &context(),
            &object
        )
        .err(),
        Some(Error::NotAuthentic)
    );
}

#[test]
fn a_header_that_names_other_parameters_is_refused_before_use() {
    let object = seal(SegmentLength::Text, b"what was said");
    let with = |at: usize, bytes: &[u8]| {
        let mut altered = object.clone();
        altered[at..at + bytes.len()].copy_from_slice(bytes);
        refused(&altered)
    };
    for length in [
        0u32,
        63,
        64,
        4096,
        16_383,
        16_385,
        65_536,
        1 << 20,
        u32::MAX - 1,
        u32::MAX,
    ] {
        assert_eq!(
            with(2, &length.to_be_bytes()),
            Error::UnknownFormat,
            "{length}"
        );
    }
    assert_eq!(with(0, &[1]), Error::UnknownFormat, "another AEAD");
    assert_eq!(with(1, &[1]), Error::UnknownFormat, "another KDF");
    assert_eq!(
        with(6, &16u32.to_be_bytes()),
        Error::UnknownFormat,
        "another IV length"
    );
}

#[test]
fn an_honest_message_in_a_foreign_segment_length_is_refused() {
    let floe = fast_floe::Key::from_bytes([0x5a; 32]);
    for parameters in [
        fast_floe::Parameters::SEGMENT_4_KIB,
        fast_floe::Parameters::SEGMENT_1_MIB,
    ] {
        let object = fast_floe::encrypt(
            &floe,
            &context().associated_data(),
            parameters,
            b"what was said",
        )
        .unwrap();
        assert_eq!(refused(&object), Error::UnknownFormat);
    }
}
