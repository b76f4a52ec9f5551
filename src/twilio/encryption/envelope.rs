//! Files of Video that are encrypted with their customer's own public key
//! (<https://www.twilio.com/docs/video/tutorials/encrypted-recordings>).
//!
//! ```text
//! content key (AES-256, one a file) ─ RSAES-PKCS1-v1_5 ─▶ wrapped key                        in the object's headers
//! file ─ AES-256-CBC, PKCS #7 padding ─▶ ciphertext                                           the object
//! ```
//! Owns the headers, which are those of the envelope encryption of S3 clients, and the streaming
//! decryption. Refuses to judge the plaintext (`media`).
//!
//! INVARIANT: nothing here authenticates. CBC has no tag: whoever can change the object can change
//! the plaintext, unnoticed but for its padding, its length and its container. Therefore the result
//! is sealed first, and hashed as received. A wrapped key that does not open has one error, whatever
//! the reason (Bleichenbacher, CRYPTO 1998). No error holds a key. A private key that is not the
//! file's own may open the wrapped key as another one, instead of an error (implicit rejection): which
//! content key is the file's own is decided by the beginning of the plaintext.

use std::fmt;

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey},
    iv::FixedLength,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};

use super::keys::{EncryptionKeys, UnwrapError};
use crate::{secret::Key, twilio::container::FileContainer};

const BLOCK: usize = 16;
/// The length of a wrapped key in bytes: that of the RSA modulus, 2048 to 8192 bits.
const WRAPPED: std::ops::RangeInclusive<usize> = 256..=1024;

/// The names of the headers, after `x-amz-meta-`.
const KEY: &str = "x-amz-key";
const IV: &str = "x-amz-iv";
const LENGTH: &str = "x-amz-unencrypted-content-length";

/// What an object's headers say about its encryption.
#[derive(Clone, PartialEq, Eq)]
pub struct FileEnvelope {
    wrapped_key: Vec<u8>,
    iv: [u8; BLOCK],
    /// Bytes of the plaintext.
    length: u64,
}

/// The headers cannot be used. Holds no value of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Some headers are present, and this one is missing.
    #[error("the object has no header `x-amz-meta-{0}`")]
    Missing(&'static str),
    /// A header of another form.
    #[error("the object's header `x-amz-meta-{field}` is malformed: expected {expected}")]
    Malformed {
        /// The header's name after `x-amz-meta-`.
        field: &'static str,
        /// The expected form.
        expected: &'static str,
    },
}

/// The reason why no content key is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeKeyError {
    /// None of the configured private keys opens it.
    #[error("no private key of `twilio.encryption_keys` opens its content key")]
    NoKey,
    /// A token cannot be used now, and no other key opens it.
    #[error("{0}")]
    Place(String),
}

impl FileEnvelope {
    /// Reads the headers; `header` returns the value of a name after `x-amz-meta-`. `None` if the
    /// object is not encrypted.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub(in crate::twilio) fn read<'a>(
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<Option<Self>, EnvelopeError> {
        let found = [KEY, IV, LENGTH].map(|name| (name, header(name)));
        if found.iter().all(|(_, value)| value.is_none()) {
            return Ok(None);
        }

        let [key, iv, length] =
            found.map(|(name, value)| value.ok_or(EnvelopeError::Missing(name)));
        let (key, iv, length) = (key?, iv?, length?);
        let malformed = |field, expected| EnvelopeError::Malformed { field, expected };
        let wrapped_key = STANDARD.decode(key.trim()).ok();
        let iv = STANDARD.decode(iv.trim()).ok();
        Ok(Some(Self {
            wrapped_key: wrapped_key
                .filter(|wrapped| WRAPPED.contains(&wrapped.len()))
                .ok_or(malformed(KEY, "base64 of 256 to 1024 bytes"))?,
            iv: iv
                .and_then(|iv| iv.try_into().ok())
                .ok_or(malformed(IV, "base64 of 16 bytes"))?,
            length: length
                .trim()
                .parse()
                .map_err(|_| malformed(LENGTH, "a number of bytes"))?,
        }))
    }

    /// Returns the number of bytes of the plaintext.
    pub fn plain_len(&self) -> u64 {
        self.length
    }

