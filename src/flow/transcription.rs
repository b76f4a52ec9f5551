//! Transcripts that the source made find their recordings.
//!
//! Owns how patiently each is waited for, and what becomes of it in the end; the loop of work does
//! the rest. What each kind says and how it is put together is below. Refuses to know how a transcript
//! is sealed: [`Flow::file`] is the only way in.
//!
//! INVARIANT: what was said is fetched only when its recording is sealed and has no better
//! transcript; nothing that is waited for holds a word of it, except pieces of a running call,
//! which are sealed.

pub(super) mod filing;
mod intelligence;
mod legs;
mod look;
mod place;
mod rank;
mod real_time;
mod record;
mod told;

use std::time::Duration;

use super::{
    Error, Flow,
    retry::{AsSetback, Doubt, Setback, UNKNOWN_ACCOUNT},
    transcription::rank::Arrived,
    work::{Failed, Settings},
};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, Unit, sources,
        transcripts::{self, LeasedTranscript, TranscriptId},
        utterances,
        work::{self, Lease, WorkKind},
    },
    model::{
        id::RecordingId, origin::Origin, recording::Recording, time::Timestamp,
        transcript::Transcript,
    },
    policy::{Permit, action},
    twilio::{Accounts, DeleteSource, RestError},
};

/// For so long a transcript that is not ready yet is believed to become so.
const QUEUED: Duration = Duration::from_secs(24 * 3600);

/// A transcript, and where it belongs.
struct Found {
    recording: Recording,
    transcript: Transcript,
    /// Of real time: the pieces that it was put together from.
    pieces: u64,
}

