//! Short texts at rest in the database: evidence of consent, justifications.
//!
//! ```text
//! sealed = AES-256-GCM as in `aead`, of the text under the note key; associated data "recvault/note/1" ‖ vault id
//! ```
//! Each text has a key of its own (see `label`), so neither a nonce nor a slot can be confused with
//! another.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{aead, page::Error};
use crate::{
    model::{encoding::length_prefixed, id::VaultId},
    secret::{Key, SecretBuffer},
};

/// Seals a text under its own key.
pub fn seal_note(key: &Key, vault: VaultId, text: &str, rng: &mut dyn CryptoRng) -> Vec<u8> {
    aead::seal(key, text.as_bytes(), &associated_data(vault), rng)
}

/// Opens what [`seal_note`] sealed.
///
/// # Errors
/// [`Error::NotAuthentic`] under any other key, for another vault, or if any bit changed.
pub fn open_note(key: &Key, vault: VaultId, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
    aead::open(key, sealed, &associated_data(vault))
        .and_then(SecretBuffer::into_text)
        .ok_or(Error::NotAuthentic)
}

fn associated_data(vault: VaultId) -> Vec<u8> {
    length_prefixed(&[b"recvault/note/1", vault.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_opens_under_its_own_key_and_vault_and_unchanged() {
        let rng = &mut rand::rng();
        let key = Key::random(rng);
        let vault = VaultId::random(rng);
        let sealed = seal_note(&key, vault, "contract 17", rng);
        assert_eq!(
            open_note(&key, vault, &sealed).unwrap().as_str(),
            "contract 17"
        );
        assert!(open_note(&Key::random(rng), vault, &sealed).is_err());
        assert!(open_note(&key, VaultId::random(rng), &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open_note(&key, vault, &changed).is_err(), "{at}");
            assert!(open_note(&key, vault, &sealed[..at]).is_err(), "{at}");
        }
    }
}