    /// Returns the decryptor. The headers do not name the public key, so every private key is
    /// tried, and each content key that one of them returns. May block as long as a token needs.
    ///
    /// # Errors
    /// [`EnvelopeKeyError`].
    pub fn decryptor(&self, keys: &EncryptionKeys) -> Result<FileDecryptor, EnvelopeKeyError> {
        let mut why = EnvelopeKeyError::NoKey;
        let mut opened = Vec::new();
        for key in keys.all() {
            match key.unwrap_pkcs1(&self.wrapped_key) {
                Ok(key) => opened.push(key),
                Err(UnwrapError::Rejected) => {}
                Err(UnwrapError::Place(place)) => why = EnvelopeKeyError::Place(place),
            }
        }
        if opened.is_empty() {
            Err(why)
        } else {
            Ok(FileDecryptor::new(&opened, self))
        }
    }
}

impl fmt::Debug for FileEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileEnvelope")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Decrypts a file piece by piece. The result is not authentic.
pub struct FileDecryptor {
    /// Those that may be the file's own; one, once there is plaintext.
    keys: Vec<StreamingDecryptingKey>,
    container: FileContainer,
    expected: u64,
    done: u64,
}

/// The padding or the length of the plaintext is wrong: it was cut, altered, or encrypted under
/// another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its padding or its length is wrong")]
pub struct FileDecryptError;

impl FileDecryptor {
    fn new(keys: &[Key], envelope: &FileEnvelope) -> Self {
        let decrypting = |key: &Key| {
            let key = UnboundCipherKey::new(&AES_256, key.expose()).expect("the key has 32 bytes");
            let context = DecryptionContext::Iv128(FixedLength::from(envelope.iv));
            StreamingDecryptingKey::cbc_pkcs7(key, context).expect("AES has a CBC mode")
        };
        Self {
            keys: keys.iter().map(decrypting).collect(),
            container: FileContainer::Any,
            expected: envelope.length,
            done: 0,
        }
    }

    /// Says what the plaintext must be. Call before the first piece.
    #[must_use]
    pub(in crate::twilio) fn expecting(mut self, container: FileContainer) -> Self {
        self.container = container;
        self
    }

    /// Takes a piece of ciphertext and returns the plaintext that is certain.
    ///
    /// # Errors
    /// [`FileDecryptError`] as soon as there is more plaintext than stated.
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, FileDecryptError> {
        let updated = self.keys.iter_mut().map(|key| update(key, piece));
        let mut plain: Vec<Bytes> = updated.collect::<Result<_, _>>()?;
        // All have the same length. Plaintext comes in blocks, and one has the whole beginning.
        let is_first = self.done == 0 && plain.first().is_some_and(|first| !first.is_empty());
        if self.keys.len() > 1 && is_first {
            let own = plain
                .iter()
                .position(|plain| self.container.may_begin(plain));
            let own = own.unwrap_or_default();
            self.keys = vec![self.keys.swap_remove(own)];
            plain.swap(0, own);
        }
        let plain = plain.into_iter().next().ok_or(FileDecryptError)?;
        self.done += plain.len() as u64;
        if self.done > self.expected {
            return Err(FileDecryptError);
        }
        Ok(plain)
    }

    /// Returns the last bytes of the plaintext.
    ///
    /// # Errors
    /// [`FileDecryptError`]: the whole output is worthless.
    pub fn finish(self) -> Result<Bytes, FileDecryptError> {
        let (container, done, expected) = (self.container, self.done, self.expected);
        let ended = self.keys.into_iter().filter_map(|key| {
            let mut out = BytesMut::zeroed(BLOCK);
            let written = key.finish(&mut out).ok()?.written().len();
            out.truncate(written);
            let is_whole = done + written as u64 == expected;
            // A file that is no longer than a block has its beginning here.
            let may_be = done > 0 || container.may_begin(&out);
            (is_whole && may_be).then(|| out.freeze())
        });
        ended.into_iter().next().ok_or(FileDecryptError)
    }
}

fn update(key: &mut StreamingDecryptingKey, piece: &[u8]) -> Result<Bytes, FileDecryptError> {
    let mut out = BytesMut::zeroed(piece.len() + BLOCK);
    let update = key.update(piece, &mut out).map_err(|_| FileDecryptError)?;
    let written = update.written().len();
    out.truncate(written);
    Ok(out.freeze())
}

impl fmt::Debug for FileDecryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileDecryptor(…)")
    }
}

#[cfg(test)]
mod tests;
