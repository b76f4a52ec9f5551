//! Decisions by the shipped policy, on one core.

mod cast;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use recvault::{
    model::time::Clock,
    policy::{Action, Decision, Facts, decide, permit},
};

fn decisions(c: &mut Criterion) {
    let (book, now) = (cast::rulebook(), Clock::System.now());
    let recording = cast::recording(book.current(), now);
    let (reviewer, auditor) = (cast::principal(&["reviewer"]), cast::principal(&["auditor"]));
    let facts = |principal, purpose: &str, justification| Facts {
        justification,
        ..Facts::new(principal, &recording, purpose.parse().expect("it is the name of a purpose"))
    };
    let mut group = c.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    for (name, facts, is_allowed) in [
        ("allowed", facts(&reviewer, "quality-review", None), true),
        ("allowed with a justification", facts(&reviewer, "follow-up", Some("the customer was promised a call back")), true),
        ("denied for two reasons", facts(&auditor, "follow-up", None), false),
        ("denied for an unknown purpose", facts(&reviewer, "curiosity", None), false),
    ] {
        assert_eq!(matches!(decide(&facts, &book, now), Decision::Allow(_)), is_allowed, "{name}");
        group.bench_function(name, |b| b.iter(|| black_box(decide(black_box(&facts), &book, now))));
    }
    group.bench_function("permit to shred", |b| {
        let officer = cast::principal(&["privacy-officer"]);
        b.iter(|| black_box(permit(black_box(&officer), Action::Shred, &book, now)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = decisions
}
criterion_main!(benches);
