//! Texts: sealed whole beside the audio that they belong to, under the same record key, so that
//! they are destroyed with it.
//!
//! Owns the order: ciphertext first, then the row, then the removal of a replaced text's object.
//! Refuses to know the content of a text and which of two versions stays.

use bytes::{Bytes, BytesMut};

use super::{Vault, digest::Digest, error::Error};
use crate::{
    db::{Unit, artefacts, recordings::SealedArtefact},
    evidence::NewEntry,
    keyring,
    model::{
        actor::Initiator,
        artefact::{Artefact, Leg},
        id::{ObjectId, RecordingId},
    },
    seal::{Context, Sealer, SegmentLength},
    secret::{Key, SecretBuffer},
};

/// A text's segments.
const SEGMENT: SegmentLength = SegmentLength::Text;

/// A text that is sealed and stored, but not named by any row yet.
#[must_use = "it is an orphan until it is entered"]
#[derive(Debug)]
pub struct StoredText {
    object: ObjectId,
    row: SealedArtefact,
    sha256: [u8; 32],
}

impl StoredText {
    /// The object in the store, for [`Vault::delete_orphan`].
    pub fn object(&self) -> ObjectId {
        self.object
    }
}

impl Vault {
    /// Seals the transcript of a sealed recording, and stores it.
    ///
    /// # Errors
    /// [`Error::Gone`] if the recording is shredded, or not sealed yet; the store's.
    pub async fn store_transcript(
        &self,
        recording: RecordingId,
        content_type: &str,
        json: &SecretBuffer,
    ) -> Result<StoredText, Error> {
        let key = self.readable_key(recording, Leg::All).await?;
        self.store_text(recording, &key, content_type, json).await
    }

    /// Seals a transcript that is derived from the earlier one, and stores it. The earlier
    /// plaintext is passed to `write` only, so this is no opening.
    ///
    /// # Errors
    /// As [`Self::store_transcript`]; [`Error::Altered`] or [`Error::Seal`] if the store returns
    /// something else; those of `write`.
    pub(crate) async fn store_successor(
        &self,
        recording: RecordingId,
        content_type: &str,
        earlier: &SealedArtefact,
        write: impl FnOnce(&[u8]) -> Result<SecretBuffer, Error> + Send,
    ) -> Result<StoredText, Error> {
        let key = self.readable_key(recording, Leg::All).await?;
        let mut before =
            SecretBuffer::with_capacity(usize::try_from(earlier.plain_len).unwrap_or_default());
        self.read_object_back(recording, &key, earlier, |piece| {
            before.extend_from_slice(piece);
        })
        .await?;
        let json = write(&before)?;
        self.store_text(recording, &key, content_type, &json).await
    }

    /// Enters a stored transcript, in a unit that has locked the sealed recording's row: from the
    /// commit on it is the recording's transcript. Returns the replaced object, if there was one,
    /// which no row names any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn enter_transcript(
        &self,
        unit: &mut Unit,
        stored: &StoredText,
        by: Initiator,
    ) -> Result<Option<ObjectId>, Error> {
        let now = self.0.clock.now();
        let row = &stored.row;
        let id = row.recording;
        let older = artefacts::replace(unit, row, now).await?;
        let sealed = NewEntry::transcript_sealed(now, by, id, row.sealed_len, &stored.sha256);
        unit.audit(sealed);
        Ok(older)
    }

    async fn store_text(
        &self,
        recording: RecordingId,
        record_key: &Key,
        content_type: &str,
        text: &SecretBuffer,
    ) -> Result<StoredText, Error> {
        let leg = Leg::All;
        let artefact = Artefact::Transcript;
        let object = ObjectId::random(&mut rand::rng());
        let context = Context {
            vault: self.0.id,
            recording,
            leg,
            artefact,
        };
        let mut sealer = Sealer::new(
            &keyring::artefact_key(record_key, leg, artefact),
            &context,
            SEGMENT,
        )?;
        let mut out = BytesMut::new();
        sealer.push(text, &mut out)?;
        let sealed = sealer.finish(&mut out)?;
        let sha256 = self.store_whole(object, out.freeze()).await?;
        let row = SealedArtefact {
            recording,
            leg,
            artefact,
            object: Some(object),
            inline: Bytes::new(),
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
            sealed_sha256: hex::encode(sha256),
            segment: SEGMENT.sealed(),
            content_type: content_type.to_owned(),
            pack: None,
            pack_at: None,
        };
        Ok(StoredText {
            object,
            row,
            sha256,
        })
    }

    /// Stores an object that is complete in memory. Returns its SHA-256.
    pub(super) async fn store_whole(
        &self,
        object: ObjectId,
        sealed: Bytes,
    ) -> Result<[u8; 32], Error> {
        let mut digest = Digest::default();
        digest.update(sealed.clone()).await?;
        let mut writer = self.0.store.writer(object);
        writer.write(sealed).await?;
        writer.finish().await?;
        digest.finish().await
    }
}
