//! Custody by passphrase: a root file sealed under Argon2id (RFC 9106).
//!
//! ```json
//! {"format":"recvault/root/1","vault":"vlt_…","epoch":1,
//!  "kdf":{"name":"argon2id","memory_kib":65536,"iterations":3,"parallelism":1,"salt":"…"},"nonce":"…","sealed":"…"}
//! ```
//! `sealed` is AES-256-GCM over the 32-byte root key; its associated data holds every other member.
//!
//! **What "destroyed" means here:** the file is overwritten and removed. Disks that remap blocks, file-system snapshots and backups of the file
//! may keep an old copy; whoever has one *and* the passphrase has that epoch's root. Keep the file outside every backup, and the passphrase
//! elsewhere than the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

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
    model::id::VaultId,
    secret::{Key, SecretText},
};

const FORMAT: &str = "recvault/root/1";
/// The least stretching that is accepted, also from a file: 64 MiB, three passes, one lane.
const FLOOR: (u32, u32, u32) = (65_536, 3, 1);
/// The most memory a file may ask for, so that an altered file cannot exhaust the machine: 4 GiB.
const CEILING_KIB: u32 = 4 * 1024 * 1024;

/// `[custody]`: where the root file and its passphrase are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The root file, relative to the configuration file.
    pub root_file: String,
    /// A file that holds the passphrase, relative to the configuration file.
    pub passphrase_file: Option<String>,
    /// The passphrase itself; meant for the environment.
    pub passphrase: Option<SecretText>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { root_file: "custody/root".into(), passphrase_file: Some("custody/passphrase".into()), passphrase: None }
    }
}

impl Settings {
    /// The passphrase, from the setting itself or from its file; one line break at its end is not part of it.
    ///
    /// # Errors
    /// [`Error::Passphrase`] if there is none or the file cannot be read.
    pub fn read_passphrase(&self, base: &Path) -> Result<SecretText, Error> {
        if let Some(passphrase) = &self.passphrase {
            return Ok(SecretText::new(passphrase.expose().to_owned()));
        }
        let file =
            self.passphrase_file.as_deref().ok_or_else(|| Error::Passphrase("neither `passphrase` nor `passphrase_file` is set".into()))?;
        let text = fs::read_to_string(base.join(file)).map(Zeroizing::new).map_err(|e| Error::Passphrase(format!("`{file}`: {e}")))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() { Err(Error::Passphrase(format!("`{file}` is empty"))) } else { Ok(SecretText::new(text.to_owned())) }
    }
}

/// Why the root key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no passphrase to try.
    #[error("no passphrase for the root file: {0}")]
    Passphrase(String),
    /// The file cannot be read or written.
    #[error("root file `{path}`: {cause}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is not a root file this program knows.
    #[error("root file: {0}")]
    Format(&'static str),
    /// Wrong passphrase, or the file was altered: which of them cannot be told.
    #[error("the root file does not open: wrong passphrase, or the file was altered")]
    NotAuthentic,
}

/// The root key of one epoch.
#[derive(Debug)]
pub struct Root {
    /// The vault it belongs to.
    pub vault: VaultId,
    /// The epoch, from 1.
    pub epoch: u64,
    /// The key.
    pub key: Key,
}

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

/// Writes a new root file. Never over an existing one.
///
/// # Errors
/// [`Error::File`] if the file exists or cannot be written.
pub fn create(path: &Path, root: &Root, passphrase: &SecretText, rng: &mut dyn CryptoRng) -> Result<(), Error> {
    let (mut salt, mut nonce) = ([0; 16], [0; 12]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    let (memory_kib, iterations, parallelism) = FLOOR;
    let kdf = Kdf { name: "argon2id".into(), memory_kib, iterations, parallelism, salt: BASE64.encode(salt) };
    let mut file =
        RootFile { format: FORMAT.into(), vault: root.vault, epoch: root.epoch, kdf, nonce: BASE64.encode(nonce), sealed: String::new() };
    let sealed = cipher(&file.kdf, passphrase)?
        .encrypt(&Nonce::from(nonce), Payload { msg: root.key.expose(), aad: &associated_data(&file) })
        .expect("32 bytes can always be sealed");
    file.sealed = BASE64.encode(sealed);
    let text = serde_json::to_string_pretty(&file).expect("plain values always have a JSON form") + "\n";
    write_new(path, text.as_bytes()).map_err(|cause| Error::File { path: path.display().to_string(), cause })
}

/// Opens a root file. Takes some 100 ms and the memory the file's parameters ask for.
///
/// # Errors
/// As [`Error`] says; parameters below the floor are refused, because a weakened file would be an attacker's.
pub fn unlock(path: &Path, passphrase: &SecretText) -> Result<Root, Error> {
    let text = fs::read(path).map_err(|cause| Error::File { path: path.display().to_string(), cause })?;
    let file: RootFile = serde_json::from_slice(&text).map_err(|_| Error::Format("it is not the JSON of a root file"))?;
    if file.format != FORMAT {
        return Err(Error::Format("its format is not `recvault/root/1`: use the recvault that wrote it"));
    }
    let nonce = BASE64.decode(&file.nonce).ok().and_then(|bytes| Nonce::try_from(bytes.as_slice()).ok());
    let nonce = nonce.ok_or(Error::Format("its `nonce` is not 12 bytes of base64"))?;
    let sealed = BASE64.decode(&file.sealed).map_err(|_| Error::Format("its `sealed` is not base64"))?;
    let aad = associated_data(&file);
    let opened = cipher(&file.kdf, passphrase)?.decrypt(&nonce, Payload { msg: &sealed, aad: &aad }).map(Zeroizing::new);
    let key = opened.ok().and_then(|bytes| Key::from_slice(&bytes)).ok_or(Error::NotAuthentic)?;
    Ok(Root { vault: file.vault, epoch: file.epoch, key })
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

/// Writes a file that nobody else may read, all of it or none, and only where there is none.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let staged = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
    file.write_all(content)?;
    file.sync_all()?;
    // A hard link fails where a rename would replace.
    let linked = fs::hard_link(&staged, path);
    fs::remove_file(&staged)?;
    linked?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        let rng = &mut rand::rng();
        Root { vault: VaultId::random(rng), epoch: 1, key: Key::random(rng) }
    }

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.into())
    }

    #[test]
    fn the_right_passphrase_opens_and_another_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, root) = (folder.path().join("custody/root"), root());
        create(&path, &root, &secret("correct horse"), &mut rand::rng()).unwrap();
        let opened = unlock(&path, &secret("correct horse")).unwrap();
        assert_eq!((opened.vault, opened.epoch, opened.key), (root.vault, 1, root.key));
        assert!(matches!(unlock(&path, &secret("correct horsf")), Err(Error::NotAuthentic)));
    }

    #[test]
    fn a_root_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        create(&path, &root(), &secret("a"), &mut rand::rng()).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(create(&path, &root(), &secret("a"), &mut rand::rng()), Err(Error::File { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn an_altered_or_weakened_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        create(&path, &root(), &secret("a"), &mut rand::rng()).unwrap();
        let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let alter = |pointer: &str, value: serde_json::Value| {
            let mut file = good.clone();
            *file.pointer_mut(pointer).unwrap() = value;
            fs::write(&path, file.to_string()).unwrap();
            unlock(&path, &secret("a")).unwrap_err().to_string()
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
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("root");
            fs::write(&path, text).unwrap();
            proptest::prop_assert!(unlock(&path, &secret("a")).is_err());
        }
    }
}
