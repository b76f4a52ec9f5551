//! Transcripts that the source made find their recordings.
//!
//! Owns the queue: which are due, how patiently each is waited for, and what becomes of it in the
//! end. What each kind says and how it is put together is below. Refuses to know how a transcript
//! is sealed: [`TranscriptFiling`] is the only way in.
//!
//! INVARIANT: what was said is fetched only when its recording is sealed and has no better
//! transcript; nothing that is waited for holds a word of it, except pieces of a running call,
//! which are sealed.

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

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use self::{
    filing::{TranscriptFiling, rank::Arrived},
    source::TranscriptSource,
};
use super::{
    bells::Bells,
    clock::TrustedClock,
    error::Error,
    liveness::{Liveness, Task},
    patience::{Settings, backoff, jittered},
};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, Ledger, Term,
        transcripts::{self, Lease},
        utterances,
        work::{self, Kind},
    },
    model::{
        id::{HolderId, RecordingId},
        origin::Origin,
        recording::Recording,
        transcript::Transcript,
    },
    policy::{Permit, action},
    twilio::{Accounts, DeleteSource, RestError},
    vault,
};

/// For so long a transcript belongs to who works on it. Much longer than the longest takes, so that
/// nothing needs to say that it still goes on.
const LEASE: Duration = Duration::from_secs(600);
/// Transcripts worked on at once: each is mostly waiting for the source.
const AT_ONCE: usize = 4;
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
    /// Again then, whatever was.
    After(Duration, String),
    /// The source is asked again after the usual pause, for as long as it stumbles.
    Stumbled(RestError),
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
        match error {
            RestError::Throttled {
                retry_after: Some(after),
            } => Self::After(after.max(Duration::from_secs(1)), error.to_string()),
            passing if passing.passes() => Self::Stumbled(passing),
            other => Self::Dead(other.to_string()),
        }
    }
}

/// Takes up transcripts that are due.
pub struct Transcription {
    ledger: Ledger,
    clock: Arc<TrustedClock>,
    settings: Settings,
    liveness: Liveness,
    bells: Bells,
    source: Arc<TranscriptSource>,
    filing: Arc<TranscriptFiling>,
}

impl Transcription {
    pub(in crate::flow) fn new(
        ledger: Ledger,
        clock: Arc<TrustedClock>,
        settings: Settings,
        liveness: Liveness,
        bells: Bells,
        source: Arc<TranscriptSource>,
        filing: Arc<TranscriptFiling>,
    ) -> Self {
        Self {
            ledger,
            clock,
            settings,
            liveness,
            bells,
            source,
            filing,
        }
    }

