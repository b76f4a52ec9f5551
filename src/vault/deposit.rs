//! Depositing: seal while the bytes arrive, store, and only then enter the key.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use super::{Error, Inner, Vault};
use crate::{
    evidence::NewEntry,
    keyring,
    ledger::{
        self, audit,
        recordings::{self, SealedArtefact},
        work::{self, Lease},
    },
    model::{
        artefact::{Artefact, Leg},
        crash,
        id::ObjectId,
        recording::Recording,
    },
    seal::{Context, Sealer, SegmentLength},
    secret::Key,
};

/// Ciphertext handed to the store at a time: 128 sealed segments, one part of a multipart upload.
const PART: usize = 8 * 1024 * 1024;

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
    /// Seals `body` as the audio of `recording`, whose fetching is held by `lease`. Memory: at most two parts of 8 MiB.
    ///
    /// If anything fails, the recording stays announced and nothing of it can be opened; ciphertext that was already stored is an orphan.
    ///
    /// # Errors
    /// [`DepositError::Source`] with the stream's own error; [`ledger::Error::Stale`] inside when the lease was lost or the recording was
    /// fenced meanwhile.
    pub async fn deposit<E: Send>(
        &self,
        lease: &Lease,
        recording: &Recording,
        content_type: &str,
        mut body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<Deposited, DepositError<E>> {
        let vault = &*self.0;
        let (leg, artefact) = (Leg::All, Artefact::Audio);
        let (record_key, object) = (Key::random(&mut rand::rng()), ObjectId::random(&mut rand::rng()));
        let context = Context { vault: vault.root.vault, recording: recording.id, leg, artefact };
        let segment = SegmentLength::Media;
        let mut sealer = Sealer::new(&keyring::artefact_key(&record_key, leg, artefact), &context, segment).map_err(Error::from)?;
        let mut writer = vault.store.writer(object);
        let mut out = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    // The orphan sweep finds what an abort that fails leaves behind.
                    let _ = writer.abort().await;
                    return Err(DepositError::Source(error));
                }
            };
            sealer.push(&chunk, &mut out).map_err(Error::from)?;
            while out.len() >= PART {
                writer.write(out.split_to(PART).freeze()).await.map_err(Error::from)?;
                crash::point("deposit.first_bytes");
            }
        }
        let sealed = sealer.finish(&mut out).map_err(Error::from)?;
        writer.write(out.freeze()).await.map_err(Error::from)?;
        crash::point("deposit.first_bytes");
        writer.finish().await.map_err(Error::from)?;
        crash::point("deposit.after_store");

        let artefact = SealedArtefact {
            artefact,
            object,
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
            sealed_sha256: hex::encode(sealed.sha256),
            segment: segment.sealed(),
            content_type: content_type.to_owned(),
        };
        if let Err(error) = vault.ledger.unit(|| vault.enter(lease, recording, leg, &record_key, &artefact, &sealed.sha256)).await {
            // Removed at once only when the transaction certainly did not commit; otherwise the orphan sweep asks the ledger first.
            if matches!(error, Error::Ledger(ledger::Error::Stale(_)) | Error::Gone) {
                let _ = vault.store.delete(object).await;
            }
            return Err(error.into());
        }
        crash::point("deposit.after_commit");
        Ok(Deposited { plain_len: sealed.plain_len, sealed_len: sealed.sealed_len })
    }
}

impl Inner {
    /// The unit of work that makes the recording exist.
    async fn enter(
        &self,
        lease: &Lease,
        recording: &Recording,
        leg: Leg,
        key: &Key,
        artefact: &SealedArtefact,
        sha256: &[u8; 32],
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.ledger.begin().await?;
        // First, because it locks the row: a shred that runs at the same time comes wholly before or wholly after.
        recordings::mark_sealed(&mut tx, recording.id, now).await?;
        work::finish(&mut tx, lease).await?;
        self.place_key(&mut tx, recording.id, leg, &recording.tier, key, now).await?;
        recordings::insert_artefact(&mut tx, recording.id, leg, artefact).await?;
        audit::append(&mut tx, NewEntry::recording_sealed(now, recording, artefact.sealed_len, sha256)).await?;
        crash::point("deposit.before_commit");
        Ok(tx.commit().await?)
    }
}
