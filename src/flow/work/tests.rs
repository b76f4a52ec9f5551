//! Lanes, and the effect of a panic.

use super::*;
use crate::flow::retry::{self, RetryDecision};

#[test]
fn each_kind_that_is_queued_has_one_lane() {
    for kind in WorkKind::ALL.iter().copied() {
        let lanes = Lane::ALL
            .into_iter()
            .filter(|lane| lane.kinds().contains(&kind))
            .count();
        let expected = usize::from(!matches!(kind, WorkKind::Comparison | WorkKind::EpochTurn));
        assert_eq!(lanes, expected, "{kind:?}");
    }
}

#[test]
fn a_lane_has_a_place_even_where_little_is_done_at_once() {
    let places = |concurrency| {
        let settings = WorkSettings {
            concurrency,
            ..WorkSettings::default()
        };
        Lane::ALL.map(|lane| lane.places(&settings))
    };
    assert_eq!(places(0), [1, 1, 4, 4, 1]);
    assert_eq!(places(1), [1, 1, 4, 4, 1]);
    assert_eq!(places(8), [8, 2, 4, 4, 1]);
    assert_eq!(places(300), [256, 64, 4, 4, 1]);
}

#[tokio::test]
async fn a_panic_costs_one_attempt_of_one_piece_of_work() {
    let failed = caught(async { panic!("for the test") }).await.err();
    let setback = failed.expect("it was not done");
    assert!(matches!(setback, Setback::Passing(_)), "{setback:?}");
    let lease = Lease::of_test(
        WorkKind::FetchMedia,
        String::new(),
        i64::MAX,
        crate::model::time::Timestamp::from_millis(0),
    );
    let now = crate::model::time::Timestamp::from_millis(i64::MAX);
    assert!(matches!(
        retry::decide(&WorkSettings::default(), &lease, now, &setback),
        RetryDecision::Again { .. }
    ));
}