    /// Files what is due until `stop`; what runs then is given `grace`.
    pub async fn transcribe(self: Arc<Self>, stop: CancellationToken, grace: Duration) {
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Transcripts);
            let step = self.transcribe_some();
            let some = tokio::select! {
                some = step => some,
                () = async { stop.cancelled().await; tokio::time::sleep(grace).await } => break,
            };
            match some {
                Ok(some) if some > 0 => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "no transcript can be leased"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // The pace at which news of other processes is noticed.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Files everything that is due now; for tests and the demo, which do not wait. How many
    /// attempts that took.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn transcribe_off(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            match self.transcribe_some().await? {
                0 => return Ok(done),
                some => done += some,
            }
        }
    }

    async fn transcribe_some(&self) -> Result<usize, Error> {
        let leases = self.lease_transcripts().await?;
        let count = leases.len();
        futures_util::stream::iter(leases)
            .for_each_concurrent(AT_ONCE, |lease| self.take_up(lease))
            .await;
        Ok(count)
    }

    async fn lease_transcripts(&self) -> Result<Vec<Lease>, Error> {
        let holder = HolderId::random(&mut rand::rng());
        let mut looking = self.ledger.read().await?;
        // Asking costs a write; looking does not.
        let now = looking.now().await?;
        if !transcripts::any_due(&mut looking, now).await? {
            return Ok(Vec::new());
        }
        drop(looking);
        let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
        let leased = self
            .ledger
            .unit("transcription.lease_transcripts", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = Term::begin(&mut unit, LEASE).await?;
                let leases = transcripts::lease(&mut unit, holder, term, limit).await?;
                Ok::<_, ledger::Error>(leases)
            });
        Ok(leased.await?)
    }

    async fn take_up(&self, mut lease: Lease) {
        let kind = lease.origin.kind();
        self.liveness.beat(Task::Transcripts);
        let attempted = AssertUnwindSafe(self.attempt_transcript(&mut lease))
            .catch_unwind()
            .await;
        let stop = match attempted {
            Ok(Ok(())) => return,
            Ok(Err(stop)) => stop,
            // The lease runs out by itself, and the others go on.
            Err(_) => {
                return tracing::error!(
                    kind,
                    sid = lease.origin.sid(),
                    "filing a transcript panicked; it is tried again later"
                );
            }
        };
        if matches!(
            &stop,
            Stop::Ours(Error::Vault(vault::Error::Ledger(ledger::Error::Stale(_))))
        ) {
            return;
        }
        if !matches!(stop, Stop::Over | Stop::Outdone) {
            tracing::info!(kind, sid = lease.origin.sid(), attempt = lease.attempts, %stop, "a transcript was not filed");
        }
        if let Err(error) = self.give_back(&lease, stop).await {
            // The lease runs out by itself.
            tracing::warn!(kind, sid = lease.origin.sid(), %error, "a transcript cannot be given back");
        }
    }

    async fn attempt_transcript(&self, lease: &mut Lease) -> Result<(), Stop> {
        let accounts = self.source.twilio.accounts();
        let Some(account) = accounts.get(&lease.account) else {
            if matches!(lease.origin, Origin::Look(_)) {
                return Err(Stop::Over);
            }
            return Err(Stop::Dead(
                "the account is not in `twilio.accounts`: add it and run `recvault retry`"
                    .to_owned(),
            ));
        };
        let Found {
            recording,
            transcript,
            pieces,
        } = match lease.origin.clone() {
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
            Origin::Look(sid) => return Err(self.source.look(lease, account, &sid).await),
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
            // More was said meanwhile, or the lease is lost.
            Err(Error::NotFound) => Err(Stop::After(
                Duration::from_secs(5),
                "it changed while it was filed".to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// What the queue knows of an attempt that filed nothing.
    async fn give_back(&self, lease: &Lease, stop: Stop) -> Result<(), Error> {
        let pause = jittered(backoff(lease.attempts, self.settings.max_backoff_s));
        let waited = self.clock.now().since(lease.told_at);
        let is_late = match &stop {
            Stop::Wait { most, .. } => waited >= *most,
            Stop::Stumbled(_) => waited >= QUEUED,
            _ => false,
        };
        // What waited too long is given up with its words, which nobody has elsewhere: by a clock
        // that is believed only.
        let is_given_up = is_late && self.clock.believed().await.is_ok();
        let stop = match stop {
            Stop::Wait { why, .. } if !is_given_up => Stop::After(pause, why),
            Stop::Wait { why, most } => Stop::Dead(format!(
                "{why}; it was waited for {} h",
                most.as_secs() / 3600
            )),
            Stop::Stumbled(error) if !is_given_up => Stop::After(pause, error.to_string()),
            Stop::Stumbled(error) => Stop::Dead(error.to_string()),
            Stop::Ours(error) => Stop::After(pause, error.to_string()),
            other => other,
        };
        let given = self
            .ledger
            .unit("transcription.give_back", async |mut unit| {
                let now = self.clock.now();
                if !matches!(stop, Stop::Dead(_)) {
                    unit.without_entry("a transcript that is put off or passed over is no act");
                }
                match &stop {
                    Stop::After(pause, why) => {
                        transcripts::postpone(&mut unit, lease, now.after(*pause), why).await?
                    }
                    Stop::Dead(why) => {
                        transcripts::bury(&mut unit, lease, why).await?;
                        unit.count("recvault_transcripts_dead_total", 1);
                        self.drop_pieces(&mut unit, lease).await?;
                        let id = lease
                            .source
                            .as_ref()
                            .map(|source| self.source.recording_of(lease, source));
                        unit.audit(NewEntry::transcript_dead(
                            now,
                            &lease.origin,
                            lease.attempts,
                            id,
                        ));
                    }
                    Stop::Outdone => {
                        transcripts::pass(&mut unit, lease).await?;
                        self.drop_pieces(&mut unit, lease).await?;
                        // Nobody needs it any more, here or there.
                        let at_once = self
                            .source
                            .twilio
                            .accounts()
                            .get(&lease.account)
                            .is_some_and(|account| {
                                account.delete_source() == DeleteSource::AfterSealing
                            });
                        if let Some(source) = lease.source.as_ref().filter(|_| at_once) {
                            work::enqueue(
                                &mut unit,
                                Kind::Erase,
                                &[self.source.recording_of(lease, source)],
                                now,
                            )
                            .await?;
                        }
                    }
                    Stop::Shredded(id) => {
                        transcripts::pass(&mut unit, lease).await?;
                        self.drop_pieces(&mut unit, lease).await?;
                        work::begin_anew(&mut unit, Kind::Erase, &[*id], now).await?;
                    }
                    Stop::Over | Stop::Wait { .. } | Stop::Stumbled(_) | Stop::Ours(_) => {
                        transcripts::remove(&mut unit, lease).await?;
                        self.drop_pieces(&mut unit, lease).await?;
                    }
                }
                Ok::<_, ledger::Error>(())
            });
        given.await?;
        if let Stop::Shredded(_) = stop {
            self.bells.work.notify_one();
        }
        Ok(())
    }

    /// What was said and will not be filed is deleted.
    async fn drop_pieces(&self, tx: &mut ledger::Tx, lease: &Lease) -> Result<(), ledger::Error> {
        if let Origin::RealTime(transcription) = &lease.origin {
            utterances::remove(tx, &lease.account, transcription).await?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wait { why, .. } | Self::After(_, why) | Self::Dead(why) => f.write_str(why),
            Self::Stumbled(error) => error.fmt(f),
            Self::Shredded(id) => write!(f, "its recording {id} is shredded"),
            Self::Outdone => f.write_str("its recording has a better one"),
            Self::Over => f.write_str("there is nothing in it"),
            Self::Ours(error) => error.fmt(f),
        }
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
