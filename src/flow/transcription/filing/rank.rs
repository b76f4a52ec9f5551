//! The ranking of two transcripts of one recording, and the unit of work that applies it.
//!
//! A transcript that the application filed always stays. Among those of the source the better kind
//! stays, and of two of a kind the one that was announced later. Real-time transcriptions of a
//! call, each of its own minutes, are joined.
//!
//! Owns that order, and the state of the transcript queue afterwards. Refuses to know how a
//! transcript is sealed.

use super::TranscriptFiling;
use crate::{
    db::{
        self, Db, Tx,
        recordings::{self, SealedArtefact},
        transcripts::{self, LeasedTranscript},
        utterances,
        work::{self, WorkKind},
    },
    model::{
        artefact::Artefact, origin::Origin, recording::Recording, time::Timestamp,
        transcript::Transcript,
    },
    policy::{Permit, action},
    vault::{self, StoredText},
};

/// The stored format: JSON, as [`Transcript::to_json`] writes it.
const CONTENT_TYPE: &str = "application/json";

/// A transcript from the source, with the effects of its filing.
#[derive(Clone, Copy, Debug)]
pub(in crate::flow) struct Arrived<'a> {
    /// Its lease.
    pub(in crate::flow) lease: &'a LeasedTranscript,
    /// For a real-time transcription: the number of pieces from which it was assembled. If the
    /// number has changed by then, it is not filed.
    pub(in crate::flow) pieces: u64,
    /// Whether the source's copy is to be deleted as soon as the vault has its own.
    pub(in crate::flow) erases: bool,
}

/// The result of filing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Filed {
    /// It is the recording's first.
    First,
    /// It has replaced an older one.
    InPlace,
    /// The recording keeps its present one.
    Superseded,
}

/// The real-time transcript that a recording has, and when the vault was told of it.
type InRealTime = (SealedArtefact, Timestamp);

