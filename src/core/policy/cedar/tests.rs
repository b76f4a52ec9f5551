//! Tests: Cedar parses the compiled rules, a failed evaluation refuses, and conditions have their
//! stated meaning.

mod faults;
mod looks;

use std::{collections::BTreeSet, net::IpAddr};

use cedar_policy::{EntityUid, PolicySet, Schema, ValidationMode, Validator};

use super::*;
use crate::{
    model::{
        access::{Principal, Ticket},
        recording::{Recording, RecordingState},
        time::Timestamp,
    },
    policy::{
        Decision, DecisionFacts, MAX_JUSTIFICATION, Rulebook, Rules,
        cast::{principal, recording},
        decide,
    },
};

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");
const WHEN: &str = "when = \"if principal has queue then resource has queue && principal.queue.contains(resource.queue) else true\"";

/// Returns the shipped policy with another condition for quality review, in a literal text of TOML
/// that may contain lines.
fn with_condition(when: &str) -> Result<Rules, Vec<String>> {
    assert!(SHIPPED.contains(WHEN));
    let text = SHIPPED.replacen(WHEN, &format!("when = '''{when}'''"), 1);
    Rules::parse("p.toml", &text).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// Returns the faults of a condition; every fault names the line of the `when`.
fn faults(when: &str) -> Vec<String> {
    let line = SHIPPED.lines().position(|line| line == WHEN).unwrap() + 1;
    let start = format!("p.toml:{line}: `when` of the purpose `quality-review`: ");
    let told = with_condition(when).expect_err(when);
    told.iter()
        .map(|fault| {
            fault
                .strip_prefix(&start)
                .unwrap_or_else(|| panic!("{fault}"))
                .to_owned()
        })
        .collect()
}

/// The requester's details.
struct Asked<'a> {
    network: Option<IpAddr>,
    ticket: Option<&'a Ticket>,
    justification: Option<&'a str>,
}

const PLAINLY: Asked<'_> = Asked {
    network: None,
    ticket: None,
    justification: None,
};

/// Returns whether quality review is allowed under this condition. Nothing but the condition may
/// refuse.
fn holds(
    when: &str,
    principal: &Principal,
    labels: &[(&str, &str)],
    asked: Asked<'_>,
    now: Timestamp,
) -> bool {
    let rulebook = Rulebook::new(with_condition(when).unwrap(), []);
    let mut recording = Recording {
        collected_at: now,
        ..recording(
            RecordingState::Sealed,
            "standard",
            rulebook.current().digest(),
        )
    };
    recording.labels = labels
        .iter()
        .map(|(label, value)| (label.parse().unwrap(), (*value).to_owned()))
        .collect();
    let Asked {
        network,
        ticket,
        justification,
    } = asked;
    let facts = DecisionFacts {
        network,
        ticket,
        justification,
        ..DecisionFacts::new(principal, &recording, "quality-review".parse().unwrap())
    };
    match decide(&facts, &rulebook, now) {
        Decision::Allow(_) => true,
        Decision::Deny(denial) => {
            let told: Vec<_> = denial
                .refusals()
                .iter()
                .map(|refusal| (refusal.reason, &*refusal.clause))
                .collect();
            assert_eq!(
                told,
                [(Reason::ConditionNotMet, "purposes/quality-review/when")]
            );
            false
        }
    }
}

fn reviewer() -> Principal {
    principal(&["reviewer"])
}

