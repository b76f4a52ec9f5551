//! Tests of conditions that are refused or odd, and of arbitrary text as a condition.

use cedar_policy::PolicySet;
use proptest::prelude::*;

use super::{super::*, Asked, PLAINLY, SHIPPED, WHEN, faults, holds, reviewer, with_condition};
use crate::policy::{Rules, cast::NOW};

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
            // A comment ends with its line, and its line ends before the rule continues.
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
            "test it first, as in `x has y && …`",
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
    // If the labels themselves have a fault, it is unknown which of them are missing.
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

/// The elements of conditions, and text that would end one early.
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
            // An accepted condition is one condition of one rule, wherever it is inserted.
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
