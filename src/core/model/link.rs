//! Links between recordings of one text: a message that the source has several times.
//!
//! Owns what a link says. Refuses to know what follows from it.

use super::word::{UnknownWord, unknown};

/// How sure a link is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
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
pub enum LinkKind {
    /// The source named both together: each is the other, and they are shredded together.
    Exact,
    /// They are alike, and the source named neither by the other: each is shredded by itself.
    Inferred,
}

/// What a link rests on.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
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
pub enum LinkReason {
    /// An interaction of a Proxy session names the messages behind it.
    Interaction,
    /// The delivery receipt of a chat message names the message that was delivered.
    DeliveryReceipt,
    /// The same person wrote the same text at the same time.
    SameText,
}

crate::word_set!(LinkKind, LinkReason);

impl LinkReason {
    /// Returns how sure a link is that rests on this.
    pub const fn kind(self) -> LinkKind {
        match self {
            Self::Interaction | Self::DeliveryReceipt => LinkKind::Exact,
            Self::SameText => LinkKind::Inferred,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{json_has_the_words, words_are};

    #[test]
    fn each_has_its_words() {
        words_are::<LinkKind>("exact inferred");
        words_are::<LinkReason>("interaction delivery-receipt same-text");
        json_has_the_words::<LinkKind>();
        json_has_the_words::<LinkReason>();
    }
}
