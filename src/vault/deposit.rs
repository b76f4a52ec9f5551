//! Depositing: seals the bytes while they arrive, stores them, and only then enters the key.
//!
//! Owns this order: only stored ciphertext makes a [`StoredMedia`], and only that is entered.
//! Refuses to know where the bytes come from, and what else a new recording entails: the caller
//! does that in the unit that it passes.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use super::{Vault, digest::Digest, error::Error};
use crate::{
    db::{
        Unit, artefacts,
        recordings::{self, SealedArtefact},
    },
    evidence::NewEntry,
    keyring,
    model::{artefact::Leg, crash, details::Participant, id::ObjectId, recording::Recording},
    seal::{Context, SealedLength, Sealer, SegmentLength},
    secret::Key,
    store::Writer,
};

/// The recording's segments.
const SEGMENT: SegmentLength = SegmentLength::Media;
/// Ciphertext passed to the store at a time: one part of a multipart upload.
const PART: usize = 8 * 1024 * 1024;
/// The capacity of a part's buffer. At most two segments are sealed at a time, so a part that was
/// not full before exceeds its size by no more than that.
const ROOM: usize = PART + 2 * SEGMENT.sealed() as usize;

/// What is stored together with the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct DepositOptions<'a> {
    /// The participants that the caller knows and that are not stored yet.
    pub parties: &'a [Participant],
    /// The duration that the file's header claims, if it exceeds the real one. Set when the last
    /// byte has arrived, and recorded in the audit log.
    pub promised: Option<&'a OnceLock<u64>>,
}

/// A recording's bytes, sealed and stored, whose key is not entered yet: until then nothing opens
/// them.
#[must_use = "it is an orphan until it is entered"]
pub struct StoredMedia {
    key: Key,
    object: ObjectId,
    artefact: SealedArtefact,
    sha256: [u8; 32],
}

impl StoredMedia {
    /// The object in the store, for [`Vault::delete_orphan`].
    pub fn object(&self) -> ObjectId {
        self.object
    }

    /// Returns its lengths.
    pub fn deposited(&self) -> Deposited {
        Deposited {
            plain_len: self.artefact.plain_len,
            sealed_len: self.artefact.sealed_len,
        }
    }
}

/// The lengths of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposited {
    /// Plaintext bytes.
    pub plain_len: u64,
    /// Ciphertext bytes.
    pub sealed_len: u64,
}

/// Why a deposit failed.
#[derive(Debug, thiserror::Error)]
pub enum DepositError<E> {
    /// The source's stream failed.
    #[error("the source ended the transfer early")]
    Source(E),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] Error),
}

