//! Sealing the roots of a slot file under a passphrase.
//!
//! Owns the key derivation with its minimum and maximum cost, and the binding of a sealed root to
//! everything else in the file. Refuses to know where the file is.

use argon2::Argon2;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rand::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::KIND;
use crate::{
    custody::{
        Error,
        file::{FORMAT, Kdf, PassphraseFile, PassphraseRoot},
        slot::Slot,
    },
    keyring::aead,
    model::encoding::length_prefixed,
    secret::{Key, SecretText},
};

/// The minimum cost that is accepted, also from a file: 64 MiB, three passes, one lane.
const MIN_MEMORY_KIB: u32 = 65_536;
const MIN_ITERATIONS: u32 = 3;
const MIN_PARALLELISM: u32 = 1;
/// The maximum cost that a file may request, so that a tampered file cannot exhaust the machine: 4
/// GiB, a hundred passes.
const MAX_MEMORY_KIB: u32 = 4 * 1024 * 1024;
const MAX_ITERATIONS: u32 = 100;

/// A root key with its epoch.
pub(super) type EpochRoot = (u64, Key);

/// The key derived from a passphrase with one salt.
pub(super) struct DerivedKey {
    kdf: Kdf,
    passphrase: SecretText,
    key: Key,
}

impl DerivedKey {
    /// Derives a key with a new salt.
    pub(super) fn anew(passphrase: SecretText, rng: &mut dyn CryptoRng) -> Result<Self, Error> {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self::with(
            Kdf {
                name: "argon2id".into(),
                memory_kib: MIN_MEMORY_KIB,
                iterations: MIN_ITERATIONS,
                parallelism: MIN_PARALLELISM,
                salt: BASE64.encode(salt),
            },
            passphrase,
        )
    }

    /// Derives a key with a file's parameters. Takes some 100 ms and the memory that they request.
    /// Parameters below the minimum are refused, because only an attacker would weaken them.
    pub(super) fn with(kdf: Kdf, passphrase: SecretText) -> Result<Self, Error> {
        Ok(Self {
            key: derive(&kdf, &passphrase)?,
            kdf,
            passphrase,
        })
    }

    /// Returns whether it was derived from this passphrase with these parameters.
    pub(super) fn is_of(&self, kdf: &Kdf, passphrase: &SecretText) -> bool {
        self.kdf == *kdf
            && bool::from(
                self.passphrase
                    .expose()
                    .as_bytes()
                    .ct_eq(passphrase.expose().as_bytes()),
            )
    }

    #[cfg(test)]
    pub(super) fn kdf(&self) -> &Kdf {
        &self.kdf
    }

    /// Returns the slot file of `slot` with these roots.
    pub(super) fn seal(
        &self,
        slot: &Slot,
        roots: &[EpochRoot],
        rng: &mut dyn CryptoRng,
    ) -> PassphraseFile {
        let sealed = |(epoch, key): &EpochRoot| {
            let aad = associated_data(slot, &self.kdf, *epoch);
            let mut nonce = aead::seal(&self.key, key.expose(), &aad, rng);
            let sealed = nonce.split_off(aead::NONCE);
            PassphraseRoot {
                epoch: *epoch,
                nonce: BASE64.encode(nonce),
                sealed: BASE64.encode(sealed),
            }
        };
        let roots = roots.iter().map(sealed).collect();
        PassphraseFile::of(slot, self.kdf.clone(), roots)
    }

    /// Opens every root of a slot file.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`], [`Error::Format`].
    pub(super) fn open(&self, file: &PassphraseFile) -> Result<Vec<EpochRoot>, Error> {
        let slot = file.slot()?;
        let open = |root: &PassphraseRoot| {
            let aad = associated_data(&slot, &self.kdf, root.epoch);
            let opened = aead::open(&self.key, &sealed(root)?, &aad)
                .and_then(|opened| Key::from_slice(&opened))
                .ok_or(Error::NotAuthentic)?;
            Ok((root.epoch, opened))
        };
        file.roots.iter().map(open).collect()
    }
}

/// Returns a sealed root in the form of `aead`.
fn sealed(root: &PassphraseRoot) -> Result<Vec<u8>, Error> {
    let nonce = BASE64
        .decode(&root.nonce)
        .ok()
        .filter(|nonce| nonce.len() == aead::NONCE)
        .ok_or(Error::Format("its `nonce` is not 12 bytes of base64"))?;
    let sealed = BASE64
        .decode(&root.sealed)
        .map_err(|_| Error::Format("its `sealed` is not base64"))?;
    Ok([nonce, sealed].concat())
}

