//! Announcements: any order, any repeat, many at a time.

use std::task::Poll;

use futures_util::{FutureExt as _, future::join_all, poll};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{World, announcement, at, holder, parsed, recording_id, source_ref, work_rows};
use crate::{
    db::{
        Error, Term,
        accept::{self, Announcement},
        audit, recordings,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    model::{
        encryption::Encryption,
        recording::{Recording, RecordingState},
    },
};

every_database!(
    any_order_of_words_ends_the_same,
    what_is_told_later_is_added_and_what_is_known_stays,
    which_announcements_share_a_transaction_makes_no_difference,
    the_first_policy_and_tier_stay,
    a_sealed_recording_keeps_its_state,
    a_shredded_recording_learns_nothing,
    a_repeat_of_completed_asks_for_nothing_new,
    three_hundred_callbacks_at_once_share_a_few_transactions,
    the_queue_takes_4096_and_no_more,
    when_the_committer_is_gone_the_source_should_come_again,
    one_that_no_database_takes_costs_the_others_nothing,
);

/// One status of each rank, both of rank 1, and one that Twilio may add later.
const WORDS: [&str; 5] = ["in-progress", "completed", "absent", "failed", "paused"];

/// Every sequence of three statuses, including repeats.
fn sequences() -> Vec<[&'static str; 3]> {
    let words = || WORDS.into_iter();
    words()
        .flat_map(|a| words().flat_map(move |b| words().map(move |c| [a, b, c])))
        .collect()
}

/// The status that counts, and its state: the first of the highest rank.
fn outcome(words: &[&'static str]) -> (&'static str, RecordingState) {
    let first = |wanted: &[&str]| words.iter().copied().find(|word| wanted.contains(word));
    match (first(&["completed"]), first(&["absent", "failed"])) {
        (Some(word), _) => (word, RecordingState::Announced),
        (None, Some("absent")) => ("absent", RecordingState::Absent),
        (None, Some(_)) => ("failed", RecordingState::Failed),
        (None, None) => (words[0], RecordingState::Announced),
    }
}

async fn any_order_of_words_ends_the_same(world: &World) {
    let sequences = sequences();
    let number = |index: usize| u32::try_from(index).unwrap();
    // One status after the other, each round in its own transaction.
    for round in 0..3 {
        let said = sequences
            .iter()
            .enumerate()
            .map(|(index, words)| announcement(number(index), words[round]));
        world.told(said.collect(), at(0)).await;
    }
    // All three statuses of a recording in one transaction: 85 recordings are 255 announcements.
    let others = number(sequences.len());
    for (chunk, some) in sequences.chunks(85).enumerate() {
        let said = some.iter().enumerate().flat_map(|(index, words)| {
            let number = others + number(chunk * 85 + index);
            words.iter().map(move |word| announcement(number, word))
        });
        let (answers, batches) = world.told_together(said.collect(), at(0)).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(batches, 1);
    }
    let asked: Vec<_> = work_rows(world, "fetch")
        .await
        .into_iter()
        .map(|work| work.0)
        .collect();
    for (index, words) in sequences.iter().enumerate() {
        for id in [
            recording_id(number(index)),
            recording_id(others + number(index)),
        ] {
            let found = world.find(id).await.unwrap();
            assert_eq!(
                (found.source_status.as_str(), found.state),
                outcome(words),
                "{words:?}"
            );
            assert_eq!(
                asked.iter().filter(|asked| **asked == id).count(),
                usize::from(words.contains(&"completed")),
                "{words:?}"
            );
        }
    }
}

async fn which_announcements_share_a_transaction_makes_no_difference(world: &World) {
    const CASES: u32 = 200;
    let rng = &mut StdRng::seed_from_u64(7);
    let mut random = |number: u32| {
        let maybe = |rng: &mut StdRng, highest: i64| {
            rng.random_bool(0.5).then(|| rng.random_range(0..highest))
        };
        let call = maybe(rng, 3).map(|digit| parsed(&format!("CA{digit:032x}")));
        let key = maybe(rng, 3).map(|digit| Encryption {
            public_key_sid: format!("CR{digit:032x}").parse().unwrap(),
            wrapped_key: format!("key {digit}"),
            nonce: "nonce".into(),
        });
        Announcement {
            call,
            started_at: maybe(rng, 20).map(|millis| at(millis - 30).as_millis()),
            duration_s: maybe(rng, 9),
            channels: maybe(rng, 3),
            error_code: maybe(rng, 9),
            encryption: key,
            ..announcement(number, WORDS[rng.random_range(0..WORDS.len())])
        }
    };
    // Three announcements of each recording in one transaction; the same for its twin, each in its
    // own.
    let mut together = Vec::new();
    let mut rounds: [Vec<Announcement>; 3] = Default::default();
    for number in 0..CASES {
        for round in &mut rounds {
            let said = random(number);
            round.push(Announcement {
                id: recording_id(CASES + number),
                source_ref: source_ref(CASES + number, number % 3),
                ..said.clone()
            });
            together.push(said);
        }
    }
    for some in together.chunks(240) {
        world.told(some.to_vec(), at(0)).await;
    }
    for round in rounds {
        world.told(round, at(0)).await;
    }
    for number in 0..CASES {
        let one = world.find(recording_id(number)).await.unwrap();
        let twin = world.find(recording_id(CASES + number)).await.unwrap();
        let twin = Recording {
            id: one.id,
            source_ref: one.source_ref.clone(),
            ..twin
        };
        assert_eq!(one, twin);
    }
}

async fn what_is_told_later_is_added_and_what_is_known_stays(world: &World) {
    let call = "CA00000000000000000000000000000001".parse().unwrap();
    let early = Announcement {
        call: Some(call),
        source: Some("DialVerb".into()),
        ..announcement(0, "in-progress")
    };
    let late = Announcement {
        conference: Some("CF00000000000000000000000000000001".parse().unwrap()),
        source: Some("Conference".into()),
        error_code: Some(0),
        duration_s: Some(61),
        channels: Some(2),
        started_at: Some(at(-61_000).as_millis()),
        ..announcement(0, "completed")
    };
    let again = Announcement {
        error_code: Some(16_102),
        duration_s: Some(0),
        channels: Some(1),
        ..announcement(0, "absent")
    };
    let told = [early, late, again];
    let numbered = |number: u32| {
        let id = recording_id(number);
        told.iter()
            .cloned()
            .map(move |announcement| Announcement { id, ..announcement })
    };
    for announcement in numbered(0) {
        world.told(vec![announcement], at(5)).await;
    }
    world.told(numbered(1).collect(), at(5)).await;
    let one_by_one = world.find(recording_id(0)).await.unwrap();
    assert_eq!(one_by_one.source.as_deref(), Some("DialVerb"));
    assert_eq!(
        (one_by_one.call.is_some(), one_by_one.conference.is_some()),
        (true, true)
    );
    assert_eq!(
        (
            one_by_one.error_code,
            one_by_one.duration_s,
            one_by_one.channels
        ),
        (Some(0), Some(61), Some(2))
    );
    assert_eq!(
        (one_by_one.started_at, one_by_one.announced_at),
        (Some(at(-61_000)), at(5))
    );
    let together = world.find(recording_id(1)).await.unwrap();
    assert_eq!(
        Recording {
            id: one_by_one.id,
            ..together
        },
        one_by_one,
        "how callbacks fall into transactions makes no difference"
    );
}

async fn the_first_policy_and_tier_stay(world: &World) {
    let newer = |number, status| Announcement {
        tier: "restricted".parse().unwrap(),
        policy_version: "2026-02".into(),
        policy_digest: "1".repeat(64),
        ..announcement(number, status)
    };
    world
        .told(vec![announcement(0, "in-progress")], at(0))
        .await;
    world
        .told(
            vec![
                newer(0, "completed"),
                announcement(1, "in-progress"),
                newer(1, "completed"),
            ],
            at(9),
        )
        .await;
    for number in [0, 1] {
        let found = world.find(recording_id(number)).await.unwrap();
        assert_eq!(
            (found.tier.as_str(), found.policy_version.as_str()),
            ("standard", "2026-01")
        );
        assert_eq!(
            (found.policy_digest, found.source_status.as_str()),
            ("0".repeat(64), "completed")
        );
    }
}

async fn a_sealed_recording_keeps_its_state(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap();
    work::cancel(&mut tx, WorkKind::FetchMedia, &[id])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let before = world.find(id).await;
    for word in WORDS {
        world.told(vec![announcement(0, word)], at(2)).await;
    }
    assert_eq!(world.find(id).await, before);
    assert!(work_rows(world, "fetch").await.is_empty());
}

async fn a_shredded_recording_learns_nothing(world: &World) {
    world
        .told(vec![announcement(0, "in-progress")], at(0))
        .await;
    let mut tx = world.tx().await;
    assert_eq!(
        recordings::mark_shredded(&mut tx, &[recording_id(0)], at(1))
            .await
            .unwrap()
            .len(),
        1
    );
    tx.commit().await.unwrap();
    let before = world.find(recording_id(0)).await;
    for word in WORDS {
        let call = "CA00000000000000000000000000000001".parse().unwrap();
        world
            .told(
                vec![Announcement {
                    call: Some(call),
                    duration_s: Some(7),
                    ..announcement(0, word)
                }],
                at(2),
            )
            .await;
    }
    assert_eq!(world.find(recording_id(0)).await, before);
    assert!(work_rows(world, "fetch").await.is_empty());
    // Each transaction records its refusals; accepted announcements are not among them.
    world
        .told(
            vec![
                announcement(0, "completed"),
                announcement(1, "completed"),
                announcement(0, "completed"),
            ],
            at(3),
        )
        .await;
    let log = audit::after(&mut world.db.read().await.unwrap(), 0, 99)
        .await
        .unwrap();
    let refused =
        (1..=5).map(|seq| NewEntry::recording_refused(at(2), recording_id(0)).numbered(seq));
    assert_eq!(
        log,
        refused
            .chain([NewEntry::recording_refused(at(3), recording_id(0)).numbered(6)])
            .collect::<Vec<_>>()
    );
}

async fn a_repeat_of_completed_asks_for_nothing_new(world: &World) {
    let ids = world.announced(2).await;
    let mut tx = world.tx().await;
    let leases = work::lease(
        &mut tx,
        &[WorkKind::FetchMedia],
        holder(),
        Term::at(at(1), at(60_000)),
        2,
    )
    .await
    .unwrap();
    let dead = leases
        .iter()
        .find(|lease| lease.subject == ids[1].to_string())
        .unwrap();
    work::bury(&mut tx, dead, "not there").await.unwrap();
    tx.commit().await.unwrap();
    let before = work_rows(world, "fetch").await;
    world
        .told(
            vec![announcement(0, "completed"), announcement(1, "completed")],
            at(2),
        )
        .await;
    assert_eq!(
        work_rows(world, "fetch").await,
        before,
        "leased work stays leased, dead work stays dead"
    );
}

async fn three_hundred_callbacks_at_once_share_a_few_transactions(world: &World) {
    let (answers, batches) = world
        .told_together(
            (0..300)
                .map(|number| announcement(number, "completed"))
                .collect(),
            at(0),
        )
        .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 300);
    assert_eq!(
        batches, 2,
        "256 share the first transaction, and the rest the second"
    );
    let another = world.another().await.unwrap();
    for table in ["recordings", "work"] {
        let rows = another
            .read()
            .await
            .unwrap()
            .fetch_int(&format!("SELECT COUNT(*) FROM {table}"), &[])
            .await
            .unwrap();
        assert_eq!(rows, 300, "{table}");
    }
    another.close().await;
}

async fn the_queue_takes_4096_and_no_more(world: &World) {
    let (acceptor, committer) = accept::channel(world.db.clone());
    let mut waiting = Vec::new();
    for number in 0..4096 {
        let mut answer = acceptor.accept(announcement(number, "in-progress")).boxed();
        assert!(poll!(&mut answer).is_pending(), "{number}");
        waiting.push(answer);
    }
    let refused = acceptor.accept(announcement(4096, "in-progress")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))));
    let served = async {
        let answers = join_all(waiting).await;
        assert!(answers.iter().all(Result::is_ok));
        // The queue has room again.
        acceptor
            .accept(announcement(4096, "in-progress"))
            .await
            .unwrap();
    };
    tokio::select! {
        () = served => {}
        () = committer.run(|| at(0)) => panic!("it runs while there is an acceptor"),
    }
    assert_eq!(world.int("SELECT COUNT(*) FROM recordings").await, 4097);
}

