//! Tests of the attributes that conditions can and cannot use.

use std::time::Duration;

use super::{super::*, Asked, PLAINLY, SHIPPED, holds, reviewer, with_condition};
use crate::{
    model::{
        access::Principal,
        media::{MediaKind, SourceRef},
        recording::{Recording, RecordingState},
        time::Timestamp,
    },
    policy::{
        Decision, DecisionFacts, Rulebook, Rules,
        cast::{NOW, principal, recording, with_labels},
        decide,
    },
};

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
            ..recording(
                RecordingState::Sealed,
                "standard",
                rulebook.current().digest(),
            )
        };
        let reviewer = reviewer();
        matches!(
            decide(
                &DecisionFacts::new(&reviewer, &recording, "quality-review".parse().unwrap()),
                &rulebook,
                NOW
            ),
            Decision::Allow(_)
        )
    };
    assert!(aged(0) && aged(3599) && !aged(3600));
}

#[test]
fn conditions_look_at_the_kind() {
    let calls_only = "resource.kind == \"call\"";
    let rulebook = Rulebook::new(with_condition(calls_only).unwrap(), []);
    let reviewer = reviewer();
    for letters in ["RE", "SM", "IM", "RT", "CJ"] {
        let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
        let sid = format!("{letters}{}", "1".repeat(32));
        let recording = Recording {
            source_ref: SourceRef::parse(account, &sid).unwrap(),
            collected_at: NOW,
            ..recording(
                RecordingState::Sealed,
                "standard",
                rulebook.current().digest(),
            )
        };
        let facts = DecisionFacts::new(&reviewer, &recording, "quality-review".parse().unwrap());
        let allows = matches!(decide(&facts, &rulebook, NOW), Decision::Allow(_));
        assert_eq!(
            allows,
            recording.kind() == MediaKind::CallAudio,
            "{letters}"
        );
    }
    assert!(
        with_condition("resource.kind == 1").is_err(),
        "a kind is a text"
    );
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
        ..recording(
            RecordingState::Sealed,
            "standard",
            rulebook.current().digest(),
        )
    };
    let reviewer = reviewer();
    let Decision::Deny(denial) = decide(
        &DecisionFacts::new(&reviewer, &long, "quality-review".parse().unwrap()),
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
    // A negation does not circumvent it.
    let negated = Rulebook::new(with_condition(&format!("!({overflow})")).unwrap(), []);
    let long = Recording {
        policy_digest: negated.current().digest().into(),
        ..long
    };
    let Decision::Deny(denial) = decide(
        &DecisionFacts::new(&reviewer, &long, "quality-review".parse().unwrap()),
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
    let sealed = recording(
        RecordingState::Sealed,
        "standard",
        rulebook.current().digest(),
    );
    for at in [i64::MIN, i64::MAX, -400_000_000_000_000] {
        let odd = Recording {
            collected_at: Timestamp::from_millis(at),
            ..sealed.clone()
        };
        let decision = decide(
            &DecisionFacts::new(&reviewer, &odd, "quality-review".parse().unwrap()),
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
    let mut sealed = recording(
        RecordingState::Shredded,
        "standard",
        rulebook.current().digest(),
    );
    sealed
        .labels
        .insert("state".parse().unwrap(), "sealed".into());
    let Decision::Deny(denial) = decide(
        &DecisionFacts::new(&stranger, &sealed, "quality-review".parse().unwrap()),
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
            "`labels` names `tier`, which is a built-in attribute of conditions: choose another \
             name",
            "`labels` names `team` twice"
        ]
    );
}
