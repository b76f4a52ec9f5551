//! Sealing one key under a root key that this process holds briefly.
//!
//! Owns the form: `nonce (12) ‖ AES-256-GCM(root key, nonce, key) ‖ tag (16)`, with the root's name
//! as associated data. Places that keep the root inside use their own mechanism instead.

use rand::CryptoRng;

use super::{Error, RootName};
use crate::{keyring::aead, model::encoding::length_prefixed, secret::Key};

/// Seals `key` under `root_key`, bound to `root`.
pub(super) fn seal(root_key: &Key, root: RootName, key: &Key, rng: &mut dyn CryptoRng) -> Vec<u8> {
    aead::seal(root_key, key.expose(), &associated_data(root), rng)
}

/// Opens the output of [`seal`].
pub(super) fn open(root_key: &Key, root: RootName, sealed: &[u8]) -> Result<Key, Error> {
    aead::open(root_key, sealed, &associated_data(root))
        .and_then(|opened| Key::from_slice(&opened))
        .ok_or(Error::NotAuthentic)
}

/// Returns the associated data of a sealed root page key: a label, the vault and the epoch, each
/// preceded by its length.
pub(super) fn associated_data(root: RootName) -> Vec<u8> {
    length_prefixed(&[
        b"recvault/root-page-key/1",
        root.vault.as_bytes(),
        &root.epoch.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VaultId;

    #[test]
    fn a_sealed_key_opens_under_its_root_and_name_only() {
        let rng = &mut rand::rng();
        let root_key = Key::random(rng);
        let key = Key::random(rng);
        let root = RootName {
            vault: VaultId::random(rng),
            epoch: 3,
        };
        let sealed = seal(&root_key, root, &key, rng);
        assert_eq!(open(&root_key, root, &sealed).unwrap(), key);
        for other in [
            RootName { epoch: 4, ..root },
            RootName {
                vault: VaultId::random(rng),
                ..root
            },
        ] {
            assert!(matches!(
                open(&root_key, other, &sealed),
                Err(Error::NotAuthentic)
            ));
        }
        assert!(open(&Key::random(rng), root, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(open(&root_key, root, &altered).is_err(), "byte {at}");
            assert!(open(&root_key, root, &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
