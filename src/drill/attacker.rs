//! The attacker: has every old copy, and takes over the running system with its present roots.
//!
//! ```text
//! sealed root page keys (rows of `epochs`, headers of recovery files) ─present roots in custody─▶ root page keys
//!   → recovery files under them: more pages, more sealed root page keys, record keys of the journal
//!   → again, until nothing new opens
//!   → the closure over every version of every page
//! ```
//! Owns the collection of copies and the attempts. Stores each version of a page once, with the
//! copies that contain it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use aws_lc_rs::digest::{self, SHA256};
use serde::Serialize;

use super::{
    census::each,
    old::{ExaminedKind, OldCopySource},
};
use crate::{
    db::{
        Tx,
        image::{self, Image, Table},
        keys,
    },
    keyring::{PageRow, RootKey, reach},
    seal,
    store::{self, RecoveryName, Store},
    vault::{DrillView, Error, OpenedFile, Retained, RetainedFile},
};

/// A copy that was examined.
#[derive(Clone, Debug, Serialize)]
pub struct ExaminedCopy {
    /// Its name as given, or in the store.
    pub name: String,
    /// Its kind.
    pub kind: ExaminedKind,
    /// Versions of key pages in it.
    pub page_versions: u64,
    /// How many of them opened.
    pub page_versions_opened: u64,
    /// For a snapshot or a piece of the journal: whether it opened. For a database: whether
    /// anything in it did.
    pub opened: bool,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// The attacker's material.
pub(super) struct Attacker<'a> {
    vault: DrillView<'a>,
    pub(super) looked: Vec<ExaminedCopy>,
    /// Every version of a page, once; `owners` lists the copies that contain each, by index.
    versions: Vec<PageRow>,
    owners: Vec<Vec<usize>>,
    known: HashMap<[u8; 32], usize>,
    /// Sealed root page keys, and the opened keys of those that custody opened.
    sealed: BTreeMap<Vec<u8>, Option<Arc<RootKey>>>,
    asked: BTreeSet<Vec<u8>>,
    roots: Vec<Arc<RootKey>>,
    files: Vec<(usize, RetainedFile)>,
    /// Public names of record keys in pieces of the journal.
    journaled: BTreeSet<String>,
}

/// The result of an attack.
pub(super) struct AttackerGain {
    /// Public names of record keys.
    pub(super) keys: BTreeSet<String>,
    /// Versions of pages that were tried.
    pub(super) tried: u64,
    /// Versions of pages that opened.
    pub(super) opened: u64,
}

impl<'a> Attacker<'a> {
    pub(super) fn of(vault: DrillView<'a>) -> Self {
        Self {
            vault,
            looked: Vec::new(),
            versions: Vec::new(),
            owners: Vec::new(),
            known: HashMap::new(),
            sealed: BTreeMap::new(),
            asked: BTreeSet::new(),
            roots: Vec::new(),
            files: Vec::new(),
            journaled: BTreeSet::new(),
        }
    }

    /// Begins to examine a copy; returns its number.
    pub(super) fn look(&mut self, name: &str, kind: ExaminedKind) -> usize {
        let name = name.to_owned();
        self.looked.push(ExaminedCopy {
            name,
            kind,
            page_versions: 0,
            page_versions_opened: 0,
            opened: false,
            unreadable: None,
        });
        self.looked.len() - 1
    }

    /// Records that a copy cannot be read.
    pub(super) fn give_up(&mut self, copy: usize, why: String) {
        if let Some(looked) = self.looked.get_mut(copy) {
            looked.unreadable = Some(why);
        }
    }

