//! Transcripts: sealed beside the sound they belong to, under the same record key, so that they die
//! with it.
//!
//! Owns the order: ciphertext first, row last, and the older object of a transcript that is
//! replaced after that; and which of two transcripts of one recording stays. One that the
//! application filed stays, whatever the source makes; among those of the source the better kind
//! does, and of two of a kind the one that was told of later. Of transcriptions in real time a call
//! may have several, each of its own minutes: those become one.

use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::{Error, Vault, digest::Digest};
use crate::{
    evidence::NewEntry,
    keyring,
    ledger::{
        self, Tx,
        marks::Marked,
        recordings::{self, SealedArtefact},
        transcripts::{self, LeasedTranscript},
        utterances,
        work::{self, WorkKind},
    },
    model::{
        artefact::{Artefact, Leg},
        id::ObjectId,
        origin::Origin,
        recording::Recording,
        time::Timestamp,
        transcript::Transcript,
    },
    policy::Permit,
    seal::{Context, Sealer, SegmentLength},
    secret::Key,
};

/// A transcript's segments.
const SEGMENT: SegmentLength = SegmentLength::Text;
/// How it is kept: JSON, as [`Transcript::to_json`] writes it.
const CONTENT_TYPE: &str = "application/json";

/// A transcript that came from the source, and what of it goes when it is filed.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Its place in the queue.
    pub lease: &'a LeasedTranscript,
    /// Of real time: the pieces from which it was put together. If there are others by then, it is
    /// not filed.
    pub pieces: u64,
    /// Whether the source's copy is to be deleted as soon as the vault has its own.
    pub erases: bool,
}

/// What became of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filed {
    /// It is the recording's first.
    First,
    /// It has taken the place of an older one.
    InPlace,
    /// The recording keeps the one that it has.
    Outdone,
}

