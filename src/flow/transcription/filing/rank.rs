//! Which of two transcripts of one recording stays, and the unit of work in which that is settled.
//!
//! One that the application filed stays, whatever the source makes; among those of the source the
//! better kind does, and of two of a kind the one that was told of later. Of transcriptions in real
//! time a call may have several, each of its own minutes: those become one.
//!
//! Owns that order, and what the queue of transcripts knows afterwards. Refuses to know how a
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

/// How it is kept: JSON, as [`Transcript::to_json`] writes it.
const CONTENT_TYPE: &str = "application/json";

/// A transcript that came from the source, and what of it goes when it is filed.
#[derive(Clone, Copy, Debug)]
pub(in crate::flow) struct Arrived<'a> {
    /// Its place in the queue.
    pub(in crate::flow) lease: &'a LeasedTranscript,
    /// Of real time: the pieces from which it was put together. If there are others by then, it is
    /// not filed.
    pub(in crate::flow) pieces: u64,
    /// Whether the source's copy is to be deleted as soon as the vault has its own.
    pub(in crate::flow) erases: bool,
}

/// What became of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Filed {
    /// It is the recording's first.
    First,
    /// It has taken the place of an older one.
    InPlace,
    /// The recording keeps the one that it has.
    Superseded,
}

/// The transcript in real time that a recording has by now, and when the vault heard of it.
type InRealTime = (SealedArtefact, Timestamp);

impl TranscriptFiling {
    /// Seals what was said in a recording that is sealed already. One that the application brings
    /// always takes the older one's place.
    ///
    /// # Errors
    /// [`vault::Error::Gone`] if the recording is shredded, or not sealed yet; or if the lease was
    /// lost, or more was said meanwhile.
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
            // First, because it locks the row: a shred that runs at the same time comes wholly
            // before or wholly after.
            recordings::lock_sealed(&mut unit, recording.id).await?;
            if arrived.is_some_and(|arrived| arrived.erases) {
                // Also where the source's copies went before this one was made.
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
            // The source's copies may have waited for this.
            work::hasten(&mut unit, WorkKind::DeleteAtSource, &[recording.id], now).await?;
            Ok(Some(older))
        });
        let entered = entered.await;
        match entered {
            Ok(Some(Some(older))) => {
                vault.delete_orphan(older).await;
                Ok(Filed::InPlace)
            }
            Ok(Some(None)) => Ok(Filed::First),
            Ok(None) => {
                vault.delete_orphan(stored.object()).await;
                Ok(Filed::Superseded)
            }
            // Removed at once only when the transaction certainly did not commit.
            Err(vault::Error::Db(db::Error::Stale(_))) => {
                vault.delete_orphan(stored.object()).await;
                Err(vault::Error::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores it; one in real time together with the one that is filed for other minutes of the
    /// same call.
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

/// What the queue knows afterwards. Whether this transcript is the one that the recording has from
/// now on.
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
        // After the transcription's row was locked: no piece comes in between.
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

/// The transcript that a recording has, if it was made in real time, and when the vault heard of
/// it.
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

/// Whether a recording keeps the transcript that it has, whatever comes of this one.
///
/// # Errors
/// The database's.
pub(in crate::flow::transcription) async fn supersedes(
    db: &Db,
    recording: &Recording,
    lease: &LeasedTranscript,
) -> Result<bool, db::Error> {
    superseded(&mut db.read().await?, recording, lease).await
}
