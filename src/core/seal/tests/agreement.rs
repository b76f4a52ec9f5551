//! Tests of compatibility: our objects are FLOE messages to other implementations, theirs open
//! here, and older objects still open.

use floe_rs::gcm::{FloeDecryptor, FloeEncryptor, FloeKey, Header, Segment};

use super::super::Bound as _;
use super::*;

const LENGTHS: [usize; 7] = [0, 1, 16_351, 16_352, 16_353, 65_504, 200_000];

fn sealed_by_floe_rs<const S: u32>(plain: &[u8]) -> Vec<u8> {
    let data = context().associated_data();
    let encryptor = FloeEncryptor::<S>::new(&FloeKey::from([0x5a; 32]), &data);
    let header = encryptor.header();
    let mut object = vec![header.parameters().aead_id(), header.parameters().kdf_id()];
    object.extend_from_slice(&header.parameters().segment_length().to_be_bytes());
    object.extend_from_slice(&header.parameters().floe_iv_size().to_be_bytes());
    object.extend_from_slice(header.iv().as_array());
    object.extend_from_slice(header.tag().as_array());
    let segments: Vec<&[u8]> = if plain.is_empty() {
        vec![&[]]
    } else {
        plain.chunks(encryptor.input_size()).collect()
    };
    for (position, segment) in segments.iter().enumerate() {
        let mut sealed = vec![0; encryptor.output_size(segment)];
        encryptor
            .encrypt_segment(
                segment,
                &mut sealed,
                position as u64,
                position + 1 == segments.len(),
            )
            .unwrap();
        object.extend_from_slice(&sealed);
    }
    object
}

fn opened_by_floe_rs<const S: u32>(object: &[u8]) -> Vec<u8> {
    let data = context().associated_data();
    let header = Header::from_bytes(&object[..Header::LENGTH]).unwrap();
    let decryptor = FloeDecryptor::<S>::new(&FloeKey::from([0x5a; 32]), &data, &header).unwrap();
    let segments: Vec<&[u8]> = object[Header::LENGTH..].chunks(S as usize).collect();
    let mut plain = Vec::new();
    for (position, segment) in segments.iter().enumerate() {
        let segment = Segment::from_bytes(segment).unwrap();
        let mut opened = vec![0; segment.plaintext_size()];
        decryptor
            .decrypt_segment(
                &segment,
                &mut opened,
                position as u64,
                position + 1 == segments.len(),
            )
            .unwrap();
        plain.extend_from_slice(&opened);
    }
    plain
}

#[test]
fn floe_rs_opens_what_we_seal() {
    for len in LENGTHS {
        let plain = content(len);
        assert_eq!(
            opened_by_floe_rs::<16_384>(&seal(SegmentLength::Text, &plain)),
            plain,
            "{len}"
        );
        assert_eq!(
            opened_by_floe_rs::<65_536>(&seal(SegmentLength::Media, &plain)),
            plain,
            "{len}"
        );
    }
}

#[test]
fn we_open_what_floe_rs_seals() {
    for len in LENGTHS {
        let plain = content(len);
        assert_eq!(
            open(SegmentLength::Text, &sealed_by_floe_rs::<16_384>(&plain)).unwrap(),
            plain,
            "{len}"
        );
        assert_eq!(
            open(SegmentLength::Media, &sealed_by_floe_rs::<65_536>(&plain)).unwrap(),
            plain,
            "{len}"
        );
    }
}

#[test]
fn whole_messages_agree_with_fast_floe_both_ways() {
    let floe = fast_floe::Key::from_bytes([0x5a; 32]);
    let data = context().associated_data();
    for segment in BOTH {
        for len in LENGTHS {
            let plain = content(len);
            assert_eq!(
                fast_floe::decrypt(&floe, &data, &seal(segment, &plain)).unwrap(),
                plain,
                "{len}"
            );
            let object =
                fast_floe::encrypt(&floe, &data, segment.parameters().unwrap(), &plain).unwrap();
            assert_eq!(open(segment, &object).unwrap(), plain, "{len}");
        }
    }
}

/// An object that floe-rs 0.1.0 sealed under the key and context of these tests, stored as a file:
/// format and associated data must not change.
#[test]
fn an_object_of_the_first_version_still_opens() {
    let object = hex::decode(
        include_str!("../../../../tests/vectors/sealed-object-1.hex")
            .split_whitespace()
            .collect::<String>(),
    )
    .unwrap();
    assert_eq!(
        open(SegmentLength::Text, &object).unwrap(),
        b"This call is recorded for quality review."
    );
}
