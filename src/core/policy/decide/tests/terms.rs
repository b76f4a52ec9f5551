//! Tests of the contents and the end of a grant.

use super::*;

fn restricted(rulebook: &Rulebook) -> Recording {
    recording(
        RecordingState::Sealed,
        "restricted",
        rulebook.current().digest(),
    )
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_grant_names_what_was_decided() {
    let rulebook = shipped();
    let reviewer = principal(&["reviewer"]);
    let recording = recording(
        RecordingState::Sealed,
        "standard",
        rulebook.current().digest(),
    );
    let facts = DecisionFacts {
        justification: Some("call 17"),
        ..DecisionFacts::new(&reviewer, &recording, "follow-up".parse().unwrap())
    };
    let grant = allowed(decide(&facts, &rulebook, NOW));
    assert_eq!(
        (grant.policy_version(), grant.policy_digest()),
        ("1", rulebook.current().digest())
    );
    assert_eq!(
        (
            grant.purpose().as_str(),
            grant.tier().as_str(),
            grant.clause()
        ),
        ("follow-up", "standard", "purposes/follow-up")
    );
    assert_eq!(
        (grant.view(), grant.is_justified(), grant.is_break_glass()),
        (View::Audio, true, false)
    );
    assert_eq!(
        (grant.recording(), grant.principal()),
        (recording.id, reviewer.id)
    );
    assert_eq!(grant.expires_at(), NOW.after(hours(1)));
}

#[test]
fn a_grant_ends_with_whatever_ends_first() {
    let rulebook = shipped();
    let officer = principal(&["privacy-officer"]);
    let consents = Consents::NONE;
    let recording = restricted(&rulebook);
    let facts = everything_granted(&officer, &recording, &consents, "dispute-resolution");
    let end = |facts: DecisionFacts<'_>| allowed(decide(&facts, &rulebook, NOW)).expires_at();
    assert_eq!(
        end(facts.clone()),
        NOW.after(seconds(300)),
        "the tier's lifetime"
    );
    assert_eq!(
        end(DecisionFacts {
            approval: Some(StandingApproval::some_until(NOW.after(seconds(9)))),
            ..facts.clone()
        }),
        NOW.after(seconds(9)),
        "the approval's end"
    );
    assert_eq!(
        end(DecisionFacts {
            until: Some(NOW.after(seconds(7))),
            ..facts.clone()
        }),
        NOW.after(seconds(7)),
        "the earlier grant's end"
    );
    assert_eq!(
        end(DecisionFacts {
            until: Some(NOW.after(hours(7))),
            ..facts
        }),
        NOW.after(seconds(300))
    );
}

#[test]
fn a_purpose_opens_nothing_that_is_too_old_for_it() {
    let rulebook = shipped();
    let reviewer = principal(&["reviewer"]);
    let decided = |age| {
        let aged = Recording {
            collected_at: NOW.before(age),
            ..recording(
                RecordingState::Sealed,
                "standard",
                rulebook.current().digest(),
            )
        };
        decide(
            &DecisionFacts::new(&reviewer, &aged, "quality-review".parse().unwrap()),
            &rulebook,
            NOW,
        )
    };
    let limit = hours(180 * 24);
    let moment = Duration::from_millis(1);
    assert_eq!(
        allowed(decided(limit - seconds(5))).expires_at(),
        NOW.after(seconds(5))
    );
    assert_eq!(
        allowed(decided(limit - moment)).expires_at(),
        NOW.after(moment)
    );
    assert_eq!(
        told(&denied(decided(limit))),
        ["purpose-expired purposes/quality-review/retention"]
    );
}

#[test]
fn glass_is_broken_by_those_who_may_with_a_reason_and_only_where_it_is_in_the_way() {
    let rulebook = shipped();
    let officer = principal(&["privacy-officer"]);
    let shut = restricted(&rulebook);
    let asked = DecisionFacts {
        justification: Some("fire"),
        ..DecisionFacts::new(&officer, &shut, "legal-request".parse().unwrap())
    };
    let glass = DecisionFacts {
        break_glass: true,
        ..asked.clone()
    };
    let missing = ["approval-missing tiers/restricted/approval"];
    assert_eq!(told(&denied(decide(&asked, &rulebook, NOW))), missing);
    assert!(allowed(decide(&glass, &rulebook, NOW)).is_break_glass());
    let approved = DecisionFacts {
        approval: Some(StandingApproval::some_until(NOW.after(seconds(60)))),
        ..glass.clone()
    };
    assert!(
        !allowed(decide(&approved, &rulebook, NOW)).is_break_glass(),
        "somebody else has approved"
    );
    let ended = DecisionFacts {
        approval: Some(StandingApproval::some_until(NOW)),
        ..glass.clone()
    };
    assert!(
        allowed(decide(&ended, &rulebook, NOW)).is_break_glass(),
        "the approval has ended"
    );
    let standard = recording(
        RecordingState::Sealed,
        "standard",
        rulebook.current().digest(),
    );
    assert!(
        !allowed(decide(
            &DecisionFacts {
                recording: &standard,
                ..glass.clone()
            },
            &rulebook,
            NOW
        ))
        .is_break_glass(),
        "nobody need approve"
    );

    for justification in [None, Some(" ... ")] {
        let denial = denied(decide(
            &DecisionFacts {
                justification,
                ..glass.clone()
            },
            &rulebook,
            NOW,
        ));
        assert!(
            denial.names(Reason::ApprovalMissing) && denial.names(Reason::JustificationMissing)
        );
    }
    let without = SHIPPED.replacen(
        "break_glass = [\"privacy-officer\"]",
        "break_glass = [\"auditor\"]",
        1,
    );
    let rulebook = Rulebook::new(Rules::parse("p", &without).unwrap(), []);
    let shut = restricted(&rulebook);
    assert_eq!(
        told(&denied(decide(
            &DecisionFacts {
                recording: &shut,
                ..glass
            },
            &rulebook,
            NOW
        ))),
        missing
    );
}

#[test]
fn a_budget_counts_new_grants_only() {
    let rulebook = shipped();
    let reviewer = principal(&["reviewer"]);
    let recording = recording(
        RecordingState::Sealed,
        "standard",
        rulebook.current().digest(),
    );
    let facts = |openings_today, until| DecisionFacts {
        openings_today,
        until,
        ..DecisionFacts::new(&reviewer, &recording, "quality-review".parse().unwrap())
    };
    allowed(decide(&facts(499, None), &rulebook, NOW));
    assert_eq!(
        told(&denied(decide(&facts(500, None), &rulebook, NOW))),
        ["budget-spent purposes/quality-review/budget"]
    );
    allowed(decide(
        &facts(u32::MAX, Some(NOW.after(seconds(1)))),
        &rulebook,
        NOW,
    ));
}

#[test]
fn a_narrower_version_denies_whether_it_is_the_newer_or_the_pinned_one() {
    let wide = || Rules::parse("wide", SHIPPED).unwrap();
    let narrow = || {
        let text = SHIPPED.replacen("version = \"1\"", "version = \"0\"", 1);
        Rules::parse(
            "narrow",
            &text.replacen("roles = [\"reviewer\"]", "roles = []", 1),
        )
        .unwrap()
    };
    let reviewer = principal(&["reviewer"]);
    let by = |rulebook: &Rulebook, pin: &Rules| {
        let recording = recording(RecordingState::Sealed, "standard", pin.digest());
        decide(
            &DecisionFacts::new(&reviewer, &recording, "quality-review".parse().unwrap()),
            rulebook,
            NOW,
        )
    };
    let book = Rulebook::new(wide(), [narrow()]);
    allowed(by(&book, &wide()));
    let denial = denied(by(&book, &narrow()));
    assert_eq!(
        told(&denial),
        ["role-not-allowed purposes/quality-review/roles @0"]
    );
    assert!(
        denial
            .refusals()
            .iter()
            .all(|refusal| refusal.sentence().contains("version `0`"))
    );
    let book = Rulebook::new(narrow(), [wide()]);
    assert_eq!(
        told(&denied(by(&book, &wide()))),
        ["role-not-allowed purposes/quality-review/roles"]
    );
}

#[test]
fn views_of_two_versions_meet_in_the_narrower_one() {
    let window = |from_s, to_s| View::Window { from_s, to_s };
    let cases = [
        (View::Audio, View::Transcript, Some(View::Transcript)),
        (View::Audio, window(1, 5), Some(window(1, 5))),
        (
            View::Transcript,
            View::RedactedTranscript,
            Some(View::RedactedTranscript),
        ),
        (window(0, 5), window(3, 9), Some(window(3, 5))),
        (window(0, 5), window(5, 9), None),
        (window(0, 5), View::Transcript, None),
        (window(0, 5), View::RedactedTranscript, None),
    ];
    for (one, other, expected) in cases {
        assert_eq!(
            (one.meet(other), other.meet(one), one.meet(one)),
            (expected, expected, Some(one)),
            "{one:?} {other:?}"
        );
    }
}

#[test]
fn renewed_consent_widens_but_a_recording_that_may_not_be_kept_stays_shut() {
    let old = SHIPPED.replacen("version = \"1\"", "version = \"0\"", 1);
    let old = old
        .replacen("basis = \"legitimate-interest\"", "basis = \"consent\"", 1)
        .replacen("roles = [\"reviewer\"]", "roles = []", 1);
    let old = Rules::parse("old", &old).unwrap();
    let digest = old.digest().to_owned();
    let book = Rulebook::new(Rules::parse("new", SHIPPED).unwrap(), [old]);
    let reviewer = principal(&["reviewer"]);
    let recording = recording(RecordingState::Sealed, "standard", &digest);
    let decided = |purposes: &[&str]| {
        let renewal = Statement {
            policy_version: Some("1".into()),
            ..said(Answer::Given, Whom::Subject(subject(1)), purposes, days(-1))
        };
        let consents = Consents {
            parties: vec![party("caller", Some(subject(1)))],
            statements: vec![renewal],
        };
        let facts = DecisionFacts {
            consents: &consents,
            ..DecisionFacts::new(&reviewer, &recording, "quality-review".parse().unwrap())
        };
        decide(&facts, &book, NOW)
    };
    allowed(decided(&[]));
    allowed(decided(&["quality-review", "recording"]));
    assert_eq!(
        told(&denied(decided(&["quality-review"]))),
        ["quarantined fixed/quarantine @0"]
    );
    assert_eq!(
        told(&denied(decided(&["recording"]))),
        ["role-not-allowed purposes/quality-review/roles @0"]
    );
}
