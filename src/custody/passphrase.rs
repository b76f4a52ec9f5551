//! Custody by passphrase: a slot file whose roots are sealed under Argon2id (RFC 9106).
//!
//! The passphrase is stretched once for the whole slot; each root is sealed with AES-256-GCM, bound
//! to everything else in the file (see [`super::file`] for the form, and [`super::folder`] for how a
//! slot replaces another).
//!
//! The derivation takes some 100 ms and 64 MiB, and one operation needs it several times: the
//! derived key is cached for ten seconds. An attacker who can read this memory can read the
//! passphrase, too.
//!
//! **What "destroyed" means here:** the slot file that held the root is overwritten and removed
//! after the next one is in force, and the folder is listed. Disks that remap blocks, file-system
//! snapshots and backups of the file may keep an old copy, which together with the passphrase
//! yields its roots. Keep the folder outside every backup, and the passphrase separate from the
//! file.

mod cache;
mod seal;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{
    cache::KeyCache,
    seal::{DerivedKey, EpochRoot},
};
use super::{
    Custody, Error, Item, Meaning, OpenedSecret, RootName,
    file::PassphraseFile,
    folder::CustodyFolder,
    settings::CustodySettings,
    slot::{Change, Slot},
    wrap,
};
use crate::secret::{Key, SecretText};
use futures_util::{FutureExt as _, future::BoxFuture};

const KIND: &str = "passphrase";

/// A slot file and the source of its passphrase. The passphrase is read anew for each use, so that
/// it can be changed under a running service. Roots are not kept between uses.
pub struct PassphraseCustody {
    folder: CustodyFolder,
    // Read in a thread that may block: its file may be on a file system that does not respond.
    passphrase: Arc<Passphrase>,
    cache: Arc<KeyCache>,
}

/// The source of the passphrase.
enum Passphrase {
    Given(SecretText),
    File(PathBuf),
    Nowhere,
}

impl PassphraseCustody {
    /// Creates it from the settings; relative paths begin at `base`.
    pub fn new(settings: CustodySettings, base: &Path) -> Self {
        let passphrase = match (settings.passphrase, settings.passphrase_file) {
            (Some(passphrase), _) => Passphrase::Given(passphrase),
            (None, Some(file)) => Passphrase::File(base.join(file)),
            (None, None) => Passphrase::Nowhere,
        };
        Self {
            folder: CustodyFolder::at(base.join(settings.root_file)),
            passphrase: Arc::new(passphrase),
            cache: Arc::default(),
        }
    }

    /// Returns the roots, each of them opened with the present passphrase.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] if that passphrase is wrong.
    pub async fn opened(&self) -> Result<Vec<RootName>, Error> {
        let folder = self.folder.clone();
        let passphrase = Arc::clone(&self.passphrase);
        let cache = Arc::clone(&self.cache);
        blocking(move || {
            let passphrase = passphrase.read()?;
            let Some(content) = folder.read()? else {
                return Ok(Vec::new());
            };
            open_all(&cache, &content, &passphrase)?;
            Ok(slot_of(&content)?.names())
        })
        .await
    }

    /// Makes a change that keeps the roots, and seals them under another passphrase, with a new
    /// salt. When this returns, the old one opens nothing.
    ///
    /// # Errors
    /// As [`Custody::swap`]; [`Error::NotAuthentic`] if the present passphrase is wrong;
    /// [`Error::Passphrase`] if the new one is empty.
    pub async fn change_passphrase(&self, change: &Change, new: SecretText) -> Result<Slot, Error> {
        if new.expose().is_empty() {
            return Err(Error::Passphrase("the new passphrase is empty".into()));
        }
        self.replace(change, Some(new)).await
    }

    async fn replace(&self, change: &Change, new: Option<SecretText>) -> Result<Slot, Error> {
        let folder = self.folder.clone();
        let passphrase = Arc::clone(&self.passphrase);
        let change = change.clone();
        let cache = Arc::clone(&self.cache);
        blocking(move || {
            let passphrase = passphrase.read()?;
            folder.swap(&change, slot_of, |present| {
                let rng = &mut rand::rng();
                let (so_far, mut roots) = match present {
                    None => (None, Vec::new()),
                    Some((_, content)) => open_all(&cache, content, &passphrase)
                        .map(|(derived, roots)| (Some(derived), roots))?,
                };
                let derived = match (new, so_far) {
                    (Some(new), _) => cache.keep(DerivedKey::anew(new, rng)?),
                    (None, Some(so_far)) => so_far,
                    (None, None) => cache.keep(DerivedKey::anew(passphrase, rng)?),
                };
                roots.retain(|(epoch, _)| change.next().roots().contains(epoch));
                roots.extend(change.added().map(|epoch| (epoch, Key::random(rng))));
                Ok(derived.seal(change.next(), &roots, rng).into_json())
            })?;
            Ok(change.next().clone())
        })
        .await
    }

