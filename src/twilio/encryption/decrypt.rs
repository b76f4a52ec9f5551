//! Streaming decryption: AES-256-GCM over a stream that is never held as a whole (NIST SP 800-38D).
//!
//! ```text
//! ciphertext ‖ tag (the last 16 bytes)         H = E(0)     J₀ = nonce ‖ 1     keystream = E(J₀+1), E(J₀+2), …
//! plaintext = ciphertext ⊕ keystream           tag = E(J₀) ⊕ GHASH_H(ciphertext, no associated data)
//! ```
//! Owns the arithmetic. Refuses to know the source of the bytes. No trusted library releases GCM
//! plaintext before it has checked the tag, and a day of audio does not fit into memory. Therefore
//! the mode is composed here from counter mode (aws-lc-rs) and GHASH (RustCrypto). The tests
//! compare it with the GCM of both libraries.
//!
//! INVARIANT: the output before [`Decryptor::finish`] is not authentic yet. The consumer must be
//! able to discard all of it: it flows into a deposit, which commits nothing when the stream ends
//! with an error.

use std::fmt;

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey},
    iv::FixedLength,
};
use bytes::{Bytes, BytesMut};
use ghash::{Block, GHash, universal_hash::UniversalHash as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Key;

const BLOCK: usize = 16;
/// Bytes of the tag at the end.
pub(in crate::twilio) const TAG: usize = 16;
/// The longest plaintext of one key and nonce: 2³² − 2 blocks, before the counter would wrap.
const MAX_LEN: u64 = ((1 << 32) - 2) * BLOCK as u64;

/// Decrypts ciphertext piece by piece, and checks its authenticity at the end.
pub struct Decryptor {
    keystream: StreamingDecryptingKey,
    ghash: GHash,
    /// E(J₀).
    mask: Zeroizing<[u8; BLOCK]>,
    /// Less than two blocks: the possible tag, and the start of an incomplete block.
    held: BytesMut,
    /// Bytes decrypted so far.
    done: u64,
}

/// The reason for a failed decryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Truncated, altered, or encrypted under another key or nonce.
    #[error("the tag is wrong")]
    Tag,
    /// Longer than AES-GCM can encrypt.
    #[error("it is longer than 64 GiB")]
    TooLong,
}

impl Decryptor {
    /// Creates a decryptor for one file.
    pub fn new(key: &Key, nonce: &[u8; 12]) -> Self {
        let h = block(&mut keystream(key, [0; BLOCK]));
        let mut first = [0; BLOCK];
        let (start, counter) = first.split_at_mut(nonce.len());
        start.copy_from_slice(nonce);
        counter.copy_from_slice(&1u32.to_be_bytes());
        let mut keystream = keystream(key, first);
        let mask = block(&mut keystream);
        let ghash = GHash::new(&(*h).into());
        Self {
            keystream,
            ghash,
            mask,
            held: BytesMut::with_capacity(2 * BLOCK),
            done: 0,
        }
    }

    /// Takes a piece of ciphertext. Returns the plaintext of all complete blocks that cannot be
    /// part of the tag.
    ///
    /// # Errors
    /// [`DecryptError::TooLong`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, DecryptError> {
        let ready = (self.held.len() + piece.len()).saturating_sub(TAG) / BLOCK * BLOCK;
        if ready == 0 {
            self.held.extend_from_slice(piece);
            return Ok(Bytes::new());
        }
        // The block that the last piece began is completed; the rest is decrypted without a copy of
        // the input.
        let mut out = BytesMut::zeroed(ready + BLOCK);
        let whole = self.held.len().next_multiple_of(BLOCK).min(ready);
        let (start, piece) = piece.split_at(whole.saturating_sub(self.held.len()));
        self.held.extend_from_slice(start);
        let begun = self.held.split_to(whole);
        let (middle, rest) = piece.split_at(ready - whole);
        self.decrypt(&begun, &mut out)?;
        self.decrypt(middle, out.get_mut(whole..).unwrap_or_default())?;
        self.held.extend_from_slice(rest);
        out.truncate(ready);
        Ok(out.freeze())
    }

    /// Returns the last bytes of the plaintext, fewer than 16, if all of it was authentic.
    ///
    /// # Errors
    /// [`DecryptError`]: the whole output is worthless.
    pub fn finish(mut self) -> Result<Bytes, DecryptError> {
        let rest = self.held.len().checked_sub(TAG).ok_or(DecryptError::Tag)?;
        let rest = self.held.split_to(rest);
        let tag = self.held.split();
        let mut out = BytesMut::zeroed(rest.len() + BLOCK);
        self.decrypt(&rest, &mut out)?;
        out.truncate(rest.len());
        // Both lengths in bits, that of the associated data first.
        self.ghash
            .update(&[(u128::from(self.done) * 8).to_be_bytes().into()]);
        let mut computed = self.ghash.finalize();
        computed
            .iter_mut()
            .zip(self.mask.iter())
            .for_each(|(byte, mask)| *byte ^= mask);
        if bool::from(computed.as_slice().ct_eq(&tag)) {
            Ok(out.freeze())
        } else {
            Err(DecryptError::Tag)
        }
    }

    /// Hashes ciphertext and decrypts it to the beginning of `out`, which has room for one block
    /// more. Only the last piece may end with an incomplete block.
    fn decrypt(&mut self, ciphertext: &[u8], out: &mut [u8]) -> Result<(), DecryptError> {
        if ciphertext.is_empty() {
            return Ok(());
        }
        self.done += ciphertext.len() as u64;
        if self.done > MAX_LEN {
            return Err(DecryptError::TooLong);
        }
        let (blocks, _) = Block::slice_as_chunks(ciphertext);
        self.ghash.update(blocks);
        let last = ciphertext.len() - blocks.len() * BLOCK;
        if last > 0 {
            let mut padded = [0; BLOCK];
            padded
                .iter_mut()
                .zip(ciphertext.iter().skip(blocks.len() * BLOCK))
                .for_each(|(to, from)| *to = *from);
            self.ghash.update(&[padded.into()]);
        }
        self.keystream
            .update(ciphertext, out)
            .expect("the output has room for a block more than the input");
        Ok(())
    }
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decryptor(…)")
    }
}

/// Returns AES-256 in counter mode, starting with this block. aws-lc-rs counts with the whole block
/// and GCM with its last 32 bits; both are equal until the counter wraps, which [`MAX_LEN`]
/// prevents.
fn keystream(key: &Key, first: [u8; BLOCK]) -> StreamingDecryptingKey {
    let key = UnboundCipherKey::new(&AES_256, key.expose()).expect("the key has 32 bytes");
    StreamingDecryptingKey::ctr(key, DecryptionContext::Iv128(FixedLength::from(first)))
        .expect("AES has a counter mode")
}

/// Returns the next block of a keystream.
fn block(keystream: &mut StreamingDecryptingKey) -> Zeroizing<[u8; BLOCK]> {
    let mut out = Zeroizing::new([0; 2 * BLOCK]);
    keystream
        .update(&[0; BLOCK], out.as_mut_slice())
        .expect("the output has room for a block more than the input");
    let mut block = Zeroizing::new([0; BLOCK]);
    block
        .iter_mut()
        .zip(out.iter())
        .for_each(|(to, from)| *to = *from);
    block
}

#[cfg(test)]
mod tests;
