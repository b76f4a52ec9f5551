use super::*;

#[test]
fn each_kind_that_is_queued_has_one_lane() {
    for kind in WorkKind::ALL {
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
        let settings = Settings {
            concurrency,
            ..Settings::default()
        };
        Lane::ALL.map(|lane| lane.places(&settings))
    };
    assert_eq!(places(0), [1, 1, 4, 1]);
    assert_eq!(places(1), [1, 1, 4, 1]);
    assert_eq!(places(8), [8, 2, 4, 1]);
    assert_eq!(places(300), [256, 64, 4, 1]);
}
