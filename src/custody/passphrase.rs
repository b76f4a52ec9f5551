//! Custody by passphrase: a slot file whose roots are sealed under Argon2id (RFC 9106).
//!
//! The passphrase is stretched once for the whole slot; each root is sealed with AES-256-GCM, bound to everything else in the file (see
//! [`super::file`] for the form, and [`super::place`] for how a slot replaces another).
//!
//! **What "destroyed" means here:** the slot file that held the root is overwritten and removed after the next one is in force, and the folder is
//! listed. Disks that remap blocks, file-system snapshots and backups of the file may keep an old copy; whoever has one *and* the passphrase has
//! the roots in it. Keep the folder outside every backup, and the passphrase elsewhere than the file.

mod seal;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use zeroize::Zeroizing;

use self::seal::{Legacy, Root, Stretched};
use super::{
    Broken, Change, Custody, Error, Item, Meaning, RootName, Settings, Slot,
    file::{self, SlotFile},
    place::Place,
    wrap,
};
use crate::secret::{Key, SecretText};

const KIND: &str = "passphrase";

/// A slot file and where its passphrase comes from. The passphrase is read anew for each use, so that it can be changed under a running
/// service; nothing of a root is kept between uses.
pub struct RootFile {
    place: Place,
    // Read where a thread may hang: its file may be on a file system that does not answer.
    passphrase: Arc<Passphrase>,
}

/// Where the passphrase is.
enum Passphrase {
    Given(SecretText),
    File(PathBuf),
    Nowhere,
}

impl RootFile {
    /// As the settings say; relative paths begin at `base`.
    pub fn new(settings: Settings, base: &Path) -> Self {
        let passphrase = match (settings.passphrase, settings.passphrase_file) {
            (Some(passphrase), _) => Passphrase::Given(passphrase),
            (None, Some(file)) => Passphrase::File(base.join(file)),
            (None, None) => Passphrase::Nowhere,
        };
        Self { place: Place::at(base.join(settings.root_file)), passphrase: Arc::new(passphrase) }
    }

    /// The roots, each of them opened with the passphrase so far.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] if that is not the right one.
    pub async fn opened(&self) -> Result<Vec<RootName>, Error> {
        let (place, passphrase) = (self.place.clone(), Arc::clone(&self.passphrase));
        blocking(move || {
            let (passphrase, contents) = (passphrase.read()?, place.read()?);
            open_all(&contents, &passphrase)?;
            Ok(slot_of(&contents)?.map(|slot| slot.names()).unwrap_or_default())
        })
        .await
    }

    /// Makes a change that keeps the roots, and seals them under another passphrase, with a new salt. From the return on the old one opens
    /// nothing.
    ///
    /// # Errors
    /// As [`Custody::swap`]; [`Error::NotAuthentic`] if the passphrase so far is not the right one; [`Error::Passphrase`] if the new one is empty.
    pub async fn change_passphrase(&self, change: &Change, new: SecretText) -> Result<Slot, Error> {
        if new.expose().is_empty() {
            return Err(Error::Passphrase("the new one is empty".into()));
        }
        self.replace(change, Some(new)).await
    }

