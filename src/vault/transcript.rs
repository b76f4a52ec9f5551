//! Transcripts: sealed beside the sound they belong to, under the same record key, so that they die with it.
//!
//! Owns the order: ciphertext first, row last, and the older object of a transcript that is replaced after that.

use bytes::{Bytes, BytesMut};

use super::{Error, Vault, digest::Digest};
use crate::{
    evidence::NewEntry,
    keyring,
    ledger::{
        self, audit,
        marks::{self, Marked},
        recordings::{self, SealedArtefact},
        work::{self, Kind},
    },
    model::{
        artefact::{Artefact, Leg},
        id::ObjectId,
        recording::Recording,
        transcript::Transcript,
    },
    policy::Permit,
    seal::{Context, Sealer, SegmentLength},
};

/// A transcript's segments.
const SEGMENT: SegmentLength = SegmentLength::Text;
/// How it is kept: JSON, as [`Transcript::to_json`] writes it.
const CONTENT_TYPE: &str = "application/json";

impl Vault {
    /// Seals what was said in a recording that is sealed already. Whether it is the first transcript; an older one is replaced.
    ///
    /// # Errors
    /// [`Error::Gone`] if the recording is shredded, or not sealed yet.
    pub async fn seal_transcript(&self, permit: &Permit, recording: &Recording, transcript: &Transcript) -> Result<bool, Error> {
        let vault = &*self.0;
        let (leg, artefact, object) = (Leg::All, Artefact::Transcript, ObjectId::random(&mut rand::rng()));
        let record_key = vault.unit(async || vault.record_key(&mut vault.ledger.read().await?, recording.id, leg).await).await?;
        let context = Context { vault: vault.id, recording: recording.id, leg, artefact };
        let mut sealer = Sealer::new(&keyring::artefact_key(&record_key, leg, artefact), &context, SEGMENT)?;
        drop(record_key);
        let mut out = BytesMut::new();
        sealer.push(&transcript.to_json(), &mut out)?;
        let sealed = sealer.finish(&mut out)?;
        let sha256 = self.store_whole(object, out.freeze()).await?;
        let row = SealedArtefact {
            artefact,
            object,
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
            sealed_sha256: hex::encode(sha256),
            segment: SEGMENT.sealed(),
            content_type: CONTENT_TYPE.to_owned(),
        };
        let entered = vault.unit(async || {
            let (mut tx, now) = (vault.ledger.begin().await?, vault.clock.now());
            // First, because it locks the row: a shred that runs at the same time comes wholly before or wholly after.
            recordings::lock_sealed(&mut tx, recording.id).await?;
            let older = recordings::replace_artefact(&mut tx, recording.id, leg, &row).await?;
            marks::set(&mut tx, Marked::Recording, &[recording.id], now).await?;
            // The source's copies may have waited for this.
            work::hasten(&mut tx, Kind::Erase, &[recording.id], now).await?;
            let entry = NewEntry::transcript_sealed(now, *permit.actor(), recording.id, row.sealed_len, &sha256);
            audit::append(&mut tx, entry).await?;
            tx.commit().await?;
            Ok(older)
        });
        match entered.await {
            Ok(older) => {
                if let Some(older) = older {
                    // What cannot be removed now is an orphan, which the sweep finds.
                    let _ = vault.store.delete(older).await;
                }
                Ok(older.is_none())
            }
            // Removed at once only when the transaction certainly did not commit.
            Err(Error::Ledger(ledger::Error::Stale(_))) => {
                let _ = vault.store.delete(object).await;
                Err(Error::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores an object that is whole already; its SHA-256.
    async fn store_whole(&self, object: ObjectId, sealed: Bytes) -> Result<[u8; 32], Error> {
        let mut digest = Digest::default();
        digest.update(sealed.clone()).await?;
        let mut writer = self.0.store.writer(object);
        writer.write(sealed).await?;
        writer.finish().await?;
        digest.finish().await
    }
}
