//! Fences and receipts.

use super::{World, at, recording_id};
use crate::{
    ledger::{Error, shreds},
    model::id::ReceiptId,
};

every_database!(
    a_fence_stands_once_and_tells_its_receipt,
    fences_are_found_from_their_moment_on,
    a_destroyed_key_is_known_by_its_public_name,
    the_database_itself_keeps_fences,
    a_receipt_is_filed_and_replaced,
);

fn receipt() -> ReceiptId {
    ReceiptId::random(&mut rand::rng())
}

async fn a_fence_stands_once_and_tells_its_receipt(world: &World) {
    let id = world.one_announced().await;
    let (first, mut tx) = (receipt(), world.tx().await);
    assert_eq!(shreds::find_fence(&mut tx, id).await.unwrap(), None);
    shreds::insert_fence(&mut tx, id, at(7), first, None).await.unwrap();
    tx.commit().await.unwrap();
    assert!(shreds::insert_fence(&mut world.tx().await, id, at(8), receipt(), None).await.is_err());
    assert!(shreds::insert_fence(&mut world.tx().await, recording_id(9), at(8), receipt(), None).await.is_err(), "no such recording");
    assert_eq!(shreds::find_fence(&mut world.tx().await, id).await.unwrap(), Some((at(7), first)));
}

async fn fences_are_found_from_their_moment_on(world: &World) {
    let ids = world.announced(3).await;
    let mut tx = world.tx().await;
    for (millis, id) in (10..).zip(&ids) {
        shreds::insert_fence(&mut tx, *id, at(millis), receipt(), None).await.unwrap();
    }
    for (since, expected) in [(9, &ids[..]), (10, &ids[..]), (11, &ids[1..]), (12, &ids[2..]), (13, &[])] {
        let mut found = shreds::fenced_since(&mut tx, at(since)).await.unwrap();
        found.sort();
        assert_eq!(found, expected, "since {since}");
    }
}

async fn a_destroyed_key_is_known_by_its_public_name(world: &World) {
    let ids = world.announced(2).await;
    let mut tx = world.tx().await;
    assert!(!shreds::is_destroyed(&mut tx, "f1").await.unwrap());
    shreds::insert_fence(&mut tx, ids[0], at(0), receipt(), Some("f1")).await.unwrap();
    // One that never had a key destroys no name.
    shreds::insert_fence(&mut tx, ids[1], at(0), receipt(), None).await.unwrap();
    assert!(shreds::is_destroyed(&mut tx, "f1").await.unwrap());
    for other in ["f", "f2", ""] {
        assert!(!shreds::is_destroyed(&mut tx, other).await.unwrap());
    }
}

async fn the_database_itself_keeps_fences(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    shreds::insert_fence(&mut tx, id, at(7), receipt(), Some("f1")).await.unwrap();
    tx.commit().await.unwrap();
    let mut attacks = vec!["UPDATE fences SET fingerprint = NULL", "DELETE FROM fences", "DELETE FROM recordings"];
    if world.is_sqlite() {
        attacks.push("REPLACE INTO fences SELECT recording_id, 0, receipt_id, NULL FROM fences");
    } else {
        attacks.push("TRUNCATE fences");
    }
    for attack in attacks {
        let refused = world.tx().await.execute(attack, &[]).await;
        assert!(refused.is_err(), "{attack}");
    }
    assert!(shreds::is_destroyed(&mut world.tx().await, "f1").await.unwrap());
}

async fn a_receipt_is_filed_and_replaced(world: &World) {
    let ids = world.announced(2).await;
    let (first, mut tx) = (receipt(), world.tx().await);
    assert_eq!(shreds::find_receipt(&mut tx, first).await.unwrap(), None);
    assert!(matches!(shreds::replace_receipt(&mut tx, first, "closed", "a.b.c", "x").await, Err(Error::Conflict)));
    shreds::insert_receipt(&mut tx, first, ids[0], "fenced", "a.b.c", true, at(0)).await.unwrap();
    shreds::insert_receipt(&mut tx, receipt(), ids[1], "fenced", "g.h.i", true, at(0)).await.unwrap();
    let stale = shreds::replace_receipt(&mut tx, first, "closed", "d.e.f", "not any more").await;
    assert!(matches!(stale, Err(Error::Conflict)), "what was replaced meanwhile is not replaced unseen");
    shreds::replace_receipt(&mut tx, first, "closed", "d.e.f", "a.b.c").await.unwrap();
    tx.commit().await.unwrap();
    assert!(
        shreds::insert_receipt(&mut world.tx().await, receipt(), ids[0], "fenced", "x", true, at(0)).await.is_err(),
        "one for each recording"
    );
    assert_eq!(shreds::find_receipt(&mut world.tx().await, first).await.unwrap().as_deref(), Some("d.e.f"));
    assert_eq!(world.int("SELECT COUNT(*) FROM receipts WHERE state = 'closed'").await, 1);
}