impl Vault {
    /// Seals `body` as the media of a recording of this kind, on one of its legs, under a new
    /// record key, and stores it. Memory: at most two parts of 8 MiB.
    ///
    /// If anything fails, nothing of the recording can be opened; ciphertext that was already
    /// stored is an orphan.
    ///
    /// # Errors
    /// [`DepositError::Source`] with the stream's own error; the store's.
    pub async fn store_media<E: Send>(
        &self,
        recording: &Recording,
        leg: Leg,
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<StoredMedia, DepositError<E>> {
        let record_key = Key::random(&mut rand::rng());
        let context = Context {
            vault: self.0.id,
            recording: recording.id,
            leg,
            artefact: recording.kind().content(),
        };
        let (object, artefact, sha256) = self
            .store_stream(&record_key, &context, content_type, body)
            .await?;
        Ok(StoredMedia {
            key: record_key,
            object,
            artefact,
            sha256,
        })
    }

    /// Seals `body` as an artefact, and stores it. Returns its name in the store, its row, and the
    /// SHA-256 of its ciphertext.
    pub(super) async fn store_stream<E: Send>(
        &self,
        record_key: &Key,
        context: &Context,
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<(ObjectId, SealedArtefact, [u8; 32]), DepositError<E>> {
        let vault = &*self.0;
        let object = ObjectId::random(&mut rand::rng());
        let sealer = Sealer::new(
            &keyring::artefact_key(record_key, context.leg, context.artefact),
            context,
            SEGMENT,
        )
        .map_err(Error::from)?;
        let mut parts = Parts {
            writer: vault.store.writer(object),
            digest: Digest::default(),
            before: Bytes::new(),
        };
        let (sealed, last) = match parts.seal_from(sealer, body).await {
            Ok(done) => done,
            Err(error) => {
                // The orphan sweep finds what an abort that fails leaves behind.
                let _ = parts.writer.abort().await;
                return Err(error);
            }
        };
        let sha256 = parts.finish(last).await?;
        crash::point("deposit.after_store");

        let artefact = SealedArtefact {
            recording: context.recording,
            leg: context.leg,
            artefact: context.artefact,
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
        Ok((object, artefact, sha256))
    }

    /// Enters stored media: when the unit has committed, the recording exists. Must be called first
    /// in a unit, because it holds the epoch and then locks the recording's row: a concurrent shred
    /// comes wholly before or wholly after. Returns the recording as it is now; its tier may have
    /// changed while it was fetched.
    ///
    /// The leg of all sides comes first and seals the recording; any other leg is added to a sealed
    /// recording.
    ///
    /// # Errors
    /// [`Stale`](crate::db::Error::Stale) inside if the recording no longer waits for this leg, or
    /// not yet; [`Error::Gone`] if the media belong to another recording; the database's.
    pub async fn enter(
        &self,
        unit: &mut Unit,
        recording: &Recording,
        stored: &StoredMedia,
        options: &DepositOptions<'_>,
    ) -> Result<Recording, Error> {
        let vault = &*self.0;
        let StoredMedia {
            key,
            artefact,
            sha256,
            ..
        } = stored;
        if artefact.recording != recording.id {
            return Err(Error::Gone);
        }
        let now = vault.clock.now();
        vault.lock_epoch_shared(unit).await?;
        let leg = artefact.leg;
        let tier = match leg {
            Leg::All => recordings::mark_sealed(unit, recording.id, now).await?,
            Leg::Caller | Leg::Callee => recordings::lock_sealed(unit, recording.id).await?,
        };
        let recording = Recording {
            tier,
            ..recording.clone()
        };
        vault
            .place_key(unit, recording.id, leg, &recording.tier, key)
            .await?;
        artefacts::insert(unit, std::slice::from_ref(artefact), now).await?;
        // Participants are sealed with the key of the leg of all sides.
        if leg == Leg::All {
            vault
                .adopt_participants(unit, &recording, key, options.parties, now)
                .await?;
        }
        let sealed = NewEntry::recording_sealed(now, &recording, leg, artefact.sealed_len, sha256);
        unit.audit(match options.promised.and_then(OnceLock::get) {
            Some(promised) => sealed.promising(artefact.plain_len, *promised),
            None => sealed,
        });
        unit.count("recvault_sealed_bytes_total", artefact.plain_len);
        Ok(recording)
    }

    /// Removes an object that no row names: one that a unit replaced, or one that was to be entered
    /// by a unit which certainly did not commit. If the removal fails, the orphan sweep repeats it.
    pub async fn delete_orphan(&self, object: ObjectId) {
        let _ = self.0.store.delete(object).await;
    }
}

/// Uploads ciphertext: one part is stored and digested while the next one fills.
struct Parts {
    writer: Writer,
    digest: Digest,
    /// The part being stored. Its buffer is reused when store and digest are done with it, so that
    /// a long recording needs two buffers.
    before: Bytes,
}

impl Parts {
    /// Seals the whole stream and stores each full part. Returns the lengths and the last part.
    async fn seal_from<E>(
        &mut self,
        mut sealer: Sealer,
        mut body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<(SealedLength, BytesMut), DepositError<E>> {
        let mut out = BytesMut::with_capacity(ROOM);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(DepositError::Source)?;
            for piece in chunk.chunks(SEGMENT.plain()) {
                sealer.push(piece, &mut out).map_err(Error::from)?;
                if out.len() >= PART {
                    out = self.hand_on(out).await?;
                    crash::point("deposit.first_bytes");
                }
            }
        }
        let sealed = sealer.finish(&mut out).map_err(Error::from)?;
        Ok((sealed, out))
    }

    /// Starts storing the full part in `out`, and returns a buffer with the remaining bytes.
    async fn hand_on(&mut self, mut out: BytesMut) -> Result<BytesMut, Error> {
        let rest = out.split_off(PART);
        let part = out.freeze();
        // Both wait for the previous part.
        self.digest.update(part.clone()).await?;
        self.writer.write(part.clone()).await?;
        let before = std::mem::replace(&mut self.before, part);
        let mut next = before
            .try_into_mut()
            .unwrap_or_else(|_| BytesMut::with_capacity(ROOM));
        next.clear();
        next.extend_from_slice(&rest);
        Ok(next)
    }

    /// Stores the last, shorter part. When this returns, the object is durable. Returns its
    /// SHA-256.
    async fn finish(mut self, out: BytesMut) -> Result<[u8; 32], Error> {
        let last = out.freeze();
        self.digest.update(last.clone()).await?;
        self.writer.write(last).await?;
        crash::point("deposit.first_bytes");
        self.writer.finish().await?;
        self.digest.finish().await
    }
}