impl Vault {
    /// Whether a recording keeps the transcript that it has, whatever comes of this one.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn outdoes(
        &self,
        recording: &Recording,
        lease: &LeasedTranscript,
    ) -> Result<bool, Error> {
        outdone(&mut self.0.ledger.read().await?, recording, lease).await
    }

    /// Seals what was said in a recording that is sealed already. One that the application brings
    /// always takes the older one's place.
    ///
    /// # Errors
    /// [`Error::Gone`] if the recording is shredded, or not sealed yet; or if the lease was lost,
    /// or more was said meanwhile.
    pub async fn seal_transcript(
        &self,
        permit: &Permit,
        arrived: Option<Arrived<'_>>,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<Filed, Error> {
        let vault = &*self.0;
        let leg = Leg::All;
        let artefact = Artefact::Transcript;
        let object = ObjectId::random(&mut rand::rng());
        let record_key = vault
            .with_root(async || {
                vault
                    .record_key(&mut vault.ledger.read().await?, recording.id, leg)
                    .await
            })
            .await?;
        let joined = self
            .joined_with_filed(arrived, recording, &record_key, transcript)
            .await?;
        let transcript = joined.as_ref().map_or(transcript, |(_, joined)| joined);
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
        )?;
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
        let entered = vault.unit("transcript.seal_transcript", async |mut unit| {
            let now = vault.clock.now();
            // First, because it locks the row: a shred that runs at the same time comes wholly
            // before or wholly after.
            recordings::lock_sealed(&mut unit, recording.id).await?;
            if arrived.is_some_and(|arrived| arrived.erases) {
                // Also where the source's copies went before this one was made.
                work::enqueue(&mut unit, WorkKind::DeleteAtSource, &[recording.id], now).await?;
            }
            if arrived.is_some_and(|arrived| is_of_real_time(arrived.lease)) {
                let filed = filed_in_real_time(&mut unit, recording)
                    .await?
                    .map(|(filed, _)| filed.object);
                if filed != joined.as_ref().map(|(object, _)| *object) {
                    return Err(
                        ledger::Error::Stale("another transcript was filed meanwhile").into(),
                    );
                }
            }
            if !settle(&mut unit, arrived, recording).await? {
                unit.without_entry("a transcript that another outdoes is not filed");
                return Ok(None);
            }
            let older = recordings::replace_artefact(&mut unit, recording.id, leg, &row).await?;
            unit.mark(Marked::Recording, &[recording.id], now);
            // The source's copies may have waited for this.
            work::hasten(&mut unit, WorkKind::DeleteAtSource, &[recording.id], now).await?;
            let entry = NewEntry::transcript_sealed(
                now,
                permit.initiator(),
                recording.id,
                row.sealed_len,
                &sha256,
            );
            unit.audit(entry);
            Ok(Some(older))
        });
        match entered.await {
            // What cannot be removed now is an orphan, which the sweep finds.
            Ok(Some(Some(older))) => {
                let _ = vault.store.delete(older).await;
                Ok(Filed::InPlace)
            }
            Ok(Some(None)) => Ok(Filed::First),
            Ok(None) => {
                let _ = vault.store.delete(object).await;
                Ok(Filed::Outdone)
            }
            // Removed at once only when the transaction certainly did not commit.
            Err(Error::Ledger(ledger::Error::Stale(_))) => {
                let _ = vault.store.delete(object).await;
                Err(Error::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// A transcription in real time together with the one that is filed for other minutes of the
    /// same call, and the object of that one.
    async fn joined_with_filed(
        &self,
        arrived: Option<Arrived<'_>>,
        recording: &Recording,
        record_key: &Key,
        transcript: &Transcript,
    ) -> Result<Option<(ObjectId, Transcript)>, Error> {
        let Some(lease) = arrived
            .map(|arrived| arrived.lease)
            .filter(|lease| is_of_real_time(lease))
        else {
            return Ok(None);
        };
        let Some((sealed, told_at)) =
            filed_in_real_time(&mut self.0.ledger.read().await?, recording).await?
        else {
            return Ok(None);
        };
        let mut json = Zeroizing::new(Vec::with_capacity(
            usize::try_from(sealed.plain_len).unwrap_or_default(),
        ));
        self.read_object_back(recording.id, record_key, &sealed, |piece| {
            json.extend_from_slice(piece)
        })
        .await?;
        let filed = Transcript::parse(&json).map_err(|_| Error::BrokenTranscript)?;
        let own = transcript.clone();
        let joined = if told_at <= lease.told_at {
            filed.joined(own)
        } else {
            own.joined(filed)
        };
        Ok(Some((
            sealed.object,
            joined.map_err(|_| Error::BrokenTranscript)?,
        )))
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

/// What the queue knows afterwards. Whether this transcript is the one that the recording has from
/// now on.
async fn settle(
    tx: &mut Tx,
    arrived: Option<Arrived<'_>>,
    recording: &Recording,
) -> Result<bool, Error> {
    let Some(Arrived { lease, pieces, .. }) = arrived else {
        transcripts::outdo(tx, recording).await?;
        return Ok(true);
    };
    let is_outdone = outdone(tx, recording, lease).await?;
    if is_outdone {
        transcripts::pass(tx, lease).await?;
    } else {
        transcripts::file(tx, lease, recording).await?;
    }
    if let Origin::RealTime(transcription) = lease.origin() {
        // After the transcription's row was locked: no piece comes in between.
        let gone = utterances::remove(tx, lease.account(), transcription).await?;
        if gone != pieces && !is_outdone {
            return Err(ledger::Error::Stale("more was said meanwhile").into());
        }
    }
    Ok(!is_outdone)
}

fn is_of_real_time(lease: &LeasedTranscript) -> bool {
    matches!(lease.origin(), Origin::RealTime(_))
}

/// The transcript that a recording has, if it was made in real time, and when the vault heard of
/// it.
async fn filed_in_real_time(
    tx: &mut Tx,
    recording: &Recording,
) -> Result<Option<(SealedArtefact, Timestamp)>, Error> {
    let Some((Origin::RealTime(_), told_at)) = transcripts::filed(tx, recording).await? else {
        return Ok(None);
    };
    let sealed = recordings::artefacts(tx, recording.id).await?;
    Ok(sealed
        .into_iter()
        .find(|sealed| sealed.artefact == Artefact::Transcript)
        .map(|sealed| (sealed, told_at)))
}

async fn outdone(
    tx: &mut Tx,
    recording: &Recording,
    lease: &LeasedTranscript,
) -> Result<bool, Error> {
    Ok(match transcripts::filed(tx, recording).await? {
        // They are put together.
        Some((Origin::RealTime(_), _)) if is_of_real_time(lease) => false,
        Some((theirs, told_at)) => {
            (theirs.rank(), told_at) > (lease.origin().rank(), lease.told_at)
        }
        // One that the source did not make, or from before a restore.
        None => recordings::artefacts(tx, recording.id)
            .await?
            .iter()
            .any(|sealed| sealed.artefact == Artefact::Transcript),
    })
}
