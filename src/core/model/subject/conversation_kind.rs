//! The kinds of conversations.

use crate::model::word::{UnknownWord, unknown};

/// The kind of a conversation.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum ConversationKind {
    /// A call.
    Call,
    /// A conference.
    Conference,
    /// A chat.
    Chat,
    /// The messages between two addresses.
    Thread,
    /// A video room.
    Room,
    /// A session in which neither side sees the other's number.
    Session,
}

crate::word_set!(ConversationKind);

impl ConversationKind {
    /// Returns the first letters of the ids of such conversations.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Call => "CA",
            Self::Conference => "CF",
            Self::Chat => "CH",
            Self::Thread => "thr_",
            Self::Room => "RM",
            Self::Session => "KC",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_comes_back_as_it_went() {
        crate::samples::words_are::<ConversationKind>("call conference chat thread room session");
        crate::samples::json_has_the_words::<ConversationKind>();
    }
}
