//! Custody by passphrase: a root file sealed under Argon2id (RFC 9106).
//!
//! ```json
//! {"format":"recvault/root/1","vault":"vlt_…","epoch":1,
//!  "kdf":{"name":"argon2id","memory_kib":65536,"iterations":3,"parallelism":1,"salt":"…"},"nonce":"…","sealed":"…"}
//! ```
//! `sealed` is AES-256-GCM over the 32-byte root key; its associated data holds every other member. During a turn the next root lies beside
//! the current one (see `slots`).
//!
//! **What "destroyed" means here:** the file is overwritten and removed. Disks that remap blocks, file-system snapshots and backups of the file
//! may keep an old copy; whoever has one *and* the passphrase has that epoch's root. Keep the folder outside every backup, and the passphrase
//! elsewhere than the file.

mod file;

use std::path::{Path, PathBuf};

use futures_util::{FutureExt as _, future::BoxFuture};

use self::file::Parsed;
use super::{Custody, Error, Meaning, RootName, Settings, slots::Slots, wrap};
use crate::secret::{Key, SecretText};

/// Root files and where their passphrase comes from. The passphrase is read anew for each use, so that it can be changed under a running
/// service; nothing of a root is kept between uses.
pub struct RootFile {
    slots: Slots,
    passphrase: Passphrase,
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
        Self { slots: Slots::at(base.join(settings.root_file)), passphrase }
    }

    /// The roots, each of them opened with the passphrase so far.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] if that is not the right one.
    pub async fn opened(&self) -> Result<Vec<RootName>, Error> {
        let (slots, passphrase) = (self.slots.clone(), self.passphrase.read()?);
        blocking(move || files(&slots)?.iter().map(|parsed| parsed.open(&passphrase).map(|_| parsed.name())).collect()).await
    }

    /// Seals every root under another passphrase, with a new salt. From the return on the old one opens nothing.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] if the passphrase so far is not the right one; [`Error::Passphrase`] if the new one is empty.
    pub async fn change_passphrase(&self, new: SecretText) -> Result<Vec<RootName>, Error> {
        if new.expose().is_empty() {
            return Err(Error::Passphrase("the new one is empty".into()));
        }
        let (slots, old) = (self.slots.clone(), self.passphrase.read()?);
        blocking(move || {
            let (mut names, mut contents) = (Vec::new(), Vec::new());
            for parsed in files(&slots)? {
                contents.push(file::seal(parsed.name(), &parsed.open(&old)?, &new, &mut rand::rng())?);
                names.push(parsed.name());
            }
            slots.replace(&contents)?;
            Ok(names)
        })
        .await
    }

    /// Runs `work` with the root key of `root`.
    async fn with_root<T: Send + 'static>(
        &self,
        root: RootName,
        work: impl FnOnce(Key) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (slots, passphrase) = (self.slots.clone(), self.passphrase.read()?);
        blocking(move || {
            let parsed = files(&slots)?.into_iter().find(|parsed| parsed.name() == root).ok_or(Error::NoRoot(root))?;
            work(parsed.open(&passphrase)?)
        })
        .await
    }
}

