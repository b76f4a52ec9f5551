//! The policy document: what the operator publishes, as plain values.
//!
//! Owns the shapes of `privacy-policy.toml`. Refuses to know how a decision is taken, and how the
//! file is read: `read` does. INVARIANT: a document that was read holds no name that it does not also declare, and no
//! name twice.

mod consent;
mod fault;

use std::time::Duration;

pub(super) use self::fault::{PolicyFaults, quote};
pub use self::{
    consent::{ConsentRules, Cue, MessageRule, Spoken, VoiceConsent},
    fault::PolicyFault,
};
use super::{classify::Classification, view::View};
use crate::model::{
    name::{Label, Purpose, Role, Tier},
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// Bytes beyond which a text is not a policy file.
pub const MAX_BYTES: usize = 64 * 1024;

/// The longest grant that a tier may allow.
pub const MAX_GRANT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// One privacy policy, as the file states it. Lists keep the order of the file.
#[derive(Debug)]
pub struct PolicyDocument {
    /// The operator's name for this version; 1 to 64 of ASCII letters, digits, `.`, `-` and `_`.
    pub version: String,
    /// From when on it is in force.
    pub effective: Timestamp,
    /// Who answers for the recordings.
    pub controller: Controller,
    /// Who else handles them.
    pub processors: Vec<Processor>,
    /// Every role there is, with text for people.
    pub roles: Vec<(Role, String)>,
    /// Every tier there is.
    pub tiers: Vec<TierRule>,
    /// The tier of a recording that no classification rule matches.
    pub default_tier: Tier,
    /// In order; the first that matches decides.
    pub classification: Vec<Classification>,
    /// How recordings come into the vault.
    pub collection: Collection,
    /// How consent is asked for in calls, and what messages mean.
    pub consent: ConsentRules,
    /// What a transcript may say that makes its recording more sensitive.
    pub content: Vec<ContentRule>,
    /// To whom recordings are passed on.
    pub recipients: Vec<Recipient>,
    /// What a recorded person may ask for.
    pub rights: Vec<Right>,
    /// Every purpose there is.
    pub purposes: Vec<PurposeRule>,
    /// The purposes for which holds are placed. What was revoked and is kept by a hold stays open to
    /// that purpose, if it is one of these, and to nothing else.
    pub hold_purposes: Vec<Purpose>,
    /// Who may do what is not listening.
    pub actions: Actions,
}

/// Who answers for the recordings.
#[derive(Debug)]
pub struct Controller {
    /// Name, for people.
    pub name: String,
    /// Where a recorded person can turn to.
    pub contact: String,
}

/// Somebody who handles recordings for the controller.
#[derive(Debug)]
pub struct Processor {
    /// Name, for people.
    pub name: String,
    /// What they do with the recordings, for people.
    pub task: String,
}

/// How recordings come into the vault.
#[derive(Debug, Default)]
pub struct Collection {
    /// The legal basis of recording itself. `None` if the file does not say; then no consent is
    /// asked for.
    pub basis: Option<Basis>,
    /// What is said to people before they are recorded.
    pub disclosure: Option<String>,
    /// How long a recording waits for evidence of the consent that recording is based on.
    pub quarantine: Option<Duration>,
    /// Labels whose values are taken from parameters of the callback URL with the same names, and
    /// of principals.
    pub labels: Vec<Label>,
    /// What is shorter is not kept.
    pub shorter_than: Option<Duration>,
    /// What nowhere is louder than this is not kept: a 16-bit sample, 1 to 32767.
    pub quieter_than: Option<u16>,
}

/// The legal basis of a purpose (Article 6(1) GDPR).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum Basis {
    /// The consent of every party.
    Consent,
    /// A contract with the recorded person.
    Contract,
    /// A legal obligation of the controller.
    LegalObligation,
    /// Somebody's vital interest.
    VitalInterest,
    /// A task in the public interest.
    PublicTask,
    /// A legitimate interest of the controller or of somebody else.
    LegitimateInterest,
}

crate::word_set!(Basis);

impl Basis {
    /// The term of the W3C Data Privacy Vocabulary (<https://w3id.org/dpv>).
    pub const fn dpv(self) -> &'static str {
        match self {
            Self::Consent => "https://w3id.org/dpv#Consent",
            Self::Contract => "https://w3id.org/dpv#Contract",
            Self::LegalObligation => "https://w3id.org/dpv#LegalObligation",
            Self::VitalInterest => "https://w3id.org/dpv#VitalInterest",
            Self::PublicTask => "https://w3id.org/dpv#PublicInterest",
            Self::LegitimateInterest => "https://w3id.org/dpv#LegitimateInterest",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Consent => "your consent",
            Self::Contract => "a contract with you",
            Self::LegalObligation => "a legal obligation",
            Self::VitalInterest => "somebody's vital interest",
            Self::PublicTask => "a task in the public interest",
            Self::LegitimateInterest => "a legitimate interest",
        }
    }
}

