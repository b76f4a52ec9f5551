//! The one key that a process keeps in memory: the present epoch's root page key.
//!
//! Owns when it is fetched from custody and when it is dropped. INVARIANT: custody is called
//! outside transactions only.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    Inner, Vault,
    error::AsVaultError,
    error::Error,
    ownership::{self, CustodyCheck},
};
use crate::{
    custody::{self, Custody, RootName},
    db::{self, AsDatabaseError, Db, Tx, Unit, epochs, keys as key_rows},
    keyring::{self, RootKey, tree},
    model::id::{DatabaseId, PageId, VaultId},
};

/// The present epoch's root page key.
pub(super) struct CurrentRoot(RwLock<Arc<RootKey>>);

impl CurrentRoot {
    /// Fetches it, if this database owns custody.
    ///
    /// # Errors
    /// [`Error::NotOwner`]; why custody does not open it.
    pub(super) async fn unlock(
        custody: &dyn Custody,
        db: &Db,
        vault: VaultId,
        database: DatabaseId,
    ) -> Result<Self, Error> {
        let slot = ownership::own(custody.read().await?, vault, database)?;
        let root = Self::of(Arc::new(fetch(custody, db, vault).await?));
        ownership::remembers(&mut db.read().await?, &slot).await?;
        Ok(root)
    }

    pub(super) fn of(key: Arc<RootKey>) -> Self {
        Self(RwLock::new(key))
    }

    pub(super) fn key(&self) -> Arc<RootKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the key with that of a later epoch. A key that was fetched while the epoch turned
    /// again is outdated, and is dropped.
    pub(super) fn set(&self, key: RootKey) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if key.epoch > current.epoch {
            // The old one is zeroed when the last running walk has dropped it.
            *current = Arc::new(key);
        }
    }
}

impl Vault {
    /// Runs a unit of work in which keys are used: a [`Unit`] of this vault is obtained here only.
    /// It is run again if another writer interfered, and with the present root if the epoch has
    /// turned meanwhile.
    ///
    /// # Errors
    /// The closure's; as [`Db::unit`]; [`Error::NotOwner`], or why custody does not return the key.
    pub async fn unit<T, E, F, Fut>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: Fn(Unit) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
        E: From<db::Error> + AsDatabaseError + From<Error> + AsVaultError + Send,
        T: Send,
    {
        self.0.until_present(|| self.0.db.unit(name, &work)).await
    }
}

impl Inner {
    /// Runs a unit of work on the tree, as [`Vault::unit`].
    ///
    /// # Errors
    /// As [`Db::unit`], and [`Self::with_root`].
    pub(super) async fn unit<T, F, Fut>(&self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: Fn(Unit) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        self.with_root(|| self.db.unit(name, &work)).await
    }

    /// Runs work that needs the present root's key; again, if the epoch has turned meanwhile.
    ///
    /// # Errors
    /// [`Error::NotOwner`]; why custody does not return the key.
    pub(super) async fn with_root<T, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error>> + Send,
    {
        self.until_present(work).await
    }

    /// As [`Self::with_root`], for work with errors of its own.
    async fn until_present<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
        E: From<Error> + AsVaultError,
    {
        loop {
            self.ownership.hold(self.id)?;
            let held = self.root.key().epoch;
            let done = work().await;
            let Err(error) = &done else {
                return done;
            };
            let Some(Error::Keyring(keyring::Error::OtherEpoch(_))) = error.as_vault_error() else {
                return done;
            };
            self.follow().await?;
            if self.root.key().epoch == held {
                return done;
            }
        }
    }

    /// Drops the key of an ended epoch, and fetches the present one's. Cheap when nothing has
    /// changed.
    pub(super) async fn follow(&self) -> Result<(), Error> {
        let current = epochs::current(&mut self.db.read().await?)
            .await?
            .ok_or(Error::NoVault)?;
        if current.epoch == self.root.key().epoch {
            // Clears an error that a concurrent fetch of the same key recorded.
            self.note_custody(CustodyCheck::Key, &Ok(()));
            return Ok(());
        }
        self.own_slot().await?;
        let fetched = fetch(self.custody.as_ref(), &self.db, self.id).await;
        self.note_custody(CustodyCheck::Key, &fetched);
        self.root.set(fetched?);
        tracing::info!(epoch = current.epoch, "the epoch has turned");
        Ok(())
    }

