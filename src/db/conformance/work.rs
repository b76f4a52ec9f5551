//! Work and its leases.

mod leases;

use futures_util::future::join_all;

use super::{World, announcement, at, holder, work_rows};
use crate::{
    db::{
        Error, Term, Tx,
        work::{self, Lease, WorkKind},
    },
    model::{
        id::{HolderId, RecordingId},
        time::Timestamp,
    },
};

every_database!(
    only_due_work_is_leased_oldest_first,
    leased_work_is_hidden_until_the_lease_ends,
    a_lease_that_is_extended_is_kept,
    a_lost_lease_is_stale_whatever_is_tried_with_it,
    a_lease_that_ran_out_but_nobody_took_is_still_ours,
    finished_work_is_gone,
    postponed_work_is_due_later,
    buried_work_rests_until_it_is_revived,
    reviving_touches_no_living_work,
    asking_twice_is_asking_once,
    asking_again_does_not_break_a_lease,
    asking_for_dead_work_makes_it_due_at_once,
    cancelled_work_is_taken_from_its_holder,
    kinds_of_work_do_not_meet,
    two_leasers_never_get_the_same_work,
    the_backlog_counts_by_kind_and_state,
);

async fn lease(tx: &mut Tx, now: i64, until: i64, limit: i64) -> Vec<Lease<RecordingId>> {
    let term = Term::at(at(now), at(until));
    media(tx, holder(), term, limit).await.unwrap()
}

/// Leases work of the media lane.
async fn media(
    tx: &mut Tx,
    holder: HolderId,
    term: Term,
    limit: i64,
) -> Result<Vec<Lease<RecordingId>>, Error> {
    let kinds = [WorkKind::FetchMedia, WorkKind::DeleteCiphertext];
    let leases = work::lease(tx, &kinds, holder, term, limit).await?;
    leases.iter().map(Lease::parsed).collect()
}

/// Returns whether work of the media lane is due.
async fn any_due(tx: &mut Tx, now: Timestamp) -> Result<bool, Error> {
    let kinds = [WorkKind::FetchMedia, WorkKind::DeleteCiphertext];
    let due = work::due(tx, &kinds, Term::at(now, now)).await?;
    Ok(!due.is_empty())
}

/// Leases the only fetch, from 1 to 100.
async fn leased(world: &World) -> Lease<RecordingId> {
    world.one_announced().await;
    let mut tx = world.tx().await;
    let lease = lease(&mut tx, 1, 100, 9).await.remove(0);
    tx.commit().await.unwrap();
    lease
}

fn sorted(leases: &[Lease<RecordingId>]) -> Vec<RecordingId> {
    let mut ids: Vec<RecordingId> = leases.iter().map(|lease| lease.subject).collect();
    ids.sort();
    ids
}

async fn only_due_work_is_leased_oldest_first(world: &World) {
    for number in 0..5 {
        world
            .told(
                vec![announcement(number, "completed")],
                at(10 + i64::from(number)),
            )
            .await;
    }
    let ids: Vec<_> = (0..5).map(super::recording_id).collect();
    let mut tx = world.tx().await;
    assert!(!any_due(&mut tx, at(9)).await.unwrap());
    assert!(lease(&mut tx, 9, 100, 9).await.is_empty());
    assert!(any_due(&mut tx, at(10)).await.unwrap());
    assert!(lease(&mut tx, 20, 100, 0).await.is_empty());
    assert_eq!(sorted(&lease(&mut tx, 20, 100, 2).await), ids[..2]);
    assert_eq!(
        sorted(&lease(&mut tx, 12, 100, 9).await),
        ids[2..3],
        "what is due after 12 waits"
    );
    assert_eq!(sorted(&lease(&mut tx, 20, 100, 2).await), ids[3..]);
    assert!(!any_due(&mut tx, at(20)).await.unwrap());
}

async fn leased_work_is_hidden_until_the_lease_ends(world: &World) {
    let first = leased(world).await;
    assert_eq!(
        (first.kind, first.attempts, first.enqueued_at, first.until),
        (WorkKind::FetchMedia, 1, at(0), at(100))
    );
    let mut tx = world.tx().await;
    assert!(lease(&mut tx, 99, 200, 9).await.is_empty());
    let second = lease(&mut tx, 100, 200, 9).await.remove(0);
    assert_eq!(
        (second.subject, second.attempts, second.enqueued_at),
        (first.subject, 2, at(0))
    );
    assert_ne!(second.holder(), first.holder());
}

async fn a_lease_that_is_extended_is_kept(world: &World) {
    let first = leased(world).await;
    let mut tx = world.tx().await;
    work::extend(&mut tx, &first, Term::at(at(0), at(300)))
        .await
        .unwrap();
    assert!(lease(&mut tx, 299, 400, 9).await.is_empty());
    work::extend(&mut tx, &first, Term::at(at(0), at(500)))
        .await
        .unwrap();
    assert_eq!(lease(&mut tx, 500, 600, 9).await[0].attempts, 2);
}

