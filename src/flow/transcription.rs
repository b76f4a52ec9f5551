//! Assignment of the source's transcripts to their recordings.
//!
//! Owns how long each is waited for, and its final state; the work loop does the rest. The
//! submodules parse each kind. Refuses to know how a transcript is sealed:
//! [`TranscriptFiling::file`] is the only entry point.
//!
//! INVARIANT: text is fetched only when its recording is sealed and has no better transcript;
//! nothing that waits contains text, except pieces of a running call, which are sealed.

pub(super) mod filing;
mod intelligence;
mod legs;
pub(super) mod look;
mod place;
mod real_time;
mod record;
pub(super) mod source;
mod text;
pub(super) mod told;

use std::{sync::Arc, time::Duration};

use self::{
    filing::{TranscriptFiling, rank::Arrived},
    source::TranscriptSource,
};
use super::{
    error::Error,
    queue::{WorkQueue, given_back},
    retry::{Doubt, RetryDecision, Setback, UNKNOWN_ACCOUNT},
    wakeups::Wakeups,
};
use crate::{
    db::{
        self, Db, Unit,
        transcripts::{self, LeasedTranscript, TranscriptId},
        utterances,
        work::{self, Lease, WorkKind},
    },
    evidence::NewEntry,
    model::{
        id::RecordingId,
        origin::Origin,
        recording::Recording,
        time::{Clock, Timestamp},
        transcript::Transcript,
    },
    policy::{Permit, action},
    twilio::{Accounts, DeleteSource, RestError},
};

/// How long a transcript that is not ready yet is waited for.
const QUEUED: Duration = Duration::from_secs(24 * 3600);

/// A transcript with its recording.
struct Found {
    recording: Recording,
    transcript: Transcript,
    /// For a real-time transcription: the number of pieces from which it was assembled.
    pieces: u64,
}

