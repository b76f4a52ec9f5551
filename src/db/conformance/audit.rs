//! The audit log.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{World, at};
use crate::{
    db::{
        Error, audit, clock,
        image::{self, Image, Table},
    },
    evidence::{AuditEvent, NewEntry, Position},
    model::{
        actor::Initiator,
        id::{PrincipalId, TokenId},
        time::Timestamp,
        timeline::{LogPoint, Timeline},
    },
};

every_database!(
    entries_come_back_in_order_as_they_were_written,
    a_position_is_known_by_the_log_that_wrote_it,
    pages_of_the_log_at_the_edges,
    what_is_missing_is_found_and_filled,
    fifty_at_once_leave_no_gap,
    an_entry_of_a_unit_that_was_dropped_never_was,
    the_database_itself_keeps_the_log,
);

fn entry(pieces: u64) -> NewEntry {
    NewEntry::work_retried(
        at(i64::try_from(pieces).unwrap()),
        Initiator::Operator,
        None,
        pieces,
    )
}

async fn append(world: &World, entry: NewEntry) -> i64 {
    let mut tx = world.tx().await;
    let seq = audit::append(&mut tx, entry).await.unwrap();
    tx.commit().await.unwrap();
    seq
}

async fn entries_come_back_in_order_as_they_were_written(world: &World) {
    let recording = world.one_announced().await;
    let token = TokenId::random(&mut rand::rng());
    let principal = PrincipalId::random(&mut rand::rng());
    let by = Initiator::Principal {
        id: principal,
        credential: token,
    };
    let written = [
        entry(3),
        NewEntry::work_dead(at(9), "fetch", 12, recording),
        NewEntry::token_revoked(at(8), by, token, principal),
        entry(0),
    ];
    for (expected, entry) in (1..).zip(written.clone()) {
        assert_eq!(append(world, entry).await, expected);
    }
    let read = audit::after(&mut world.db.read().await.unwrap(), 0, 100)
        .await
        .unwrap();
    let expected: Vec<_> = (1..)
        .zip(written)
        .map(|(seq, entry)| entry.numbered(seq))
        .collect();
    assert_eq!(read, expected);
}

async fn a_position_is_known_by_the_log_that_wrote_it(world: &World) {
    let mut tx = world.tx().await;
    assert_eq!(audit::position(&mut tx).await.unwrap(), None);
    drop(tx);
    append(world, entry(1)).await;
    append(world, entry(2)).await;
    let mut tx = world.db.read().await.unwrap();
    let newest = audit::position(&mut tx).await.unwrap().unwrap();
    let timeline = Timeline::FIRST;
    assert_eq!(newest, Position::of(timeline, &entry(2).numbered(2)));
    assert!(audit::has(&mut tx, &newest).await.unwrap());
    for other in [
        Position { seq: 1, ..newest },
        Position { seq: 3, ..newest },
        Position::of(timeline, &entry(3).numbered(2)),
        Position {
            timeline: timeline.next(),
            ..newest
        },
    ] {
        assert!(!audit::has(&mut tx, &other).await.unwrap(), "{other:?}");
    }
}

