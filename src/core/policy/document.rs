//! The policy document: what the operator publishes, as plain values.
//!
//! Owns the types of `privacy-policy.toml`. Refuses to know how a decision is made, and how the
//! file is parsed: `read` does that. INVARIANT: a parsed document contains no name that it does not
//! declare, and no name twice.

mod consent;
mod fault;

use std::{collections::BTreeSet, time::Duration};

pub(super) use self::fault::{PolicyFaults, quote};
pub use self::{
    consent::{ConsentRules, Cue, MessageRule, MessagesFirst, NoticeSender, Spoken, VoiceConsent},
    fault::PolicyFault,
};
use super::{classify::Classification, view::View};
use crate::model::{
    media::MediaKind,
    name::{Label, Purpose, Role, Tier},
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The maximum length of a policy file in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The longest grant that a tier may allow.
pub const MAX_GRANT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// One privacy policy, as the file states it. Lists keep the order of the file.
#[derive(Debug)]
pub struct PolicyDocument {
    /// The operator's name for this version; 1 to 64 of ASCII letters, digits, `.`, `-` and `_`.
    pub version: String,
    /// The time from which it is in force.
    pub effective: Timestamp,
    /// The controller of the recordings.
    pub controller: Controller,
    /// The processors of the recordings.
    pub processors: Vec<Processor>,
    /// Every role, with text for people.
    pub roles: Vec<(Role, String)>,
    /// Every tier.
    pub tiers: Vec<TierRule>,
    /// The tier of a recording that no classification rule matches.
    pub default_tier: Tier,
    /// In order; the first matching rule decides.
    pub classification: Vec<Classification>,
    /// How recordings come into the vault.
    pub collection: Collection,
    /// How consent is requested in calls, and what messages mean.
    pub consent: ConsentRules,
    /// Transcript content that makes its recording more sensitive.
    pub content: Vec<ContentRule>,
    /// The recipients of recordings.
    pub recipients: Vec<Recipient>,
    /// The rights of a recorded person.
    pub rights: Vec<Right>,
    /// Every purpose.
    pub purposes: Vec<PurposeRule>,
    /// The purposes for which holds are placed. A revoked recording under a hold stays open to the
    /// hold's purpose, if it is one of these, and to nothing else.
    pub hold_purposes: Vec<Purpose>,
    /// The roles for actions other than playback.
    pub actions: Actions,
}

/// The controller of the recordings.
#[derive(Debug)]
pub struct Controller {
    /// Name, for people.
    pub name: String,
    /// Contact for recorded persons.
    pub contact: String,
}

/// A processor, which handles recordings for the controller.
#[derive(Debug)]
pub struct Processor {
    /// Name, for people.
    pub name: String,
    /// Its task, for people.
    pub task: String,
}

/// How recordings come into the vault.
#[derive(Debug)]
pub struct Collection {
    /// The kinds of communication that are kept.
    pub kinds: BTreeSet<MediaKind>,
    /// The legal basis of recording itself. `None` if the file states none; then no consent is
    /// required.
    pub basis: Option<Basis>,
    /// The disclosure to people before they are recorded.
    pub disclosure: Option<String>,
    /// How long a recording waits for evidence of the consent that recording is based on.
    pub quarantine: Option<Duration>,
    /// Labels whose values come from parameters of the callback URL with the same names, and from
    /// principals.
    pub labels: Vec<Label>,
    /// Shorter recordings are discarded.
    pub shorter_than: Option<Duration>,
    /// Recordings whose peak never exceeds this 16-bit value, 1 to 32767, are discarded.
    pub quieter_than: Option<u16>,
    /// What becomes of what others wrote to a person who revokes.
    pub to_revoked: ToRevoked,
    /// Whether a message that was removed at the source is shredded.
    pub removed_at_source: RemovedAtSource,
    /// Authors in chats who are no persons: identities of programs, and numbers of the operator.
    pub bots: BTreeSet<String>,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            kinds: KEPT_UNSAID.into(),
            basis: None,
            disclosure: None,
            quarantine: None,
            labels: Vec::new(),
            shorter_than: None,
            quieter_than: None,
            to_revoked: ToRevoked::default(),
            removed_at_source: RemovedAtSource::default(),
            bots: BTreeSet::new(),
        }
    }
}

/// What becomes of what others wrote to a person who revokes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum ToRevoked {
    /// It stays, closed to every purpose that rests on consent.
    #[default]
    KeepClosed,
    /// It is shredded, as what the person wrote.
    Shred,
}

crate::word_set!(ToRevoked);

/// What becomes of a message that somebody removed at the source.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum RemovedAtSource {
    /// It stays, and its row states the removal.
    #[default]
    Keep,
    /// It is shredded.
    Shred,
}

crate::word_set!(RemovedAtSource);

/// The kinds that a policy keeps without naming any.
pub(super) const KEPT_UNSAID: [MediaKind; 1] = [MediaKind::CallAudio];

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
    /// A person's vital interest.
    PublicTask,
    /// A legitimate interest of the controller or of a third party.
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

    /// Text for people.
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

/// Transcript content that makes its recording more sensitive.
#[derive(Debug)]
pub struct ContentRule {
    /// The content to find.
    pub pattern: Pattern,
    /// The tier to which the recording is then moved, unless it is in a more sensitive one.
    pub tier: Tier,
}

/// A pattern of content.
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

/// A recipient of recordings.
#[derive(Debug)]
pub struct Recipient {
    /// Name or kind, for people.
    pub name: String,
    /// The purposes.
    pub purposes: Vec<Purpose>,
}

/// A right of a recorded person.
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
    /// Its description, for people.
    pub description: String,
    /// How long one grant opens a recording of this tier: 1 second to [`MAX_GRANT_LIFETIME`].
    pub grant_lifetime: Duration,
    /// How soon after a shred no older copy of the key store opens the recording.
    pub forgotten: Forgotten,
    /// How long a recording of this tier is kept, from its collection on; `None`: no limit of its
    /// own.
    pub retention: Option<Duration>,
    /// The approval that each opening requires.
    pub approval: Option<ApprovalRule>,
}

/// The approval of a second person.
#[derive(Debug)]
pub struct ApprovalRule {
    /// The roles of approvers.
    pub roles: Vec<Role>,
    /// How long an approval is valid, and how long a request waits for one.
    pub lifetime: Duration,
    /// The roles that may bypass it in an emergency; a justification is then required, and it
    /// raises an alarm.
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
    /// Its legal basis; `None` if the file states none.
    pub basis: Option<Basis>,
    /// The part of a recording that it gives.
    pub view: View,
    /// A condition in the syntax of Cedar.
    pub when: Option<String>,
    /// How long after its collection a recording may be opened for it; `None`: as long as it is
    /// kept.
    pub retention: Option<Duration>,
    /// How many recordings one principal may open for it on one day (UTC).
    pub budget: Option<u32>,
}

/// The roles for actions other than playback.
#[derive(Debug)]
pub struct Actions {
    /// List recordings and read their catalogue data.
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
    /// Correct catalogue data of a recording.
    pub correct: Vec<Role>,
    /// Store transcripts.
    pub transcribe: Vec<Role>,
    /// Export the data about one person.
    pub export: Vec<Role>,
}
