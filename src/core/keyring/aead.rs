//! AES-256-GCM under a random nonce: the one format of every small item that is sealed at rest.
//!
//! ```text
//! sealed = nonce (12) ‖ AES-256-GCM(key, nonce, plaintext, associated data) ‖ tag (16)
//! ```
//! Owns the nonce and the split. Refuses to know what is sealed and what it is bound to; each
//! caller builds its own associated data. The nonce is random, so one key must seal far fewer than
//! the 2³² messages of NIST SP 800-38D, section 8.3.

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use rand::CryptoRng;

use crate::secret::{Key, SecretBuffer};

/// Length of the nonce in bytes; the nonce comes first.
pub const NONCE: usize = 12;

/// Seals `plain` under `key`, bound to `aad`.
pub fn seal(key: &Key, plain: &[u8], aad: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let sealed = Aes256Gcm::new(key.expose().into())
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
        .expect("AES-GCM seals up to 64 GiB, and what is sealed here fits in memory");
    [nonce.as_slice(), &sealed].concat()
}

/// Opens the output of [`seal`]; returns `None` under any other key or associated data, or if any
/// bit changed.
pub fn open(key: &Key, sealed: &[u8], aad: &[u8]) -> Option<SecretBuffer> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    Aes256Gcm::new(key.expose().into())
        .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad })
        .ok()
        .map(SecretBuffer::take)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_under_its_key_and_associated_data_and_unchanged() {
        let rng = &mut rand::rng();
        let key = Key::random(rng);
        let sealed = seal(&key, b"plain", b"place", rng);
        assert_eq!(sealed.len(), NONCE + 5 + 16);
        assert_eq!(&*open(&key, &sealed, b"place").unwrap(), b"plain");
        assert!(open(&key, &sealed, b"other").is_none());
        assert!(open(&Key::random(rng), &sealed, b"place").is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, &changed, b"place").is_none(), "byte {at}");
            assert!(open(&key, &sealed[..at], b"place").is_none(), "cut at {at}");
        }
        assert_ne!(
            sealed,
            seal(&key, b"plain", b"place", rng),
            "a nonce is used once"
        );
    }
}
