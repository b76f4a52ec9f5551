//! Minimisation: recordings that must not be kept are shredded, before or during the fetch.
//!
//! Owns the points of an ingest at which this is checked, and the effect. Refuses to know the
//! criteria: `policy` has them. INVARIANT: nothing of such a recording is ever sealed; it has a
//! receipt, and is refused when it is announced again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use crate::{
    evidence::ShredReason,
    flow::{
        erasure::{revocation::Revocations, shredding::Shredding},
        error::Error,
    },
    model::{id::RecordingId, media::MediaKind, recording::Recording, wave::Meter},
    policy::{NotKept, Permit, Rulebook, action},
    twilio::FetchError,
};

/// The counter of recordings that were not kept.
pub(super) const NOT_KEPT: &str = "recvault_recordings_not_kept_total";

/// Why an audio stream was not completed.
#[derive(Debug)]
pub(in crate::flow) enum AudioFailure {
    /// The source failed.
    Off(FetchError),
    /// It is complete, and must not be kept.
    NotKept(NotKept),
}

/// Decides which recordings must not be kept, and shreds them.
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

    /// Shreds a recording before its fetch if a revocation covers it, or one that is the same was
    /// shredded, and returns whether it did.
    ///
    /// # Errors
    /// Any database error.
    pub(super) async fn is_revoked(&self, recording: &Recording) -> Result<bool, Error> {
        Ok(self.revocations.is_revoked(recording).await?
            || self.shred_left(&[recording.id]).await? > 0)
    }

    /// Shreds those of these recordings that are the same as a shredded one.
    ///
    /// # Errors
    /// Any database error.
    pub(in crate::flow) async fn shred_left(&self, ids: &[RecordingId]) -> Result<u64, Error> {
        self.shredding.shred_left(Some(ids)).await
    }

    /// Shreds a recording that must not be kept.
    pub(in crate::flow) async fn let_go(&self, id: RecordingId, why: NotKept) -> Result<(), Error> {
        let reason = reason_of(why);
        let shredded = self
            .shredding
            .shred_all(&Permit::of_vault(action::Shred), &[id], &reason)
            .await?;
        let fresh = shredded.iter().filter(|shredded| shredded.is_new).count();
        metrics::counter!(NOT_KEPT, "reason" => why.code()).increment(fresh as u64);
        Ok(())
    }

    /// Wraps the audio stream with a measurement: if the recording must not be kept, the stream
    /// ends with that error.
    pub(in crate::flow) fn measured<S>(&self, recording: &Recording, sound: S) -> MeasuredAudio<S>
    where
        S: Stream<Item = Result<Bytes, FetchError>> + Unpin,
    {
        let is_sound = recording.kind() == MediaKind::CallAudio;
        let meter = (is_sound && recording.holds == 0)
            .then(|| Meter::new(self.rulebook.quiet(recording).unwrap_or_default()));
        MeasuredAudio {
            rulebook: Arc::clone(&self.rulebook),
            recording: recording.clone(),
            sound,
            meter,
        }
    }
}

/// Returns the reason that the receipt states.
pub(super) fn reason_of(why: NotKept) -> ShredReason {
    why.code()
        .parse()
        .expect("the codes of the house are codes")
}

/// Returns why a recording must be shredded before it is fetched, if so. A held recording is always
/// kept.
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

/// An audio stream that is measured while it passes.
pub(in crate::flow) struct MeasuredAudio<S> {
    rulebook: Arc<Rulebook>,
    recording: Recording,
    sound: S,
    /// `None` after the measurement is complete, or if none is needed.
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
