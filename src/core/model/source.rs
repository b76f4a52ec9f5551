//! Copies of a recording at the source, and their state.
//!
//! Owns the names of these copies and their states. Refuses to know how they are deleted.

use super::{
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The kind of a copy at the source.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "kebab-case")]
pub enum CopyKind {
    /// The recording itself: sound and metadata, `RE…`.
    Recording,
    /// What `<Record transcribe>` made of it, `TR…`.
    Transcription,
    /// What an add-on made of it, `XR…`.
    AddOn,
    /// A transcript of Conversational Intelligence, `GT…`.
    Transcript,
    /// The sound in a bucket that is not the source's.
    Object,
    /// A message: text, addresses and metadata, `SM…` or `MM…`.
    Message,
    /// A file of a message, `ME…`.
    File,
}

/// The state of the deletion of a copy.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum CopyState {
    /// It was seen there.
    There,
    /// The source took its deletion.
    Deleted,
    /// The source says that it is deleted, or knows of no such thing. Final: an id is never given
    /// twice.
    Confirmed,
    /// The vault cannot delete it.
    Left,
}

crate::word_set!(CopyKind);

crate::word_set!(CopyState);

/// One copy at the source, present or deleted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SourceCopy {
    /// Its kind.
    pub kind: CopyKind,
    /// The source's id; for an object, the SHA-256 of its address, lower-case hex.
    pub sid: String,
    /// The state of its deletion.
    pub state: CopyState,
    /// When the vault first saw it.
    pub found_at: Timestamp,
    /// When the source accepted the deletion, or reported that the copy does not exist.
    pub deleted_at: Option<Timestamp>,
    /// When the source confirmed the deletion.
    pub confirmed_at: Option<Timestamp>,
    /// Until when the source keeps its metadata, as far as that is published.
    pub left_until: Option<Timestamp>,
}

impl SourceCopy {
    /// Returns a copy that was just found.
    pub fn found(kind: CopyKind, sid: impl Into<String>, at: Timestamp) -> Self {
        Self {
            kind,
            sid: sid.into(),
            state: CopyState::There,
            found_at: at,
            deleted_at: None,
            confirmed_at: None,
            left_until: None,
        }
    }

    /// Returns whether its deletion is confirmed or impossible.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, CopyState::Confirmed | CopyState::Left)
    }
}

/// The state of the copies at the source.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[schema(rename_all = "lowercase")]
pub enum SourceState {
    /// Nothing of it is deleted, or is to be.
    Kept,
    /// Its deletion waits, or is tried.
    Pending,
    /// Everything that was found there is deleted, and the source says so.
    Deleted,
    /// Everything but what the vault cannot delete.
    Left,
}

impl SourceState {
    /// Returns the state that follows from the copies, and from whether a deletion is pending.
    pub fn of(copies: &[SourceCopy], is_pending: bool) -> Self {
        match copies {
            _ if is_pending => Self::Pending,
            [] => Self::Kept,
            copies if copies.iter().any(|copy| !copy.is_settled()) => Self::Kept,
            copies if copies.iter().any(|copy| copy.state == CopyState::Left) => Self::Left,
            _ => Self::Deleted,
        }
    }

    /// Returns the name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went() {
        crate::samples::words_are::<CopyKind>(
            "recording transcription add-on transcript object message file",
        );
        crate::samples::words_are::<CopyState>("there deleted confirmed left");
        crate::samples::json_has_the_words::<CopyKind>();
        crate::samples::json_has_the_words::<CopyState>();
        crate::samples::json_has_the_words::<SourceState>();
    }

    #[test]
    fn one_copy_that_is_not_settled_keeps_the_word_deleted_away() {
        let copy = |state| SourceCopy {
            state,
            ..SourceCopy::found(CopyKind::Recording, "RE", Timestamp::from_millis(5))
        };
        for (states, is_pending, word) in [
            (vec![], false, SourceState::Kept),
            (vec![], true, SourceState::Pending),
            (vec![CopyState::Confirmed], true, SourceState::Pending),
            (
                vec![CopyState::Confirmed, CopyState::Confirmed],
                false,
                SourceState::Deleted,
            ),
            (
                vec![CopyState::Confirmed, CopyState::Deleted],
                false,
                SourceState::Kept,
            ),
            (
                vec![CopyState::There, CopyState::Left],
                false,
                SourceState::Kept,
            ),
            (
                vec![CopyState::Confirmed, CopyState::Left],
                false,
                SourceState::Left,
            ),
        ] {
            let copies: Vec<SourceCopy> = states.iter().copied().map(copy).collect();
            assert_eq!(
                SourceState::of(&copies, is_pending),
                word,
                "{states:?} {is_pending}"
            );
        }
    }
}
