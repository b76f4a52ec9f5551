//! Comparisons with the source's accounts: turns, progress of listings, and counts by discovery.

use std::time::Duration;

use super::{World, announcement, at, holder, recording_id};
use crate::{
    db::{
        Error, Term, discovery,
        listings::{self, ListingRow},
        reconciliations::{self, ReconciliationRow},
        work::{self, WorkKind, WorkStatus},
    },
    model::{media::MediaKind, recording::DiscoveredBy, sid::AccountSid},
};

every_database!(
    an_account_is_compared_by_one_at_a_time_and_not_too_often,
    a_turn_is_taken_over_and_the_former_holder_hears_of_it,
    a_comparison_that_failed_keeps_what_the_last_one_found,
    a_listing_goes_on_where_it_was_and_each_kind_of_an_account_has_one,
    what_waits_is_looked_for_where_the_list_must_hold_it,
    what_came_without_a_callback_is_counted,
    work_stands_as_it_is,
);

fn account(number: u32) -> AccountSid {
    super::parsed(&format!("AC{number:032x}"))
}

async fn an_account_is_compared_by_one_at_a_time_and_not_too_often(world: &World) {
    let one = holder();
    let two = holder();
    let account = account(1);
    let take = async |who, now: i64, unless: i64| {
        let mut tx = world.tx().await;
        let taken = reconciliations::take(
            &mut tx,
            &account,
            who,
            Term::at(at(now), at(now + 60)),
            at(unless),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        taken
    };
    let first = take(one, 100, 0).await.expect("nobody ever compared it");
    assert_eq!(take(two, 159, 159).await, None, "somebody is at it");
    let mut tx = world.tx().await;
    reconciliations::leave(&mut tx, &first, at(110), Ok("{}"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        take(two, 120, 100).await,
        None,
        "it was compared since then"
    );
    assert!(take(two, 120, 101).await.is_some());
    assert!(
        take(one, 180, 170).await.is_some(),
        "whoever dies loses the turn with its lease"
    );
}

async fn a_turn_is_taken_over_and_the_former_holder_hears_of_it(world: &World) {
    let account = account(1);
    let mut tx = world.tx().await;
    let one = reconciliations::take(&mut tx, &account, holder(), Term::at(at(0), at(60)), at(0))
        .await
        .unwrap()
        .unwrap();
    work::extend(&mut tx, &one, Term::at(at(0), at(90)))
        .await
        .unwrap();
    let two = reconciliations::seize(&mut tx, &account, holder(), Term::at(at(50), at(110)))
        .await
        .unwrap();
    assert!(matches!(
        work::extend(&mut tx, &one, Term::at(at(0), at(120))).await,
        Err(Error::LeaseLost)
    ));
    assert!(matches!(
        reconciliations::leave(&mut tx, &one, at(60), Ok("{}")).await,
        Err(Error::LeaseLost)
    ));
    assert!(matches!(
        reconciliations::leave(&mut tx, &one, at(60), Err("why")).await,
        Err(Error::LeaseLost)
    ));
    reconciliations::leave(&mut tx, &two, at(70), Ok("{\"listed\":1}"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let row = ReconciliationRow {
        account,
        tried_at: at(50),
        done_at: Some(at(70)),
        found: Some("{\"listed\":1}".into()),
        fault: None,
    };
    assert_eq!(
        reconciliations::all(&mut world.tx().await).await.unwrap(),
        [row]
    );
}

async fn a_comparison_that_failed_keeps_what_the_last_one_found(world: &World) {
    let one = holder();
    let account = account(1);
    let mut tx = world.tx().await;
    let first = reconciliations::seize(&mut tx, &account, one, Term::at(at(0), at(60)))
        .await
        .unwrap();
    reconciliations::leave(&mut tx, &first, at(10), Ok("{}"))
        .await
        .unwrap();
    let second = reconciliations::seize(&mut tx, &account, one, Term::at(at(20), at(80)))
        .await
        .unwrap();
    reconciliations::leave(&mut tx, &second, at(30), Err("it rains"))
        .await
        .unwrap();
    let row = ReconciliationRow {
        account,
        tried_at: at(20),
        done_at: Some(at(10)),
        found: Some("{}".into()),
        fault: Some("it rains".into()),
    };
    assert_eq!(reconciliations::all(&mut tx).await.unwrap(), [row]);
}

async fn a_listing_goes_on_where_it_was_and_each_kind_of_an_account_has_one(world: &World) {
    let row = |number: u32, kind: MediaKind, done: i64, listed: i64| ListingRow {
        account: account(number),
        kind,
        since: at(0),
        until: at(100),
        done_until: at(done),
        listed,
        announced: listed / 2,
        updated_at: at(7),
    };
    let mut tx = world.tx().await;
    let (calls, messages) = (MediaKind::CallAudio, MediaKind::Message);
    let before = listings::find(&mut tx, &account(1), calls).await.unwrap();
    assert_eq!(before, None);
    for each in [
        row(1, calls, 10, 4),
        row(2, calls, 20, 6),
        row(1, messages, 30, 8),
        row(1, calls, 50, 9),
    ] {
        listings::put(&mut tx, &each).await.unwrap();
    }
    for expected in [
        row(1, calls, 50, 9),
        row(1, messages, 30, 8),
        row(2, calls, 20, 6),
    ] {
        let found = listings::find(&mut tx, &expected.account, expected.kind);
        assert_eq!(found.await.unwrap(), Some(expected));
    }
}

async fn what_waits_is_looked_for_where_the_list_must_hold_it(world: &World) {
    let told = |number: u32, started: Option<i64>, status: &str| {
        let mut told = announcement(number * 3, status);
        told.started_at = started.map(|millis| at(millis).as_millis());
        told
    };
    // Of account 0: begun in time, begun too early, of unknown start, without a file; and one of
    // another account.
    let mut all = vec![
        told(0, Some(1_000), "completed"),
        told(1, Some(999), "completed"),
        told(2, None, "in-progress"),
        told(3, Some(2_000), "absent"),
    ];
    all.push(announcement(1, "completed"));
    world.told(all, at(5_000)).await;
    let waiting = async |since: i64, before: i64, longest: u64| {
        let longest = Duration::from_millis(longest);
        let found = discovery::waiting(
            &mut world.tx().await,
            &account(0),
            at(since),
            at(before),
            longest,
            10,
        )
        .await
        .unwrap();
        let mut ids: Vec<_> = found.into_iter().map(|recording| recording.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(
        waiting(1_000, 5_001, 4_000).await,
        [recording_id(0), recording_id(6)]
    );
    assert_eq!(
        waiting(1_000, 5_001, 4_001).await,
        [recording_id(0)],
        "it may have begun before"
    );
    assert_eq!(waiting(1_000, 5_000, 0).await, [], "it was told too late");
}

async fn what_came_without_a_callback_is_counted(world: &World) {
    let mut all: Vec<_> = (0..4)
        .map(|number| announcement(number * 3, "completed"))
        .collect();
    for told in &mut all[2..] {
        told.heard_by = DiscoveredBy::Reconcile;
    }
    all[3].source = Some("Trunking".into());
    let mut absent = announcement(12, "absent");
    absent.source = Some("DialVerb".into());
    let mut early = announcement(15, "completed");
    early.started_at = Some(at(-1).as_millis());
    all.extend([absent, early, announcement(1, "completed")]);
    world.told(all, at(0)).await;
    let counts = discovery::counts(&mut world.tx().await, &account(0), at(0))
        .await
        .unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.source_status.as_str(), count.heard_by, count.count))
        .collect();
    assert_eq!(
        counts,
        [
            ("absent", DiscoveredBy::Callback, 1),
            ("completed", DiscoveredBy::Callback, 2),
            ("completed", DiscoveredBy::Reconcile, 1)
        ]
    );
}

async fn work_stands_as_it_is(world: &World) {
    let ids = world.announced(3).await;
    let mut tx = world.tx().await;
    let leases = work::lease(
        &mut tx,
        &[WorkKind::FetchMedia],
        holder(),
        Term::at(at(5), at(50)),
        1,
    )
    .await
    .unwrap();
    work::bury(&mut tx, &leases[0], "why").await.unwrap();
    let standing = work::standing(&mut tx, WorkKind::FetchMedia, &ids[..2])
        .await
        .unwrap();
    let dead = leases[0].parsed().unwrap().subject;
    for (id, found) in &standing {
        let expected = if *id == dead {
            WorkStatus {
                dead: true,
                due_at: at(50),
            }
        } else {
            WorkStatus {
                dead: false,
                due_at: at(0),
            }
        };
        assert_eq!(*found, expected);
    }
    assert!(standing.keys().all(|id| ids[..2].contains(id)) && standing.len() == 2);
    assert!(
        work::standing(&mut tx, WorkKind::DeleteAtSource, &ids)
            .await
            .unwrap()
            .is_empty()
    );
}