async fn a_lost_lease_is_stale_whatever_is_tried_with_it(world: &World) {
    let lost = leased(world).await;
    let mut tx = world.tx().await;
    let ours = lease(&mut tx, 100, 200, 9).await.remove(0);
    let before = tx_rows(&mut tx).await;
    assert!(matches!(
        work::extend(&mut tx, &lost, Term::at(at(0), at(900))).await,
        Err(Error::LeaseLost)
    ));
    assert!(matches!(
        work::finish(&mut tx, &lost).await,
        Err(Error::LeaseLost)
    ));
    assert!(matches!(
        work::postpone(&mut tx, &lost, at(900), "no").await,
        Err(Error::LeaseLost)
    ));
    assert!(matches!(
        work::bury(&mut tx, &lost, "no").await,
        Err(Error::LeaseLost)
    ));
    assert_eq!(tx_rows(&mut tx).await, before);
    work::finish(&mut tx, &ours).await.unwrap();
}

async fn tx_rows(tx: &mut Tx) -> String {
    let rows = tx
        .fetch_all(
            "SELECT due_at, state, holder, last_error FROM work ORDER BY kind, subject",
            &[],
        )
        .await
        .unwrap();
    let row = |row: &crate::db::row::Row| {
        format!(
            "{:?} {:?} {:?} {:?}",
            row.int("due_at"),
            row.text("state"),
            row.maybe_text("holder"),
            row.maybe_text("last_error")
        )
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

async fn a_lease_that_ran_out_but_nobody_took_is_still_ours(world: &World) {
    let ours = leased(world).await;
    let mut tx = world.tx().await;
    assert!(any_due(&mut tx, at(5_000)).await.unwrap());
    work::extend(&mut tx, &ours, Term::at(at(0), at(9_000)))
        .await
        .unwrap();
    assert!(!any_due(&mut tx, at(5_000)).await.unwrap());
    work::finish(&mut tx, &ours).await.unwrap();
}

async fn finished_work_is_gone(world: &World) {
    let ours = leased(world).await;
    let mut tx = world.tx().await;
    work::finish(&mut tx, &ours).await.unwrap();
    assert!(matches!(
        work::finish(&mut tx, &ours).await,
        Err(Error::LeaseLost)
    ));
    assert!(!any_due(&mut tx, at(i64::from(u32::MAX))).await.unwrap());
    assert!(work::backlog(&mut tx).await.unwrap().is_empty());
}

async fn postponed_work_is_due_later(world: &World) {
    let first = leased(world).await;
    let mut tx = world.tx().await;
    work::postpone(&mut tx, &first, at(5_000), "the source was busy")
        .await
        .unwrap();
    assert!(
        matches!(work::finish(&mut tx, &first).await, Err(Error::LeaseLost)),
        "it was given back"
    );
    assert!(lease(&mut tx, 4_999, 9_000, 9).await.is_empty());
    assert_eq!(lease(&mut tx, 5_000, 9_000, 9).await[0].attempts, 2);
    tx.commit().await.unwrap();
    assert_eq!(
        work_rows(world, "fetch").await[0].4.as_deref(),
        Some("the source was busy")
    );
}

/// Buries `count` pieces of work, enqueued one millisecond apart.
async fn buried(world: &World, count: u32) -> Vec<RecordingId> {
    for number in 0..count {
        world
            .told(vec![announcement(number, "completed")], at(number.into()))
            .await;
    }
    let mut tx = world.tx().await;
    for lease in lease(&mut tx, 50, 100_000, count.into()).await {
        work::bury(&mut tx, &lease, "not found").await.unwrap();
    }
    tx.commit().await.unwrap();
    (0..count).map(super::recording_id).collect()
}

async fn buried_work_rests_until_it_is_revived(world: &World) {
    let ids = buried(world, 3).await;
    let mut tx = world.tx().await;
    assert!(!any_due(&mut tx, at(1_000_000)).await.unwrap());
    assert!(lease(&mut tx, 1_000_000, 2_000_000, 9).await.is_empty());
    let dead = work::dead(&mut tx, 2).await.unwrap();
    assert_eq!(
        dead.iter()
            .map(|dead| dead.subject.clone())
            .collect::<Vec<_>>(),
        [ids[0].to_string(), ids[1].to_string()]
    );
    assert_eq!(
        (
            dead[0].kind.as_str(),
            dead[0].attempts,
            dead[0].last_error.as_deref()
        ),
        ("fetch", 1, Some("not found"))
    );

    assert_eq!(
        work::revive(&mut tx, Some(super::recording_id(9)), at(200))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        work::revive(&mut tx, Some(ids[1]), at(200)).await.unwrap(),
        1
    );
    assert!(lease(&mut tx, 199, 300, 9).await.is_empty());
    let again = lease(&mut tx, 200, 300, 9).await;
    assert_eq!(
        (again.len(), again[0].subject, again[0].attempts),
        (1, ids[1], 1),
        "it has all its attempts again"
    );
    assert_eq!(again[0].enqueued_at, at(200), "and all its time");
    assert_eq!(work::revive(&mut tx, None, at(400)).await.unwrap(), 2);
    assert!(work::dead(&mut tx, 9).await.unwrap().is_empty());
    assert_eq!(sorted(&lease(&mut tx, 400, 500, 9).await), ids);
}

async fn reviving_touches_no_living_work(world: &World) {
    let ours = leased(world).await;
    let mut tx = world.tx().await;
    let before = tx_rows(&mut tx).await;
    assert_eq!(work::revive(&mut tx, None, at(2)).await.unwrap(), 0);
    assert_eq!(
        work::revive(&mut tx, Some(ours.subject), at(2))
            .await
            .unwrap(),
        0
    );
    assert_eq!(tx_rows(&mut tx).await, before);
}

async fn asking_twice_is_asking_once(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteCiphertext, &[id], at(5))
        .await
        .unwrap();
    work::enqueue(&mut tx, WorkKind::DeleteCiphertext, &[id], at(9))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        work_rows(world, "delete-ciphertext").await,
        [(id, "due".into(), at(5).as_millis(), 0, None)]
    );
    let unknown = work::enqueue(
        &mut world.tx().await,
        WorkKind::DeleteCiphertext,
        &[super::recording_id(9)],
        at(5),
    )
    .await;
    assert!(
        unknown.is_err(),
        "there is no work for a recording that does not exist"
    );
}