    /// Opens a page through the rows above it, as this unit sees them.
    pub(super) async fn walk(&self, tx: &mut Tx, page: PageId) -> Result<tree::OpenedPage, Error> {
        self.ownership.hold(self.id)?;
        let path = key_rows::path(tx, page).await?;
        Ok(tree::walk(path, &self.root.key(), self.id)?)
    }

    /// Opens pages as [`Self::walk`] does, each page above them once.
    ///
    /// # Errors
    /// [`keyring::Error::BrokenPath`] inside if one of them is not there.
    pub(super) async fn walk_all(
        &self,
        tx: &mut Tx,
        pages: &BTreeSet<PageId>,
    ) -> Result<BTreeMap<PageId, tree::OpenedPage>, Error> {
        if pages.is_empty() {
            return Ok(BTreeMap::new());
        }
        if let (1, Some(only)) = (pages.len(), pages.first()) {
            return Ok(BTreeMap::from([(*only, self.walk(tx, *only).await?)]));
        }
        self.ownership.hold(self.id)?;
        let rows = key_rows::paths(tx, pages).await?;
        let root = self.root.key();
        let mut opened: BTreeMap<PageId, tree::OpenedPage> = BTreeMap::new();
        // Upper levels come first.
        for row in rows {
            let id = row.id;
            let above = row.parent.map(|place| place.page);
            let page = match above {
                None => tree::open_root(row, &root, self.id)?,
                Some(above) => opened
                    .get(&above)
                    .ok_or(keyring::Error::BrokenPath)?
                    .open(row, self.id)?,
            };
            opened.insert(id, page);
        }
        opened.retain(|id, _| pages.contains(id));
        if opened.len() == pages.len() {
            Ok(opened)
        } else {
            Err(keyring::Error::BrokenPath.into())
        }
    }
}

/// Fetches the present epoch's key from custody; again if the epoch turns meanwhile.
async fn fetch(custody: &dyn Custody, db: &Db, vault: VaultId) -> Result<RootKey, Error> {
    let current = async || -> Result<epochs::EpochRow, Error> {
        epochs::current(&mut db.read().await?)
            .await?
            .ok_or(Error::NoVault)
    };
    let mut row = current().await?;
    loop {
        let name = RootName {
            vault,
            epoch: row.epoch,
        };
        let refused = match custody.open(name, &row.root_sealed).await {
            Ok(key) => {
                return Ok(RootKey {
                    epoch: row.epoch,
                    key,
                });
            }
            Err(refused) => refused,
        };
        let again = current().await?;
        if again.epoch == row.epoch {
            return Err(explain(custody, name, refused).await);
        }
        row = again;
    }
}

/// Explains why custody has no root for a database: the root is another vault's, or the database is
/// older than the root.
async fn explain(custody: &dyn Custody, wanted: RootName, refused: custody::Error) -> Error {
    if !matches!(refused, custody::Error::NoRoot(_)) {
        return refused.into();
    }
    match custody.roots().await {
        Ok(roots) => match roots.last() {
            Some(found) if found.vault != wanted.vault => Error::OtherVault {
                root: found.vault,
                db: wanted.vault,
            },
            Some(found) if found.epoch > wanted.epoch => Error::OldDatabase {
                db: wanted.epoch,
                custody: found.epoch,
            },
            _ => refused.into(),
        },
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Key;

    #[test]
    fn a_key_that_comes_late_does_not_bring_an_ended_epoch_back() {
        let of_epoch = |epoch| RootKey {
            epoch,
            key: Key::random(&mut rand::rng()),
        };
        let root = CurrentRoot::of(Arc::new(of_epoch(4)));
        root.set(of_epoch(6));
        root.set(of_epoch(5));
        assert_eq!(root.key().epoch, 6);
    }
}
