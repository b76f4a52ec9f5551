use super::*;

#[test]
fn pauses_double_and_stop_growing() {
    assert_eq!([1, 2, 3].map(|n| backoff(n, 900).as_secs()), [2, 4, 8]);
    assert_eq!(
        [10, 1_000_000, i64::MAX].map(|n| backoff(n, 900).as_secs()),
        [900; 3]
    );
    let pause = jittered(Duration::from_secs(10));
    assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&pause));
}
