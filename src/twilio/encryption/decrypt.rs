//! Decrypting while the bytes arrive: AES-256-GCM over a stream that is never held as a whole (NIST
//! SP 800-38D).
//!
//! ```text
//! ciphertext ‖ tag (the last 16 bytes)         H = E(0)     J₀ = nonce ‖ 1     keystream = E(J₀+1), E(J₀+2), …
//! plaintext = ciphertext ⊕ keystream           tag = E(J₀) ⊕ GHASH_H(ciphertext, no associated data)
//! ```
//! Owns the arithmetic. Refuses to know where the bytes come from. No library that we trust gives
//! out bytes of GCM before it has seen the tag, and a day of sound does not fit into memory; so the
//! mode is put together here from two parts of such libraries, counter mode (aws-lc-rs) and GHASH
//! (RustCrypto), and held against both libraries' own GCM in the tests.
//!
//! INVARIANT: what comes out before [`Decryptor::finish`] is not authentic yet. Whoever takes it
//! must be able to drop it all: it flows into a deposit, which commits nothing when the stream ends
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
/// The most that one key and nonce encrypt: 2³² − 2 blocks, before the counter would come round.
const MAX_LEN: u64 = ((1 << 32) - 2) * BLOCK as u64;

/// Takes ciphertext piece by piece, gives plaintext, and says at the end whether it was authentic.
pub struct Decryptor {
    keystream: StreamingDecryptingKey,
    ghash: GHash,
    /// E(J₀).
    mask: Zeroizing<[u8; BLOCK]>,
    /// Less than two blocks: what may be the tag, and what does not fill a block yet.
    held: BytesMut,
    /// Bytes decrypted so far.
    done: u64,
}

/// Why there is no plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Cut, altered, or encrypted otherwise.
    #[error("the tag is wrong")]
    Tag,
    /// Longer than AES-GCM can encrypt.
    #[error("it is longer than 64 GiB")]
    TooLong,
}

impl Decryptor {
    /// For one file.
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

    /// Takes a piece; gives what of the plaintext is known by now, whole blocks except those that
    /// may be the tag.
    ///
    /// # Errors
    /// [`DecryptError::TooLong`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, DecryptError> {
        let ready = (self.held.len() + piece.len()).saturating_sub(TAG) / BLOCK * BLOCK;
        if ready == 0 {
            self.held.extend_from_slice(piece);
            return Ok(Bytes::new());
        }
        // The block that began in the piece before is made whole; the rest is decrypted where it
        // is.
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

    /// The last bytes of the plaintext, fewer than 16, if all of it was authentic.
    ///
    /// # Errors
    /// [`DecryptError`]: everything that came out is worthless.
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
    /// more. Only the last piece is no whole number of blocks.
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

/// AES-256 in counter mode from this block on. The counter of aws-lc-rs is the whole block and that
/// of GCM its last 32 bits; they are the same as long as it does not come round, which [`MAX_LEN`]
/// sees to.
fn keystream(key: &Key, first: [u8; BLOCK]) -> StreamingDecryptingKey {
    let key = UnboundCipherKey::new(&AES_256, key.expose()).expect("the key has 32 bytes");
    StreamingDecryptingKey::ctr(key, DecryptionContext::Iv128(FixedLength::from(first)))
        .expect("AES has a counter mode")
}

/// The next block of a keystream.
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