/// As after a restore that finds gaps in the log, and appends entries of a lost timeline.
async fn what_is_missing_is_found_and_filled(world: &World) {
    let late = LogPoint {
        timeline: Timeline::FIRST,
        seq: 7,
    };
    let mut tx = world.tx().await;
    assert_eq!(audit::missing(&mut tx, 0).await.unwrap(), []);
    assert_eq!(audit::missing(&mut tx, 2).await.unwrap(), [(1, 2)]);
    for seq in [3, 4, 6] {
        let line = format!(r#"[{seq},6,"vault","epoch.turned",null,"{{}}",null,null]"#);
        let row = Image::parse(Table::Audit, line.as_bytes()).unwrap();
        image::insert(&mut tx, Table::Audit, &[row]).await.unwrap();
    }
    for (to, missing) in [
        (1, vec![(1, 1)]),
        (4, vec![(1, 2)]),
        (6, vec![(1, 2), (5, 5)]),
        (9, vec![(1, 2), (5, 5), (7, 9)]),
    ] {
        assert_eq!(audit::missing(&mut tx, to).await.unwrap(), missing, "{to}");
    }
    for lost in audit::missing(&mut tx, 6).await.unwrap() {
        audit::enter_lost(&mut tx, lost, at(9)).await.unwrap();
    }
    assert_eq!(audit::missing(&mut tx, 6).await.unwrap(), []);
    assert!(!audit::has_told(&mut tx, late).await.unwrap());
    let row = Image::parse(
        Table::Audit,
        br#"[7,8,"vault","epoch.turned",null,"{}",null,null]"#,
    );
    let row = row.unwrap().renumbered(7, Some(late));
    assert_eq!(row.told(), Some(late));
    image::insert(&mut tx, Table::Audit, &[row]).await.unwrap();
    assert!(audit::has_told(&mut tx, late).await.unwrap());
    let entries = audit::after(&mut tx, 0, 100).await.unwrap();
    assert!((1..).zip(&entries).all(|(seq, entry)| entry.seq == seq));
    let lost: Vec<i64> = entries
        .iter()
        .filter(|entry| entry.event == AuditEvent::EntryLost)
        .map(|entry| entry.seq)
        .collect();
    assert_eq!((lost, entries[6].told), (vec![1, 2, 5], Some(late)));
    // None of these entries shows when the lost database last knew the time.
    audit::advance_head(&mut tx, 7).await.unwrap();
    let restored = NewEntry::vault_restored(at(9), "a", late.timeline.next(), 6, 1);
    assert_eq!(audit::append(&mut tx, restored).await.unwrap(), 8);
    let known = clock::last_known(&mut tx).await.unwrap();
    assert_eq!(known, Some(Timestamp::from_millis(6)));
    let told = LogPoint { seq: 5, ..late };
    let row = Image::parse(
        Table::Audit,
        br#"[9,5,"vault","epoch.turned",null,"{}",null,null]"#,
    );
    let row = row.unwrap().renumbered(5, Some(told));
    image::upsert(&mut tx, Table::Audit, &[row]).await.unwrap();
    assert!(!audit::has_told(&mut tx, told).await.unwrap(), "taken");
}

async fn pages_of_the_log_at_the_edges(world: &World) {
    for number in 0..5 {
        append(world, entry(number)).await;
    }
    let mut tx = world.db.read().await.unwrap();
    for (after, limit, expected) in [
        (0, 0, vec![]),
        (0, 1, vec![1]),
        (-1, 2, vec![1, 2]),
        (1, 4, vec![2, 3, 4, 5]),
        (4, 9, vec![5]),
        (5, 9, vec![]),
        (6, 9, vec![]),
    ] {
        let found: Vec<i64> = audit::after(&mut tx, after, limit)
            .await
            .unwrap()
            .iter()
            .map(|entry| entry.seq)
            .collect();
        assert_eq!(found, expected, "after {after}, at most {limit}");
    }
}

async fn fifty_at_once_leave_no_gap(world: &World) {
    let another = world.another().await.unwrap();
    let appends = (0..50).map(|number| {
        let db = if number % 2 == 0 { &world.db } else { &another };
        db.unit("appended", move |mut unit| async move {
            let seq = unit.audit_now(vec![entry(number)]).await?;
            // Every fifth unit is abandoned, with its number.
            if number % 5 == 0 {
                unit.abandon();
                return Ok(None);
            }
            Ok::<_, Error>(Some(seq))
        })
    });
    let numbers: Vec<i64> = join_all(appends)
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    assert_eq!(
        numbers.iter().copied().collect::<BTreeSet<_>>(),
        (1..=40).collect()
    );
    let log = audit::after(&mut world.db.read().await.unwrap(), 0, 100)
        .await
        .unwrap();
    assert_eq!(
        log.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (1..=40).collect::<Vec<_>>()
    );
    another.close().await;
}

async fn an_entry_of_a_unit_that_was_dropped_never_was(world: &World) {
    let mut tx = world.tx().await;
    assert_eq!(audit::append(&mut tx, entry(1)).await.unwrap(), 1);
    assert_eq!(audit::append(&mut tx, entry(2)).await.unwrap(), 2);
    drop(tx);
    assert!(
        audit::after(&mut world.db.read().await.unwrap(), 0, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        append(world, entry(3)).await,
        1,
        "its number is given again"
    );
}

async fn the_database_itself_keeps_the_log(world: &World) {
    append(world, entry(1)).await;
    append(world, entry(2)).await;
    let before = audit::after(&mut world.db.read().await.unwrap(), 0, 9)
        .await
        .unwrap();
    let mut attacks = vec![
        "UPDATE audit SET actor = 'vault' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
    ];
    if world.is_sqlite() {
        attacks.push(
            "REPLACE INTO audit SELECT seq, 0, 'vault', event, NULL, '{}', NULL, NULL FROM audit WHERE seq = 1",
        );
    } else {
        attacks.push("TRUNCATE audit");
    }
    for attack in attacks {
        let mut tx = world.tx().await;
        let refused = tx.execute(attack, &[]).await;
        assert!(
            matches!(&refused, Err(Error::Statement(why)) if why.contains("only grows")),
            "{attack}: {refused:?}"
        );
    }
    assert_eq!(
        audit::after(&mut world.db.read().await.unwrap(), 0, 9)
            .await
            .unwrap(),
        before
    );
}
