//! Depositing: seal while the bytes arrive, store, and only then enter the key.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use super::{Error, Inner, Vault, digest::Digest};
use crate::{
    evidence::NewEntry,
    keyring,
    ledger::{
        self, Unit, consents,
        marks::Marked,
        quarantine,
        recordings::{self, SealedArtefact},
        work::{self, Lease, WorkKind},
    },
    model::{
        actor::Initiator,
        artefact::{Artefact, Leg},
        crash,
        details::Found,
        id::{ObjectId, RecordingId},
        recording::Recording,
        time::Timestamp,
    },
    policy::covers_recording,
    seal::{Context, Sealer, SegmentLength},
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

/// What goes with the sound.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What a player should be told it is.
    pub content_type: &'a str,
    /// When the source's copies are due to be deleted, if they are not kept.
    pub erase_at: Option<Timestamp>,
    /// Who took part, as far as whoever brings the sound knows and nobody else has kept it.
    pub parties: &'a [Found],
    /// How long the header says that the sound is, where that is longer than it is; known when its
    /// last byte came. It is told in the audit log.
    pub promised: Option<&'a OnceLock<u64>>,
    /// When to look for transcripts that the source made of it without being asked, if at all.
    pub look_at: Option<Timestamp>,
}

impl<'a> Beside<'a> {
    /// Sound of this kind, and nothing else.
    pub fn of(content_type: &'a str) -> Self {
        Self {
            content_type,
            erase_at: None,
            look_at: None,
            parties: &[],
            promised: None,
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
    #[error("the source broke off")]
    Source(E),
    /// The vault could not.
    #[error(transparent)]
    Vault(#[from] Error),
}

impl Vault {
    /// Seals `body` as the audio of `recording`, whose fetching is held by `lease`. Memory: at most
    /// two parts of 8 MiB.
    ///
    /// A recording that comes with an end of its quarantine is in quarantine from the moment in
    /// which it is sealed, unless the ledger knows by then that every party consented to being
    /// recorded.
    ///
    /// If anything fails, the recording stays announced and nothing of it can be opened; ciphertext
    /// that was already stored is an orphan.
    ///
    /// # Errors
    /// [`DepositError::Source`] with the stream's own error; [`ledger::Error::Stale`] inside when
    /// the lease was lost or the recording was fenced meanwhile.
    pub async fn deposit<E: Send>(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
        beside: &Beside<'_>,
        mut body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<Deposited, DepositError<E>> {
        let vault = &*self.0;
        let leg = Leg::All;
        let artefact = Artefact::Audio;
        let record_key = Key::random(&mut rand::rng());
        let object = ObjectId::random(&mut rand::rng());
        let context = Context {
            vault: vault.id,
            recording: recording.id,
            leg,
            artefact,
        };
        let mut sealer = Sealer::new(
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
        let mut out = BytesMut::with_capacity(ROOM);
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    // The orphan sweep finds what an abort that fails leaves behind.
                    let _ = parts.writer.abort().await;
                    return Err(DepositError::Source(error));
                }
            };
            for piece in chunk.chunks(SEGMENT.plain()) {
                sealer.push(piece, &mut out).map_err(Error::from)?;
                if out.len() >= PART {
                    out = parts.hand_on(out).await?;
                    crash::point("deposit.first_bytes");
                }
            }
        }
        let sealed = sealer.finish(&mut out).map_err(Error::from)?;
        let sha256 = parts.finish(out).await?;
        crash::point("deposit.after_store");

        let artefact = SealedArtefact {
            artefact,
            object,
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
            sealed_sha256: hex::encode(sha256),
            segment: SEGMENT.sealed(),
            content_type: beside.content_type.to_owned(),
        };
        let entered = Entered {
            key: record_key,
            artefact,
            sha256,
        };
        if let Err(error) = vault
            .unit("deposit.enter", async |mut unit| {
                vault
                    .enter(&mut unit, lease, recording, beside, &entered)
                    .await
            })
            .await
        {
            // Removed at once only when the transaction certainly did not commit; otherwise the
            // orphan sweep asks the ledger first.
            if matches!(error, Error::Ledger(ledger::Error::Stale(_)) | Error::Gone) {
                let _ = vault.store.delete(object).await;
            }
            return Err(error.into());
        }
        crash::point("deposit.after_commit");
        Ok(Deposited {
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
        })
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

/// What is entered into the ledger once it is in the store.
struct Entered {
    key: Key,
    artefact: SealedArtefact,
    sha256: [u8; 32],
}

impl Inner {
    /// The unit of work that makes the recording exist.
    async fn enter(
        &self,
        unit: &mut Unit,
        lease: &Lease<RecordingId>,
        recording: &Recording,
        beside: &Beside<'_>,
        Entered {
            key,
            artefact,
            sha256,
        }: &Entered,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let leg = Leg::All;
        self.present(unit).await?;
        // First of the rows, because it locks this one: a shred that runs at the same time comes
        // wholly before or wholly after.
        let tier = recordings::mark_sealed(unit, recording.id, now).await?;
        work::finish(unit, lease).await?;
        if let Some(at) = beside.erase_at {
            work::enqueue(unit, WorkKind::DeleteAtSource, &[recording.id], at).await?;
        }
        if let Some(at) = beside.look_at {
            let ids = [recording.id];
            work::enqueue_at(unit, WorkKind::PollTranscripts, &ids, at, now).await?;
        }
        // The tier as it is now: the recording may have gone to another one while it was fetched.
        let recording = &Recording {
            tier,
            ..recording.clone()
        };
        self.place_key(unit, recording.id, leg, &recording.tier, key)
            .await?;
        recordings::insert_artefact(unit, recording.id, leg, artefact).await?;
        self.take_over(unit, recording, key, beside.parties, now)
            .await?;
        let sealed = NewEntry::recording_sealed(now, recording, artefact.sealed_len, sha256);
        let mut entries = vec![match beside.promised.and_then(OnceLock::get) {
            Some(promised) => sealed.promising(artefact.plain_len, *promised),
            None => sealed,
        }];
        // After the lock: what is told of its parties meanwhile waits for it, or is seen here.
        if let Some(ends) = recording.quarantine_ends {
            let recording = recordings::find(unit, recording.id)
                .await?
                .ok_or(Error::Gone)?;
            let consents = consents::gather(unit, std::slice::from_ref(&recording))
                .await?
                .remove(&recording.id)
                .unwrap_or_default();
            if !covers_recording(&consents, &recording, now) {
                quarantine::begin(unit, recording.id, ends).await?;
                entries.push(NewEntry::recording_quarantined(
                    now,
                    Initiator::Vault,
                    recording.id,
                    ends,
                ));
            }
        }
        unit.mark(Marked::Recording, &[recording.id], now);
        unit.audit_all(entries);
        self.close_arriving(unit, recording, now).await?;
        unit.count("recvault_sealed_bytes_total", artefact.plain_len);
        crash::point("deposit.before_commit");
        Ok(())
    }
}
