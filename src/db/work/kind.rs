//! What there is to be done, by kind.
//!
//! Owns the words in the rows. Refuses to know how any of it is done.

use crate::model::word::{UnknownWord, unknown};

/// A kind of work.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum WorkKind {
    /// Fetch a recording's media and seal them.
    #[strum(to_string = "fetch")]
    FetchMedia,
    /// Delete the ciphertext of a shredded recording and close its receipt.
    DeleteCiphertext,
    /// Delete what the source keeps of a recording.
    DeleteAtSource,
    /// Fetch a transcript and file it with its recording.
    #[strum(to_string = "transcript")]
    FetchTranscript,
    /// Ask the source which transcripts it made of a recording without being asked.
    #[strum(to_string = "transcript-poll")]
    PollTranscripts,
    /// Go on with a revocation.
    Revocation,
    /// Compare an account with the source's list. Taken by whoever compares, and not from the queue.
    Comparison,
    /// Turn the epoch. Taken by whoever turns, and not from the queue.
    EpochTurn,
}

recvault_core::word_set!(WorkKind);

impl WorkKind {
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
        let words = "fetch delete-ciphertext delete-at-source transcript transcript-poll revocation \
                     comparison epoch-turn";
        crate::samples::words_are::<WorkKind>(words);
    }
}
