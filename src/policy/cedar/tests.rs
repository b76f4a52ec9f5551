//! What is compiled can be read by Cedar, what cannot be evaluated refuses, and conditions are what
//! they say.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use cedar_policy::{EntityUid, PolicySet, Schema, ValidationMode, Validator};
use proptest::prelude::*;

use super::*;
use crate::{
    model::{
        access::{Principal, Ticket},
        recording::{Recording, State},
        time::Timestamp,
    },
    policy::{
        Decision, Facts, MAX_JUSTIFICATION, Rulebook, Rules,
        cast::{NOW, principal, recording, with_labels},
        decide,
    },
};

const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");
const WHEN: &str = "when = \"if principal has queue then resource has queue && principal.queue.contains(resource.queue) else true\"";

/// The shipped policy with another condition for quality review, in a literal text of TOML that may
/// have lines.
fn with_condition(when: &str) -> Result<Rules, Vec<String>> {
    assert!(SHIPPED.contains(WHEN));
    let text = SHIPPED.replacen(WHEN, &format!("when = '''{when}'''"), 1);
    Rules::parse("p.toml", &text).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// What is wrong with a condition; the line of the `when` is named by every fault.
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

/// How somebody asks.
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

/// Whether quality review is allowed under this condition. Nothing but the condition may refuse.
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
        ..recording(State::Sealed, "standard", rulebook.current().digest())
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
    let facts = Facts {
        network,
        ticket,
        justification,
        ..Facts::new(principal, &recording, "quality-review".parse().unwrap())
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
    // The shipped file does not rest recording on consent, so that no purpose is in that group.
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

#[test]
fn conditions_look_at_teams_queues_and_own_calls() {
    let own_queue =
        "principal has queue && resource has queue && principal.queue.contains(resource.queue)";
    let seller = with_labels(reviewer(), &[("queue", &["sales", "service"])]);
    let asked = |principal: &Principal, labels: &[(&str, &str)]| {
        holds(own_queue, principal, labels, PLAINLY, NOW)
    };
    assert!(
        asked(&seller, &[("queue", "sales")])
            && asked(&seller, &[("queue", "service"), ("team", "a")])
    );
    assert!(
        !asked(&seller, &[("queue", "legal")])
            && !asked(&seller, &[])
            && !asked(&seller, &[("team", "sales")])
    );
    assert!(
        !asked(&reviewer(), &[("queue", "sales")])
            && !asked(
                &with_labels(reviewer(), &[("queue", &[])]),
                &[("queue", "sales")]
            )
    );

    let own_calls =
        "resource has agent && principal has agent && principal.agent.contains(resource.agent)";
    let seven = with_labels(reviewer(), &[("agent", &["agent-7"])]);
    assert!(holds(
        own_calls,
        &seven,
        &[("agent", "agent-7")],
        PLAINLY,
        NOW
    ));
    assert!(
        !holds(own_calls, &seven, &[("agent", "agent-70")], PLAINLY, NOW)
            && !holds(own_calls, &seven, &[], PLAINLY, NOW)
    );

    let officers_everything = "principal in Recvault::Role::\"privacy-officer\" || (resource has team && resource.team like \"north-*\")";
    assert!(holds(
        officers_everything,
        &principal(&["reviewer", "privacy-officer"]),
        &[],
        PLAINLY,
        NOW
    ));
    assert!(holds(
        officers_everything,
        &reviewer(),
        &[("team", "north-1")],
        PLAINLY,
        NOW
    ));
    assert!(!holds(
        officers_everything,
        &reviewer(),
        &[("team", "south-1")],
        PLAINLY,
        NOW
    ));
}

#[test]
fn conditions_look_at_the_time() {
    let office_hours =
        "context.now.toTime() >= duration(\"8h\") && context.now.toTime() < duration(\"18h\")";
    let at = |time: &str| {
        holds(
            office_hours,
            &reviewer(),
            &[],
            PLAINLY,
            Timestamp::parse_rfc3339(&format!("2026-11-24T{time}Z")).unwrap(),
        )
    };
    assert!(at("08:00:00") && at("17:59:59.999") && !at("07:59:59.999") && !at("18:00:00"));
    let fresh = "context.now.durationSince(resource.collected_at) < duration(\"1h\")";
    let aged = |age: u64| {
        let rulebook = Rulebook::new(with_condition(fresh).unwrap(), []);
        let recording = Recording {
            collected_at: NOW.before(Duration::from_secs(age)),
            ..recording(State::Sealed, "standard", rulebook.current().digest())
        };
        let reviewer = reviewer();
        matches!(
            decide(
                &Facts::new(&reviewer, &recording, "quality-review".parse().unwrap()),
                &rulebook,
                NOW
            ),
            Decision::Allow(_)
        )
    };
    assert!(aged(0) && aged(3599) && !aged(3600));
}

#[test]
fn conditions_look_at_the_network() {
    let office = "context has network && (context.network.isInRange(ip(\"192.0.2.0/24\")) || context.network.isInRange(ip(\"2001:db8::/32\")))";
    let from = |address: Option<&str>| {
        holds(
            office,
            &reviewer(),
            &[],
            Asked {
                network: address.map(|text| text.parse().unwrap()),
                ..PLAINLY
            },
            NOW,
        )
    };
    assert!(from(Some("192.0.2.7")) && from(Some("2001:db8::7")) && from(Some("::ffff:192.0.2.7")));
    assert!(
        !from(Some("192.0.3.7"))
            && !from(Some("2001:db9::7"))
            && !from(Some("::ffff:192.0.3.7"))
            && !from(None)
    );
    assert!(
        !from(Some("::192.0.2.7")) && !from(Some("::1")) && !from(Some("::")),
        "an address that only looks like one of the office's"
    );
}

#[test]
fn conditions_look_at_tickets_and_justifications() {
    let case = "context has ticket && context.ticket like \"CASE-*\" && context.justified";
    let ticket = |text: &str| text.parse().unwrap();
    let right = ticket("CASE-1042");
    let wrong = ticket("OTHER-1");
    let asked = |ticket, justification| {
        holds(
            case,
            &reviewer(),
            &[],
            Asked {
                ticket,
                justification,
                ..PLAINLY
            },
            NOW,
        )
    };
    assert!(asked(Some(&right), Some("because")));
    assert!(
        !asked(Some(&wrong), Some("because"))
            && !asked(None, Some("because"))
            && !asked(Some(&right), Some(" "))
            && !asked(Some(&right), None)
    );
}

#[test]
fn a_condition_that_cannot_be_evaluated_refuses() {
    let overflow = "resource has duration_s && resource.duration_s * 9223372036854775807 > 0";
    let rulebook = Rulebook::new(with_condition(overflow).unwrap(), []);
    let long = Recording {
        duration_s: Some(60),
        ..recording(State::Sealed, "standard", rulebook.current().digest())
    };
    let reviewer = reviewer();
    let Decision::Deny(denial) = decide(
        &Facts::new(&reviewer, &long, "quality-review".parse().unwrap()),
        &rulebook,
        NOW,
    ) else {
        panic!("allowed")
    };
    assert!(denial.names(Reason::PolicyFailed), "{denial}");
    assert!(
        denial
            .refusals()
            .iter()
            .all(|refusal| refusal.clause.starts_with("purposes/quality-review")),
        "{denial:?}"
    );
    // A negation of the same is no way round it.
    let negated = Rulebook::new(with_condition(&format!("!({overflow})")).unwrap(), []);
    let long = Recording {
        policy_digest: negated.current().digest().into(),
        ..long
    };
    let Decision::Deny(denial) = decide(
        &Facts::new(&reviewer, &long, "quality-review".parse().unwrap()),
        &negated,
        NOW,
    ) else {
        panic!("allowed")
    };
    assert!(denial.names(Reason::PolicyFailed), "{denial}");
}

#[test]
fn a_fact_that_cannot_be_put_refuses() {
    let rulebook = Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), []);
    let reviewer = reviewer();
    let sealed = recording(State::Sealed, "standard", rulebook.current().digest());
    for at in [i64::MIN, i64::MAX, -400_000_000_000_000] {
        let odd = Recording {
            collected_at: Timestamp::from_millis(at),
            ..sealed.clone()
        };
        let decision = decide(
            &Facts::new(&reviewer, &odd, "quality-review".parse().unwrap()),
            &rulebook,
            NOW,
        );
        let Decision::Deny(denial) = decision else {
            panic!("allowed")
        };
        assert!(denial.names(Reason::PolicyFailed), "{denial}");
        assert!(!denial.is_hidden());
    }
}

