//! Decisions: the truth table, the laws that no policy can break, and the terms of grants.

mod laws;
mod table;
mod terms;

use std::time::Duration;

use super::*;
use crate::{
    model::{
        access::Principal,
        actor::Initiator,
        artefact::Artefact,
        consent::{Answer, Statement, Whom},
        name::Purpose,
        recording::{Recording, RecordingState},
    },
    policy::{
        Action, Consents, MAX_JUSTIFICATION, Permit, StandingApproval, action,
        cast::{
            NOW, days, hours, in_call, party, principal, recording, said, subject, with_labels,
        },
        permit,
        permit::check,
    },
};

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");
const STATES: [RecordingState; 5] = [
    RecordingState::Announced,
    RecordingState::Absent,
    RecordingState::Failed,
    RecordingState::Sealed,
    RecordingState::Shredded,
];

fn shipped() -> Rulebook {
    Rulebook::new(Rules::parse("shipped", SHIPPED).unwrap(), [])
}

fn allowed(decision: Decision) -> Grant {
    match decision {
        Decision::Allow(grant) => grant,
        Decision::Deny(denial) => panic!("{denial}"),
    }
}

fn denied(decision: Decision) -> Denial {
    match decision {
        Decision::Allow(grant) => panic!("allowed: {grant:?}"),
        Decision::Deny(denial) => denial,
    }
}

/// Returns `code clause` for a reason of the current rules, `code clause @version` for one that
/// only the pinned rules give.
fn told(denial: &Denial) -> Vec<String> {
    let told = denial
        .refusals()
        .iter()
        .map(|refusal| match &refusal.pinned {
            None => format!("{} {}", refusal.reason, refusal.clause),
            Some(version) => format!("{} {} @{version}", refusal.reason, refusal.clause),
        });
    told.collect()
}

/// Returns facts in which nothing that a request can provide is missing: a reason, consent, and
/// another person's approval.
fn everything_granted<'a>(
    principal: &'a Principal,
    recording: &'a Recording,
    consents: &'a Consents,
    purpose: &str,
) -> DecisionFacts<'a> {
    DecisionFacts {
        justification: Some("call 17"),
        consents,
        approval: Some(StandingApproval::some_until(NOW.after(hours(8)))),
        ..DecisionFacts::new(principal, recording, purpose.parse().unwrap())
    }
}

/// Returns one known person, who has said yes to everything.
fn willing() -> Consents {
    let yes = said(Answer::Given, Whom::Subject(subject(1)), &[], days(-20));
    Consents {
        parties: vec![party("caller", Some(subject(1)))],
        statements: vec![yes],
    }
}

#[test]
fn an_empty_policy_denies_everything() {
    let text = "version = \"0\"\neffective = 2026-01-01\ndefault_tier = \"standard\"\n[controller]\nname = \"C\"\ncontact = \"c\"\n[roles]\n\
                [[tiers]]\nname = \"standard\"\ndescription = \"T\"\ngrant_lifetime = \"24h\"\n[actions]\ncatalogue = []\nshred = []\naudit = []\n";
    let rulebook = Rulebook::new(Rules::parse("empty", text).unwrap(), []);
    let recording = recording(
        RecordingState::Sealed,
        "standard",
        rulebook.current().digest(),
    );
    let officer = principal(&["privacy-officer", "reviewer"]);
    let consents = willing();
    for purpose in ["training", "legal-request", "unknown"] {
        let denial = denied(decide(
            &everything_granted(&officer, &recording, &consents, purpose),
            &rulebook,
            NOW,
        ));
        assert_eq!(told(&denial), ["purpose-unknown fixed/purpose"]);
    }
}

#[test]
fn a_policy_allows_from_its_effective_instant_on() {
    let future = SHIPPED.replacen("effective = 2026-01-01", "effective = 2099-01-01", 1);
    let rulebook = Rulebook::new(Rules::parse("future", &future).unwrap(), []);
    let effective = Timestamp::parse_rfc3339("2099-01-01T00:00:00Z").unwrap();
    let officer = principal(&["privacy-officer"]);
    let recording = recording(
        RecordingState::Sealed,
        "standard",
        rulebook.current().digest(),
    );
    let facts = DecisionFacts {
        justification: Some("call 17"),
        ..DecisionFacts::new(&officer, &recording, "legal-request".parse().unwrap())
    };
    let before = effective.before(Duration::from_millis(1));
    assert_eq!(
        told(&denied(decide(&facts, &rulebook, before))),
        ["policy-not-in-force effective"]
    );
    allowed(decide(&facts, &rulebook, effective));
    let refused = permit(&officer, action::Shred, &rulebook, before).unwrap_err();
    assert_eq!(told(&refused), ["policy-not-in-force effective"]);
    assert!(permit(&officer, action::Shred, &rulebook, effective).is_ok());
}

