//! Copies of a recording at the source, and their state.
//!
//! Owns the names of these copies and their states. Refuses to know how they are deleted.

use std::time::Duration;

use super::{
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The longest time for which the source may refuse a deletion because the resource is not complete:
/// 14 days, by its own statement (<https://www.twilio.com/docs/api/errors/20009>), and a day more.
pub const DELETABLE_WITHIN: Duration = Duration::from_secs(15 * 24 * 3600);

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
    serde_with::DeserializeFromStr,
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
    /// A message of a chat, `IM…`.
    ChatMessage,
    /// A chat of which nothing is left, `CH…`.
    Chat,
    /// The recording of a track of a video room, `RT…`.
    Track,
    /// Tracks of a video room put together, `CJ…`.
    Composition,
    /// The identity of a participant of a video room, `PA…`.
    Participant,
    /// A text or call through a session of Proxy, `KI…`.
    Interaction,
    /// A session of Proxy that is over, `KC…`.
    Session,
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
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "kebab-case")]
pub enum CopyState {
    /// It was seen there.
    There,
    /// The source does not delete it yet, because it is not complete.
    NotDeletableYet,
    /// The source took its deletion.
    Deleted,
    /// The source says that it is deleted, or knows of no such thing. Final: an id is never given
    /// twice.
    Confirmed,
    /// The vault cannot delete it.
    Left,
    /// It is a recording of its own that the vault keeps, and goes with that one.
    Kept,
    /// Whether there is one cannot be known any more: what it was a copy of, whose id this is, was gone
    /// at the source before the vault asked.
    Unknown,
}

crate::word_set!(CopyKind);

crate::word_set!(CopyState);

/// One copy at the source, present or deleted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SourceCopy {
    /// Its kind.
    pub kind: CopyKind,
    /// The source's id; for an object, the SHA-256 of its address, lower-case hex. In the state
    /// `unknown` the id of what it was a copy of.
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
    /// When the source first answered that it cannot be deleted yet.
    pub refused_at: Option<Timestamp>,
    /// When the source removed its text, because it refused the deletion.
    pub redacted_at: Option<Timestamp>,
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
            refused_at: None,
            redacted_at: None,
        }
    }

    /// Returns until when the source may refuse the deletion; `None` unless it does.
    pub fn deletable_until(&self) -> Option<Timestamp> {
        let refuses = self.state == CopyState::NotDeletableYet;
        self.refused_at
            .filter(|_| refuses)
            .map(|since| since.after(DELETABLE_WITHIN))
    }

    /// Returns whether its deletion is confirmed, or nothing that can be done now.
    pub fn is_settled(&self) -> bool {
        matches!(
            self.state,
            CopyState::Confirmed | CopyState::Left | CopyState::Kept | CopyState::Unknown
        )
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
#[strum(serialize_all = "kebab-case")]
#[schema(rename_all = "kebab-case")]
pub enum SourceState {
    /// Nothing of it is deleted, or is to be.
    Kept,
    /// Its deletion waits, or is tried.
    Pending,
    /// The same, and the source does not delete a copy yet.
    NotDeletableYet,
    /// Everything that was found there is deleted, and the source says so.
    Deleted,
    /// Everything but what the vault cannot delete, what belongs to another recording, and what
    /// cannot be known any more.
    Left,
}

impl SourceState {
    /// Returns the state that follows from the copies, and from whether a deletion is pending.
    pub fn of(copies: &[SourceCopy], is_pending: bool) -> Self {
        let refuses = |copy: &SourceCopy| copy.state == CopyState::NotDeletableYet;
        let is_confirmed = |copy: &SourceCopy| copy.state == CopyState::Confirmed;
        match copies {
            copies if is_pending && copies.iter().any(refuses) => Self::NotDeletableYet,
            _ if is_pending => Self::Pending,
            [] => Self::Kept,
            copies if copies.iter().any(|copy| !copy.is_settled()) => Self::Kept,
            copies if copies.iter().all(is_confirmed) => Self::Deleted,
            _ => Self::Left,
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
            "recording transcription add-on transcript object message file chat-message chat track composition participant interaction session",
        );
        crate::samples::words_are::<CopyState>(
            "there not-deletable-yet deleted confirmed left kept unknown",
        );
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
                vec![CopyState::Confirmed, CopyState::NotDeletableYet],
                true,
                SourceState::NotDeletableYet,
            ),
            (vec![CopyState::NotDeletableYet], false, SourceState::Kept),
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
            (
                vec![CopyState::Confirmed, CopyState::Kept],
                false,
                SourceState::Left,
            ),
            (vec![CopyState::Unknown], false, SourceState::Left),
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
