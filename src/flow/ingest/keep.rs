//! Minimisation: what is not to be kept is let go of, before it is fetched or while it is.
//!
//! Owns where in an ingest it is asked, and what happens then. Refuses to know why: `policy` says
//! that. INVARIANT: nothing of what is let go of is ever sealed; it has a receipt, and is refused
//! when it is announced again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use crate::{
    flow::{
        erasure::{revocation::Revocations, shredding::Shredding},
        error::Error,
    },
    model::{id::RecordingId, recording::Recording, wave::Meter},
    policy::{NotKept, Permit, Rulebook, action},
    twilio::FetchError,
};

/// Why a sound did not come to its end.
#[derive(Debug)]
pub(in crate::flow) enum AudioFailure {
    /// The source broke off.
    Off(FetchError),
    /// It is whole, and is not to be kept.
    NotKept(NotKept),
}

/// Says what is not to be kept, and lets go of it.
pub(in crate::flow) struct Admission {
    rulebook: Arc<Rulebook>,
    revocations: Arc<Revocations>,
    shredding: Arc<Shredding>,
}

impl Admission {
    pub(in crate::flow) fn new(
        rulebook: Arc<Rulebook>,
        revocations: Arc<Revocations>,
        shredding: Arc<Shredding>,
    ) -> Self {
        Self {
            rulebook,
            revocations,
            shredding,
        }
    }

    /// Whether a revocation lets go of a recording before it is fetched, and shreds it then.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn is_revoked(&self, recording: &Recording) -> Result<bool, Error> {
        self.revocations.is_revoked(recording).await
    }

    /// Shreds what is not to be kept.
    pub(in crate::flow) async fn let_go(&self, id: RecordingId, why: NotKept) -> Result<(), Error> {
        let reason = why
            .code()
            .parse()
            .expect("the codes of the house are codes");
        let shredded = self
            .shredding
            .shred_all(&Permit::of_vault(action::Shred), &[id], &reason)
            .await?;
        let fresh = shredded.iter().filter(|shredded| shredded.is_new).count();
        metrics::counter!("recvault_recordings_not_kept_total", "reason" => why.code())
            .increment(fresh as u64);
        Ok(())
    }

    /// The sound as it comes; if it turns out that it is not to be kept, it ends with that instead
    /// of its end.
    pub(in crate::flow) fn measured<S>(&self, recording: &Recording, sound: S) -> MeasuredAudio<S>
    where
        S: Stream<Item = Result<Bytes, FetchError>> + Unpin,
    {
        let meter = (recording.holds == 0)
            .then(|| Meter::new(self.rulebook.quiet(recording).unwrap_or_default()));
        MeasuredAudio {
            rulebook: Arc::clone(&self.rulebook),
            recording: recording.clone(),
            sound,
            meter,
        }
    }
}

/// Whether a recording is to be let go of before anything of it is fetched. A hold keeps it,
/// whatever it is.
pub(in crate::flow) fn lets_go_unheard(
    rulebook: &Rulebook,
    recording: &Recording,
) -> Option<NotKept> {
    if recording.holds > 0 {
        None
    } else {
        rulebook.lets_go_unheard(recording)
    }
}

/// A sound that is measured while it passes by.
pub(in crate::flow) struct MeasuredAudio<S> {
    rulebook: Arc<Rulebook>,
    recording: Recording,
    sound: S,
    /// `None` once it has said what it has to say, or if nothing is asked of it.
    meter: Option<Meter>,
}

impl<S: Stream<Item = Result<Bytes, FetchError>> + Unpin> Stream for MeasuredAudio<S> {
    type Item = Result<Bytes, AudioFailure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        Poll::Ready(match ready!(this.sound.poll_next_unpin(cx)) {
            Some(Ok(chunk)) => {
                if let Some(meter) = &mut this.meter {
                    meter.push(&chunk);
                }
                Some(Ok(chunk))
            }
            Some(Err(error)) => Some(Err(AudioFailure::Off(error))),
            None => {
                let measured = this.meter.take().and_then(|meter| meter.finish());
                let why =
                    measured.and_then(|measured| this.rulebook.lets_go(&this.recording, &measured));
                why.map(|why| Err(AudioFailure::NotKept(why)))
            }
        })
    }
}
