//! Removes OAEP padding (RFC 8017, 7.1.2 step 3) from a block that a token decrypted raw.
//!
//! For tokens that support OAEP only with SHA-1, such as SoftHSM 2: the token performs the RSA
//! operation with the private key, which never leaves it, and the padding is checked here. Owns
//! nothing else.
//!
//! INVARIANT: neither the result nor the time reveals which part of the padding is wrong:
//! everything is computed and compared in full, and one bit decides at the end. Manger's attack
//! (CRYPTO 2001) only needs to know whether the first byte was zero.

use aws_lc_rs::digest::{SHA256, digest};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::secret::Key;

const HASH: usize = 32;

/// Returns the content key from a padded block:
/// `0 ‖ masked seed ‖ masked (hash of the empty label ‖ zeros ‖ 1 ‖ key)`. `block` is as long as
/// the modulus.
///
/// A key has exactly 32 bytes, so the position of the `1` is known, and no search is needed.
/// Returns `None` for anything else.
pub fn unpad(block: &[u8]) -> Option<Key> {
    let mut block = Zeroizing::new(block.to_vec());
    // Lengths are public: those of the modulus and of the hash.
    let (first, rest) = block.split_first_mut()?;
    let (seed, db) = rest.split_at_mut_checked(HASH)?;
    let (padding, key) = db
        .len()
        .checked_sub(Key::LEN)
        .filter(|&at| at > HASH)
        .and_then(|at| db.split_at_mut_checked(at))?;

    let mut masked = Zeroizing::new([padding as &[u8], key].concat());
    xor(seed, &mask(&masked, HASH));
    let db_mask = mask(seed, masked.len());
    xor(&mut masked, &db_mask);
    let (padding, key) = masked.split_at_checked(padding.len())?;

    let mut expected = digest(&SHA256, b"").as_ref().to_vec();
    expected.resize(padding.len() - 1, 0);
    expected.push(1);
    let is_right: Choice = first.ct_eq(&0) & padding.ct_eq(&expected);
    let key = Key::from_slice(key)?;
    bool::from(is_right).then_some(key)
}

/// MGF1 with SHA-256 (RFC 8017, appendix B.2.1).
fn mask(seed: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(length + HASH));
    for counter in 0u32.. {
        if out.len() >= length {
            break;
        }
        let input = Zeroizing::new([seed, &counter.to_be_bytes()].concat());
        out.extend_from_slice(digest(&SHA256, &input).as_ref());
    }
    out.truncate(length);
    out
}

fn xor(bytes: &mut [u8], mask: &[u8]) {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
