//! The grant: proof that a decision allowed one principal to open one recording for one purpose.
//!
//! Owns the extent and the end of the permission. Refuses to be made, copied or changed anywhere
//! but in the decision.
//!
//! INVARIANT: every grant comes from [`decide`](super::decide).

use std::sync::Arc;

use crate::{
    model::{
        actor::Initiator,
        id::{ApprovalId, PrincipalId, RecordingId, TokenId},
        name::{Purpose, Tier},
        time::Timestamp,
    },
    policy::{facts::DecisionFacts, rules::Rules, view::View},
};

/// Proof of a decision. Only a decision returns one:
///
/// ```
/// use recvault_core::policy::{Decision, Grant};
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
/// use recvault_core::{model::time::Timestamp, policy::{DecisionFacts, Grant, Rules}};
/// fn forged(facts: &DecisionFacts<'_>, rules: &Rules, end: Timestamp) -> Grant {
///     Grant::new(facts, rules, end)
/// }
/// ```
/// nor be made longer,
/// ```compile_fail,E0616
/// use recvault_core::{model::time::Timestamp, policy::Grant};
/// fn prolonged(mut grant: Grant, end: Timestamp) -> Grant {
///     grant.expires_at = end;
///     grant
/// }
/// ```
/// nor be duplicated.
/// ```compile_fail,E0277
/// fn wants_clone<T: Clone>() {}
/// wants_clone::<recvault_core::policy::Grant>();
/// ```
#[derive(Debug)]
pub struct Grant {
    recording: RecordingId,
    principal: PrincipalId,
    credential: TokenId,
    purpose: Purpose,
    justified: bool,
    tier: Tier,
    view: View,
    broke_glass: bool,
    approval: Option<ApprovalId>,
    budget: Option<u32>,
    clause: Arc<str>,
    policy_version: Arc<str>,
    policy_digest: Arc<str>,
    expires_at: Timestamp,
}

/// The result of the decision, besides the request's own facts.
#[derive(Debug)]
pub(super) struct GrantTerms {
    pub(super) clause: Arc<str>,
    pub(super) view: View,
    pub(super) broke_glass: bool,
    pub(super) approval: Option<ApprovalId>,
    pub(super) budget: Option<u32>,
    pub(super) expires_at: Timestamp,
}

impl Grant {
    /// For the decision only, and only if there is no reason against it.
    pub(super) fn new(facts: &DecisionFacts<'_>, rules: &Rules, terms: GrantTerms) -> Self {
        Self {
            recording: facts.recording.id,
            principal: facts.principal.id,
            credential: facts.principal.credential,
            purpose: facts.purpose.clone(),
            justified: facts.is_justified(),
            tier: facts.recording.tier.clone(),
            view: terms.view,
            broke_glass: terms.broke_glass,
            approval: terms.approval,
            budget: terms.budget,
            clause: terms.clause,
            policy_version: rules.shared_version(),
            policy_digest: rules.shared_digest(),
            expires_at: terms.expires_at,
        }
    }

    /// The recording that may be opened.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// The principal.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// The principal's credential: the grant ends with it.
    pub fn credential(&self) -> TokenId {
        self.credential
    }

    /// The principal and the credential, for the audit log.
    pub fn initiator(&self) -> Initiator {
        Initiator::Principal {
            id: self.principal,
            credential: self.credential,
        }
    }

    /// The purpose.
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

    /// The part of the recording that it gives.
    pub fn view(&self) -> View {
        self.view
    }

    /// Returns whether the tier requires approval and there is none: the approval was bypassed in
    /// an emergency, which raises an alarm.
    pub fn is_break_glass(&self) -> bool {
        self.broke_glass
    }

    /// The approval on which it rests, if the tier requires one. Revoking the approval ends the
    /// grant.
    pub fn approval(&self) -> Option<ApprovalId> {
        self.approval
    }

    /// How many recordings its principal may open for its purpose on one day (UTC), including this
    /// one; `None` means no limit. The decision checks the day's count first, and each opening
    /// checks it again, because other openings may run concurrently.
    pub fn budget(&self) -> Option<u32> {
        self.budget
    }

    /// The clause of the policy that allowed it: `purposes/training`.
    pub fn clause(&self) -> &str {
        &self.clause
    }

    /// The version of the policy in force, by which it was decided.
    pub fn policy_version(&self) -> &str {
        &self.policy_version
    }

    /// SHA-256 of that policy's file, lower-case hex.
    pub fn policy_digest(&self) -> &str {
        &self.policy_digest
    }

    /// The instant from which it opens nothing.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}
