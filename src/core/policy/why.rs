//! The remedy for a refusal.
//!
//! Owns the remedy for each reason, in the words of the rules that gave it. Refuses to decide, and
//! to promise: each of several reasons needs its own remedy.

use super::{
    document::PurposeRule,
    facts::DecisionFacts,
    reason::{PolicyRefusal, Reason},
    rules::{Rulebook, Rules},
    words,
};
use crate::model::{
    name::{Purpose, Role, Tier},
    numerals::counted,
    recording::RecordingState,
};

/// Returns the remedy, for an operator of the vault: it names roles, accounts and conditions.
pub fn way_out(refusal: &PolicyRefusal, facts: &DecisionFacts<'_>, rulebook: &Rulebook) -> String {
    let current = rulebook.current();
    let pinned = rulebook
        .find(&facts.recording.policy_digest)
        .filter(|_| refusal.pinned.is_some());
    let change = change(refusal.reason, facts, pinned.unwrap_or(current));
    match &refusal.pinned {
        None => change,
        Some(version) => format!(
            "{change}; or renewed consent of every party, to this purpose under version {}: only \
             version {version}, under which it was recorded, refuses",
            current.version()
        ),
    }
}

fn change(reason: Reason, facts: &DecisionFacts<'_>, rules: &Rules) -> String {
    let recording = facts.recording;
    let purpose = rules.purpose(&facts.purpose);
    let tier = rules.tier(&recording.tier);
    match reason {
        Reason::PolicyNotInForce => format!(
            "wait until {}, when version {} takes effect",
            rules.document().effective,
            rules.version()
        ),
        Reason::PolicyUnknown => format!(
            "publish the file of version {} again (its SHA-256 is {}) with `recvault policy publish FILE`, and restart",
            recording.policy_version, recording.policy_digest
        ),
        Reason::AccountUnknownToPrincipal => {
            format!("a token whose accounts include {}", recording.account())
        }
        Reason::RecordingNotSealed if recording.state == RecordingState::Announced => {
            "wait until it is fetched; `recvault status` shows the work".to_owned()
        }
        Reason::RecordingNotSealed => "nothing: the source has no file of it".to_owned(),
        Reason::RecordingShredded => "nothing: its key is destroyed".to_owned(),
        Reason::TierUnknown => format!(
            "a version that declares the tier `{}`, or `recvault move` to another tier",
            recording.tier
        ),
        Reason::PurposeUnknown => format!(
            "one of the declared purposes: {}",
            purposes(rules, |_| true)
        ),
        Reason::PurposeNotForTier => purpose_for_tier(&recording.tier, rules),
        Reason::RoleNotAllowed => match purpose.map(|purpose| purpose.roles.as_slice()) {
            None | Some([]) => format!("nothing: no role may state `{}`", facts.purpose),
            Some(roles) => format!("a token with the role {}", named(roles)),
        },
        Reason::JustificationMissing => "give the reason in `justification`".to_owned(),
        Reason::JustificationTooLong => "give the reason in at most 1000 characters".to_owned(),
        Reason::GrantExpired => "request a new grant".to_owned(),
        Reason::PurposeExpired => purpose_expired(facts, purpose),
        Reason::ConditionNotMet => match purpose.and_then(|purpose| purpose.when.as_deref()) {
            Some(condition) => format!("the condition must hold: {condition}"),
            None => "the condition of the purpose must hold".to_owned(),
        },
        Reason::ConsentMissing => format!("consent to `{}` of {}", facts.purpose, parties(facts)),
        Reason::Quarantined => format!("evidence of consent to `recording` of {}", parties(facts)),
        Reason::Revoked if facts.holds.is_empty() => "nothing: it will be shredded".to_owned(),
        Reason::Revoked => hold_on_revoked(facts, rules),
        Reason::ApprovalMissing => {
            let roles = tier
                .and_then(|tier| tier.approval.as_ref())
                .map(|approval| named(&approval.roles))
                .unwrap_or_default();
            format!("the approval of another person with the role {roles}")
        }
        Reason::BudgetSpent => match purpose.and_then(|purpose| purpose.budget) {
            Some(budget) => format!(
                "wait until tomorrow (UTC): {} a day may be opened for `{}`",
                counted(budget, "recording", "recordings"),
                facts.purpose
            ),
            None => "wait until tomorrow (UTC)".to_owned(),
        },
        Reason::PolicyFailed => {
            "correct the condition that cannot be evaluated; the log has the error".to_owned()
        }
    }
}

/// Returns the names of these purposes.
fn purposes(rules: &Rules, fits: impl Fn(&PurposeRule) -> bool) -> String {
    let purposes = rules.document().purposes.iter();
    let names: Vec<&str> = purposes
        .filter(|purpose| fits(purpose))
        .map(|purpose| purpose.name.as_str())
        .collect();
    words::listed(&names, "or")
}

