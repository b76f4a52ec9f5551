//! The decision: may this principal hear this recording for this purpose, now?
//!
//! Owns every rule of listening. Refuses to do I/O, to read a clock, or to stop at the first reason.
//! INVARIANT: a [`Grant`] is made only here, and only when neither the current rules nor those to which the recording is pinned name a
//! reason against it. A later version of the policy narrows at once and never widens.

mod grant;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::grant::{Grant, View};
use super::{
    facts::Facts,
    reason::{Denial, Reason, Reasons},
    rules::{Rulebook, Rules, has_any},
};
use crate::model::{recording::State, time::Timestamp};

/// The longest justification, in characters.
pub const MAX_JUSTIFICATION: usize = 1000;

/// The answer to a request to listen.
#[derive(Debug)]
pub enum Decision {
    /// Yes, and the proof of it.
    Allow(Grant),
    /// No. This is also the answer where no safe decision could be reached.
    Deny(Denial),
}

/// Decides by the current rules and by those to which the recording is pinned: both must allow.
pub fn decide(facts: &Facts<'_>, rulebook: &Rulebook, now: Timestamp) -> Decision {
    let rules = rulebook.current();
    let pinned_rules = rulebook.find(&facts.recording.policy_digest);
    let mut request = of_request(facts, now);
    request.add_if(pinned_rules.is_none(), Reason::PolicyUnknown);
    let current = judge(facts, rules, now);
    let pinned = pinned_rules.map_or(current, |rules| judge(facts, rules, now));
    match (request.is_empty(), current, pinned) {
        (true, Ok(lifetime), Ok(pinned_lifetime)) => {
            let end = now.after(lifetime.min(pinned_lifetime));
            Decision::Allow(Grant::new(facts, rules, facts.until.map_or(end, |until| end.min(until))))
        }
        (_, current, pinned) => Decision::Deny(Denial::new(
            request.and(current.err().unwrap_or_default()),
            pinned.err().unwrap_or_default(),
            pinned_rules.map(Rules::shared_version),
            is_hidden(facts, rules),
            rules.shared_digest(),
        )),
    }
}

/// What speaks against the request under any policy.
fn of_request(facts: &Facts<'_>, now: Timestamp) -> Reasons {
    let mut reasons = Reasons::default();
    reasons.add_if(!facts.principal.knows(&facts.recording.account), Reason::AccountUnknownToPrincipal);
    match facts.recording.state {
        State::Sealed => {}
        State::Announced | State::Absent | State::Failed => reasons.add_if(true, Reason::RecordingNotSealed),
        State::Shredded => reasons.add_if(true, Reason::RecordingShredded),
    }
    // `nth` and not `count`: what is far too long is not read to its end.
    let too_long = facts.justification.is_some_and(|text| text.chars().nth(MAX_JUSTIFICATION).is_some());
    reasons.add_if(too_long, Reason::JustificationTooLong);
    reasons.add_if(facts.until.is_some_and(|until| until <= now), Reason::GrantExpired);
    reasons
}

/// What one version of the policy says: how long it would allow, or what speaks against it.
fn judge(facts: &Facts<'_>, rules: &Rules, now: Timestamp) -> Result<Duration, Reasons> {
    let mut reasons = Reasons::default();
    reasons.add_if(!rules.is_in_force(now), Reason::PolicyNotInForce);
    let tier = rules.tier(&facts.recording.tier);
    reasons.add_if(tier.is_none(), Reason::TierUnknown);
    match rules.purpose(&facts.purpose) {
        None => reasons.add_if(true, Reason::PurposeUnknown),
        Some(purpose) => {
            reasons.add_if(tier.is_some_and(|tier| !purpose.tiers.contains(&tier.name)), Reason::PurposeNotForTier);
            reasons.add_if(!has_any(facts.principal, &purpose.roles), Reason::RoleNotAllowed);
            reasons.add_if(purpose.justification && !facts.is_justified(), Reason::JustificationMissing);
        }
    }
    match tier {
        Some(tier) if reasons.is_empty() => Ok(tier.grant_lifetime),
        _ => Err(reasons),
    }
}

/// Whether the principal may not know that the recording exists: it is of a foreign account, or no role of theirs has to do with
/// recordings at all. Whether the policy is in force does not matter here: its date is published.
fn is_hidden(facts: &Facts<'_>, rules: &Rules) -> bool {
    !facts.principal.knows(&facts.recording.account) || !rules.shows_recordings_to(facts.principal)
}