/// What a transcript may say that makes its recording more sensitive.
#[derive(Debug)]
pub struct ContentRule {
    /// What to look for.
    pub pattern: Pattern,
    /// The tier that the recording belongs to then, unless it is in a more sensitive one.
    pub tier: Tier,
}

/// Something that can be found in what was said.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Pattern {
    /// The number of a payment card (ISO/IEC 7812, with its check digit).
    CardNumber,
    /// A social security number of the United States.
    UsSocialSecurityNumber,
    /// An international bank account number (ISO 13616, with its check digits).
    Iban,
    /// Any of these words or phrases, whole, in any case.
    Words(Vec<String>),
}

/// Somebody to whom recordings are passed on.
#[derive(Debug)]
pub struct Recipient {
    /// Name or kind, for people.
    pub name: String,
    /// For which purposes.
    pub purposes: Vec<Purpose>,
}

/// What a recorded person may ask for.
#[derive(Debug)]
pub struct Right {
    /// Its name, for people.
    pub name: String,
    /// How to use it, for people.
    pub how: String,
}

/// One sensitivity tier. The file has them from the least to the most sensitive.
#[derive(Debug)]
pub struct TierRule {
    /// Its name.
    pub name: Tier,
    /// What belongs to it, for people.
    pub description: String,
    /// How long one grant opens a recording of this tier; 1 second to [`MAX_GRANT_LIFETIME`].
    pub grant_lifetime: Duration,
    /// How soon after a shred no older copy of the key store may open it any more.
    pub forgotten: Forgotten,
    /// How long a recording of this tier is kept, from its collection on; `None`: no limit of its
    /// own.
    pub retention: Option<Duration>,
    /// Who else must agree to each opening.
    pub approval: Option<ApprovalRule>,
}

/// The agreement of a second person.
#[derive(Debug)]
pub struct ApprovalRule {
    /// The roles of whom it can come.
    pub roles: Vec<Role>,
    /// How long an approval holds, and how long a request waits for one.
    pub lifetime: Duration,
    /// The roles that may do without in an emergency; they must say why, and it raises an alarm.
    pub break_glass: Vec<Role>,
}

/// How soon a shred reaches older copies of the key store.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum Forgotten {
    /// With the next turn of the schedule.
    #[default]
    Scheduled,
    /// With a turn of its own.
    Immediately,
}

/// One purpose for which recordings may be opened.
#[derive(Debug)]
pub struct PurposeRule {
    /// Its name.
    pub name: Purpose,
    /// What it means, for people.
    pub text: String,
    /// The term of the W3C Data Privacy Vocabulary that it is an instance of, as an IRI
    /// (<https://w3id.org/dpv>).
    pub dpv: String,
    /// The tiers it may open.
    pub tiers: Vec<Tier>,
    /// The roles that may state it.
    pub roles: Vec<Role>,
    /// Whether a written justification must come with it.
    pub justification: bool,
    /// Its legal basis; `None` if the file does not say.
    pub basis: Option<Basis>,
    /// What of a recording it gives.
    pub view: View,
    /// A condition in the syntax of Cedar.
    pub when: Option<String>,
    /// How long after its collection a recording may be opened for it; `None`: as long as it is
    /// kept.
    pub retention: Option<Duration>,
    /// How many recordings one principal may open for it on one day (UTC).
    pub budget: Option<u32>,
}

/// The roles that may do what is not listening.
#[derive(Debug)]
pub struct Actions {
    /// List recordings and see what the catalogue knows of them.
    pub catalogue: Vec<Role>,
    /// Shred recordings.
    pub shred: Vec<Role>,
    /// Read the audit log.
    pub audit: Vec<Role>,
    /// Name the parties of conversations, and record and read statements of consent.
    pub consent: Vec<Role>,
    /// Revoke: by subject, recording or account.
    pub revoke: Vec<Role>,
    /// Place, list and lift holds.
    pub hold: Vec<Role>,
    /// Correct what the catalogue says of a recording.
    pub correct: Vec<Role>,
    /// File transcripts.
    pub transcribe: Vec<Role>,
    /// Hand out everything about one person.
    pub export: Vec<Role>,
}