fn purpose_for_tier(tier: &Tier, rules: &Rules) -> String {
    let fitting = purposes(rules, |purpose| purpose.tiers.contains(tier));
    if fitting.is_empty() {
        format!("nothing: no purpose opens the tier `{tier}`")
    } else {
        format!("a purpose that opens the tier `{tier}`: {fitting}")
    }
}

fn purpose_expired(facts: &DecisionFacts<'_>, purpose: Option<&PurposeRule>) -> String {
    match purpose.and_then(|purpose| purpose.retention) {
        Some(period) => format!(
            "nothing: `{}` opens recordings for {} after their collection, which ended at {}",
            facts.purpose,
            words::period(period),
            facts.recording.collected_at.after(period)
        ),
        None => "nothing: the retention of the purpose has ended".to_owned(),
    }
}

fn hold_on_revoked(facts: &DecisionFacts<'_>, rules: &Rules) -> String {
    let held_for = &rules.document().hold_purposes;
    let purposes = facts.holds.iter().filter(|held| held_for.contains(held));
    let purposes: Vec<&str> = purposes.map(Purpose::as_str).collect();
    let first = if purposes.is_empty() {
        "nothing: no hold on it is for one of the `hold_purposes`".to_owned()
    } else {
        let listed = words::listed(&purposes, "or");
        format!("the purpose of a hold on the recording: {listed}")
    };
    format!("{first}; it is shredded when the last hold is lifted")
}

fn named(roles: &[Role]) -> String {
    words::listed(&roles.iter().map(Role::as_str).collect::<Vec<_>>(), "or")
}

/// Describes the parties whose consent is required, without naming anybody.
fn parties(facts: &DecisionFacts<'_>) -> String {
    match facts.consents.parties.len() {
        0 => "every party of the conversation; no party is named yet".to_owned(),
        1 => "the one named party".to_owned(),
        many => format!("all {many} named parties"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::recording::Recording,
        policy::{
            Decision,
            cast::{self, NOW, principal},
            decide,
        },
    };

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    fn book() -> Rulebook {
        Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), [])
    }

    fn recording(tier: &str, book: &Rulebook) -> Recording {
        cast::recording(RecordingState::Sealed, tier, book.current().digest())
    }

    #[test]
    fn every_reason_that_a_decision_gives_has_a_way_out_in_the_words_of_the_policy() {
        let book = book();
        let agent = principal(&["agent"]);
        let recording = recording("restricted", &book);
        let facts = DecisionFacts::new(&agent, &recording, "training".parse().unwrap());
        let Decision::Deny(denial) = decide(&facts, &book, NOW) else {
            panic!("allowed")
        };
        let told: Vec<String> = denial
            .refusals()
            .iter()
            .map(|refusal| way_out(refusal, &facts, &book))
            .collect();
        for part in [
            "a purpose that opens the tier `restricted`: dispute-resolution, subject-request or legal-request",
            "a token with the role reviewer",
            "give the reason in",
        ] {
            assert!(
                told.iter().any(|way| way.contains(part)),
                "{part} in {told:?}"
            );
        }
    }

    #[test]
    fn every_reason_there_is_has_words_for_it() {
        let book = book();
        let agent = principal(&["agent"]);
        let recording = recording("standard", &book);
        let facts = DecisionFacts::new(&agent, &recording, "training".parse().unwrap());
        for reason in Reason::ALL.iter().copied() {
            assert!(
                !change(reason, &facts, book.current()).is_empty(),
                "{reason}"
            );
        }
        assert!(change(Reason::PurposeExpired, &facts, book.current()).contains("180 days"));
        assert!(
            change(Reason::ConsentMissing, &facts, book.current())
                .contains("no party is named yet")
        );
        let quality = DecisionFacts::new(&agent, &recording, "quality-review".parse().unwrap());
        assert!(
            change(Reason::ConditionNotMet, &quality, book.current())
                .contains("principal has queue")
        );
        assert!(change(Reason::BudgetSpent, &quality, book.current()).contains("500"));
    }

    #[test]
    fn what_only_the_pinned_version_refuses_can_be_had_by_new_consent() {
        let (book, version): (_, Arc<str>) = (book(), "0".into());
        let agent = principal(&["agent"]);
        let recording = recording("standard", &book);
        let facts = DecisionFacts::new(&agent, &recording, "training".parse().unwrap());
        let Decision::Deny(denial) = decide(&facts, &book, NOW) else {
            panic!("allowed")
        };
        let refusal = PolicyRefusal {
            pinned: Some(version),
            ..denial.refusals()[0].clone()
        };
        let told = way_out(&refusal, &facts, &book);
        assert!(
            told.contains("renewed consent of every party, to this purpose under version 1")
                && told.contains("only version 0"),
            "{told}"
        );
    }
}