fn derive(kdf: &Kdf, passphrase: &SecretText) -> Result<Key, Error> {
    if kdf.name != "argon2id" {
        return Err(Error::Format("its `kdf.name` is not `argon2id`"));
    }
    if kdf.memory_kib < MIN_MEMORY_KIB
        || kdf.iterations < MIN_ITERATIONS
        || kdf.parallelism < MIN_PARALLELISM
    {
        return Err(Error::Format(
            "its Argon2id parameters are below the minimum of 65536 KiB, 3 iterations, 1 lane",
        ));
    }
    if kdf.memory_kib > MAX_MEMORY_KIB || kdf.iterations > MAX_ITERATIONS {
        return Err(Error::Format(
            "its Argon2id parameters are above 4 GiB or 100 iterations",
        ));
    }
    let salt = BASE64
        .decode(&kdf.salt)
        .map_err(|_| Error::Format("its `kdf.salt` is not base64"))?;
    let params = argon2::Params::new(
        kdf.memory_kib,
        kdf.iterations,
        kdf.parallelism,
        Some(Key::LEN),
    )
    .map_err(|_| Error::Format("its Argon2id parameters do not fit together"))?;
    let mut key = Zeroizing::new([0; Key::LEN]);
    Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), &salt, key.as_mut_slice())
        .map_err(|_| Error::Format("its `kdf.salt` is shorter than 8 bytes"))?;
    Ok(Key::take(&mut key))
}

/// Returns the associated data of a root: everything in the file but the sealed roots, and the
/// root's epoch.
fn associated_data(slot: &Slot, kdf: &Kdf, epoch: u64) -> Vec<u8> {
    let owner = slot.owner();
    let numbers = [
        slot.generation(),
        owner.timeline.number().unsigned_abs(),
        kdf.memory_kib.into(),
        kdf.iterations.into(),
        kdf.parallelism.into(),
    ]
    .map(u64::to_be_bytes)
    .concat();
    let epochs: Vec<u8> = slot
        .roots()
        .iter()
        .chain([&epoch])
        .flat_map(|epoch| epoch.to_be_bytes())
        .collect();
    let seen = owner
        .seen
        .map(|seen| format!("{} {} {}", seen.timeline, seen.seq, seen.digest))
        .unwrap_or_default();
    length_prefixed(&[
        FORMAT.as_bytes(),
        KIND.as_bytes(),
        owner.vault.as_bytes(),
        owner
            .database
            .as_ref()
            .map_or(&[], |database| database.as_bytes().as_slice()),
        seen.as_bytes(),
        kdf.name.as_bytes(),
        kdf.salt.as_bytes(),
        &numbers,
        &epochs,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        custody::Owner,
        model::id::{DatabaseId, VaultId},
    };

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.into())
    }

    #[test]
    fn an_altered_or_weakened_file_is_refused() {
        let rng = &mut rand::rng();
        let owner = Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)));
        let slot = Slot::read(owner, 3, vec![1, 2]).unwrap();
        let derived = DerivedKey::anew(secret("a"), rng).unwrap();
        let content = derived
            .seal(&slot, &[(1, Key::random(rng)), (2, Key::random(rng))], rng)
            .into_json();
        let open = |content: &[u8]| {
            let file = PassphraseFile::read(content)?;
            DerivedKey::with(file.kdf.clone(), secret("a"))?.open(&file)
        };
        assert_eq!(open(&content).unwrap().len(), 2);
        let good: serde_json::Value = serde_json::from_slice(&content).unwrap();
        let alter = |pointer: &str, value: serde_json::Value| {
            let mut file = good.clone();
            *file.pointer_mut(pointer).unwrap() = value;
            match open(file.to_string().as_bytes()) {
                Ok(_) => panic!("{pointer} may be altered"),
                Err(error) => error.to_string(),
            }
        };
        assert!(alter("/kdf/memory_kib", 1024.into()).contains("below the minimum"));
        assert!(alter("/kdf/memory_kib", u32::MAX.into()).contains("above"));
        assert!(alter("/kdf/name", "scrypt".into()).contains("argon2id"));
        assert!(alter("/format", "other".into()).contains("format"));
        assert!(alter("/roots/0/nonce", "AAAA".into()).contains("nonce"));
        for (pointer, value) in [
            ("/roots/1/epoch", 3.into()),
            ("/generation", 4.into()),
            (
                "/owner/vault",
                "vlt_00000000000000000000000000000000".into(),
            ),
            (
                "/owner/database",
                "dbi_00000000000000000000000000000000".into(),
            ),
            ("/owner/database", serde_json::Value::Null),
        ] {
            assert!(alter(pointer, value).contains("does not open"), "{pointer}");
        }
        let mut swapped = good.clone();
        swapped["roots"] = serde_json::json!([good["roots"][0]]);
        assert!(
            open(swapped.to_string().as_bytes()).is_err(),
            "a root is bound to the roots beside it"
        );
    }
}
