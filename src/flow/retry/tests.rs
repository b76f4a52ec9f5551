//! Retry decisions for each setback, by kind, attempts and time.

use super::*;
use crate::{flow::ingest::failure::FetchFailure, twilio::FetchError};

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

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

/// Returns a lease of this attempt, of work that was enqueued this many seconds ago.
fn lease(kind: WorkKind, attempts: i64, waited_s: u64) -> Lease<String> {
    let asked_at = NOW.before(Duration::from_secs(waited_s));
    Lease::of_test(kind, "about".to_owned(), attempts, asked_at)
}

fn decided(lease: &Lease<String>, setback: &Setback) -> RetryDecision {
    decide(&WorkSettings::default(), lease, NOW, setback)
}

/// Checks the shortest and longest pause in seconds.
fn rests(lease: &Lease<String>, setback: &Setback, from_s: u64, to_s: u64) {
    let range = Duration::from_secs(from_s)..=Duration::from_secs(to_s);
    match decided(lease, setback) {
        RetryDecision::Again { after } => assert!(range.contains(&after), "{setback:?}: {after:?}"),
        other => panic!("{setback:?}: {other:?}"),
    }
}

fn fetch_failed(error: FetchError) -> Setback {
    FetchFailure::Source(error).into_setback(&WorkSettings::default())
}

#[test]
fn what_is_not_there_yet_is_believed_for_a_while() {
    let not_yet = || fetch_failed(FetchError::NotYet);
    let fetch = |attempts, waited| lease(WorkKind::FetchMedia, attempts, waited);
    rests(&fetch(1, 0), &not_yet(), 1, 2);
    rests(&fetch(40, 1799), &not_yet(), 32, 64);
    assert_eq!(
        decided(&fetch(1, 1800), &not_yet()),
        RetryDecision::Bury,
        "however few attempts it took"
    );
}

#[test]
fn a_fetch_is_given_up_when_attempts_and_time_are_used_up_both() {
    let stumbled = || {
        Setback::Doubtful(Doubt {
            attempts: 12,
            ..Doubt::of("it stumbled".into(), Duration::from_secs(1800))
        })
    };
    let fetch = |attempts, waited| lease(WorkKind::FetchMedia, attempts, waited);
    rests(&fetch(12, 1799), &stumbled(), 450, 900);
    rests(&fetch(11, 9999), &stumbled(), 450, 900);
    assert_eq!(decided(&fetch(12, 1800), &stumbled()), RetryDecision::Bury);
}

#[test]
fn what_was_promised_is_never_set_aside() {
    for kind in WorkKind::ALL.iter().copied() {
        let buried = kind.may_be_buried();
        assert_eq!(
            buried,
            matches!(
                kind,
                WorkKind::FetchMedia
                    | WorkKind::FetchFiles
                    | WorkKind::FetchTranscript
                    | WorkKind::ReadChat
            )
        );
        let late = lease(kind, i64::MAX, 1_000_000_000);
        for setback in [
            Setback::Hopeless("refused".into()),
            Setback::Doubtful(Doubt::of("away".into(), Duration::ZERO)),
        ] {
            let decision = decided(&late, &setback);
            assert_eq!(
                decision == RetryDecision::Bury,
                buried,
                "{kind:?} {setback:?}"
            );
        }
        rests(&late, &Setback::Passing("a full disk".into()), 450, 900);
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let ours = lease(WorkKind::DeleteAtSource, 1, 0);
    let pause = |seconds| Setback::Pause(Some(Duration::from_secs(seconds)), "busy".into());
    rests(&ours, &pause(5000), 5000, 5000);
    rests(&ours, &pause(0), 1, 1);
    rests(&ours, &Setback::Pause(None, "busy".into()), 1, 2);
    let day = NOW.after(Duration::from_secs(86_400));
    rests(
        &ours,
        &Setback::Until(day, "its day".into()),
        86_400,
        86_400,
    );
    rests(&ours, &Setback::Until(NOW, "its day".into()), 1, 1);
    rests(&ours, &Setback::Stuck("refused".into()), 450, 900);
}

#[test]
fn a_lost_lease_decides_nothing() {
    let error = Error::Vault(vault::Error::Db(db::Error::LeaseLost));
    let setback = Setback::of_ours(&error);
    let ours = lease(WorkKind::FetchMedia, 99, 1_000_000);
    assert_eq!(decided(&ours, &setback), RetryDecision::Lost);
}

#[test]
fn the_reason_says_how_long_something_was_waited_for() {
    let waited = Setback::Doubtful(Doubt {
        names_wait: true,
        ..Doubt::of("not there".into(), Duration::from_secs(7200))
    });
    let again = RetryDecision::Again {
        after: Duration::ZERO,
    };
    assert_eq!(waited.reason(again, NOW), "not there");
    assert_eq!(
        waited.reason(RetryDecision::Bury, NOW),
        "not there; given up after 2 h"
    );
    assert_eq!(
        Setback::Stuck("refused".into()).reason(again, NOW),
        "stuck: refused"
    );
}

#[test]
fn what_is_not_deletable_yet_rests_longer_and_longer_and_is_a_fault_after_15_days() {
    const DAY: u64 = 24 * 3600;
    for (waited, from_s, to_s) in [
        (0, 60, 120),
        (600, 300, 600),
        (3600, 1800, 3600),
        (DAY, 3 * 3600, 6 * 3600),
        (40 * DAY, 3 * 3600, 6 * 3600),
    ] {
        let since = NOW.before(Duration::from_secs(waited));
        let setback = Setback::NotDeletableYet { since };
        // However many attempts it took.
        rests(
            &lease(WorkKind::DeleteAtSource, 99, waited),
            &setback,
            from_s,
            to_s,
        );
        let again = decided(&lease(WorkKind::DeleteAtSource, 1, 0), &setback);
        let reason = setback.reason(again, NOW);
        let is_fault = waited >= 15 * DAY;
        assert_eq!(reason.starts_with(STUCK), is_fault, "{reason}");
        assert_eq!(reason.starts_with(NOT_DELETABLE_YET), !is_fault, "{reason}");
        assert_eq!(is_usual(WorkKind::DeleteAtSource, &setback, NOW), !is_fault);
    }
}
