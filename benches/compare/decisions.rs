//! Decisions by the shipped policy on one core.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use recvault::{
    model::time::Clock,
    policy::{Decision, DecisionFacts, decide},
};

use super::{
    Failure, cast,
    plan::Plan,
    table::{Row, rate},
};

/// The target rate per second.
const TARGET: f64 = 20_000.0;

pub(crate) fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let book = cast::rulebook();
    let now = Clock::System.now();
    let recording = cast::recording(book.current(), now);
    let reviewer = cast::principal(&["reviewer"]);
    let purpose = "quality-review".parse()?;
    let facts = DecisionFacts::new(&reviewer, &recording, purpose);
    if !matches!(decide(&facts, &book, now), Decision::Allow(_)) {
        return Err("the shipped policy lets a reviewer listen for quality review".into());
    }
    let patience = Duration::from_millis(plan.size.pick(1, 300, 2000));
    let mut decided = 0;
    let begun = Instant::now();
    while begun.elapsed() < patience {
        for _ in 0..1000 {
            black_box(decide(black_box(&facts), &book, now));
        }
        decided += 1000;
    }
    let reached = rate(decided, begun.elapsed());
    Ok(vec![Row::alone(
        "decisions on one core",
        format!("{reached:.0}/s"),
        format!("≥ {TARGET:.0}/s"),
        Some(reached >= TARGET),
    )])
}
