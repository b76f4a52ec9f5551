//! The grant: proof that a decision allowed one principal to hear one recording for one purpose.
//!
//! Owns what was allowed and until when. Refuses to be made, copied or changed anywhere but in the decision.
//!
//! INVARIANT: whoever holds a grant got it from [`decide`](super::decide).

use std::{fmt, sync::Arc};

use crate::{
    model::{
        artefact::Artefact,
        id::{RecordingId, TokenId},
        name::{Purpose, Tier},
        time::Timestamp,
    },
    policy::{facts::Facts, rules::Rules},
};

/// Proof of a decision. It can be had from a decision only:
///
/// ```
/// use recvault::policy::{Decision, Grant};
/// fn had(decision: Decision) -> Option<Grant> {
///     match decision {
///         Decision::Allow(grant) => Some(grant),
///         Decision::Deny(_) => None,
///     }
/// }
/// ```
///
/// It cannot be made from facts,
/// ```compile_fail,E0624
/// use recvault::{model::time::Timestamp, policy::{Facts, Grant, Rules}};
/// fn forged(facts: &Facts<'_>, rules: &Rules, end: Timestamp) -> Grant {
///     Grant::new(facts, rules, end)
/// }
/// ```
/// nor be made longer,
/// ```compile_fail,E0616
/// use recvault::{model::time::Timestamp, policy::Grant};
/// fn prolonged(mut grant: Grant, end: Timestamp) -> Grant {
///     grant.expires_at = end;
///     grant
/// }
/// ```
/// nor be used for two.
/// ```compile_fail,E0277
/// fn wants_clone<T: Clone>() {}
/// wants_clone::<recvault::policy::Grant>();
/// ```
#[derive(Debug)]
pub struct Grant {
    recording: RecordingId,
    principal: TokenId,
    purpose: Purpose,
    justified: bool,
    tier: Tier,
    view: View,
    policy_version: Arc<str>,
    policy_digest: Arc<str>,
    expires_at: Timestamp,
}

impl Grant {
    /// Only for the decision, and only when nothing speaks against it.
    pub(super) fn new(facts: &Facts<'_>, rules: &Rules, expires_at: Timestamp) -> Self {
        Self {
            recording: facts.recording.id,
            principal: facts.principal.id,
            purpose: facts.purpose.clone(),
            justified: facts.is_justified(),
            tier: facts.recording.tier.clone(),
            view: rules.purpose(&facts.purpose).map_or(View::default(), |purpose| purpose.view),
            policy_version: rules.shared_version(),
            policy_digest: rules.shared_digest(),
            expires_at,
        }
    }

    /// What may be heard.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// By whom.
    pub fn principal(&self) -> TokenId {
        self.principal
    }

    /// Why.
    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// Whether a justification was written.
    pub fn is_justified(&self) -> bool {
        self.justified
    }

    /// The recording's tier when it was decided.
    pub fn tier(&self) -> &Tier {
        &self.tier
    }

    /// What of the recording may be had.
    pub fn view(&self) -> View {
        self.view
    }

    /// The version of the policy in force, by which it was decided.
    pub fn policy_version(&self) -> &str {
        &self.policy_version
    }

    /// SHA-256 of that policy's file, lower-case hex.
    pub fn policy_digest(&self) -> &str {
        &self.policy_digest
    }

    /// From this instant on it opens nothing.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// What of a recording a grant gives. No other address of the grant works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// The sound as it was recorded, and what was said.
    #[default]
    Audio,
    /// The sound between two moments, and nothing else.
    Window {
        /// From this second on.
        from_s: u32,
        /// Until before this second; larger than `from_s`.
        to_s: u32,
    },
    /// What was said.
    Transcript,
    /// What was said, without what the policy's content rules find in it.
    RedactedTranscript,
}

impl View {
    /// Whether it gives anything of this artefact.
    pub const fn gives(self, artefact: Artefact) -> bool {
        matches!(
            (self, artefact),
            (Self::Audio | Self::Window { .. }, Artefact::Audio)
                | (Self::Audio | Self::Transcript | Self::RedactedTranscript, Artefact::Transcript)
        )
    }

    /// The word used in answers and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Window { .. } => "window",
            Self::Transcript => "transcript",
            Self::RedactedTranscript => "redacted-transcript",
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