impl Custody for RootFile {
    fn kind(&self) -> &'static str {
        "passphrase"
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the root file is overwritten and removed",
            left: "copies of the file on remapped blocks, in snapshots of the file system or in backups stay usable to whoever also has the \
                   passphrase: keep its folder outside every backup, and the passphrase elsewhere",
        }
    }

    fn roots(&self) -> BoxFuture<'_, Result<Vec<RootName>, Error>> {
        let slots = self.slots.clone();
        blocking(move || Ok(files(&slots)?.iter().map(Parsed::name).collect())).boxed()
    }

    fn stage(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let (slots, passphrase) = (self.slots.clone(), self.passphrase.read()?);
            blocking(move || {
                let there = files(&slots)?;
                if let Some(found) = there.iter().find(|parsed| parsed.name() == root) {
                    // One that does not open now would not open after the turn either.
                    return found.open(&passphrase).map(drop);
                }
                if there.iter().any(|parsed| parsed.name().epoch > root.epoch) {
                    return Err(Error::Passed(root));
                }
                if there.len() > 1 {
                    return Err(Error::TooMany);
                }
                let rng = &mut rand::rng();
                slots.add(&file::seal(root, &Key::random(rng), &passphrase, rng)?)
            })
            .await
        }
        .boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let key = key.duplicate();
        self.with_root(root, move |root_key| Ok(wrap::seal(&root_key, root, &key, &mut rand::rng()))).boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        let sealed = sealed.to_vec();
        self.with_root(root, move |root_key| match sealed.as_slice() {
            // A vault from before schema 2: the root key itself seals the root page, until the first turn.
            [] => Ok(root_key),
            sealed => wrap::open(&root_key, root, sealed),
        })
        .boxed()
    }

    fn destroy(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        let slots = self.slots.clone();
        blocking(move || slots.destroy(|content| Parsed::read(content).is_ok_and(|parsed| parsed.name() == root))).boxed()
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

/// The root files there are.
fn files(slots: &Slots) -> Result<Vec<Parsed>, Error> {
    slots.read()?.iter().map(|content| Parsed::read(content)).collect()
}

/// Argon2id takes some 100 ms of a core and 64 MiB; it has a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    super::blocking("root file", work).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VaultId;

    struct Place {
        folder: tempfile::TempDir,
        root: RootName,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), root: RootName { vault: VaultId::random(&mut rand::rng()), epoch: 1 } }
        }

        fn with(&self, passphrase: &str) -> RootFile {
            let settings = Settings { passphrase: Some(SecretText::new(passphrase.into())), ..Settings::default() };
            RootFile::new(settings, self.folder.path())
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("custody/root")
        }
    }

    #[tokio::test]
    async fn keeps_what_custody_promises() {
        let place = Place::new();
        super::super::conformance::all(&place.with("correct horse"), &place.with("correct horse")).await;
    }

    #[tokio::test]
    async fn the_right_passphrase_opens_and_another_does_not() {
        let (place, key) = (Place::new(), Key::random(&mut rand::rng()));
        let custody = place.with("correct horse");
        custody.stage(place.root).await.unwrap();
        let sealed = custody.seal(place.root, &key).await.unwrap();
        assert_eq!(custody.open(place.root, &sealed).await.unwrap(), key);
        let wrong = place.with("correct horsf");
        assert!(matches!(wrong.open(place.root, &sealed).await, Err(Error::NotAuthentic)));
        assert!(matches!(wrong.stage(place.root).await, Err(Error::NotAuthentic)));
    }

    #[tokio::test]
    async fn a_changed_passphrase_opens_the_same_roots() {
        let (place, key) = (Place::new(), Key::random(&mut rand::rng()));
        let (old, new) = (place.with("old"), place.with("new"));
        let next = RootName { epoch: 2, ..place.root };
        let mut sealed = Vec::new();
        for root in [place.root, next] {
            old.stage(root).await.unwrap();
            sealed.push((root, old.seal(root, &key).await.unwrap()));
        }
        assert_eq!(old.opened().await.unwrap(), [place.root, next]);
        assert!(matches!(new.opened().await, Err(Error::NotAuthentic)));
        assert!(new.change_passphrase(SecretText::new("x".into())).await.is_err(), "only who has the old one changes it");
        assert!(matches!(old.change_passphrase(SecretText::new(String::new())).await, Err(Error::Passphrase(_))));
        assert_eq!(old.change_passphrase(SecretText::new("new".into())).await.unwrap(), [place.root, next]);
        for (root, sealed) in sealed {
            assert_eq!(new.open(root, &sealed).await.unwrap(), key);
            assert!(matches!(old.open(root, &sealed).await, Err(Error::NotAuthentic)));
        }
    }

    #[tokio::test]
    async fn a_root_from_before_schema_2_opens_the_root_page_itself() {
        let place = Place::new();
        let custody = place.with("a");
        custody.stage(place.root).await.unwrap();
        let content = std::fs::read(place.file()).unwrap();
        let root_key = Parsed::read(&content).unwrap().open(&SecretText::new("a".into())).unwrap();
        assert_eq!(custody.open(place.root, &[]).await.unwrap(), root_key);
    }

    #[tokio::test]
    async fn the_passphrase_is_read_from_its_file_each_time() {
        let place = Place::new();
        let file = place.folder.path().join("custody/passphrase");
        let custody = RootFile::new(Settings::default(), place.folder.path());
        let missing = custody.stage(place.root).await.unwrap_err().to_string();
        assert!(missing.contains("custody/passphrase"), "{missing}");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "a\r\n").unwrap();
        custody.stage(place.root).await.unwrap();
        assert!(place.with("a").stage(place.root).await.is_ok(), "the line break does not count");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(custody.stage(place.root).await, Err(Error::Passphrase(_))));
    }
}