#[test]
fn a_label_that_means_something_else_here_stands_in_for_nothing() {
    let rulebook = Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), []);
    let mut stranger = with_labels(
        reviewer(),
        &[
            ("every_account", &["true"]),
            ("accounts", &["AC00000000000000000000000000000000"]),
        ],
    );
    stranger
        .accounts
        .insert(format!("AC{}", "1".repeat(32)).parse().unwrap());
    let mut sealed = recording(State::Shredded, "standard", rulebook.current().digest());
    sealed
        .labels
        .insert("state".parse().unwrap(), "sealed".into());
    let Decision::Deny(denial) = decide(
        &Facts::new(&stranger, &sealed, "quality-review".parse().unwrap()),
        &rulebook,
        NOW,
    ) else {
        panic!("allowed")
    };
    assert!(
        denial.names(Reason::AccountUnknownToPrincipal)
            && denial.names(Reason::RecordingShredded)
            && !denial.names(Reason::PolicyFailed)
    );
    let text = SHIPPED.replacen(
        "labels = [\"team\"",
        "labels = [\"tier\", \"team\", \"team\"",
        1,
    );
    let told: Vec<String> = Rules::parse("p", &text)
        .unwrap_err()
        .iter()
        .map(|fault| fault.reason.clone())
        .collect();
    assert_eq!(
        told,
        [
            "`labels` names `tier`, which conditions know as something else: call it otherwise",
            "`labels` names `team` twice"
        ]
    );
}

