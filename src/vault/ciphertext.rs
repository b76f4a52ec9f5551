//! The ciphertext of a sealed artefact: an object in the store, or a few bytes in its row.
//!
//! Owns that difference; nothing else in the vault sees it. Refuses to know keys.

use std::ops::Range;

use bytes::Bytes;

use super::{Inner, error::Error};
use crate::{
    db::recordings::SealedArtefact,
    model::id::{ObjectId, RecordingId},
    seal,
    store::Store,
};

/// Ciphertext that can be read in ranges. Clones share it.
#[derive(Clone)]
pub(super) enum Ciphertext {
    /// An object in the store.
    Stored(Store, ObjectId),
    /// All of it.
    Inline(Bytes),
    /// The database lacks it: a restore did not find it.
    Missing(RecordingId),
}

impl Ciphertext {
    /// Reads a range, exactly as long as asked.
    ///
    /// # Errors
    /// [`Error::Seal`] if a small artefact has fewer bytes; the store's.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        match self {
            Self::Stored(store, object) => Ok(store.read(*object, range).await?),
            Self::Inline(bytes) => cut(bytes, &range),
            Self::Missing(recording) => Err(Error::CiphertextMissing(*recording)),
        }
    }

    /// Reads several ranges, in the time of one round trip.
    ///
    /// # Errors
    /// As [`Self::read`]; one bad range fails all.
    pub(super) async fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        match self {
            Self::Stored(store, object) => Ok(store.read_ranges(*object, ranges).await?),
            Self::Inline(bytes) => ranges.iter().map(|range| cut(bytes, range)).collect(),
            Self::Missing(recording) => Err(Error::CiphertextMissing(*recording)),
        }
    }

    /// Returns its length in bytes.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn size(&self) -> Result<u64, Error> {
        match self {
            Self::Stored(store, object) => Ok(store.size(*object).await?),
            Self::Inline(bytes) => Ok(bytes.len() as u64),
            Self::Missing(recording) => Err(Error::CiphertextMissing(*recording)),
        }
    }
}

fn cut(bytes: &Bytes, range: &Range<u64>) -> Result<Bytes, Error> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let (start, end) = (place(range.start), place(range.end));
    if start <= end && end <= bytes.len() {
        Ok(bytes.slice(start..end))
    } else {
        Err(seal::Error::Truncated.into())
    }
}

impl Inner {
    /// Returns the ciphertext of an artefact.
    pub(super) fn ciphertext(&self, sealed: &SealedArtefact) -> Ciphertext {
        match sealed.object {
            Some(object) => Ciphertext::Stored(self.store.clone(), object),
            None if sealed.inline.is_empty() => Ciphertext::Missing(sealed.recording),
            None => Ciphertext::Inline(sealed.inline.clone()),
        }
    }
}