impl TranscriptFiling {
    /// Seals and stores a transcript of a sealed recording. One from the application always
    /// replaces the older one.
    ///
    /// # Errors
    /// [`vault::Error::Gone`] if the recording is shredded, or not sealed yet; or if another
    /// transcript or more pieces arrived meanwhile. [`db::Error::LeaseLost`] inside if the lease
    /// was lost.
    pub(super) async fn seal_transcript(
        &self,
        permit: &Permit<action::Transcribe>,
        arrived: Option<Arrived<'_>>,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<Filed, vault::Error> {
        let vault = &self.vault;
        let in_real_time = arrived
            .map(|arrived| arrived.lease)
            .filter(|lease| is_of_real_time(lease));
        let earlier = match in_real_time {
            Some(_) => filed_in_real_time(&mut self.db.read().await?, recording).await?,
            None => None,
        };
        let stored = self
            .stored(in_real_time, recording, earlier.as_ref(), transcript)
            .await?;
        let entered = vault.unit("transcript.seal_transcript", async |mut unit| {
            let now = self.clock.now();
            // First, because it locks the row: a concurrent shred runs wholly before or wholly
            // after.
            recordings::lock_sealed(&mut unit, recording.id).await?;
            if arrived.is_some_and(|arrived| arrived.erases) {
                // Even if the source's other copies were deleted before this one was made.
                work::enqueue(&mut unit, WorkKind::DeleteAtSource, &[recording.id], now).await?;
            }
            if in_real_time.is_some() {
                let filed = filed_in_real_time(&mut unit, recording).await?;
                if filed.map(|(filed, _)| filed.object)
                    != earlier.as_ref().map(|(earlier, _)| earlier.object)
                {
                    return Err(db::Error::Stale("another transcript was filed meanwhile").into());
                }
            }
            if !settle(&mut unit, arrived, recording).await? {
                unit.without_entry("a transcript that another supersedes is not filed");
                return Ok(None);
            }
            let by = permit.initiator();
            let older = vault.enter_transcript(&mut unit, &stored, by).await?;
            // The deletion at the source may have waited for this.
            work::hasten(&mut unit, WorkKind::DeleteAtSource, &[recording.id], now).await?;
            Ok(Some(older))
        });
        let entered = entered.await;
        match entered {
            Ok(Some(Some(older))) => {
                vault.remove_replaced(older).await;
                Ok(Filed::InPlace)
            }
            Ok(Some(None)) => Ok(Filed::First),
            Ok(None) => {
                vault.discard_text(stored).await;
                Ok(Filed::Superseded)
            }
            // Discarded immediately only if the transaction certainly did not commit.
            Err(vault::Error::Db(db::Error::Stale(_))) => {
                vault.discard_text(stored).await;
                Err(vault::Error::Gone)
            }
            Err(lost @ vault::Error::Db(db::Error::LeaseLost)) => {
                vault.discard_text(stored).await;
                Err(lost)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores the transcript; a real-time one is joined with the one that is filed for other
    /// minutes of the same call.
    async fn stored(
        &self,
        in_real_time: Option<&LeasedTranscript>,
        recording: &Recording,
        earlier: Option<&InRealTime>,
        transcript: &Transcript,
    ) -> Result<StoredText, vault::Error> {
        let vault = &self.vault;
        let (Some(lease), Some((sealed, told_at))) = (in_real_time, earlier) else {
            return vault
                .store_transcript(recording.id, CONTENT_TYPE, &transcript.to_json())
                .await;
        };
        let own = transcript.clone();
        let join = |json: &[u8]| {
            let filed = Transcript::parse(json).map_err(|_| vault::Error::BrokenTranscript)?;
            let joined = if *told_at <= lease.told_at {
                filed.joined(own)
            } else {
                own.joined(filed)
            };
            let joined = joined.map_err(|_| vault::Error::BrokenTranscript)?;
            Ok(joined.to_json())
        };
        vault
            .store_successor(recording.id, CONTENT_TYPE, sealed, join)
            .await
    }
}

/// Updates the transcript queue. Returns whether the recording has this transcript from now on.
async fn settle(
    tx: &mut Tx,
    arrived: Option<Arrived<'_>>,
    recording: &Recording,
) -> Result<bool, db::Error> {
    let Some(Arrived { lease, pieces, .. }) = arrived else {
        transcripts::mark_superseded(tx, recording).await?;
        return Ok(true);
    };
    let is_superseded = superseded(tx, recording, lease).await?;
    if is_superseded {
        transcripts::pass(tx, lease).await?;
    } else {
        transcripts::file(tx, lease, recording).await?;
    }
    if let Origin::RealTime(transcription) = lease.origin() {
        // After the transcription's row was locked, so that no piece is inserted in between.
        let gone = utterances::remove(tx, lease.account(), transcription).await?;
        if gone != pieces && !is_superseded {
            return Err(db::Error::Stale("more pieces arrived meanwhile"));
        }
    }
    Ok(!is_superseded)
}

fn is_of_real_time(lease: &LeasedTranscript) -> bool {
    matches!(lease.origin(), Origin::RealTime(_))
}

/// Returns the recording's transcript if it is a real-time one, and when the vault was told of it.
async fn filed_in_real_time(
    tx: &mut Tx,
    recording: &Recording,
) -> Result<Option<InRealTime>, db::Error> {
    let Some((Origin::RealTime(_), told_at)) = transcripts::filed(tx, recording).await? else {
        return Ok(None);
    };
    let sealed = recordings::artefacts(tx, recording.id).await?;
    Ok(sealed
        .into_iter()
        .find(|sealed| sealed.artefact == Artefact::Transcript)
        .map(|sealed| (sealed, told_at)))
}

async fn superseded(
    tx: &mut Tx,
    recording: &Recording,
    lease: &LeasedTranscript,
) -> Result<bool, db::Error> {
    Ok(match transcripts::filed(tx, recording).await? {
        // They are joined.
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

/// Returns whether a recording keeps its present transcript over this one.
///
/// # Errors
/// Any database error.
pub(in crate::flow::transcription) async fn supersedes(
    db: &Db,
    recording: &Recording,
    lease: &LeasedTranscript,
) -> Result<bool, db::Error> {
    superseded(&mut db.read().await?, recording, lease).await
}
