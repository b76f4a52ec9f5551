//! Short texts at rest in the database: evidence of consent, justifications.
//!
//! ```text
//! sealed = nonce (12) ‖ AES-256-GCM(note key, nonce, text, associated data "recvault/note/1" ‖ vault id) ‖ tag (16)
//! ```
//! Each text has a key of its own (see `label`), so that neither a nonce nor a place can be
//! mistaken for another.

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::page::Error;
use crate::{
    model::id::VaultId,
    secret::{Key, SecretBuffer},
};

const NONCE: usize = 12;

/// Seals a text under its own key.
pub fn seal_note(key: &Key, vault: VaultId, text: &str, rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let sealed = cipher(key).encrypt(
        &Nonce::from(nonce),
        Payload {
            msg: text.as_bytes(),
            aad: &associated(vault),
        },
    );
    [
        nonce.as_slice(),
        &sealed.expect("AES-GCM takes any text that fits in memory"),
    ]
    .concat()
}

/// Opens what [`seal_note`] sealed.
///
/// # Errors
/// [`Error::NotAuthentic`] under any other key, of another vault, or changed in any bit.
pub fn open_note(key: &Key, vault: VaultId, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(Error::NotAuthentic)?;
    let nonce = Nonce::try_from(nonce).map_err(|_| Error::NotAuthentic)?;
    let opened = cipher(key)
        .decrypt(
            &nonce,
            Payload {
                msg: sealed,
                aad: &associated(vault),
            },
        )
        .map_err(|_| Error::NotAuthentic)?;
    SecretBuffer::take(opened)
        .into_text()
        .ok_or(Error::NotAuthentic)
}

fn associated(vault: VaultId) -> Vec<u8> {
    [b"recvault/note/1".as_slice(), vault.as_bytes()]
        .into_iter()
        .flat_map(|field| [&(field.len() as u64).to_be_bytes(), field].concat())
        .collect()
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new(key.expose().into())
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
