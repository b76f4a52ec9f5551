//! Statements of consent: the person, the answer, its subject, method and time.
//!
//! Owns the form of one statement. Refuses to know the result of several: `policy` computes that.

use std::collections::BTreeSet;

use super::{
    id::{ConsentId, SubjectId},
    name::{LegName, Purpose},
    subject::Conversation,
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The purpose that stands for recording itself in statements of consent.
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
    /// None yet: the person was told, which is neither a yes nor a no.
    Informed,
}

crate::word_set!(Answer);

impl Answer {
    /// Returns whether it may close recordings.
    pub fn is_no(self) -> bool {
        matches!(self, Self::Declined | Self::Withdrawn)
    }
}

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
    /// A known keyword.
    Known(OptOut),
    /// An unknown keyword.
    Unknown,
}

impl Keyword {
    /// Parses Twilio's keyword.
    pub fn parse(word: &str) -> Self {
        let known = word.trim().to_ascii_uppercase().parse();
        known.map_or(Self::Unknown, Self::Known)
    }
}

/// The person or persons of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whom {
    /// A person, in every conversation.
    Subject(SubjectId),
    /// The party at this leg of one conversation; without a leg, every party of it.
    Leg(Conversation, Option<LegName>),
}

/// One statement, as the database stores it. Statements are never changed; a later one may
/// contradict it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: ConsentId,
    /// The person or persons.
    pub whom: Whom,
    /// The purposes of the policy, which may include [`RECORDING`]; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// The answer.
    pub answer: Answer,
    /// The method.
    pub method: Method,
    /// SHA-256 of the disclosed text, lower-case hex, if there was one.
    pub disclosure: Option<String>,
    /// The version of the policy at that time, if known.
    pub policy_version: Option<String>,
    /// When the statement was made.
    pub at: Timestamp,
    /// When the vault received it.
    pub recorded_at: Timestamp,
}

impl Statement {
    /// Returns whether it covers this purpose.
    pub fn is_about(&self, purpose: &Purpose) -> bool {
        self.purposes.is_empty() || self.purposes.contains(purpose)
    }
}