#[test]
fn a_condition_smuggles_nothing_in() {
    for when in [
        "true); permit (principal, action, resource",
        "true }; permit (principal, action, resource) when { true",
        "true) } unless { (false",
        "true) }; @clause(\"x\") permit (principal, action, resource); forbid (principal, action, resource) when { (true",
        "true // )",
        "true /* */",
        "true;",
        "true, true",
        "true true",
        "",
        "// nothing",
        "principal == ?principal",
        "when { true }",
        "@reason(\"x\") true",
        "\"unfinished",
        "(true",
        "true)",
        "\u{202e}true",
        "true\u{0}",
    ] {
        match with_condition(when) {
            // A comment ends with its line, and its line ends before the rule goes on.
            Ok(rules) => {
                assert_eq!(when, "true // )");
                assert_eq!(
                    rules
                        .cedar()
                        .parse::<PolicySet>()
                        .unwrap()
                        .num_of_policies(),
                    Rules::parse("p", SHIPPED)
                        .unwrap()
                        .cedar()
                        .parse::<PolicySet>()
                        .unwrap()
                        .num_of_policies()
                );
            }
            Err(told) => assert!(
                !told.is_empty() && told.iter().all(|fault| fault.starts_with("p.toml:")),
                "{when}: {told:?}"
            ),
        }
    }
}

#[test]
fn a_comment_at_the_end_of_a_condition_hides_no_bracket() {
    assert!(!holds(
        "context.justified // ) || (true",
        &reviewer(),
        &[],
        PLAINLY,
        NOW
    ));
    assert!(holds(
        "context.justified // ) || (false",
        &reviewer(),
        &[],
        Asked {
            justification: Some("x"),
            ..PLAINLY
        },
        NOW
    ));
}

#[test]
fn every_fault_of_a_condition_is_told() {
    for (when, said) in [
        (
            "principal.queue.contains(\"x\")",
            "optional attribute `queue`",
        ),
        (
            "resource has team && principal.team.contains(resource.team)",
            "ask first, as in `x has y && …`",
        ),
        ("resource.teem == \"x\"", "attribute `teem`"),
        ("context.ticket == \"x\"", "optional attribute `ticket`"),
        ("context.now > 5", "unexpected type"),
        ("resource.state", "unexpected type"),
        ("principal has queue && principal.queue == \"x\"", "types"),
        ("resource.tier == Recvault::Tier::\"secret\"", "secret"),
        ("principal in Recvault::Role::\"boss\"", "boss"),
        ("principal in Recvault::Group::\"boss\"", "Recvault::Group"),
        ("action == Recvault::Action::\"nothing\"", "nothing"),
        ("ip(resource.state).isLoopback()", "literal"),
        ("ip(\"300.1.1.1\").isLoopback()", "IP address"),
        ("nonsense(1)", "nonsense"),
        ("1 +", "unexpected end of input"),
        ("[].contains(1)", "empty set"),
    ] {
        let told = faults(when);
        assert!(
            told.iter().any(|fault| fault.contains(said)),
            "{when}: expected {said}, got {told:#?}"
        );
        assert!(
            told.iter().all(|fault| fault.chars().count() < 600),
            "{told:#?}"
        );
    }
    let long = format!("true || \"{}\" == \"\"", "x".repeat(4000));
    assert_eq!(faults(&long), ["it is longer than 4000 characters"]);
    let deep = format!("{}true{}", "(".repeat(33), ")".repeat(33));
    assert_eq!(faults(&deep), ["its brackets are nested more than 32 deep"]);
    with_condition(&format!(
        "{}context.justified{}",
        "(".repeat(31),
        ")".repeat(31)
    ))
    .unwrap();
}

