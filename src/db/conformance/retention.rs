//! Retention by age.

use std::collections::BTreeSet;

use super::{World, at, parsed, recording_id};
use crate::{
    db::{
        Tx,
        recordings::mark_shredded,
        retention::{self, RetentionExceptions, RetentionGroup},
    },
    model::{id::RecordingId, media::MediaKind, time::Timestamp},
};

every_database!(
    recordings_are_grouped_by_what_limits_them,
    a_group_is_read_page_by_page_and_misses_nothing,
    what_is_held_is_read_apart,
    what_is_kept_is_counted_for_each_account,
    the_holds_that_stand_are_named,
);

fn group(tier: &str, digest: char, count: i64, oldest: i64) -> RetentionGroup {
    RetentionGroup {
        tier: parsed(tier),
        policy_digest: digest.to_string().repeat(64),
        count,
        kinds: [(MediaKind::CallAudio, count)].into(),
        oldest: at(oldest),
    }
}

/// Inserts nine recordings of three accounts, with given tiers, versions and ages.
async fn told(world: &World) -> Vec<RecordingId> {
    let ids = world.announced(9).await;
    let mut tx = world.tx().await;
    // Three of the same millisecond, and an older one with the highest id.
    for (number, (tier, digest, millis)) in [
        ("standard", '0', 5),
        ("standard", '0', 5),
        ("standard", '0', 5),
        ("standard", '0', 9),
        ("standard", '1', 1),
        ("sensitive", '0', 2),
        ("sensitive", '0', 3),
        ("restricted", '0', 0),
        ("standard", '0', 4),
    ]
    .into_iter()
    .enumerate()
    {
        let sql = format!(
            "UPDATE recordings SET tier = '{tier}', policy_digest = '{}', collected_at = {} WHERE id = '{}'",
            digest.to_string().repeat(64),
            at(millis).as_millis(),
            ids[number]
        );
        tx.execute(&sql, &[]).await.unwrap();
    }
    mark_shredded(&mut tx, &[ids[7]], at(10)).await.unwrap();
    tx.commit().await.unwrap();
    ids
}

/// Inserts a hold.
async fn hold(tx: &mut Tx, id: RecordingId, name: &str, review: i64, lifted: bool) {
    let lifted = if lifted { "1" } else { "NULL" };
    let sql = format!(
        "INSERT INTO holds (recording_id, name, purpose, reason, authority, review_at, placed_at, placed_by, lifted_at)
         VALUES ('{id}', '{name}', 'legal-request', 'lawsuit', 'a court', {}, 0, 'operator:root', {lifted})",
        at(review).as_millis()
    );
    tx.execute(&sql, &[]).await.unwrap();
    if lifted == "NULL" {
        tx.execute(
            &format!("UPDATE recordings SET holds = holds + 1 WHERE id = '{id}'"),
            &[],
        )
        .await
        .unwrap();
    }
}

async fn recordings_are_grouped_by_what_limits_them(world: &World) {
    told(world).await;
    let mut tx = world.db.read().await.unwrap();
    let all = [
        group("sensitive", '0', 2, 2),
        group("standard", '0', 5, 4),
        group("standard", '1', 1, 1),
    ];
    assert_eq!(
        retention::groups(&mut tx, &BTreeSet::new()).await.unwrap(),
        all
    );
    // Numbers 0, 3 and 6 are of the first account; 1, 4 and 7 of the second.
    let of = |account: u32| BTreeSet::from([parsed(&format!("AC{account:032x}"))]);
    assert_eq!(
        retention::groups(&mut tx, &of(0)).await.unwrap(),
        [group("sensitive", '0', 1, 3), group("standard", '0', 2, 5)]
    );
    assert_eq!(
        retention::groups(&mut tx, &of(1)).await.unwrap(),
        [group("standard", '0', 1, 5), group("standard", '1', 1, 1)]
    );
    assert_eq!(retention::groups(&mut tx, &of(7)).await.unwrap(), []);
    drop(tx);
    world
        .sql(&[
            "UPDATE recordings SET kind = 'message' WHERE tier = 'standard' AND account LIKE '%0'",
        ])
        .await;
    let mut tx = world.db.read().await.unwrap();
    let found = retention::groups(&mut tx, &BTreeSet::new()).await.unwrap();
    let mixed = RetentionGroup {
        kinds: [(MediaKind::CallAudio, 3), (MediaKind::Message, 2)].into(),
        ..group("standard", '0', 5, 4)
    };
    assert_eq!(found[1], mixed);
}

