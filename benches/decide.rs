//! Decisions by the shipped policy, on one core.

mod cast;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use recvault::{
    config::SHIPPED_POLICY,
    model::{
        access::Principal,
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, SubjectId},
        recording::Recording,
        subject::{Party, Presence},
        time::{Clock, Timestamp},
    },
    policy::{Consents, Decision, DecisionFacts, Rulebook, Rules, action, decide, permit},
};

/// Returns the shipped policy in force, and the digest of an earlier version to which some
/// recordings are pinned.
fn rulebook_with_an_earlier_version() -> (Rulebook, String) {
    let parse = |text: &str| {
        Rules::parse("privacy-policy.toml", text).expect("the shipped policy has no fault")
    };
    let earlier = parse(&format!("{SHIPPED_POLICY}# An earlier version.\n"));
    let digest = earlier.digest().to_owned();
    (Rulebook::new(parse(SHIPPED_POLICY), [earlier]), digest)
}

/// Returns the principal with access to these queues.
fn working_for(principal: Principal, queues: &[&str]) -> Principal {
    let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
    Principal {
        attributes: [("queue".parse().expect("it is the name of a label"), queues)].into(),
        ..principal
    }
}

/// Returns the recording with this queue.
fn in_queue(recording: Recording, queue: &str) -> Recording {
    Recording {
        labels: [(
            "queue".parse().expect("it is the name of a label"),
            queue.to_owned(),
        )]
        .into(),
        ..recording
    }
}

/// Two people who have consented to everything.
fn consents(now: Timestamp) -> Consents {
    let mut consents = Consents::NONE;
    for (leg, number) in [("caller", 1), ("callee", 2)] {
        let subject = SubjectId::of_hash(&[number; 32]);
        consents.parties.push(Party {
            leg: leg.parse().expect("it is the name of a leg"),
            subject: Some(subject),
            channel: None,
            presence: Presence::ALWAYS,
        });
        consents.statements.push(Statement {
            id: ConsentId::random(&mut rand::rng()),
            whom: Whom::Subject(subject),
            purposes: Default::default(),
            answer: Answer::Given,
            method: Method::Speech,
            disclosure: None,
            policy_version: None,
            at: now,
            recorded_at: now,
        });
    }
    consents
}

fn decisions(c: &mut Criterion) {
    let book = cast::rulebook();
    let now = Clock::System.now();
    let two_versions = rulebook_with_an_earlier_version();
    let recording = cast::recording(book.current(), now);
    let pinned = Recording {
        policy_digest: two_versions.1,
        ..recording.clone()
    };
    let queued = in_queue(recording.clone(), "sales");
    let reviewer = cast::principal(&["reviewer"]);
    let auditor = cast::principal(&["auditor"]);
    let seller = working_for(cast::principal(&["reviewer"]), &["sales", "service"]);
    let consents = consents(now);
    let facts = |principal, recording, purpose: &str, justification| DecisionFacts {
        justification,
        consents: &consents,
        ..DecisionFacts::new(
            principal,
            recording,
            purpose.parse().expect("it is the name of a purpose"),
        )
    };
    let why = Some("the customer was promised a call back");
    let mut group = c.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    for (name, facts, book, is_allowed) in [
        (
            "allowed",
            facts(&reviewer, &recording, "quality-review", None),
            &book,
            true,
        ),
        (
            "allowed by a condition",
            facts(&seller, &queued, "quality-review", None),
            &book,
            true,
        ),
        (
            "allowed with a justification",
            facts(&reviewer, &recording, "follow-up", why),
            &book,
            true,
        ),
        (
            "allowed with the consent of two",
            facts(&reviewer, &recording, "training", why),
            &book,
            true,
        ),
        (
            "allowed by two versions",
            facts(&reviewer, &pinned, "quality-review", None),
            &two_versions.0,
            true,
        ),
        (
            "denied for two reasons",
            facts(&auditor, &recording, "follow-up", None),
            &book,
            false,
        ),
        (
            "denied for an unknown purpose",
            facts(&reviewer, &recording, "curiosity", None),
            &book,
            false,
        ),
    ] {
        assert_eq!(
            matches!(decide(&facts, book, now), Decision::Allow(_)),
            is_allowed,
            "{name}"
        );
        group.bench_function(name, |b| {
            b.iter(|| black_box(decide(black_box(&facts), book, now)))
        });
    }
    group.bench_function("permit to shred", |b| {
        let officer = cast::principal(&["privacy-officer"]);
        b.iter(|| black_box(permit(black_box(&officer), action::Shred, &book, now)));
    });
    group.finish();
    c.bench_function("a policy file is compiled", |b| b.iter(cast::rulebook));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = decisions
}
criterion_main!(benches);
