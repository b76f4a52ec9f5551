//! The kinds of work.
//!
//! Owns their names in the rows. Refuses to know how any of it is done.

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
    /// Fetch the files of a sealed message and seal them.
    #[strum(to_string = "files")]
    FetchFiles,
    /// Read who takes part in the session of a recording.
    #[strum(to_string = "session")]
    ReadSession,
    /// Delete the ciphertext of a shredded recording and close its receipt.
    DeleteCiphertext,
    /// Delete the copies of a recording at the source.
    DeleteAtSource,
    /// Fetch a transcript and file it with its recording.
    #[strum(to_string = "transcript")]
    FetchTranscript,
    /// Ask the source for transcripts of a recording that were not announced.
    #[strum(to_string = "transcript-poll")]
    PollTranscripts,
    /// Read the participants of a chat.
    #[strum(to_string = "chat")]
    ReadChat,
    /// Continue a revocation.
    Revocation,
    /// Tell the person of a thread that its messages are kept.
    #[strum(to_string = "notice")]
    SendNotice,
    /// Compare an account with the source's list. Claimed by the comparing process, not taken from
    /// the queue.
    Comparison,
    /// Turn the epoch. Claimed by the turning process, not taken from the queue.
    EpochTurn,
}

recvault_core::word_set!(WorkKind);

impl WorkKind {
    /// Returns whether work of this kind may be set aside as dead. Work that was promised to
    /// somebody, above all a deletion, is retried until it is done.
    pub const fn may_be_buried(self) -> bool {
        matches!(
            self,
            Self::FetchMedia | Self::FetchFiles | Self::FetchTranscript | Self::ReadChat
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_word() {
        let words = "fetch files session delete-ciphertext delete-at-source transcript transcript-poll chat revocation notice \
                     comparison epoch-turn";
        crate::samples::words_are::<WorkKind>(words);
    }
}
