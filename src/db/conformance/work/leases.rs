//! Fencing: a lost lease allows no further changes, however it was lost.

use super::{super::World, at, holder};
use crate::{
    db::{
        Error, Term, Tx,
        work::{self, Lease, WorkKind},
    },
    model::id::{HolderId, RecordingId, RevocationId},
};

every_database!(
    a_token_grows_with_each_lease_and_outlives_the_row,
    a_worker_that_wakes_after_another_took_over_and_gave_back_does_nothing_more,
    a_holder_that_leases_again_has_lost_its_first_lease,
    a_lease_of_a_clock_that_was_ahead_holds_nobody_back,
    work_is_claimed_by_one_and_seized_from_whoever_has_it,
    lanes_do_not_stand_in_each_others_line,
    what_is_about_a_recording_needs_one,
);

const FETCH: [WorkKind; 1] = [WorkKind::FetchMedia];

async fn fetch(tx: &mut Tx, holder: HolderId, from: i64, until: i64) -> Lease<RecordingId> {
    let term = Term::at(at(from), at(until));
    let leases = work::lease(tx, &FETCH, holder, term, 9).await.unwrap();
    assert_eq!(leases.len(), 1);
    leases[0].parsed().unwrap()
}

/// Checks that every operation with a lease is refused.
async fn is_stale(tx: &mut Tx, lease: &Lease<RecordingId>) {
    let tried = [
        work::extend(tx, lease, Term::at(at(0), at(900))).await,
        work::postpone(tx, lease, at(900), "no").await,
        work::release(tx, lease, at(900)).await,
        work::bury(tx, lease, "no").await,
        work::finish(tx, lease).await,
    ];
    for (number, tried) in tried.into_iter().enumerate() {
        assert!(
            matches!(tried, Err(Error::LeaseLost)),
            "{number}: {tried:?}"
        );
    }
}

async fn a_token_grows_with_each_lease_and_outlives_the_row(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    let us = holder();
    let first = fetch(&mut tx, us, 1, 100).await;
    let second = fetch(&mut tx, us, 100, 200).await;
    // A clock that was set back does not repeat a token.
    work::release(&mut tx, &second, at(0)).await.unwrap();
    let third = fetch(&mut tx, us, 3, 300).await;
    assert!(first.token() < second.token() && second.token() < third.token());
    work::finish(&mut tx, &third).await.unwrap();
    work::enqueue(&mut tx, WorkKind::FetchMedia, &[id], at(400))
        .await
        .unwrap();
    let fourth = fetch(&mut tx, us, 400, 500).await;
    assert!(third.token() < fourth.token(), "the row was made anew");
    is_stale(&mut tx, &third).await;
    work::finish(&mut tx, &fourth).await.unwrap();
}

async fn a_worker_that_wakes_after_another_took_over_and_gave_back_does_nothing_more(
    world: &World,
) {
    world.one_announced().await;
    let mut tx = world.tx().await;
    let paused = fetch(&mut tx, holder(), 1, 100).await;
    let other = fetch(&mut tx, holder(), 100, 200).await;
    work::release(&mut tx, &other, at(150)).await.unwrap();
    is_stale(&mut tx, &paused).await;
    is_stale(&mut tx, &other).await;
    let third = fetch(&mut tx, holder(), 150, 250).await;
    is_stale(&mut tx, &paused).await;
    work::finish(&mut tx, &third).await.unwrap();
    is_stale(&mut tx, &paused).await;
}

async fn a_holder_that_leases_again_has_lost_its_first_lease(world: &World) {
    world.one_announced().await;
    let mut tx = world.tx().await;
    let us = holder();
    let first = fetch(&mut tx, us, 1, 100).await;
    let second = fetch(&mut tx, us, 100, 200).await;
    assert_eq!(first.holder(), second.holder());
    is_stale(&mut tx, &first).await;
    work::finish(&mut tx, &second).await.unwrap();
}