    /// Runs `work` with the root key of `root`.
    async fn with_root<T: Send + 'static>(
        &self,
        root: RootName,
        work: impl FnOnce(Key) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let folder = self.folder.clone();
        let passphrase = Arc::clone(&self.passphrase);
        let cache = Arc::clone(&self.cache);
        blocking(move || {
            let passphrase = passphrase.read()?;
            let content = folder.read()?.ok_or(Error::NoRoot(root))?;
            if !slot_of(&content)?.has(root) {
                return Err(Error::NoRoot(root));
            }
            let (_, roots) = open_all(&cache, &content, &passphrase)?;
            let found = roots.into_iter().find(|(epoch, _)| *epoch == root.epoch);
            work(found.ok_or(Error::NoRoot(root))?.1)
        })
        .await
    }
}

impl Custody for PassphraseCustody {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the slot file that held the root key is overwritten and removed, and the \
                        folder is listed",
            left: "copies of the file on remapped blocks, in snapshots of the file system or in \
                   backups stay usable for anyone who also has the passphrase: keep its folder \
                   outside every backup, and the passphrase elsewhere",
        }
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        // A running service reads the slot every two seconds.
        self.cache.evict_expired();
        let folder = self.folder.clone();
        blocking(move || folder.read()?.map(|content| slot_of(&content)).transpose()).boxed()
    }

    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        self.replace(change, None).boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let key = key.duplicate();
        self.with_root(root, move |root_key| {
            Ok(wrap::seal(&root_key, root, &key, &mut rand::rng()))
        })
        .boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        let sealed = sealed.to_vec();
        self.with_root(root, move |root_key| wrap::open(&root_key, root, &sealed))
            .boxed()
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        let folder = self.folder.clone();
        blocking(move || folder.contents()).boxed()
    }

    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>> {
        let sealed = sealed.to_vec();
        let folder = self.folder.clone();
        let passphrase = Arc::clone(&self.passphrase);
        let cache = Arc::clone(&self.cache);
        blocking(move || {
            let passphrase = passphrase.read()?;
            let mut broken = Vec::new();
            for found in folder.scan()? {
                // Sealed under another passphrase, of another kind, or not a root.
                let Ok((_, roots)) = open_all(&cache, &found.content, &passphrase) else {
                    continue;
                };
                let Ok(slot) = slot_of(&found.content) else {
                    continue;
                };
                for (epoch, root_key) in &roots {
                    let name = RootName {
                        vault: slot.owner().vault,
                        epoch: *epoch,
                    };
                    let opened = |(at, sealed): (usize, &Vec<u8>)| {
                        let key = wrap::open(root_key, name, sealed).ok()?;
                        Some(OpenedSecret {
                            at,
                            epoch: *epoch,
                            key,
                        })
                    };
                    broken.extend(sealed.iter().enumerate().filter_map(opened));
                }
            }
            Ok(broken)
        })
        .boxed()
    }
}

impl Passphrase {
    /// Reads the passphrase; one line break at its end is not part of it.
    fn read(&self) -> Result<SecretText, Error> {
        match self {
            Self::Given(passphrase) => Ok(passphrase.duplicate()),
            Self::File(path) => read_passphrase(path),
            Self::Nowhere => Err(Error::Passphrase(
                "neither `passphrase` nor `passphrase_file` is set under `[custody]`".into(),
            )),
        }
    }
}

/// Reads a passphrase file; one line break at its end is not part of it.
///
/// # Errors
/// [`Error::Passphrase`] naming the file.
pub fn read_passphrase(path: &Path) -> Result<SecretText, Error> {
    SecretText::read(path).map_err(Error::Passphrase)
}

/// Parses the slot in a slot file.
fn slot_of(content: &[u8]) -> Result<Slot, Error> {
    PassphraseFile::read(content)?.slot()
}

/// Opens every root in a slot file. Returns them with the key that can seal the next one.
fn open_all(
    cache: &KeyCache,
    content: &[u8],
    passphrase: &SecretText,
) -> Result<(Arc<DerivedKey>, Vec<EpochRoot>), Error> {
    let file = PassphraseFile::read(content)?;
    let derived = cache.derive(&file.kdf, passphrase)?;
    let roots = derived.open(&file)?;
    Ok((derived, roots))
}

/// Runs work in a thread of its own: Argon2id takes some 100 ms of a core and 64 MiB.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    super::blocking("root file", work).await
}

#[cfg(test)]
mod tests;
