//! Our unpadding against aws-lc-rs: each padded block is encrypted with the public exponent and
//! decrypted by aws-lc-rs. Both must give the same result for every block.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::twilio::encryption::{Pair, PrivateKey, UnwrapKey as _};

const K: usize = 256;

/// Pads a message of any length by RFC 8017, section 7.1.1, step 2, with the test's own seed.
fn padded(message: &[u8], seed: [u8; HASH]) -> Vec<u8> {
    let mut db = digest(&SHA256, b"").as_ref().to_vec();
    db.resize(K - HASH - 2 - message.len(), 0);
    db.push(1);
    db.extend_from_slice(message);
    masked(0, seed, db)
}

fn masked(first: u8, seed: [u8; HASH], mut db: Vec<u8>) -> Vec<u8> {
    xor(&mut db, &mask(&seed, K - HASH - 1));
    let mut seed = seed;
    xor(&mut seed, &mask(&db, HASH));
    [&[first], seed.as_slice(), &db].concat()
}

/// A pair of keys, and the modulus (big endian).
fn pair() -> &'static (PrivateKey, Vec<u8>) {
    static PAIR: OnceLock<(PrivateKey, Vec<u8>)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let pair = Pair::new();
        let at = pair
            .public
            .windows(5)
            .position(|bytes| bytes == [0x02, 0x82, 0x01, 0x01, 0x00])
            .unwrap()
            + 5;
        (
            PrivateKey::from_pem(&pair.pem()).unwrap(),
            pair.public[at..at + K].to_vec(),
        )
    })
}

/// block ^ 65537 mod n, bit by bit: slow, but easy to verify.
fn encrypt(block: &[u8], n: &[u8]) -> Vec<u8> {
    let limbs = |bytes: &[u8]| -> Vec<u32> {
        bytes
            .rchunks(4)
            .map(|four| u32::from_be_bytes(four.try_into().unwrap()))
            .collect()
    };
    let m = limbs(block);
    let n = limbs(n);
    let mut power = m.clone();
    for _ in 0..16 {
        power = times(&power, &power, &n);
    }
    times(&power, &m, &n)
        .iter()
        .rev()
        .flat_map(|limb| limb.to_be_bytes())
        .collect()
}

fn times(a: &[u32], b: &[u32], n: &[u32]) -> Vec<u32> {
    let mut sum = vec![0; n.len()];
    for bit in (0..b.len() * 32).rev() {
        let double = sum.clone();
        add(&mut sum, &double, n);
        if b[bit / 32] >> (bit % 32) & 1 == 1 {
            add(&mut sum, a, n);
        }
    }
    sum
}

/// sum = sum + other mod n.
fn add(sum: &mut [u32], other: &[u32], n: &[u32]) {
    let mut carry = false;
    for (to, from) in sum.iter_mut().zip(other) {
        let (total, over) = to.overflowing_add(*from);
        let (total, again) = total.overflowing_add(carry.into());
        (*to, carry) = (total, over || again);
    }
    let is_less = !carry && sum.iter().rev().lt(n.iter().rev());
    if !is_less {
        let mut borrow = false;
        for (to, from) in sum.iter_mut().zip(n) {
            let (total, under) = to.overflowing_sub(*from);
            let (total, again) = total.overflowing_sub(borrow.into());
            (*to, borrow) = (total, under || again);
        }
    }
}

/// Encrypts the block and returns the result of aws-lc-rs for it.
fn by_aws_lc(block: &[u8]) -> Option<Key> {
    let (private, n) = pair();
    private.unwrap(&encrypt(block, n)).ok()
}

fn both(block: &[u8]) -> Option<Key> {
    let ours = unpad(block);
    assert_eq!(ours, by_aws_lc(block), "{}", hex::encode(block));
    ours
}

#[test]
fn a_key_that_is_padded_by_the_book_comes_out() {
    assert_eq!(
        both(&padded(&[7; 32], [3; HASH])),
        Key::from_slice(&[7; 32])
    );
}

#[test]
fn each_part_of_the_padding_is_looked_at() {
    let seed = [3; HASH];
    let message = [7; 32];
    let well = || {
        let mut db = digest(&SHA256, b"").as_ref().to_vec();
        db.resize(K - HASH - 2 - message.len(), 0);
        db.push(1);
        db.extend_from_slice(&message);
        db
    };
    let with = |at: usize, byte: u8| {
        let mut db = well();
        db[at] = byte;
        masked(0, seed, db)
    };
    let one = K - HASH - 1 - 33;
    // The first and the last byte of the label's hash, of the zeros, and the one.
    let hash = digest(&SHA256, b"").as_ref().to_vec();
    for (at, byte) in [
        (0, !hash[0]),
        (31, !hash[31]),
        (32, 2),
        (one - 1, 2),
        (one, 0),
        (one, 2),
    ] {
        assert_eq!(both(&with(at, byte)), None, "{at}");
    }
    // The `1` too early: 33 bytes of message, which is no key.
    assert_eq!(both(&with(one - 1, 1)), None);
    for length in [0, 31, 33] {
        assert_eq!(both(&padded(&vec![7; length], seed)), None, "{length}");
    }
    // The first byte: 1 is below a modulus of 2048 bits, whose first byte is at least 128.
    assert_eq!(both(&masked(1, seed, well())), None);
}

#[test]
fn a_block_that_is_too_short_is_none() {
    for length in 0..K {
        assert_eq!(unpad(&vec![0; length]), None, "{length}");
    }
    // The shortest that can hold a key.
    let mut db = digest(&SHA256, b"").as_ref().to_vec();
    db.push(1);
    db.extend_from_slice(&[7; 32]);
    let mut seed = [3; HASH];
    let length = db.len();
    xor(&mut db, &mask(&seed, length));
    xor(&mut seed, &mask(&db, HASH));
    let block = [&[0], seed.as_slice(), &db].concat();
    assert_eq!(block.len(), 98);
    assert_eq!(unpad(&block), Key::from_slice(&[7; 32]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_flipped_both_say_the_same(
        seed in any::<[u8; HASH]>(), message in any::<[u8; 32]>(), at in 1_usize..K, flip in any::<u8>(),
    ) {
        let mut block = padded(&message, seed);
        block[at] ^= flip;
        let found = both(&block);
        prop_assert_eq!(found.is_some(), flip == 0);
    }
}
