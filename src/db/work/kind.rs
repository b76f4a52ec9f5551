//! What there is to be done, by kind.
//!
//! Owns the words in the rows. Refuses to know how any of it is done.

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// Fetch a recording's media and seal them.
    FetchMedia,
    /// Delete the ciphertext of a shredded recording and close its receipt.
    DeleteCiphertext,
    /// Delete what the source keeps of a recording.
    DeleteAtSource,
    /// Fetch a transcript and file it with its recording.
    FetchTranscript,
    /// Ask the source which transcripts it made of a recording without being asked.
    PollTranscripts,
    /// Go on with a revocation.
    Revocation,
    /// Compare an account with the source's list. Taken by whoever compares, and not from the queue.
    Comparison,
    /// Turn the epoch. Taken by whoever turns, and not from the queue.
    EpochTurn,
}

impl WorkKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::FetchMedia,
        Self::DeleteCiphertext,
        Self::DeleteAtSource,
        Self::FetchTranscript,
        Self::PollTranscripts,
        Self::Revocation,
        Self::Comparison,
        Self::EpochTurn,
    ];

    /// The word in rows, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FetchMedia => "fetch",
            Self::DeleteCiphertext => "delete-ciphertext",
            Self::DeleteAtSource => "delete-at-source",
            Self::FetchTranscript => "transcript",
            Self::PollTranscripts => "transcript-poll",
            Self::Revocation => "revocation",
            Self::Comparison => "comparison",
            Self::EpochTurn => "epoch-turn",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether work of this kind may be set aside as dead. Whatever was promised to somebody, a
    /// deletion above all, is tried until it is done.
    pub const fn may_be_buried(self) -> bool {
        matches!(self, Self::FetchMedia | Self::FetchTranscript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_word() {
        for kind in WorkKind::ALL {
            assert_eq!(WorkKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(WorkKind::parse("erase"), None);
    }
}