    async fn replace(&self, change: &Change, new: Option<SecretText>) -> Result<Slot, Error> {
        let (place, passphrase, change) = (self.place.clone(), Arc::clone(&self.passphrase), change.clone());
        blocking(move || {
            let passphrase = passphrase.read()?;
            place.swap(&change, slot_of, |present| {
                let rng = &mut rand::rng();
                let (stretched, mut roots) = open_all(present, &passphrase)?;
                let stretched = match (new, stretched) {
                    (Some(new), _) => Stretched::anew(&new, rng)?,
                    (None, Some(stretched)) => stretched,
                    (None, None) => Stretched::anew(&passphrase, rng)?,
                };
                roots.retain(|(epoch, _)| change.next().roots().contains(epoch));
                roots.extend(change.added().map(|epoch| (epoch, Key::random(rng))));
                Ok(stretched.seal(change.next(), &roots, rng).to_json())
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
        let (place, passphrase) = (self.place.clone(), Arc::clone(&self.passphrase));
        blocking(move || {
            let (passphrase, contents) = (passphrase.read()?, place.read()?);
            if !slot_of(&contents)?.is_some_and(|slot| slot.has(root)) {
                return Err(Error::NoRoot(root));
            }
            let (_, roots) = open_all(&contents, &passphrase)?;
            let found = roots.into_iter().find(|(epoch, _)| *epoch == root.epoch);
            work(found.ok_or(Error::NoRoot(root))?.1)
        })
        .await
    }
}

impl Custody for RootFile {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the slot file that held the root is overwritten and removed, and the folder is listed",
            left: "copies of the file on remapped blocks, in snapshots of the file system or in backups stay usable to whoever also has the \
                   passphrase: keep its folder outside every backup, and the passphrase elsewhere",
        }
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        let place = self.place.clone();
        blocking(move || slot_of(&place.read()?)).boxed()
    }

    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        self.replace(change, None).boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let key = key.duplicate();
        self.with_root(root, move |root_key| Ok(wrap::seal(&root_key, root, &key, &mut rand::rng()))).boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        let sealed = sealed.to_vec();
        self.with_root(root, move |root_key| unseal(root_key, root, &sealed)).boxed()
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        let place = self.place.clone();
        blocking(move || place.contents()).boxed()
    }

    fn attack<'a>(&'a self, sealed: &'a [Vec<u8>]) -> BoxFuture<'a, Result<Vec<Broken>, Error>> {
        let sealed = sealed.to_vec();
        let (place, passphrase) = (self.place.clone(), Arc::clone(&self.passphrase));
        blocking(move || {
            let passphrase = passphrase.read()?;
            let mut broken = Vec::new();
            for found in place.scan()? {
                // Sealed under another passphrase, of another kind, or no root at all.
                let Ok((_, roots)) = open_all(std::slice::from_ref(&found.content), &passphrase) else { continue };
                let Ok(Some(slot)) = slot_of(std::slice::from_ref(&found.content)) else { continue };
                for (epoch, root_key) in &roots {
                    let name = RootName { vault: slot.owner().vault, epoch: *epoch };
                    let opened = |(at, sealed): (usize, &Vec<u8>)| {
                        let key = unseal(root_key.duplicate(), name, sealed).ok()?;
                        Some(Broken { at, epoch: *epoch, key })
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
    /// The passphrase; one line break at its end is not part of it.
    fn read(&self) -> Result<SecretText, Error> {
        match self {
            Self::Given(passphrase) => Ok(SecretText::new(passphrase.expose().to_owned())),
            Self::File(path) => read_passphrase(path),
            Self::Nowhere => Err(Error::Passphrase("neither `passphrase` nor `passphrase_file` is set".into())),
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

/// The slot that these contents are.
fn slot_of(contents: &[Zeroizing<Vec<u8>>]) -> Result<Option<Slot>, Error> {
    match contents {
        [] => Ok(None),
        [only] if !file::is_legacy(only) => SlotFile::read(KIND, only)?.slot().map(Some),
        legacy => {
            let names: Vec<RootName> = legacy.iter().map(|content| Ok(Legacy::read(content)?.name())).collect::<Result<_, Error>>()?;
            file::legacy_slot(&names).map(Some)
        }
    }
}

/// Every root in these contents; the stretched passphrase, where the next slot can be sealed under it, too.
fn open_all(contents: &[Zeroizing<Vec<u8>>], passphrase: &SecretText) -> Result<(Option<Stretched>, Vec<Root>), Error> {
    match contents {
        [only] if !file::is_legacy(only) => {
            let (stretched, roots) = Stretched::open(&SlotFile::read(KIND, only)?, passphrase)?;
            Ok((Some(stretched), roots))
        }
        legacy => {
            let mut roots = legacy.iter().map(|content| Legacy::read(content)?.open(passphrase)).collect::<Result<Vec<_>, _>>()?;
            roots.sort_by_key(|(epoch, _)| *epoch);
            Ok((None, roots))
        }
    }
}

fn unseal(root_key: Key, root: RootName, sealed: &[u8]) -> Result<Key, Error> {
    match sealed {
        // A vault from before schema 2: the root key itself seals the root page, until the first turn.
        [] => Ok(root_key),
        sealed => wrap::open(&root_key, root, sealed),
    }
}

/// Argon2id takes some 100 ms of a core and 64 MiB; it has a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    super::blocking("root file", work).await
}

#[cfg(test)]
mod tests;