#[test]
fn every_reason_comes_at_once_and_in_order() {
    let future = SHIPPED.replacen("effective = 2026-01-01", "effective = 2099-01-01", 1);
    let future = future.replacen("basis = \"legitimate-interest\"", "basis = \"consent\"", 1);
    let rulebook = Rulebook::new(Rules::parse("future", &future).unwrap(), []);
    let mut stranger = with_labels(principal(&["auditor"]), &[("queue", &["sales"])]);
    stranger
        .accounts
        .insert(format!("AC{}", "1".repeat(32)).parse().unwrap());
    let recording = Recording {
        collected_at: days(-1000),
        revoked_at: Some(NOW),
        ..recording(RecordingState::Shredded, "restricted", "0000")
    };
    let blank = " ".repeat(MAX_JUSTIFICATION + 1);
    let worst = |purpose: &str| {
        let facts = DecisionFacts {
            justification: Some(&blank),
            openings_today: 1000,
            ..DecisionFacts::new(&stranger, &recording, purpose.parse().unwrap())
        };
        told(&denied(decide(&facts, &rulebook, NOW)))
    };
    assert_eq!(
        worst("quality-review"),
        [
            "policy-not-in-force effective",
            "policy-unknown fixed/pin",
            "account-unknown-to-principal fixed/account",
            "recording-shredded fixed/state",
            "purpose-not-for-tier purposes/quality-review/tiers",
            "role-not-allowed purposes/quality-review/roles",
            "justification-too-long fixed/justification",
            "purpose-expired purposes/quality-review/retention",
            "condition-not-met purposes/quality-review/when",
            "quarantined fixed/quarantine",
            "recording-revoked fixed/hold",
            "approval-missing tiers/restricted/approval",
            "budget-spent purposes/quality-review/budget",
        ]
    );
    assert_eq!(
        worst("training"),
        [
            "policy-not-in-force effective",
            "policy-unknown fixed/pin",
            "account-unknown-to-principal fixed/account",
            "recording-shredded fixed/state",
            "purpose-not-for-tier purposes/training/tiers",
            "role-not-allowed purposes/training/roles",
            "justification-missing purposes/training/justification",
            "justification-too-long fixed/justification",
            "purpose-expired purposes/training/retention",
            "consent-missing fixed/consent",
            "quarantined fixed/quarantine",
            "recording-revoked fixed/hold",
            "approval-missing tiers/restricted/approval",
        ]
    );
}

#[test]
fn everything_shipped_is_of_use() {
    let rulebook = shipped();
    let consents = willing();
    let document = rulebook.current().document();
    for purpose in &document.purposes {
        for tier in &purpose.tiers {
            for role in &purpose.roles {
                let principal = principal(&[role.as_str()]);
                let recording = recording(
                    RecordingState::Sealed,
                    tier.as_str(),
                    rulebook.current().digest(),
                );
                let grant = allowed(decide(
                    &everything_granted(&principal, &recording, &consents, purpose.name.as_str()),
                    &rulebook,
                    NOW,
                ));
                assert_eq!(
                    (grant.view(), grant.clause()),
                    (purpose.view, format!("purposes/{}", purpose.name).as_str())
                );
            }
        }
    }
}

#[test]
fn losing_a_role_never_shows_more_nor_permits_more() {
    let rulebook = shipped();
    let names: Vec<&str> = rulebook
        .current()
        .document()
        .roles
        .iter()
        .map(|(role, _)| role.as_str())
        .collect();
    let subset = |bits: u32| {
        names
            .iter()
            .enumerate()
            .filter(|(at, _)| bits & (1 << at) != 0)
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
    };
    for bits in 0..1_u32 << names.len() {
        for lost in (0..names.len()).filter(|at| bits & (1 << at) != 0) {
            let (more, fewer) = (subset(bits), subset(bits & !(1 << lost)));
            for action in [
                Action::Catalogue,
                Action::Shred,
                Action::Audit,
                Action::Consent,
                Action::Revoke,
                Action::Hold,
                Action::Keys,
            ] {
                match [&more, &fewer].map(|roles| check(&principal(roles), action, &rulebook, NOW))
                {
                    [Err(denial), Ok(_)] => {
                        panic!("{fewer:?} may {action}, {more:?} may not: {denial}")
                    }
                    [Err(before), Err(after)] => {
                        assert!(after.is_hidden() || !before.is_hidden(), "{action}")
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_permit_reaches_only_the_principals_accounts() {
    let rulebook = shipped();
    let [own, foreign] = ["0", "1"].map(|digit| format!("AC{}", digit.repeat(32)).parse().unwrap());
    let mut officer = principal(&["privacy-officer"]);
    let everywhere = permit(&officer, action::Shred, &rulebook, NOW).unwrap();
    assert!(everywhere.covers(&own) && everywhere.covers(&foreign));
    officer.accounts.insert(own);
    let own = officer.accounts.first().unwrap();
    let narrow = permit(&officer, action::Shred, &rulebook, NOW).unwrap();
    assert!(narrow.covers(own) && !narrow.covers(&foreign));
    assert_eq!(narrow.actor().to_string(), officer.id.to_string());
    let refused = permit(&principal(&["auditor"]), action::Shred, &rulebook, NOW).unwrap_err();
    assert!(told(&refused) == ["role-not-allowed actions/shred"] && !refused.is_hidden());
    assert!(
        permit(&principal(&[]), action::Catalogue, &rulebook, NOW)
            .unwrap_err()
            .is_hidden()
    );
    let operator = Permit::of_operator(action::Shred);
    assert!(operator.covers(&foreign) && operator.actor() == Initiator::Operator.actor());
}

#[test]
fn the_whole_as_received_alone_gives_files_and_the_form() {
    let part = View::Window { from_s: 0, to_s: 1 };
    for view in [
        View::Audio,
        View::Transcript,
        View::RedactedTranscript,
        part,
    ] {
        for artefact in [0, 1, 255]
            .map(Artefact::Media)
            .into_iter()
            .chain([Artefact::Form])
        {
            assert_eq!(
                view.gives(artefact),
                view == View::Audio,
                "{view:?} of {artefact:?}"
            );
        }
    }
}
