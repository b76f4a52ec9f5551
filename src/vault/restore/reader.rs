//! Reading recovery files for a restore, from a store and a custody that belong to no database yet.
//!
//! Owns the opened files' keys and the count of files that do not open. Refuses to know which files
//! are wanted.

use super::fault_in;
use crate::{
    custody::Custody,
    store::{self, RecoveryName, Store},
    vault::{
        error::Error,
        recovery::{Header, RecoveryFile, Roots},
        rollback::is_unreadable,
    },
};

/// Opens files, and counts those that do not open.
pub(super) struct RecoveryReader<'a> {
    pub(super) store: &'a Store,
    pub(super) custody: &'a dyn Custody,
    roots: Roots,
    /// Files that did not open.
    pub(super) unreadable: u64,
}

impl<'a> RecoveryReader<'a> {
    pub(super) fn of(store: &'a Store, custody: &'a dyn Custody) -> Self {
        Self {
            store,
            custody,
            roots: Roots::default(),
            unreadable: 0,
        }
    }

    /// Opens a file to read its lines.
    pub(super) async fn file(&mut self, name: RecoveryName) -> Result<RecoveryFile, Error> {
        RecoveryFile::open(self.store, name, self.custody, &mut self.roots).await
    }

    /// Opens a file whose header was read before.
    pub(super) async fn reopened(
        &mut self,
        name: RecoveryName,
        expected: &Header,
    ) -> Result<RecoveryFile, Error> {
        let file = self.file(name).await?;
        if file.header == *expected {
            Ok(file)
        } else {
            Err(fault_in(name)("it is another file than a moment ago"))
        }
    }

    /// Opens a file and reads it to its end: a file that is corrupt in the middle is useless, and
    /// that must be known before the database is filled.
    pub(super) async fn open(&mut self, name: RecoveryName) -> Result<Header, Error> {
        match self.whole(name).await {
            Err(Error::Seal(_)) => Err(fault_in(name)("it does not open: it was altered or cut")),
            opened => opened,
        }
    }

    async fn whole(&mut self, name: RecoveryName) -> Result<Header, Error> {
        let mut file = self.file(name).await?;
        while file.line().await?.is_some() {}
        Ok(file.header)
    }

    /// Returns the header of a file; `None` if it does not open, or is gone.
    pub(super) async fn header(&mut self, name: RecoveryName) -> Result<Option<Header>, Error> {
        match self.open(name).await {
            Ok(header) => Ok(Some(header)),
            Err(Error::Store(store::Error::NotFound { .. })) => Ok(None),
            Err(error) if is_unreadable(&error) => {
                tracing::warn!(file = %name, %error, "a recovery file is unreadable and skipped");
                self.unreadable += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
