//! The lanes of work: which kinds are done in each, and how many at once.
//!
//! INVARIANT: each kind belongs to one lane at most, and each lane has places of its own.

use crate::{db::work::WorkKind, flow::patience::WorkSettings};

/// Work that is done side by side, and waits for nobody else's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Lane {
    /// Recordings on their way in, and ciphertext on its way out.
    Media,
    /// Deletions at the source. They are many after a revocation, and slow, because requests are
    /// rationed: whoever waits for a fetch does not stand in their line.
    Source,
    /// Transcripts: each is mostly waiting for the source.
    Transcripts,
    /// Revocations.
    Revocations,
}

impl Lane {
    pub(super) const ALL: [Self; 4] = [
        Self::Media,
        Self::Source,
        Self::Transcripts,
        Self::Revocations,
    ];

    /// Its name, for the log.
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }

    /// What is done in it. A kind that no lane has is not taken from the queue.
    pub(super) const fn kinds(self) -> &'static [WorkKind] {
        match self {
            Self::Media => &[WorkKind::FetchMedia, WorkKind::DeleteCiphertext],
            Self::Source => &[WorkKind::DeleteAtSource],
            Self::Transcripts => &[WorkKind::FetchTranscript, WorkKind::PollTranscripts],
            Self::Revocations => &[WorkKind::Revocation],
        }
    }

    /// How many pieces of work at once.
    pub(super) fn places(self, settings: &WorkSettings) -> usize {
        let concurrency = usize::from(settings.concurrency.clamp(1, 256));
        match self {
            Self::Media => concurrency,
            Self::Source => (concurrency / 4).max(1),
            Self::Transcripts => 4,
            // A large one takes long, and works on thousands of recordings at a time.
            Self::Revocations => 1,
        }
    }
}
