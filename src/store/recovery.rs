//! Recovery files: snapshots of the key store and pieces of its journal, stored beside the objects.
//!
//! Owns their one special operation: they are found by an ordered listing. They are written, read
//! and removed as objects are. It refuses to know which of them are still needed.

use std::ops::Range;

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::{
    Store,
    error::Error,
    name::{Name, RecoveryKind, RecoveryName},
    writer::Writer,
};

impl Store {
    /// Begins a recovery file. Its id is random, so a second writer of the same name is a mistake,
    /// and is refused as by [`Store::writer`].
    pub fn recovery_writer(&self, name: RecoveryName) -> Writer {
        Writer::new(self.clone(), name.into())
    }

    /// Reads one range of bytes, exactly as long as requested. An empty range is returned without a
    /// request to the store.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OutOfRange`] if the file ends before the range does, or a
    /// fault of the store.
    pub async fn read_recovery(
        &self,
        name: RecoveryName,
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        self.read_one(name.into(), range).await
    }

    /// Length of a recovery file in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a fault of the store.
    pub async fn recovery_size(&self, name: RecoveryName) -> Result<u64, Error> {
        self.size_of(name.into()).await
    }

    /// Returns every complete recovery file of one kind and its length in bytes, oldest first.
    /// Foreign files are skipped.
    ///
    /// # Errors
    /// A fault of the store. It is a fault if the folder is not the one that was opened, so that a
    /// missing disk does not pass for a vault without snapshots.
    pub async fn list_recovery(
        &self,
        kind: RecoveryKind,
    ) -> Result<Vec<(RecoveryName, u64)>, Error> {
        self.stands().await?;
        let mut listed: Vec<(RecoveryName, u64)> = self
            .named(kind.folder())
            .try_filter_map(|found| {
                std::future::ready(Ok(match found.name {
                    Name::Recovery(name) => Some((name, found.size)),
                    Name::Object(_) => None,
                }))
            })
            .try_collect()
            .await?;
        listed.sort_unstable();
        Ok(listed)
    }

    /// Removes a recovery file; a file that is not there counts as removed.
    ///
    /// # Errors
    /// A fault of the store; it is then unknown whether the file is gone.
    pub async fn delete_recovery(&self, name: RecoveryName) -> Result<(), Error> {
        self.remove(name.into()).await
    }
}