async fn read(tx: &mut Tx, until: Timestamp, held: bool, page: i64) -> Vec<RecordingId> {
    let group = group("standard", '0', 0, 0);
    let mut after = None;
    let mut found = Vec::new();
    loop {
        let some = retention::collected_until(tx, &group, until, held, after, page)
            .await
            .unwrap();
        assert!(some.len() <= usize::try_from(page).unwrap());
        let Some(last) = some.last() else {
            return found;
        };
        after = Some((last.collected_at, last.id));
        found.extend(some.iter().map(|recording| recording.id));
    }
}

async fn a_group_is_read_page_by_page_and_misses_nothing(world: &World) {
    let ids = told(world).await;
    let mut tx = world.db.read().await.unwrap();
    for page in 1..=6 {
        assert_eq!(
            read(&mut tx, at(9), false, page).await,
            [ids[8], ids[0], ids[1], ids[2], ids[3]],
            "{page} at a time"
        );
        assert_eq!(
            read(&mut tx, at(8), false, page).await,
            [ids[8], ids[0], ids[1], ids[2]]
        );
        assert_eq!(read(&mut tx, at(4), false, page).await, [ids[8]]);
        assert_eq!(read(&mut tx, at(3), false, page).await, []);
    }
}

async fn what_is_held_is_read_apart(world: &World) {
    let ids = told(world).await;
    let mut tx = world.tx().await;
    hold(&mut tx, ids[1], "one", 1, false).await;
    hold(&mut tx, ids[1], "two", 1, false).await;
    hold(&mut tx, ids[2], "over", 1, true).await;
    assert_eq!(read(&mut tx, at(9), true, 2).await, [ids[1]]);
    assert_eq!(
        read(&mut tx, at(9), false, 2).await,
        [ids[8], ids[0], ids[2], ids[3]]
    );
}

async fn what_is_kept_is_counted_for_each_account(world: &World) {
    let ids = told(world).await;
    let everybody = BTreeSet::new();
    let second = BTreeSet::from([parsed(&format!("AC{:032x}", 1))]);
    let mut tx = world.tx().await;
    assert_eq!(
        retention::kept(&mut tx, &everybody).await.unwrap(),
        RetentionExceptions::default()
    );
    hold(&mut tx, ids[0], "a", 1, false).await;
    hold(&mut tx, ids[1], "a", 1, false).await;
    for (id, column, millis) in [
        (ids[1], "revoked_at", 7),
        (ids[2], "quarantine_ends", 8),
        (ids[4], "quarantine_ends", 6),
    ] {
        let sql = format!(
            "UPDATE recordings SET {column} = {} WHERE id = '{id}'",
            at(millis).as_millis()
        );
        tx.execute(&sql, &[]).await.unwrap();
    }
    let all = RetentionExceptions {
        quarantined: 2,
        quarantine_ends: Some(at(6)),
        held: 2,
        revoked: 1,
    };
    assert_eq!(retention::kept(&mut tx, &everybody).await.unwrap(), all);
    let some = RetentionExceptions {
        quarantined: 1,
        quarantine_ends: Some(at(6)),
        held: 1,
        revoked: 1,
    };
    assert_eq!(retention::kept(&mut tx, &second).await.unwrap(), some);
    let found = |found: Vec<crate::model::recording::Recording>| {
        found
            .into_iter()
            .map(|recording| recording.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found(retention::revoked(&mut tx, &everybody, 9).await.unwrap()),
        [ids[1]]
    );
    assert_eq!(
        found(retention::revoked(&mut tx, &second, 9).await.unwrap()),
        [ids[1]]
    );
    assert_eq!(
        found(
            retention::revoked(
                &mut tx,
                &BTreeSet::from([parsed(&format!("AC{:032x}", 0))]),
                9
            )
            .await
            .unwrap()
        ),
        []
    );
}

async fn the_holds_that_stand_are_named(world: &World) {
    let ids = told(world).await;
    let mut tx = world.tx().await;
    for (number, name, review, lifted) in [
        (0, "court", 9, false),
        (1, "court", 5, false),
        (1, "audit", 7, false),
        (2, "court", 1, true),
    ] {
        hold(&mut tx, ids[number], name, review, lifted).await;
    }
    let named = |held: Vec<retention::HoldGroup>| {
        held.into_iter()
            .map(|held| (held.name.to_string(), held.recordings, held.review_at))
            .collect::<Vec<_>>()
    };
    let all = retention::holds(&mut tx, &BTreeSet::new()).await.unwrap();
    assert_eq!(
        named(all),
        [("audit".into(), 1, at(7)), ("court".into(), 2, at(5))]
    );
    let first = retention::holds(&mut tx, &BTreeSet::from([parsed(&format!("AC{:032x}", 0))]))
        .await
        .unwrap();
    assert_eq!(named(first), [("court".into(), 1, at(9))]);
    let names = retention::hold_names(&mut tx, &[ids[1], ids[2], recording_id(99)])
        .await
        .unwrap();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [(ids[1], vec![parsed("audit"), parsed("court")])]
    );
}
