//! Tests: changes are counted, and decisions are cached only where they are valid.

use super::*;
use crate::{
    model::{consent::Answer, media::SourceRef},
    policy::cast::{self, NOW, in_call, said},
};

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");

fn changed(from: &str, to: &str) -> Rules {
    assert!(SHIPPED.contains(from), "{from}");
    let text = SHIPPED
        .replacen(from, to, 1)
        .replacen("version = \"1\"", "version = \"2\"", 1);
    Rules::parse("new", &text).unwrap()
}

fn shipped() -> Rules {
    Rules::parse("old", SHIPPED).unwrap()
}

fn recording(tier: &str, days: u64, state: RecordingState) -> Recording {
    let collected_at = NOW.before(Duration::from_secs(days * 86_400));
    Recording {
        collected_at,
        ..cast::recording(state, tier, shipped().digest())
    }
}

fn diff(new: Rules, recordings: &[Recording]) -> Diff {
    let from = Rulebook::new(shipped(), []);
    let to = Rulebook::new(new, [shipped()]);
    let mut comparison = PolicyComparison::new(&from, &to, NOW);
    for recording in recordings {
        comparison.count(recording, &Consents::NONE, &[]);
    }
    comparison.finish()
}

fn tally(diff: &Diff, purpose: &str) -> (u64, u64, u64, u64) {
    let tally = diff
        .purposes
        .iter()
        .find(|tally| tally.purpose.as_str() == purpose)
        .unwrap();
    (tally.opens_now, tally.opens_then, tally.gained, tally.lost)
}

#[test]
fn a_purpose_that_opens_less_loses_what_it_opened() {
    let narrower = changed("name = \"quality-review\"", "name = \"quality-check\"");
    let all = [
        recording("standard", 1, RecordingState::Sealed),
        recording("sensitive", 1, RecordingState::Sealed),
        recording("restricted", 1, RecordingState::Sealed),
    ];
    let diff = diff(narrower, &all);
    assert_eq!(diff.recordings, 3);
    assert_eq!(tally(&diff, "quality-review"), (2, 0, 0, 2));
    // A new purpose is not in the version to which the recordings are pinned.
    assert_eq!(tally(&diff, "quality-check"), (0, 0, 0, 0));
    assert_eq!(tally(&diff, "follow-up"), (1, 1, 0, 0));
    assert_eq!(tally(&diff, "subject-request"), (3, 3, 0, 0));
}

#[test]
fn a_version_that_opens_more_gains_nothing_of_what_is_pinned() {
    let tiers = "tiers = [\"standard\"]\n# The roles that may state it.";
    let wider = changed(tiers, &tiers.replace("]", ", \"sensitive\"]"));
    assert_eq!(
        tally(
            &diff(wider, &[recording("sensitive", 1, RecordingState::Sealed)]),
            "follow-up"
        ),
        (0, 0, 0, 0)
    );
}

#[test]
fn what_is_shredded_does_not_count_and_what_is_not_sealed_opens_for_nothing() {
    let all = [
        recording("standard", 1, RecordingState::Shredded),
        recording("standard", 1, RecordingState::Announced),
    ];
    let diff = diff(changed("budget = 200", "budget = 100"), &all);
    assert_eq!(
        (diff.recordings, tally(&diff, "quality-review")),
        (1, (0, 0, 0, 0))
    );
}

#[test]
fn a_shorter_retention_tells_how_much_is_due_at_once() {
    let shorter = changed("retention = \"365d\"", "retention = \"30d\"");
    let all =
        [1, 29, 30, 31, 364, 366].map(|days| recording("standard", days, RecordingState::Sealed));
    let diff = diff(shorter, &all);
    assert_eq!((diff.due_now, diff.due_then), (1, 4));
}

#[test]
fn kinds_are_counted_apart_even_where_only_the_kind_decides() {
    let when = "when = \"if principal has queue then resource has queue && principal.queue.contains(resource.queue) else true\"";
    let only_calls = changed(when, "when = 'resource.kind == \"call\"'");
    let call = recording("standard", 1, RecordingState::Sealed);
    let sid = format!("SM{}", "0".repeat(32));
    let message = Recording {
        source_ref: SourceRef::parse(call.account().clone(), &sid).unwrap(),
        ..call.clone()
    };
    // In either order: a decision about one kind is not used for another.
    for all in [
        [call.clone(), message.clone(), message.clone()],
        [message.clone(), call.clone(), message.clone()],
    ] {
        let diff = diff(Rules::parse("new", only_calls.text()).unwrap(), &all);
        let kinds = [(MediaKind::CallAudio, 1), (MediaKind::Message, 2)];
        assert_eq!(diff.kinds, kinds.into());
        assert_eq!(tally(&diff, "quality-review"), (3, 1, 0, 2));
        let tally = |opens_now, opens_then| KindTally {
            opens_now,
            opens_then,
        };
        let reviewed = diff
            .purposes
            .iter()
            .find(|tally| tally.purpose.as_str() == "quality-review");
        assert_eq!(
            reviewed.unwrap().kinds,
            [
                (MediaKind::CallAudio, tally(1, 1)),
                (MediaKind::Message, tally(2, 0))
            ]
            .into()
        );
    }
}

#[test]
fn a_version_of_the_future_is_asked_on_its_first_day() {
    let later = changed("effective = 2026-01-01", "effective = 2099-01-01");
    let at = later.document().effective;
    let diff = diff(later, &[recording("standard", 0, RecordingState::Sealed)]);
    assert_eq!((diff.at, diff.due_then), (at, 1));
}

#[test]
fn answers_are_kept_and_asked_for_again_where_they_must() {
    let from = Rulebook::new(shipped(), []);
    let to = Rulebook::new(changed("budget = 200", "budget = 100"), [shipped()]);
    let mut comparison = PolicyComparison::new(&from, &to, NOW);
    for days in [1, 2, 3, 200] {
        comparison.count(
            &recording("standard", days, RecordingState::Sealed),
            &Consents::NONE,
            &[],
        );
    }
    // One purpose has a condition, and evaluates each recording; the other five distinguish two
    // ages.
    assert_eq!(comparison.known.len(), 4 + 5 * 2);
}

#[test]
fn what_somebody_consented_to_is_counted_as_open() {
    let from = Rulebook::new(shipped(), []);
    let to = Rulebook::new(
        changed("basis = \"contract\"", "basis = \"consent\""),
        [shipped()],
    );
    let mut comparison = PolicyComparison::new(&from, &to, NOW);
    let all = [1, 2, 3].map(|days| recording("standard", days, RecordingState::Sealed));
    let yes = Consents {
        parties: Vec::new(),
        statements: vec![said(Answer::Given, in_call(None), &["follow-up"], NOW)],
    };
    for (recording, consents) in all.iter().zip([&yes, &Consents::NONE, &yes]) {
        comparison.count(recording, consents, &[]);
    }
    let diff = comparison.finish();
    assert_eq!(
        (tally(&diff, "follow-up"), tally(&diff, "training")),
        ((3, 2, 0, 1), (0, 0, 0, 0))
    );
}