/// How an attempt ended that filed nothing.
#[derive(Debug)]
enum Stop {
    /// It may go well later; believed for so long.
    Wait { why: String, most: Duration },
    /// Again after this pause, whatever was.
    After(Duration, String),
    /// The source was asked and did not answer well.
    Rest(RestError),
    /// It needs a person.
    Dead(String),
    /// The recording is shredded: nothing of it is ever filed, and the source's copy is to go.
    Shredded(RecordingId),
    /// The recording keeps the transcript that it has.
    Outdone,
    /// There is nothing in it, or nothing more to do.
    Over,
    /// We could not, or somebody else has it by now.
    Ours(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<ledger::Error> for Stop {
    fn from(error: ledger::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<RestError> for Stop {
    fn from(error: RestError) -> Self {
        Self::Rest(error)
    }
}

/// What becomes of a transcript that is not filed and not tried again.
#[derive(Debug)]
enum Settled {
    Shredded(RecordingId),
    Outdone,
    Over,
}

impl Stop {
    /// What it means for the work, unless that is over with it.
    fn judged(self, settings: &Settings) -> Result<Setback, Settled> {
        Ok(match self {
            Self::Wait { why, most } => Setback::Doubtful(Doubt {
                names_wait: true,
                ..Doubt::of(why, most)
            }),
            Self::After(pause, why) => Setback::Pause(Some(pause), why),
            Self::Rest(error) => Setback::of_rest(&error, QUEUED),
            Self::Dead(why) => Setback::Hopeless(why),
            Self::Ours(error) => error.into_setback(settings),
            Self::Shredded(id) => return Err(Settled::Shredded(id)),
            Self::Outdone => return Err(Settled::Outdone),
            Self::Over => return Err(Settled::Over),
        })
    }
}

impl Flow {
    /// Files a transcript, or says what becomes of it.
    pub(super) async fn attempt_transcript(
        &self,
        lease: Lease<TranscriptId>,
    ) -> Result<(), Failed> {
        let settings = &self.0.settings;
        let ours = |error: Error| Failed::from(error.into_setback(settings));
        let found = async {
            let mut looking = self.0.ledger.read().await?;
            transcripts::leased(&mut looking, lease.clone()).await
        };
        let Some(mut transcript) = found.await.map_err(|error| ours(error.into()))? else {
            return self.drop_work(&lease).await.map_err(ours);
        };
        let Err(stop) = self.file_leased(&mut transcript).await else {
            return Ok(());
        };
        let settled = match stop.judged(settings) {
            Ok(setback) => return Err(Failed::of(transcript, setback)),
            Err(settled) => settled,
        };
        let settled = self.settle_transcript(&transcript, settled).await;
        settled.map_err(|error| Failed::of(transcript, error.into_setback(settings)))
    }

    async fn file_leased(&self, lease: &mut LeasedTranscript) -> Result<(), Stop> {
        let accounts = self.accounts();
        let account = accounts
            .get(lease.account())
            .ok_or_else(|| Stop::Dead(UNKNOWN_ACCOUNT.to_owned()))?;
        let Found {
            recording,
            transcript,
            pieces,
        } = match lease.origin().clone() {
            Origin::Intelligence(sid) => {
                self.of_intelligence(lease, &accounts, account, &sid)
                    .await?
            }
            Origin::Record(sid) => self.of_record(lease, &accounts, account, &sid).await?,
            Origin::RealTime(sid) => self.of_real_time(lease, &accounts, account, &sid).await?,
        };
        let arrived = Arrived {
            lease,
            pieces,
            erases: account.delete_source() == DeleteSource::AfterSealing,
        };
        match self
            .file(
                &Permit::of_vault(action::Transcribe),
                Some(arrived),
                &recording,
                transcript,
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(Error::Shredded { .. }) => Err(Stop::Shredded(recording.id)),
            // More was said meanwhile, or the lease is lost.
            Err(Error::NotFound) => Err(Stop::After(
                Duration::from_secs(5),
                "it changed while it was filed".to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// The source has no transcript of this id: not any more, if the vault deleted it there with
    /// its recording; otherwise perhaps not yet.
    async fn missing(&self, sid: &str) -> Result<Stop, Stop> {
        let is_deleted = sources::is_deleted(&mut self.0.ledger.read().await?, sid).await?;
        Ok(if is_deleted {
            Stop::Over
        } else {
            Stop::Wait {
                why: "twilio has no such transcript".to_owned(),
                most: QUEUED,
            }
        })
    }

    /// What the ledger knows of a transcript that is not filed, and not tried again.
    async fn settle_transcript(
        &self,
        ours: &LeasedTranscript,
        settled: Settled,
    ) -> Result<(), Error> {
        let name = "transcription.settle";
        let done = self.0.ledger.unit(name, async |mut unit| {
            unit.without_entry("a transcript that is passed over is no act");
            let now = self.now();
            match settled {
                Settled::Over => transcripts::remove(&mut unit, ours).await?,
                Settled::Outdone | Settled::Shredded(_) => {
                    transcripts::pass(&mut unit, ours).await?;
                }
            }
            self.drop_pieces(&mut unit, ours).await?;
            match settled {
                Settled::Outdone => self.erase_outdone(&mut unit, ours, now).await,
                Settled::Shredded(id) => {
                    work::begin_anew(&mut unit, WorkKind::DeleteAtSource, &[id], now).await
                }
                Settled::Over => Ok(()),
            }
        });
        done.await?;
        if let Settled::Shredded(_) = settled {
            self.0.bell.notify_one();
        }
        Ok(())
    }

    /// Nobody needs a transcript any more that its recording has a better one than, here or there.
    async fn erase_outdone(
        &self,
        unit: &mut Unit,
        ours: &LeasedTranscript,
        now: Timestamp,
    ) -> Result<(), ledger::Error> {
        let accounts = self.accounts();
        let at_once = accounts
            .get(ours.account())
            .is_some_and(|account| account.delete_source() == DeleteSource::AfterSealing);
        match ours.source.as_ref().filter(|_| at_once) {
            Some(source) => {
                let ids = [self.recording_of(ours, source)];
                work::enqueue(unit, WorkKind::DeleteAtSource, &ids, now).await
            }
            None => Ok(()),
        }
    }

    /// Gives a transcript up, with every word of it.
    pub(super) async fn bury_transcript(
        &self,
        unit: &mut Unit,
        ours: &LeasedTranscript,
        why: &str,
        now: Timestamp,
    ) -> Result<(), ledger::Error> {
        transcripts::bury(unit, ours, why).await?;
        unit.count("recvault_transcripts_dead_total", 1);
        self.drop_pieces(unit, ours).await?;
        let source = ours.source.as_ref();
        let id = source.map(|source| self.recording_of(ours, source));
        let attempts = ours.lease.attempts;
        let entry = NewEntry::transcript_dead(now, ours.origin(), attempts, id);
        unit.audit(entry);
        Ok(())
    }

    /// What was said and will not be filed is deleted.
    async fn drop_pieces(
        &self,
        tx: &mut ledger::Tx,
        ours: &LeasedTranscript,
    ) -> Result<(), ledger::Error> {
        if let Origin::RealTime(transcription) = ours.origin() {
            utterances::remove(tx, ours.account(), transcription).await?;
        }
        Ok(())
    }
}

/// The account's own patience.
fn wait(accounts: &Accounts, why: impl Into<String>) -> Stop {
    Stop::Wait {
        why: why.into(),
        most: accounts.transcripts_wait(),
    }
}

#[cfg(test)]
mod tests;