    /// Collects the contents of an old copy.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) async fn take(&mut self, copy: usize, source: &OldCopySource) -> Result<(), Error> {
        match source {
            OldCopySource::Db(db) => self.take_rows(copy, &mut db.snapshot().await?).await,
            OldCopySource::File(store, name) => self.take_file(copy, store, *name).await,
        }
    }

    /// Collects pages and sealed root page keys of a database.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::OtherVault`]; the database's.
    pub(super) async fn take_rows(&mut self, copy: usize, tx: &mut Tx) -> Result<(), Error> {
        let ours = self.vault.id();
        let theirs = keys::vault_id(tx).await?.ok_or(Error::NoVault)?;
        if ours != theirs {
            return Err(Error::OtherVault {
                root: ours,
                db: theirs,
            });
        }
        each(tx, Table::Epochs, |row| self.take_row(copy, &row)).await?;
        each(tx, Table::Pages, |row| self.take_row(copy, &row)).await
    }

    /// Collects a recovery file, to be opened when a key for it is found.
    ///
    /// # Errors
    /// [`Error::RecoveryFile`], also for another vault's; the store's.
    pub(super) async fn take_file(
        &mut self,
        copy: usize,
        store: &Store,
        name: RecoveryName,
    ) -> Result<(), Error> {
        let file = RetainedFile::read(store, name).await?;
        let sealed = file
            .root_sealed()
            .filter(|_| file.vault() == self.vault.id());
        let sealed = sealed.ok_or_else(|| Error::RecoveryFile {
            name: name.to_string(),
            why: "it belongs to another vault",
        })?;
        self.sealed.entry(sealed).or_default();
        self.files.push((copy, file));
        Ok(())
    }

    /// Adds a root page key that was kept aside.
    pub(super) fn take_root(&mut self, root: Arc<RootKey>) {
        if !self.roots.iter().any(|known| known.key == root.key) {
            self.roots.push(root);
        }
    }

    /// Returns how many root page keys are known.
    pub(super) fn roots(&self) -> usize {
        self.roots.len()
    }

    /// Opens everything that can be opened.
    ///
    /// # Errors
    /// Custody's, where it cannot be called; the store's, where the live one does not respond.
    pub(super) async fn attack(&mut self) -> Result<AttackerGain, Error> {
        loop {
            self.ask_custody().await?;
            if !self.open_files().await? {
                break;
            }
        }
        let roots: Vec<_> = self.roots.iter().map(|root| &root.key).collect();
        let found = reach::reach(&roots, &self.versions, self.vault.id());
        for looked in self
            .looked
            .iter_mut()
            .filter(|looked| looked.kind.is_database())
        {
            looked.opened = false;
        }
        self.looked
            .iter_mut()
            .for_each(|looked| looked.page_versions_opened = 0);
        for (owners, _) in self
            .owners
            .iter()
            .zip(&found.which)
            .filter(|(_, opened)| **opened)
        {
            for owner in owners {
                if let Some(looked) = self.looked.get_mut(*owner) {
                    (looked.page_versions_opened, looked.opened) =
                        (looked.page_versions_opened + 1, true);
                }
            }
        }
        let mut keys = found.record_keys;
        keys.extend(self.journaled.iter().cloned());
        Ok(AttackerGain {
            keys,
            tried: found.tried,
            opened: found.opened,
        })
    }

    /// Lets custody open each sealed root page key with each root in anything in its place now.
    async fn ask_custody(&mut self) -> Result<(), Error> {
        let fresh: Vec<Vec<u8>> = self
            .sealed
            .keys()
            .filter(|sealed| !self.asked.contains(*sealed))
            .cloned()
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        // Every file and object in the place, not only the slot in force.
        for broken in self.vault.attack_custody(&fresh).await? {
            let key = Arc::new(RootKey {
                epoch: broken.epoch,
                key: broken.key,
            });
            self.take_root(Arc::clone(&key));
            self.sealed
                .insert(fresh.get(broken.at).cloned().unwrap_or_default(), Some(key));
        }
        self.asked.extend(fresh);
        Ok(())
    }

    /// Tries every closed file with every key. Returns whether a new sealed root page key was
    /// found.
    async fn open_files(&mut self) -> Result<bool, Error> {
        let before = self.sealed.len();
        let mut closed = Vec::new();
        for (copy, file) in std::mem::take(&mut self.files) {
            match self.open_file(copy, &file).await {
                Ok(true) => {}
                Ok(false) => closed.push((copy, file)),
                // Removed meanwhile, by a turn or a newer snapshot.
                Err(Error::Store(store::Error::NotFound { .. })) => {}
                Err(error @ Error::Store(_)) => return Err(error),
                Err(error) => self.give_up(copy, error.to_string()),
            }
        }
        self.files = closed;
        Ok(self.sealed.len() > before)
    }

    async fn open_file(&mut self, copy: usize, file: &RetainedFile) -> Result<bool, Error> {
        for root in self.roots.clone() {
            match file.open(root).await {
                Ok(opened) => {
                    self.read_contents(copy, opened).await?;
                    return Ok(true);
                }
                Err(Error::Seal(seal::Error::NotAuthentic)) => {}
                Err(error) => return Err(error),
            }
        }
        // Custody opens the key that this file was sealed under, so the file was altered or cut.
        let own = file
            .root_sealed()
            .and_then(|sealed| self.sealed.get(&sealed)?.clone());
        if own.is_some() {
            Err(seal::Error::NotAuthentic.into())
        } else {
            Ok(false)
        }
    }

    async fn read_contents(&mut self, copy: usize, file: OpenedFile) -> Result<(), Error> {
        if let Some(looked) = self.looked.get_mut(copy) {
            looked.opened = true;
        }
        file.each(|line| match line {
            Retained::Row(row) => self.take_row(copy, &row),
            Retained::Key(fingerprint) => {
                self.journaled.insert(fingerprint);
                Ok(())
            }
        })
        .await
    }

    fn take_row(&mut self, copy: usize, row: &Image) -> Result<(), Error> {
        match row.table() {
            Table::Epochs => {
                if let Some(sealed) = row.bytes("root_sealed").filter(|sealed| !sealed.is_empty()) {
                    self.sealed.entry(sealed.to_vec()).or_default();
                }
            }
            Table::Pages => self.take_page(copy, image::page_of(row)?),
            _ => {}
        }
        Ok(())
    }

    fn take_page(&mut self, copy: usize, page: PageRow) {
        if let Some(looked) = self.looked.get_mut(copy) {
            looked.page_versions += 1;
        }
        let at = *self
            .known
            .entry(identity(&page))
            .or_insert(self.versions.len());
        match self.owners.get_mut(at) {
            Some(owners) => owners.push(copy),
            None => {
                self.versions.push(page);
                self.owners.push(vec![copy]);
            }
        }
    }
}

/// Returns the identity of a page version: two versions with the same identity open alike.
fn identity(page: &PageRow) -> [u8; 32] {
    let mut context = digest::Context::new(&SHA256);
    let place = page.parent.map_or([0; 18], |place| {
        let mut bytes = [1; 18];
        bytes[1..17].copy_from_slice(place.page.as_bytes());
        bytes[17] = place.slot;
        bytes
    });
    context.update(page.id.as_bytes());
    context.update(&[page.level, page.used]);
    context.update(&page.generation.to_be_bytes());
    context.update(&place);
    context.update(&(page.tier.len() as u64).to_be_bytes());
    context.update(page.tier.as_bytes());
    context.update(&page.sealed);
    let mut identity = [0; 32];
    identity.copy_from_slice(context.finish().as_ref());
    identity
}
