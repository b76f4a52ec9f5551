//! Files of a message: sealed while they arrive, under the message's own record key, so that they
//! are destroyed with it.
//!
//! Owns the order: ciphertext first, then the row. Refuses to know what a file holds and where it
//! comes from.

use bytes::Bytes;
use futures_util::Stream;

use super::{Vault, deposit::DepositError, error::Error};
use crate::{
    db::{
        Unit, artefacts,
        recordings::{self, SealedArtefact},
    },
    evidence::NewEntry,
    model::{
        artefact::{Artefact, Leg},
        id::{ObjectId, RecordingId},
    },
    seal::Context,
};

/// A file that is sealed and stored, but not named by any row yet.
#[must_use = "it is an orphan until it is entered"]
pub struct StoredFile {
    object: ObjectId,
    row: SealedArtefact,
    sha256: [u8; 32],
}

impl StoredFile {
    /// The object in the store, for [`Vault::delete_orphan`].
    pub fn object(&self) -> ObjectId {
        self.object
    }
}

impl Vault {
    /// Seals `body` as a file of a sealed message, numbered from 0, and stores it.
    ///
    /// # Errors
    /// [`DepositError::Source`] with the stream's own error; [`Error::Gone`] inside if the message
    /// is shredded, or not sealed yet; the store's.
    pub async fn store_file<E: Send>(
        &self,
        recording: RecordingId,
        number: u8,
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<StoredFile, DepositError<E>> {
        let leg = Leg::All;
        let key = self.readable_key(recording, leg).await?;
        let context = Context {
            vault: self.0.id,
            recording,
            leg,
            artefact: Artefact::Media(number),
        };
        let (object, row, sha256) = self
            .store_stream(&key, &context, content_type, body)
            .await?;
        Ok(StoredFile {
            object,
            row,
            sha256,
        })
    }

    /// Enters a stored file: from the commit on it belongs to the message, whose row this locks.
    ///
    /// # Errors
    /// [`Stale`](crate::db::Error::Stale) inside if the message is shredded; the database's.
    pub async fn enter_file(&self, unit: &mut Unit, stored: &StoredFile) -> Result<(), Error> {
        let now = self.0.clock.now();
        let row = &stored.row;
        recordings::lock_sealed(unit, row.recording).await?;
        artefacts::insert(unit, std::slice::from_ref(row), now).await?;
        let sealed = NewEntry::file_sealed(
            now,
            row.recording,
            row.artefact,
            row.sealed_len,
            &stored.sha256,
        );
        unit.audit(sealed);
        unit.count("recvault_sealed_bytes_total", row.plain_len);
        Ok(())
    }
}
