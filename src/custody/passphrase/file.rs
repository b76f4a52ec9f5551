//! The root file's JSON: reading, sealing, opening.
//!
//! Owns the format and its floor and ceiling. Refuses to know where the file is.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use argon2::Argon2;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    custody::{Error, RootName},
    model::id::VaultId,
    secret::{Key, SecretText},
};

const FORMAT: &str = "recvault/root/1";
/// The least stretching that is accepted, also from a file: 64 MiB, three passes, one lane.
const FLOOR: (u32, u32, u32) = (65_536, 3, 1);
/// The most memory a file may ask for, so that an altered file cannot exhaust the machine: 4 GiB.
const CEILING_KIB: u32 = 4 * 1024 * 1024;

/// A root file that was read and not opened.
pub(super) struct Parsed(RootFile);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RootFile {
    format: String,
    vault: VaultId,
    epoch: u64,
    kdf: Kdf,
    nonce: String,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    salt: String,
}

/// A root file with this key under this passphrase and a new salt.
pub(super) fn seal(root: RootName, key: &Key, passphrase: &SecretText, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Error> {
    let (mut salt, mut nonce) = ([0; 16], [0; 12]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    let (memory_kib, iterations, parallelism) = FLOOR;
    let kdf = Kdf { name: "argon2id".into(), memory_kib, iterations, parallelism, salt: BASE64.encode(salt) };
    let nonce_text = BASE64.encode(nonce);
    let mut file = RootFile { format: FORMAT.into(), vault: root.vault, epoch: root.epoch, kdf, nonce: nonce_text, sealed: String::new() };
    let sealed = cipher(&file.kdf, passphrase)?
        .encrypt(&Nonce::from(nonce), Payload { msg: key.expose(), aad: &associated_data(&file) })
        .expect("32 bytes can always be sealed");
    file.sealed = BASE64.encode(sealed);
    Ok((serde_json::to_string_pretty(&file).expect("plain values always have a JSON form") + "\n").into_bytes())
}

impl Parsed {
    /// Reads the JSON.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn read(content: &[u8]) -> Result<Self, Error> {
        let file: RootFile = serde_json::from_slice(content).map_err(|_| Error::Format("it is not the JSON of a root file"))?;
        if file.format != FORMAT {
            return Err(Error::Format("its format is not `recvault/root/1`: use the recvault that wrote it"));
        }
        Ok(Self(file))
    }

    /// Whose root it is.
    pub(super) fn name(&self) -> RootName {
        RootName { vault: self.0.vault, epoch: self.0.epoch }
    }

    /// Opens it. Takes some 100 ms and the memory the file's parameters ask for.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`]; parameters below the floor are refused, because a weakened file would be an attacker's.
    pub(super) fn open(&self, passphrase: &SecretText) -> Result<Key, Error> {
        let file = &self.0;
        let nonce = BASE64.decode(&file.nonce).ok().and_then(|bytes| Nonce::try_from(bytes.as_slice()).ok());
        let nonce = nonce.ok_or(Error::Format("its `nonce` is not 12 bytes of base64"))?;
        let sealed = BASE64.decode(&file.sealed).map_err(|_| Error::Format("its `sealed` is not base64"))?;
        let aad = associated_data(file);
        let opened = cipher(&file.kdf, passphrase)?.decrypt(&nonce, Payload { msg: &sealed, aad: &aad }).map(Zeroizing::new);
        opened.ok().and_then(|bytes| Key::from_slice(&bytes)).ok_or(Error::NotAuthentic)
    }
}

fn cipher(kdf: &Kdf, passphrase: &SecretText) -> Result<Aes256Gcm, Error> {
    if kdf.name != "argon2id" {
        return Err(Error::Format("its `kdf.name` is not `argon2id`"));
    }
    if kdf.memory_kib < FLOOR.0 || kdf.iterations < FLOOR.1 || kdf.parallelism < FLOOR.2 {
        return Err(Error::Format("its Argon2id parameters are below the floor of 65536 KiB, 3 iterations, 1 lane"));
    }
    if kdf.memory_kib > CEILING_KIB || kdf.iterations > 100 {
        return Err(Error::Format("its Argon2id parameters are above 4 GiB or 100 iterations"));
    }
    let salt = BASE64.decode(&kdf.salt).map_err(|_| Error::Format("its `kdf.salt` is not base64"))?;
    let params = argon2::Params::new(kdf.memory_kib, kdf.iterations, kdf.parallelism, Some(Key::LEN))
        .map_err(|_| Error::Format("its Argon2id parameters do not go together"))?;
    let mut key = Zeroizing::new([0; Key::LEN]);
    Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), &salt, key.as_mut_slice())
        .map_err(|_| Error::Format("its `kdf.salt` is shorter than 8 bytes"))?;
    Ok(Aes256Gcm::new((&*key).into()))
}

fn associated_data(file: &RootFile) -> Vec<u8> {
    let kdf = &file.kdf;
    let numbers = [file.epoch, kdf.memory_kib.into(), kdf.iterations.into(), kdf.parallelism.into()].map(u64::to_be_bytes).concat();
    let fields: [&[u8]; 5] = [file.format.as_bytes(), file.vault.as_bytes(), kdf.name.as_bytes(), kdf.salt.as_bytes(), numbers.as_slice()];
    fields.iter().flat_map(|field| (field.len() as u64).to_be_bytes().into_iter().chain(field.iter().copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.into())
    }

    #[test]
    fn an_altered_or_weakened_file_is_refused() {
        let rng = &mut rand::rng();
        let root = RootName { vault: VaultId::random(rng), epoch: 1 };
        let content = seal(root, &Key::random(rng), &secret("a"), rng).unwrap();
        let good: serde_json::Value = serde_json::from_slice(&content).unwrap();
        let alter = |pointer: &str, value: serde_json::Value| {
            let mut file = good.clone();
            *file.pointer_mut(pointer).unwrap() = value;
            Parsed::read(file.to_string().as_bytes()).and_then(|parsed| parsed.open(&secret("a"))).unwrap_err().to_string()
        };
        assert!(alter("/kdf/memory_kib", 1024.into()).contains("below the floor"));
        assert!(alter("/kdf/memory_kib", u32::MAX.into()).contains("above"));
        assert!(alter("/kdf/name", "scrypt".into()).contains("argon2id"));
        assert!(alter("/format", "other".into()).contains("format"));
        assert!(alter("/nonce", "AAAA".into()).contains("nonce"));
        assert!(alter("/epoch", 2.into()).contains("does not open"));
        assert!(alter("/vault", "vlt_00000000000000000000000000000000".into()).contains("does not open"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_as_a_root_file(text in ".{0,200}") {
            proptest::prop_assert!(Parsed::read(text.as_bytes()).is_err());
        }
    }
}
