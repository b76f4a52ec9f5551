//! The read access that a drill has to a vault.
//!
//! Owns what a drill may see: the database and the stores to read, the contents of custody,
//! retained recovery files, and whether a recording opens. Refuses to hand out a record key or any
//! recorded content; the present root's key goes to a drill only for copies of a vault of its own.

use std::{num::NonZeroUsize, sync::Arc};

use super::{
    Vault, VaultParts,
    error::Error,
    journal::{self, JournalLine},
    recovery::{Front, Header, MAX_HEADER, RecoveryFile},
    snapshot::LineParser,
};
use crate::{
    custody::{self, Item, OpenedSecret, Slot},
    db::{Db, epochs, image::Image, recordings::SealedArtefact},
    keyring::{RootKey, fingerprint},
    model::{
        artefact::Leg,
        id::{RecordingId, VaultId},
        time::{Clock, Timestamp},
    },
    secret::Key,
    store::{RecoveryName, Store},
};

/// A vault as a drill sees it.
#[derive(Clone, Copy)]
pub(crate) struct DrillView<'a>(&'a Vault);

/// How far a recording opens.
pub(crate) enum Opens {
    /// Its key opens, and every object under it is authentic.
    Whole,
    /// Its key opens, but an object sealed under it does not: the reason.
    KeyOnly(String),
    /// Nothing opens: the reason.
    Nothing(String),
}

/// The result of looking up a recording's key.
pub(crate) enum KeyPresence {
    /// It opens.
    Opens,
    /// There is no key.
    None,
    /// There is an entry, but its key does not open: the reason.
    Unclear(String),
}

/// Separates a fault of the recording's key, which is a finding, from an error that prevented the
/// lookup.
///
/// # Errors
/// Those that prevented the lookup.
fn as_finding(looked: Result<Key, Error>) -> Result<Result<Key, Error>, Error> {
    match looked {
        Err(error @ (Error::Gone | Error::WrongKey | Error::Keyring(_))) => Ok(Err(error)),
        looked => looked.map(Ok),
    }
}

impl Vault {
    /// Returns the access for a drill.
    pub(crate) fn drill_view(&self) -> DrillView<'_> {
        DrillView(self)
    }
}

impl<'a> DrillView<'a> {
    /// The vault's id.
    pub(crate) fn id(self) -> VaultId {
        self.0.id()
    }

    /// The vault's database.
    pub(crate) fn db(self) -> &'a Db {
        &self.0.0.db
    }

    /// The store of snapshots and journal.
    pub(crate) fn recovery(self) -> &'a Store {
        &self.0.0.recovery
    }

    /// The vault's clock.
    pub(crate) fn clock(self) -> &'a Clock {
        &self.0.0.clock
    }

    /// The present time.
    pub(crate) fn now(self) -> Timestamp {
        self.0.now()
    }

    /// Loads the root of the present epoch and returns the epoch's number. [`Self::is_present`]
    /// tells later whether it is still the present one.
    ///
    /// # Errors
    /// Those of custody and database.
    pub(crate) async fn follow(self) -> Result<u64, Error> {
        self.0.0.follow().await?;
        Ok(self.0.epoch())
    }

    /// Returns whether this epoch has not ended.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn is_present(self, epoch: u64) -> Result<bool, Error> {
        let current = epochs::current(&mut self.db().read().await?).await?;
        Ok(current.is_some_and(|current| current.epoch == epoch))
    }

    /// Returns the key of the present root page, for a drill that stores it apart from a vault of
    /// its own.
    pub(crate) fn root(self) -> Arc<RootKey> {
        self.0.0.root.key()
    }

    /// Returns the slot that is in force in custody.
    ///
    /// # Errors
    /// Custody's.
    pub(crate) async fn slot(self) -> Result<Option<Slot>, Error> {
        Ok(self.0.0.custody.read().await?)
    }

    /// Returns everything that lies in the place of custody.
    ///
    /// # Errors
    /// Custody's.
    pub(crate) async fn custody_contents(self) -> Result<Vec<Item>, Error> {
        Ok(self.0.0.custody.contents().await?)
    }

    /// Returns the sealed root page keys that anything in the place of custody opens.
    ///
    /// # Errors
    /// Custody's.
    pub(crate) async fn attack_custody(
        self,
        sealed: &[Vec<u8>],
    ) -> Result<Vec<OpenedSecret>, Error> {
        Ok(self.0.0.custody.attack(sealed).await?)
    }

    /// Returns the parts from which this vault is rebuilt into an empty database. Custody changes
    /// only in memory.
    pub(crate) fn parts(self, db: Db) -> VaultParts {
        let vault = &*self.0.0;
        VaultParts {
            db,
            store: vault.store.clone(),
            recovery: vault.recovery.clone(),
            custody: custody::read_only(vault.custody.clone()),
            clock: vault.clock.clone(),
        }
    }

    /// Looks up the key of a leg of a recording.
    ///
    /// # Errors
    /// The database's, where it cannot be read.
    pub(crate) async fn key_presence(
        self,
        id: RecordingId,
        leg: Leg,
    ) -> Result<KeyPresence, Error> {
        Ok(match self.key(id, leg).await? {
            Ok(_) => KeyPresence::Opens,
            Err(Error::Gone) => KeyPresence::None,
            Err(error) => KeyPresence::Unclear(error.to_string()),
        })
    }

    /// Opens a leg of a recording as far as a player needs at first, and drops the plaintext:
    /// header, final and first segment of those of these objects that belong to it.
    ///
    /// # Errors
    /// The database's, where it cannot be read.
    pub(crate) async fn opens(
        self,
        id: RecordingId,
        leg: Leg,
        objects: &[SealedArtefact],
    ) -> Result<Opens, Error> {
        let key = match self.key(id, leg).await? {
            Ok(key) => key,
            Err(error) => return Ok(Opens::Nothing(error.to_string())),
        };
        let mut objects = objects.iter().filter(|sealed| sealed.leg == leg).peekable();
        if objects.peek().is_none() {
            return Ok(Opens::KeyOnly(Error::Gone.to_string()));
        }
        for sealed in objects {
            if let Err(error) = self.authenticate(id, &key, sealed).await {
                return Ok(Opens::KeyOnly(error.to_string()));
            }
        }
        Ok(Opens::Whole)
    }

    async fn key(self, id: RecordingId, leg: Leg) -> Result<Result<Key, Error>, Error> {
        let mut tx = self.db().read().await?;
        as_finding(self.0.0.record_key(&mut tx, id, leg).await)
    }

    async fn authenticate(
        self,
        id: RecordingId,
        key: &Key,
        sealed: &SealedArtefact,
    ) -> Result<(), Error> {
        let vault = &*self.0.0;
        let (segment, layout) = super::open::layout(sealed)?;
        let ends = vault.ends(sealed, &layout).await?;
        let mut opener = vault.opener(key, id, sealed, layout, ends)?;
        let first = layout.plain_len().min(segment.plain() as u64);
        for span in layout.spans(0..first, NonZeroUsize::MIN)? {
            let bytes = vault.ciphertext(sealed).read(span.sealed()).await?;
            drop(opener.open(&span, bytes)?);
        }
        Ok(())
    }
}