async fn a_lease_of_a_clock_that_was_ahead_holds_nobody_back(world: &World) {
    const DAY: i64 = 24 * 3_600_000;
    world.one_announced().await;
    let mut tx = world.tx().await;
    let ahead = fetch(&mut tx, holder(), DAY, DAY + 60_000).await;
    let term = Term::at(at(5), at(60_005));
    assert_eq!(work::due(&mut tx, &FETCH, term).await.unwrap(), FETCH);
    let honest = fetch(&mut tx, holder(), 5, 60_005).await;
    assert!(ahead.token() < honest.token());
    is_stale(&mut tx, &ahead).await;
    // A lease that ends as late as is possible with a correct clock is respected.
    assert!(work::due(&mut tx, &FETCH, term).await.unwrap().is_empty());
    work::postpone(&mut tx, &honest, at(DAY), "later")
        .await
        .unwrap();
    assert!(
        work::due(&mut tx, &FETCH, term).await.unwrap().is_empty(),
        "nobody holds it"
    );
    assert_eq!(work::free_strays(&mut tx, term).await.unwrap(), 1);
    assert_eq!(work::due(&mut tx, &FETCH, term).await.unwrap(), FETCH);
}

async fn work_is_claimed_by_one_and_seized_from_whoever_has_it(world: &World) {
    let kind = WorkKind::Revocation;
    let id: RevocationId = super::super::parsed(&format!("rvk_{:032x}", 1));
    let mut tx = world.tx().await;
    let term = |from, until| Term::at(at(from), at(until));
    let take = async |tx: &mut Tx, term| work::take(tx, kind, &id, holder(), term).await.unwrap();
    let claim = async |tx: &mut Tx, term| work::claim(tx, kind, &id, holder(), term).await.unwrap();
    assert_eq!(
        take(&mut tx, term(1, 60)).await,
        None,
        "nobody asked for it"
    );
    let first = claim(&mut tx, term(1, 60)).await.unwrap();
    assert_eq!((first.attempts, first.enqueued_at), (1, at(1)));
    assert_eq!(claim(&mut tx, term(59, 99)).await, None);
    assert_eq!(take(&mut tx, term(59, 99)).await, None);
    let second = claim(&mut tx, term(60, 99)).await.unwrap();
    assert!(first.token() < second.token());
    let third = work::seize(&mut tx, kind, &id, holder(), term(61, 99))
        .await
        .unwrap();
    for lost in [&first, &second] {
        assert!(matches!(
            work::finish(&mut tx, lost).await,
            Err(Error::LeaseLost)
        ));
    }
    work::release(&mut tx, &third, at(70)).await.unwrap();
    let fourth = take(&mut tx, term(70, 99)).await.unwrap();
    work::finish(&mut tx, &fourth).await.unwrap();
    assert_eq!(take(&mut tx, term(200, 299)).await, None);
}

async fn lanes_do_not_stand_in_each_others_line(world: &World) {
    let ids = world.announced(30).await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteAtSource, &ids, at(-50))
        .await
        .unwrap();
    let fetched = WorkKind::DeleteCiphertext;
    work::enqueue(&mut tx, fetched, &ids[..1], at(-10))
        .await
        .unwrap();
    let media = [WorkKind::FetchMedia, fetched];
    let term = Term::at(at(1), at(100));
    let leases = work::lease(&mut tx, &media, holder(), term, 3).await;
    let mut kinds: Vec<_> = leases.unwrap().iter().map(|lease| lease.kind).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [WorkKind::FetchMedia, WorkKind::FetchMedia, fetched],
        "the oldest of the lane, and nothing of the other one"
    );
}

async fn what_is_about_a_recording_needs_one(world: &World) {
    let unknown = [super::super::recording_id(9)];
    for kind in [WorkKind::DeleteAtSource, WorkKind::PollTranscripts] {
        let asked = work::enqueue(&mut world.tx().await, kind, &unknown, at(1)).await;
        assert!(asked.is_err(), "{kind:?}");
    }
    let asked = work::enqueue(&mut world.tx().await, WorkKind::Revocation, &unknown, at(1)).await;
    asked.unwrap();
}