#[test]
fn what_is_printed_is_read_and_validated_by_cedar() {
    let rules = Rules::parse("p", SHIPPED).unwrap();
    let policies = rules.cedar().parse::<PolicySet>().unwrap();
    let schema = rules.schema().parse::<Schema>().unwrap();
    let told = Validator::new(schema).validate(&policies, ValidationMode::Strict);
    assert!(told.validation_passed(), "{told}");
    // The shipped file does not base recording on consent, so that no purpose is in that group.
    assert!(
        told.validation_warnings()
            .all(|warning| warning.to_string().contains("quarantine")
                || warning.policy_id().to_string().starts_with("policy"))
    );
    assert_eq!(
        policies.num_of_policies(),
        rules
            .compiled()
            .purposes
            .values()
            .chain([&rules.compiled().unknown])
            .flat_map(|slice| slice.marks.keys())
            .collect::<BTreeSet<_>>()
            .len()
            + 1
    );
    for name in [
        "Recvault::Action::\"training\"",
        "@reason(\"consent-missing\")",
        "@clause(\"tiers/restricted/approval\")",
        "// Teaching the people who answer calls.",
    ] {
        assert!(rules.cedar().contains(name), "{name}");
    }
    assert!(
        rules.schema().contains("\"queue\"?: Set<String>")
            && rules.schema().contains("\"queue\"?: String")
    );
}

#[test]
fn every_rule_names_a_clause_and_fixed_rules_one_of_their_own() {
    let fixed: PolicySet = text::FIXED.parse().unwrap();
    let mut reasons = BTreeSet::new();
    for policy in fixed.policies() {
        let mark = Mark::of(policy).unwrap();
        assert!(mark.clause.starts_with("fixed/"), "{policy}");
        assert_eq!(
            policy.effect(),
            Effect::Forbid,
            "no fixed rule allows anything"
        );
        reasons.insert(mark.reason.unwrap());
    }
    assert_eq!(
        reasons.len(),
        fixed.num_of_policies(),
        "each gives a reason of its own"
    );
    let rules = Rules::parse("p", SHIPPED).unwrap();
    let all: PolicySet = rules.cedar().parse().unwrap();
    assert!(all.policies().all(|policy| Mark::of(policy).is_ok()));
    let generated: Vec<_> = all
        .policies()
        .filter_map(|policy| policy.annotation("clause"))
        .filter(|clause| !clause.starts_with("fixed/"))
        .collect();
    assert_eq!(
        generated.iter().collect::<BTreeSet<_>>().len(),
        generated.len(),
        "a clause of the file is one rule"
    );
}

#[test]
fn a_rule_that_says_nothing_of_itself_is_not_taken() {
    let mark = |text: &str| Mark::of(&text.parse().unwrap());
    assert!(mark("@clause(\"x\") permit (principal, action, resource);").is_ok());
    assert!(
        mark("@clause(\"x\") @reason(\"quarantined\") forbid (principal, action, resource);")
            .is_ok()
    );
    for bad in [
        "permit (principal, action, resource);",
        "@clause(\"x\") forbid (principal, action, resource);",
        "@clause(\"x\") @reason(\"whim\") forbid (principal, action, resource);",
        "@clause(\"x\") @reason(\"quarantined\") permit (principal, action, resource);",
    ] {
        assert!(mark(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_fixed_rules_and_the_code_have_the_same_bound() {
    assert!(text::FIXED.contains(&format!(
        "context.justification_length > {MAX_JUSTIFICATION} "
    )));
}

#[test]
fn a_slice_leaves_out_only_what_is_about_another_purpose() {
    let rules = Rules::parse("p", SHIPPED).unwrap();
    let all: PolicySet = rules.cedar().parse().unwrap();
    for (purpose, slice) in &rules.compiled().purposes {
        let own: EntityUid = format!("Recvault::Action::\"{purpose}\"").parse().unwrap();
        for policy in all.policies() {
            let is_about_others = match policy.action_constraint() {
                ActionConstraint::Any => false,
                ActionConstraint::Eq(uid) => uid != own,
                ActionConstraint::In(groups) => !groups.iter().any(|group| {
                    rules.schema().contains(&format!(
                        "action \"{purpose}\" in [\"{}\"",
                        group.id().unescaped()
                    ))
                }),
            };
            assert_eq!(
                slice.policies.policy(policy.id()).is_none(),
                is_about_others,
                "{purpose}: {policy}"
            );
        }
    }
}
