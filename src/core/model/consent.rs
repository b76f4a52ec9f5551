//! Statements of consent: who said yes or no to what, how, and when.
//!
//! Owns what one statement is. Refuses to know what follows from several: `policy` says that.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::{
    id::{ConsentId, SubjectId},
    name::{LegName, Purpose},
    subject::Conversation,
    time::Timestamp,
};

/// The purpose under which recording itself stands in statements of consent.
pub const RECORDING: &str = "recording";

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, { $($(#[$each:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$each])* #[serde(rename = $word)] $variant,)+
        }

        impl utoipa::ToSchema for $name {}

        // Not derived: the derivation does not see a name that a macro gives.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                super::schema::words(concat!($($doc,)*), &[$($word,)+])
            }
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word used in rows, JSON and files.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|each| each.as_str() == text).ok_or(UnknownWord { what: $what, known: &[$($word,)+] })
            }
        }
    };
}

/// The text is none of the words that are expected in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: expected one of `{}`", known.join("`, `"))]
pub struct UnknownWord {
    what: &'static str,
    known: &'static [&'static str],
}

words! {
    /// What was said.
    Answer, "an answer to a request for consent", {
        /// Yes.
        Given = "given",
        /// No, when asked. A later yes counts again.
        Declined = "declined",
        /// No longer, for good: what was recorded before is never opened by a later yes.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// How it was said.
    Method, "a way to give consent", {
        /// In a contract.
        Contract = "contract",
        /// By staying on the line after an announcement.
        Announcement = "announcement",
        /// In spoken words.
        Speech = "speech",
        /// By a key of the telephone.
        Keypad = "keypad",
        /// By a text message.
        Sms = "sms",
        /// On a web page.
        WebForm = "web-form",
        /// In a letter or an e-mail.
        Letter = "letter",
        /// As another system knew it.
        Import = "import",
    }
}

words! {
    /// What Twilio took a message for, where it handles opt-outs (Advanced Opt-Out). It is about
    /// receiving messages, and says nothing about recordings.
    OptOut, "what Twilio takes a message for", {
        /// No more messages.
        Stop = "STOP",
        /// Messages again.
        Start = "START",
        /// A question.
        Help = "HELP",
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
