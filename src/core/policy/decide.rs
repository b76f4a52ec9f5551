//! The decision: may this principal open this recording for this purpose, now?
//!
//! Owns the combination of policy versions. Refuses to do I/O, to read a clock, or to stop at the
//! first reason. INVARIANTS
//! - A [`Grant`] is made only here, and only if neither the current rules nor the pinned ones name
//!   a reason against it.
//! - A later version of the policy narrows access immediately. It widens access only if every party
//!   said yes to this purpose under it.

mod grant;
#[cfg(test)]
mod tests;

pub use self::grant::Grant;
use self::grant::GrantTerms;
use super::{
    cedar::{Question, UNASKABLE, Unaskable},
    facts::DecisionFacts,
    reason::{Denial, Grounds, Reason},
    rules::{Rulebook, Rules},
    view::View,
};
use crate::model::time::Timestamp;

/// Reasons of the earlier version that still apply after every party renewed their consent to the
/// purpose: they concern whether the recording may be kept at all.
const NOT_RENEWED: [Reason; 2] = [Reason::Quarantined, Reason::PolicyFailed];

/// The decision on a request for playback.
#[derive(Debug)]
pub enum Decision {
    /// Allowed, with the proof.
    Allow(Grant),
    /// Denied, also if no safe decision could be reached.
    Deny(Denial),
}

/// Decides by the current and the pinned rules: both must allow.
pub fn decide(facts: &DecisionFacts<'_>, rulebook: &Rulebook, now: Timestamp) -> Decision {
    let rules = rulebook.current();
    let pinned = rulebook.find(&facts.recording.policy_digest);
    let earlier = rulebook.other(&facts.recording.policy_digest);
    let mut against = Grounds::default();
    let mut pinned_against = Grounds::default();
    let mut clause = None;
    let mut binding = vec![rules];
    match Question::of(facts, now) {
        Err(Unaskable) => against.add_if(true, Reason::PolicyFailed, UNASKABLE),
        Ok(question) => {
            match rules.compiled().judge(&facts.purpose, &question) {
                Ok(permitting) => clause = Some(permitting),
                Err(grounds) => against = grounds,
            }
            if let Some(earlier) = earlier {
                let renewed =
                    facts
                        .consents
                        .renew(facts.recording, &facts.purpose, rules.version(), now);
                pinned_against = earlier
                    .compiled()
                    .judge(&facts.purpose, &question)
                    .err()
                    .unwrap_or_default();
                if renewed {
                    pinned_against.keep(&NOT_RENEWED);
                } else {
                    binding.push(earlier);
                }
            }
        }
    }
    against.add_if(pinned.is_none(), Reason::PolicyUnknown, "fixed/pin");
    if let (Some(clause), true, true) = (clause, against.is_empty(), pinned_against.is_empty()) {
        match terms(facts, &binding, clause, now) {
            Some(terms) => return Decision::Allow(Grant::new(facts, rules, terms)),
            // Each version gives a part of the recording, and no part is in both.
            None => pinned_against.add_if(
                true,
                Reason::ConditionNotMet,
                format!("purposes/{}/view", facts.purpose),
            ),
        }
    }
    let hidden = is_hidden(facts, rules);
    let version = pinned.map(Rules::shared_version);
    Decision::Deny(Denial::new(
        &against,
        &pinned_against,
        version,
        hidden,
        rules.shared_digest(),
    ))
}

/// Returns the terms on which all these versions allow: the common part, until the earliest end.
fn terms(
    facts: &DecisionFacts<'_>,
    binding: &[&Rules],
    clause: std::sync::Arc<str>,
    now: Timestamp,
) -> Option<GrantTerms> {
    let approved = facts.approval.filter(|approval| approval.until > now);
    let mut ends: Vec<Timestamp> = facts.until.into_iter().collect();
    let mut view = View::Audio;
    let mut broke_glass = false;
    let mut approval = None;
    let mut budget = None;
    for rules in binding {
        let tier = rules.tier(&facts.recording.tier)?;
        let purpose = rules.purpose(&facts.purpose)?;
        view = view.meet(purpose.view)?;
        ends.push(now.after(tier.grant_lifetime));
        budget = budget.into_iter().chain(purpose.budget).min();
        ends.extend(
            purpose
                .retention
                .map(|retention| facts.recording.collected_at.after(retention)),
        );
        if tier.approval.is_some() {
            ends.extend(approved.map(|approval| approval.until));
            broke_glass |= approved.is_none();
            approval = approved.map(|approval| approval.id);
        }
    }
    Some(GrantTerms {
        clause,
        view,
        broke_glass,
        approval,
        budget,
        expires_at: ends.into_iter().min()?,
    })
}

/// Returns whether the principal must not learn that the recording exists: it belongs to another
/// account, or none of their roles concerns recordings at all. Whether the policy is in force is
/// irrelevant here: its date is published.
fn is_hidden(facts: &DecisionFacts<'_>, rules: &Rules) -> bool {
    !facts.principal.knows(facts.recording.account()) || !rules.shows_recordings_to(facts.principal)
}