#[test]
fn faults_of_conditions_come_with_all_others() {
    let text = SHIPPED
        .replacen(WHEN, "when = \"resource.teem == 1\"", 1)
        .replacen("grant_lifetime = \"1h\"", "grant_lifetime = \"1y\"", 1);
    let told: Vec<String> = Rules::parse("p", &text)
        .unwrap_err()
        .iter()
        .map(|fault| fault.reason.clone())
        .collect();
    assert!(
        told.len() == 2 && told[0].contains("1y") && told[1].contains("teem"),
        "{told:?}"
    );
    // Where the labels themselves have a fault, nobody knows which of them are missing.
    let text = SHIPPED.replacen("labels = [\"team\"", "labels = [\"Team\"", 1);
    assert_eq!(Rules::parse("p", &text).unwrap_err().len(), 1);
}

#[test]
fn an_odd_condition_is_a_warning() {
    let odd = |when: &str| {
        with_condition(when)
            .unwrap()
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(odd("false").ends_with("`when` of the purpose `quality-review`: it never holds"));
    assert!(odd("true").ends_with("`when` of the purpose `quality-review`: it always holds"));
    assert!(
        odd("resource has team && resource.team == \"s\u{0430}les\"").contains("mixed scripts")
    );
    assert_eq!(odd("resource.conference"), "");
}

/// What conditions are made of, and what would end one early.
fn any_words() -> impl Strategy<Value = String> {
    let words = vec![
        "principal",
        "resource",
        "context",
        "action",
        "has",
        "in",
        "like",
        "is",
        "if",
        "then",
        "else",
        "true",
        "false",
        "queue",
        "team",
        "tier",
        "now",
        ".",
        ",",
        ";",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "&&",
        "||",
        "!",
        "==",
        "<",
        "+",
        "-",
        "*",
        "\"x\"",
        "\"",
        "//",
        "\n",
        "@",
        "?",
        "::",
        "Recvault::Role::\"reviewer\"",
        "Recvault::Tier::\"standard\"",
        "Recvault::Action",
        "permit",
        "forbid",
        "when",
        "unless",
        "ip(\"::1\")",
        "duration(\"1h\")",
        ".contains(",
        ".offset(",
        "1",
        "9223372036854775808",
        "\\",
        "\u{202e}",
        "é",
    ];
    proptest::collection::vec(proptest::sample::select(words), 0..14)
        .prop_map(|words| words.join(" "))
}

#[test]
fn any_condition_is_refused_or_stays_a_condition() {
    let rules = Rules::parse("p", SHIPPED).unwrap();
    let conditions = Conditions::new(&Vocabulary::of(rules.document()));
    let all = rules
        .cedar()
        .parse::<PolicySet>()
        .unwrap()
        .num_of_policies();
    let purpose = "quality-review".parse().unwrap();
    let mut runner = proptest::test_runner::TestRunner::default();
    let tried = runner.run(&prop_oneof![3 => any_words(), 1 => "\\PC{0,200}"], |text| {
        match conditions.check(&purpose, &text) {
            Err(faults) => prop_assert!(!faults.is_empty()),
            // What was taken is one condition of one rule, wherever it is put.
            Ok(_) => {
                let text = rules.cedar().replace(
                    WHEN.trim_start_matches("when = \"").trim_end_matches('"'),
                    &text,
                );
                prop_assert_eq!(text.parse::<PolicySet>().unwrap().num_of_policies(), all);
            }
        }
        Ok(())
    });
    if let Err(broken) = tried {
        panic!("{broken}");
    }
}
