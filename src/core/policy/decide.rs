//! The decision: may this principal hear this recording for this purpose, now?
//!
//! Owns how the versions of the policy go together. Refuses to do I/O, to read a clock, or to stop
//! at the first reason. INVARIANTS
//! - A [`Grant`] is made only here, and only when neither the current rules nor those to which the
//!   recording is pinned name a reason against it.
//! - A later version of the policy narrows at once. It widens only where every party said yes to
//!   this purpose under it.

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

/// What the earlier version still forbids after every party renewed their consent to the purpose:
/// whether the recording may be kept is another question.
const NOT_RENEWED: [Reason; 2] = [Reason::Quarantined, Reason::PolicyFailed];

/// The answer to a request to listen.
#[derive(Debug)]
pub enum Decision {
    /// Yes, and the proof of it.
    Allow(Grant),
    /// No. This is also the answer where no safe decision could be reached.
    Deny(Denial),
}

/// Decides by the current rules and by those to which the recording is pinned: both must allow.
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

/// On what terms all these versions allow: what each of them gives, until the first end that one of
/// them sets.
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

/// Whether the principal may not know that the recording exists: it is of a foreign account, or no
/// role of theirs has to do with recordings at all. Whether the policy is in force does not matter
/// here: its date is published.
fn is_hidden(facts: &DecisionFacts<'_>, rules: &Rules) -> bool {
    !facts.principal.knows(facts.recording.account()) || !rules.shows_recordings_to(facts.principal)
}