/// Why an attempt filed nothing.
#[derive(Debug)]
enum Stop {
    /// It may succeed later, within a time limit.
    Wait { why: String, most: Duration },
    /// Retry after this pause, without a limit.
    After(Duration, String),
    /// A request to the source failed.
    Rest(RestError),
    /// An operator must act.
    Dead(String),
    /// The recording is shredded: nothing of it is ever filed, and the source's copy is to be
    /// deleted.
    Shredded(RecordingId),
    /// The recording keeps its present transcript.
    Superseded,
    /// It is empty, or nothing is left to do.
    Over,
    /// The vault failed, or the lease is lost.
    Ours(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<db::Error> for Stop {
    fn from(error: db::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<RestError> for Stop {
    fn from(error: RestError) -> Self {
        Self::Rest(error)
    }
}

/// The final state of a transcript that is neither filed nor retried.
#[derive(Debug)]
enum Settled {
    Shredded(RecordingId),
    Superseded,
    Over,
}

impl Stop {
    /// Converts it to a setback of the work, or to a final state.
    fn judged(self) -> Result<Setback, Settled> {
        Ok(match self {
            Self::Wait { why, most } => Setback::Doubtful(Doubt {
                names_wait: true,
                ..Doubt::of(why, most)
            }),
            Self::After(pause, why) => Setback::Pause(Some(pause), why),
            Self::Rest(error) => Setback::of_rest(&error, QUEUED),
            Self::Dead(why) => Setback::Hopeless(why),
            Self::Ours(error) => Setback::of_ours(&error),
            Self::Shredded(id) => return Err(Settled::Shredded(id)),
            Self::Superseded => return Err(Settled::Superseded),
            Self::Over => return Err(Settled::Over),
        })
    }
}

/// Processes due work on transcripts.
pub(in crate::flow) struct Transcription {
    db: Db,
    clock: Clock,
    wakeups: Wakeups,
    queue: Arc<WorkQueue>,
    source: Arc<TranscriptSource>,
    filing: Arc<TranscriptFiling>,
}

impl Transcription {
    pub(in crate::flow) fn new(
        db: Db,
        clock: Clock,
        wakeups: Wakeups,
        queue: Arc<WorkQueue>,
        source: Arc<TranscriptSource>,
        filing: Arc<TranscriptFiling>,
    ) -> Self {
        Self {
            db,
            clock,
            wakeups,
            queue,
            source,
            filing,
        }
    }

    /// Files a transcript, or gives its work back with the facts that were found.
    ///
    /// # Errors
    /// The reason why it could not be processed; the work is to be given back.
    pub(in crate::flow) async fn attempt(&self, lease: Lease<TranscriptId>) -> Result<(), Setback> {
        let ours = |error: Error| Setback::of_ours(&error);
        let found = async {
            let mut looking = self.db.read().await?;
            transcripts::leased(&mut looking, lease.clone()).await
        };
        let Some(mut transcript) = found.await.map_err(|error| ours(error.into()))? else {
            return self.queue.drop_work(&lease).await.map_err(ours);
        };
        let Err(stop) = self.file_leased(&mut transcript).await else {
            return Ok(());
        };
        let settled = match stop.judged() {
            Ok(setback) => {
                self.give_back(&transcript, &setback).await;
                return Ok(());
            }
            Err(settled) => settled,
        };
        if let Err(error) = self.settle(&transcript, settled).await {
            self.give_back(&transcript, &Setback::of_ours(&error)).await;
        }
        Ok(())
    }

    async fn file_leased(&self, lease: &mut LeasedTranscript) -> Result<(), Stop> {
        let accounts = self.source.twilio.accounts();
        let account = accounts
            .get(lease.account())
            .ok_or_else(|| Stop::Dead(UNKNOWN_ACCOUNT.to_owned()))?;
        let Found {
            recording,
            transcript,
            pieces,
        } = match lease.origin().clone() {
            Origin::Intelligence(sid) => {
                self.source
                    .of_intelligence(lease, &accounts, account, &sid)
                    .await?
            }
            Origin::Record(sid) => {
                self.source
                    .of_record(lease, &accounts, account, &sid)
                    .await?
            }
            Origin::RealTime(sid) => {
                self.source
                    .of_real_time(lease, &accounts, account, &sid)
                    .await?
            }
        };
        let arrived = Arrived {
            lease,
            pieces,
            erases: account.delete_source() == DeleteSource::AfterSealing,
        };
        match self
            .filing
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
            // More pieces arrived, or the recording changed meanwhile.
            Err(Error::NotFound) => Err(Stop::After(
                Duration::from_secs(5),
                "it changed while it was filed".to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Records the final state of a transcript that is neither filed nor retried.
    async fn settle(&self, ours: &LeasedTranscript, settled: Settled) -> Result<(), Error> {
        let name = "transcription.settle";
        let done = self.db.unit(name, async |mut unit| {
            unit.without_entry("a transcript that is passed over is no act");
            let now = self.clock.now();
            match settled {
                Settled::Over => transcripts::remove(&mut unit, ours).await?,
                Settled::Superseded | Settled::Shredded(_) => {
                    transcripts::pass(&mut unit, ours).await?;
                }
            }
            self.drop_pieces(&mut unit, ours).await?;
            match settled {
                Settled::Superseded => self.erase_superseded(&mut unit, ours, now).await,
                Settled::Shredded(id) => {
                    work::begin_anew(&mut unit, WorkKind::DeleteAtSource, &[id], now).await
                }
                Settled::Over => Ok(()),
            }
        });
        done.await?;
        if let Settled::Shredded(_) = settled {
            self.wakeups.work.notify_one();
        }
        Ok(())
    }

    /// Enqueues the deletion of a transcript at the source that is superseded by a better one.
    async fn erase_superseded(
        &self,
        unit: &mut Unit,
        ours: &LeasedTranscript,
        now: Timestamp,
    ) -> Result<(), db::Error> {
        let accounts = self.source.twilio.accounts();
        let at_once = accounts
            .get(ours.account())
            .is_some_and(|account| account.delete_source() == DeleteSource::AfterSealing);
        match ours.source.as_ref().filter(|_| at_once) {
            Some(source) => {
                let ids = [self.source.recording_of(ours, source)];
                work::enqueue(unit, WorkKind::DeleteAtSource, &ids, now).await
            }
            None => Ok(()),
        }
    }

    /// Gives back the work on a transcript, with the facts that were found.
    async fn give_back(&self, ours: &LeasedTranscript, setback: &Setback) {
        let (decision, why) = self.queue.decided(&ours.lease, setback).await;
        let now = self.clock.now();
        let name = "transcription.put_back";
        let put_back = self.db.unit(name, async |mut unit| match decision {
            RetryDecision::Lost => Ok(()),
            RetryDecision::Again { after } => {
                unit.without_entry("work that is put off is no act");
                transcripts::postpone(&mut unit, ours, now.after(after), &why).await
            }
            RetryDecision::Bury => self.bury(&mut unit, ours, &why, now).await,
        });
        given_back(&ours.lease, put_back.await);
    }

    /// Gives a transcript up and deletes its pieces.
    async fn bury(
        &self,
        unit: &mut Unit,
        ours: &LeasedTranscript,
        why: &str,
        now: Timestamp,
    ) -> Result<(), db::Error> {
        transcripts::bury(unit, ours, why).await?;
        unit.count("recvault_transcripts_dead_total", 1);
        self.drop_pieces(unit, ours).await?;
        let source = ours.source.as_ref();
        let id = source.map(|source| self.source.recording_of(ours, source));
        let attempts = ours.lease.attempts;
        let entry = NewEntry::transcript_dead(now, ours.origin(), attempts, id);
        unit.audit(entry);
        Ok(())
    }

    /// Deletes the pieces of a transcript that will not be filed.
    async fn drop_pieces(&self, tx: &mut db::Tx, ours: &LeasedTranscript) -> Result<(), db::Error> {
        if let Origin::RealTime(transcription) = ours.origin() {
            utterances::remove(tx, ours.account(), transcription).await?;
        }
        Ok(())
    }
}

/// Returns a wait within the configured time limit.
fn wait(accounts: &Accounts, why: impl Into<String>) -> Stop {
    Stop::Wait {
        why: why.into(),
        most: accounts.transcripts_wait(),
    }
}

#[cfg(test)]
mod tests;
