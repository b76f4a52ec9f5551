//! The policy document: what the operator publishes, as plain values.
//!
//! Owns the shapes of `privacy-policy.toml` and their reading. Refuses to know how a decision is taken.
//! INVARIANT: a document that was read holds no name that it does not also declare, and no name twice.

mod fault;
mod read;
#[cfg(test)]
mod tests;
mod walk;

use std::time::Duration;

pub use self::fault::Fault;
use super::classify::Classification;
use crate::model::{
    name::{Purpose, Role, Tier},
    time::Timestamp,
};

/// Bytes beyond which a text is not a policy file.
pub const MAX_BYTES: usize = 64 * 1024;

/// The longest grant that a tier may allow.
pub const MAX_GRANT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// One privacy policy, as the file states it. Lists keep the order of the file.
#[derive(Debug)]
pub struct Document {
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
    /// Every purpose there is.
    pub purposes: Vec<PurposeRule>,
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

/// One sensitivity tier.
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
}

/// How soon a shred reaches older copies of the key store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// The term of the W3C Data Privacy Vocabulary that it is an instance of, as an IRI (<https://w3id.org/dpv>).
    pub dpv: String,
    /// The tiers it may open.
    pub tiers: Vec<Tier>,
    /// The roles that may state it.
    pub roles: Vec<Role>,
    /// Whether a written justification must come with it.
    pub justification: bool,
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
}
