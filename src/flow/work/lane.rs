//! The lanes of work: the kinds of work in each, and their concurrency.
//!
//! INVARIANT: each kind belongs to one lane at most, and each lane has slots of its own.

use crate::{db::work::WorkKind, flow::patience::WorkSettings};

/// Kinds of work that share slots with each other, and with no other lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Lane {
    /// Fetches of recordings and of messages' files, participants of sessions, notices, and deletions of
    /// ciphertext.
    Media,
    /// Deletions at the source. They are many after a revocation, and slow, because requests are
    /// rate-limited: they must not delay fetches.
    Source,
    /// Transcripts: each mostly waits for the source.
    Transcripts,
    /// Participants of chats. Messages wait for them in quarantine.
    Chats,
    /// Revocations.
    Revocations,
}

impl Lane {
    pub(super) const ALL: [Self; 5] = [
        Self::Media,
        Self::Source,
        Self::Chats,
        Self::Transcripts,
        Self::Revocations,
    ];

    /// Its name, for the log.
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the kinds of work in the lane. A kind without a lane is not taken from the queue.
    pub(super) const fn kinds(self) -> &'static [WorkKind] {
        match self {
            Self::Media => &[
                WorkKind::FetchMedia,
                WorkKind::FetchFiles,
                WorkKind::SendNotice,
                WorkKind::ReadSession,
                WorkKind::DeleteCiphertext,
            ],
            Self::Source => &[WorkKind::DeleteAtSource],
            Self::Chats => &[WorkKind::ReadChat],
            Self::Transcripts => &[WorkKind::FetchTranscript, WorkKind::PollTranscripts],
            Self::Revocations => &[WorkKind::Revocation],
        }
    }

    /// Returns how many pieces of work run concurrently.
    pub(super) fn places(self, settings: &WorkSettings) -> usize {
        let concurrency = usize::from(settings.concurrency.clamp(1, 256));
        match self {
            Self::Media => concurrency,
            Self::Source => (concurrency / 4).max(1),
            Self::Transcripts | Self::Chats => 4,
            // A large one takes long, and processes thousands of recordings at a time.
            Self::Revocations => 1,
        }
    }
}
