//! Depositing: seal while the bytes arrive, store, and only then enter the key.
//!
//! Owns this order: only ciphertext that is stored makes a [`StoredMedia`], and only that is
//! entered. Refuses to know where the bytes come from, and what else becomes true when a recording
//! exists; whoever lends the unit does that in it.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use super::{Vault, digest::Digest, error::Error};
use crate::{
    db::{
        Unit,
        outbox::OutboxKind,
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
/// Ciphertext handed to the store at a time: one part of a multipart upload.
const PART: usize = 8 * 1024 * 1024;
/// A buffer for a part. What is sealed at a time is at most two segments, so a part that was not
/// full before has outgrown it by no more.
const ROOM: usize = PART + 2 * SEGMENT.sealed() as usize;

/// What goes with the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct DepositOptions<'a> {
    /// Who took part, as far as whoever brings them knows and nobody else has kept it.
    pub parties: &'a [Participant],
    /// How long the header says that the sound is, where that is longer than it is; known when its
    /// last byte came. It is told in the audit log.
    pub promised: Option<&'a OnceLock<u64>>,
}

/// A recording's bytes that are sealed and stored, and whose key nobody has entered: nothing of
/// them opens yet.
#[must_use = "it is an orphan until it is entered"]
pub struct StoredMedia {
    key: Key,
    artefact: SealedArtefact,
    sha256: [u8; 32],
}

impl StoredMedia {
    /// The object in the store, for [`Vault::delete_orphan`].
    pub fn object(&self) -> ObjectId {
        self.artefact.object
    }

    /// Its lengths.
    pub fn deposited(&self) -> Deposited {
        Deposited {
            plain_len: self.artefact.plain_len,
            sealed_len: self.artefact.sealed_len,
        }
    }
}

/// What was deposited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposited {
    /// Plaintext bytes.
    pub plain_len: u64,
    /// Ciphertext bytes.
    pub sealed_len: u64,
}

/// Why a deposit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DepositError<E> {
    /// The source broke off.
    #[error("the source ended the transfer early")]
    Source(E),
    /// The vault could not.
    #[error(transparent)]
    Vault(#[from] Error),
}

impl Vault {
    /// Seals `body` as what a recording of this kind is made of, on one of its legs, under a new
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
        let vault = &*self.0;
        let artefact = recording.kind().content();
        let record_key = Key::random(&mut rand::rng());
        let object = ObjectId::random(&mut rand::rng());
        let context = Context {
            vault: vault.id,
            recording: recording.id,
            leg,
            artefact,
        };
        let sealer = Sealer::new(
            &keyring::artefact_key(&record_key, leg, artefact),
            &context,
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
            recording: recording.id,
            leg,
            artefact,
            object,
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
            sealed_sha256: hex::encode(sha256),
            segment: SEGMENT.sealed(),
            content_type: content_type.to_owned(),
        };
        Ok(StoredMedia {
            key: record_key,
            artefact,
            sha256,
        })
    }

    /// Enters what is stored: when the unit has committed, the recording exists. To be called first
    /// in a unit, because it holds the epoch and then locks the recording's row: a shred that runs
    /// at the same time comes wholly before or wholly after. The recording as it is now; it may
    /// have gone to another tier while it was fetched.
    ///
    /// The leg of all sides comes first and seals the recording; any other joins one that is
    /// sealed.
    ///
    /// # Errors
    /// [`Stale`](crate::db::Error::Stale) inside when the recording does not wait for it any
    /// more, or not yet; [`Error::Gone`] for what is of another one; the database's.
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
        recordings::insert_artefact(unit, artefact).await?;
        // Who took part is sealed with the key of all sides.
        if leg == Leg::All {
            vault
                .adopt_participants(unit, &recording, key, options.parties, now)
                .await?;
        }
        unit.to_journal(OutboxKind::Recording, &[recording.id], now);
        let sealed = NewEntry::recording_sealed(now, &recording, leg, artefact.sealed_len, sha256);
        unit.audit(match options.promised.and_then(OnceLock::get) {
            Some(promised) => sealed.promising(artefact.plain_len, *promised),
            None => sealed,
        });
        unit.count("recvault_sealed_bytes_total", artefact.plain_len);
        Ok(recording)
    }

    /// Removes an object that no row names: one that a unit replaced, or that a unit which certainly
    /// did not commit was to enter. The sweep finds what cannot be removed now.
    pub async fn delete_orphan(&self, object: ObjectId) {
        let _ = self.0.store.delete(object).await;
    }
}

/// The way of ciphertext into the store: one part is stored and digested while the next one fills.
struct Parts {
    writer: Writer,
    digest: Digest,
    /// The part on its way; its buffer is filled again when store and digest are done with it, so
    /// that a long recording needs two.
    before: Bytes,
}

impl Parts {
    /// Seals everything that comes and hands on each full part; the lengths, and the last part.
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

    /// Takes a full part out of `out`, and gives back a buffer with what is left.
    async fn hand_on(&mut self, mut out: BytesMut) -> Result<BytesMut, Error> {
        let rest = out.split_off(PART);
        let part = out.freeze();
        // Both wait for the part before.
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

    /// Stores the last, shorter part. When this returns, the object is durable; its SHA-256.
    async fn finish(mut self, out: BytesMut) -> Result<[u8; 32], Error> {
        let last = out.freeze();
        self.digest.update(last.clone()).await?;
        self.writer.write(last).await?;
        crash::point("deposit.first_bytes");
        self.writer.finish().await?;
        self.digest.finish().await
    }
}
