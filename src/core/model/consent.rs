//! Statements of consent: who said yes or no to what, how, and when.
//!
//! Owns what one statement is. Refuses to know what follows from several: `policy` says that.

use std::collections::BTreeSet;

use super::{
    id::{ConsentId, SubjectId},
    name::{LegName, Purpose},
    subject::Conversation,
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The purpose under which recording itself stands in statements of consent.
pub const RECORDING: &str = "recording";

/// The answer of a statement.
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
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes.
    Given,
    /// No, when asked. A later yes counts again.
    Declined,
    /// No longer: a later yes never opens recordings collected before the withdrawal.
    Withdrawn,
}

crate::word_set!(Answer);

/// The method of a statement.
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
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "kebab-case")]
pub enum Method {
    /// In a contract.
    Contract,
    /// By staying on the line after an announcement.
    Announcement,
    /// In spoken words.
    Speech,
    /// By a key of the telephone.
    Keypad,
    /// By a text message.
    Sms,
    /// On a web page.
    WebForm,
    /// In a letter or an e-mail.
    Letter,
    /// In another system, from which it was imported.
    Import,
}

crate::word_set!(Method);

/// Twilio's classification of a message (Advanced Opt-Out). It is about receiving messages, not
/// about recordings.
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
#[strum(serialize_all = "UPPERCASE")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "UPPERCASE")]
pub enum OptOut {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// A question.
    Help,
}

crate::word_set!(OptOut);

/// The keyword that Twilio recognised in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// One that the vault knows.
    Known(OptOut),
    /// One that the vault does not know.
    Unknown,
}

impl Keyword {
    /// Reads Twilio's word.
    pub fn parse(word: &str) -> Self {
        let known = word.trim().to_ascii_uppercase().parse();
        known.map_or(Self::Unknown, Self::Known)
    }
}

/// About whom a statement speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whom {
    /// A person, in every conversation.
    Subject(SubjectId),
    /// Whoever has this place in one conversation; without a place, everybody in it.
    Leg(Conversation, Option<LegName>),
}

/// One statement, as the database keeps it. Statements are never changed: a later one may say
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: ConsentId,
    /// About whom.
    pub whom: Whom,
    /// For which purposes of the policy, [`RECORDING`] among them; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// What was said.
    pub answer: Answer,
    /// How.
    pub method: Method,
    /// SHA-256 of the text that was disclosed, lower-case hex, where one was.
    pub disclosure: Option<String>,
    /// The version of the policy that it was said under, where known.
    pub policy_version: Option<String>,
    /// When it was said.
    pub at: Timestamp,
    /// When the vault learnt of it.
    pub recorded_at: Timestamp,
}

impl Statement {
    /// Whether it speaks of this purpose.
    pub fn is_about(&self, purpose: &Purpose) -> bool {
        self.purposes.is_empty() || self.purposes.contains(purpose)
    }
}