/// A retained snapshot or journal piece that is not known to be authentic.
pub(crate) struct RetainedFile(Front);

/// One entry of a recovery file.
pub(crate) enum Retained {
    /// A row.
    Row(Image),
    /// A living record key, by its public name.
    Key(String),
}

impl RetainedFile {
    /// Bytes that suffice to recognise a recovery file.
    pub(crate) const HEAD: usize = MAX_HEADER;

    /// Returns the name of a recovery file, derived from its first bytes; `None` if it is none.
    pub(crate) fn name_of(head: &[u8]) -> Option<RecoveryName> {
        Header::name_of(head)
    }

    /// Reads the header of the file of this name.
    ///
    /// # Errors
    /// [`Error::RecoveryFile`] if it is none; the store's.
    pub(crate) async fn read(store: &Store, name: RecoveryName) -> Result<Self, Error> {
        Ok(Self(Front::read(store, name).await?))
    }

    /// Returns the vault that its header names.
    pub(crate) fn vault(&self) -> VaultId {
        self.0.header.vault
    }

    /// Returns the sealed key of the root page that it needs.
    pub(crate) fn root_sealed(&self) -> Option<Vec<u8>> {
        self.0.header.root_sealed()
    }

    /// Opens it with a root page's key.
    ///
    /// # Errors
    /// [`Error::Seal`] if this is not the key, or the file was altered or cut.
    pub(crate) async fn open(&self, root: Arc<RootKey>) -> Result<OpenedFile, Error> {
        Ok(OpenedFile {
            name: self.0.name,
            file: self.0.open(root).await?,
        })
    }
}

/// A recovery file whose header, first and final segment are authentic.
pub(crate) struct OpenedFile {
    name: RecoveryName,
    file: RecoveryFile,
}

impl OpenedFile {
    /// Reads the whole file.
    ///
    /// # Errors
    /// [`Error::RecoveryFile`] if its contents are malformed; [`Error::Seal`] where it was altered;
    /// those of `take`.
    pub(crate) async fn each(
        mut self,
        mut take: impl FnMut(Retained) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let fault = |why| Error::RecoveryFile {
            name: self.name.to_string(),
            why,
        };
        let mut parser = LineParser::default();
        while let Some(line) = self.file.line().await? {
            match journal::parse(&mut parser, line).map_err(fault)? {
                JournalLine::Nothing => {}
                JournalLine::Row(row) => take(Retained::Row(row))?,
                JournalLine::Key(_, _, key) => take(Retained::Key(fingerprint(&key)))?,
            }
        }
        parser.end().map(drop).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{db, keyring, model::id::DatabaseId};

    #[test]
    fn a_fault_of_the_database_is_not_taken_for_a_missing_key() {
        let rng = &mut rand::rng();
        let faults = [
            Error::Db(db::Error::Unavailable("the disk is full".into())),
            Error::NotOwner {
                vault: VaultId::random(rng),
                owner: DatabaseId::random(rng),
                database: DatabaseId::random(rng),
            },
        ];
        for fault in faults {
            assert!(as_finding(Err(fault)).is_err());
        }
        let findings = [
            Error::Gone,
            Error::WrongKey,
            Error::Keyring(keyring::Error::BrokenPath),
        ];
        for finding in findings {
            assert!(matches!(as_finding(Err(finding)), Ok(Err(_))));
        }
    }
}