async fn when_the_committer_is_gone_the_source_should_come_again(world: &World) {
    let (acceptor, committer) = accept::channel(world.db.clone());
    let mut waiting = acceptor.accept(announcement(0, "completed")).boxed();
    assert!(poll!(&mut waiting).is_pending());
    drop(committer);
    assert!(
        matches!(poll!(waiting), Poll::Ready(Err(Error::Unavailable(_)))),
        "the one who waits is told"
    );
    assert!(matches!(
        acceptor.accept(announcement(1, "completed")).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(world.int("SELECT COUNT(*) FROM recordings").await, 0);
}

/// Returns announcements of which a few, at random positions, are bad, and which ones are.
fn some_bad(count: u32, spoil: impl Fn(&mut Announcement)) -> (Vec<Announcement>, Vec<bool>) {
    let mut all: Vec<Announcement> = (0..count)
        .map(|number| announcement(number, "completed"))
        .collect();
    let bad: Vec<bool> = all.iter().map(|_| rand::random_ratio(1, 20)).collect();
    all.iter_mut()
        .zip(&bad)
        .filter(|(_, bad)| **bad)
        .for_each(|(announcement, _)| spoil(announcement));
    (all, bad)
}

/// Checks that exactly the bad ones are refused, and exactly the others are stored and enqueued.
async fn holds_for(world: &World, all: Vec<Announcement>, bad: &[bool]) {
    let (answers, _) = world.told_together(all, at(0)).await;
    let refused: Vec<bool> = answers
        .iter()
        .map(|answer| matches!(answer, Err(Error::Unstorable)))
        .collect();
    assert_eq!(refused, bad);
    assert!(
        answers
            .iter()
            .zip(bad)
            .all(|(answer, bad)| answer.is_err() == *bad)
    );
    let good = i64::try_from(bad.iter().filter(|bad| !**bad).count()).unwrap();
    for table in ["recordings", "work"] {
        assert_eq!(
            world.int(&format!("SELECT COUNT(*) FROM {table}")).await,
            good,
            "{table}"
        );
    }
}

async fn one_that_no_database_takes_costs_the_others_nothing(world: &World) {
    let (all, bad) = some_bad(300, |announcement| {
        announcement.policy_version = "a\0b".into()
    });
    holds_for(world, all, &bad).await;
}