async fn asking_again_does_not_break_a_lease(world: &World) {
    let ours = leased(world).await;
    let mut tx = world.tx().await;
    let before = tx_rows(&mut tx).await;
    work::enqueue(&mut tx, WorkKind::FetchMedia, &[ours.subject], at(50))
        .await
        .unwrap();
    assert_eq!(tx_rows(&mut tx).await, before);
    work::finish(&mut tx, &ours).await.unwrap();
}

async fn asking_for_dead_work_makes_it_due_at_once(world: &World) {
    let id = buried(world, 1).await[0];
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::FetchMedia, &[id], at(60))
        .await
        .unwrap();
    assert!(!any_due(&mut tx, at(59)).await.unwrap());
    assert_eq!(sorted(&lease(&mut tx, 60, 100, 9).await), [id]);
}

async fn cancelled_work_is_taken_from_its_holder(world: &World) {
    let ours = leased(world).await;
    let mut tx = world.tx().await;
    work::cancel(&mut tx, WorkKind::FetchMedia, &[ours.subject])
        .await
        .unwrap();
    assert!(matches!(
        work::finish(&mut tx, &ours).await,
        Err(Error::LeaseLost)
    ));
    assert!(matches!(
        work::extend(&mut tx, &ours, Term::at(at(0), at(900))).await,
        Err(Error::LeaseLost)
    ));
    // Cancelling missing work is no error.
    work::cancel(&mut tx, WorkKind::FetchMedia, &[ours.subject])
        .await
        .unwrap();
}

async fn kinds_of_work_do_not_meet(world: &World) {
    let fetch = leased(world).await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteCiphertext, &[fetch.subject], at(2))
        .await
        .unwrap();
    let remove = lease(&mut tx, 2, 100, 9).await.remove(0);
    assert_eq!(
        (remove.kind, remove.subject),
        (WorkKind::DeleteCiphertext, fetch.subject)
    );
    work::cancel(&mut tx, WorkKind::FetchMedia, &[fetch.subject])
        .await
        .unwrap();
    work::extend(&mut tx, &remove, Term::at(at(0), at(200)))
        .await
        .unwrap();
    work::finish(&mut tx, &remove).await.unwrap();
}

async fn two_leasers_never_get_the_same_work(world: &World) {
    let ids = world.announced(60).await;
    let another = world.another().await.unwrap();
    let leasers = (0..10).map(|number| {
        let db = if number % 2 == 0 { &world.db } else { &another };
        let us = holder();
        db.unit("leased", move |mut unit| async move {
            unit.without_entry("a test");
            media(&mut unit, us, Term::at(at(1), at(100)), 8).await
        })
    });
    let mut given: Vec<Lease<RecordingId>> = join_all(leasers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    // Concurrent callers skipped contended rows; the next one gets the rest.
    let mut tx = world.tx().await;
    given.extend(lease(&mut tx, 1, 100, 60).await);
    tx.commit().await.unwrap();
    assert_eq!(sorted(&given), ids, "each piece once");
    for ours in &given {
        let mut tx = world.tx().await;
        work::finish(&mut tx, ours).await.unwrap();
        tx.commit().await.unwrap();
    }
    another.close().await;
}

async fn the_backlog_counts_by_kind_and_state(world: &World) {
    let ids = buried(world, 3).await;
    let mut tx = world.tx().await;
    work::revive(&mut tx, Some(ids[0]), at(70)).await.unwrap();
    work::enqueue(&mut tx, WorkKind::DeleteCiphertext, &[ids[1]], at(80))
        .await
        .unwrap();
    let backlog = work::backlog(&mut tx).await.unwrap();
    let seen: Vec<_> = backlog
        .iter()
        .map(|work| {
            (
                work.kind.as_str(),
                work.state.as_str(),
                work.count,
                Timestamp::from_millis(work.oldest_at),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("delete-ciphertext", "due", 1, at(80)),
            ("fetch", "dead", 2, at(1)),
            ("fetch", "due", 1, at(70)),
        ]
    );
}
