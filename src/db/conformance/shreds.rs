//! Tombstones and receipts.

use futures_util::future::join_all;

use super::{World, at, recording_id};
use crate::{
    db::{
        Error, Tx, audit, chain,
        endings::{self, StreamEnding},
        shreds::{self, NewReceipt, NewTombstone},
    },
    evidence::{NewEntry, ShredReason},
    model::{
        actor::Initiator,
        artefact::Leg,
        id::{ReceiptId, RecordingId},
    },
};

every_database!(
    a_tombstone_stands_once_and_tells_its_receipt,
    the_tombstones_of_two_legs_are_one_shred,
    tombstones_come_back_in_the_order_of_their_numbers,
    who_asks_again_and_again_misses_no_tombstone,
    a_destroyed_key_is_known_by_its_public_name,
    the_database_itself_keeps_tombstones,
    a_receipt_is_filed_and_replaced,
);

fn receipt() -> ReceiptId {
    ReceiptId::random(&mut rand::rng())
}

async fn a_tombstone_stands_once_and_tells_its_receipt(world: &World) {
    let id = world.one_announced().await;
    let first = receipt();
    let mut tx = world.tx().await;
    assert_eq!(shreds::find_tombstone(&mut tx, id).await.unwrap(), None);
    super::tombstone(&mut tx, id, at(7), first, 1, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(
        super::tombstone(&mut world.tx().await, id, at(8), receipt(), 2, None)
            .await
            .is_err()
    );
    assert!(
        super::tombstone(
            &mut world.tx().await,
            recording_id(9),
            at(8),
            receipt(),
            2,
            None
        )
        .await
        .is_err(),
        "no such recording"
    );
    assert_eq!(
        shreds::find_tombstone(&mut world.tx().await, id)
            .await
            .unwrap(),
        Some((at(7), first))
    );
}

async fn the_tombstones_of_two_legs_are_one_shred(world: &World) {
    let ids = world.announced(2).await;
    let one = receipt();
    let tombstone = |recording, receipt, destroyed: &[(Leg, &str)]| NewTombstone {
        recording,
        receipt,
        seq: 1,
        destroyed: destroyed
            .iter()
            .map(|(leg, key)| (*leg, (*key).to_owned()))
            .collect(),
    };
    let both = tombstone(ids[0], one, &[(Leg::Callee, "f2"), (Leg::Caller, "f1")]);
    let mut tx = world.tx().await;
    shreds::insert_tombstones(&mut tx, &[both], at(7))
        .await
        .unwrap();
    file(&mut tx, one, ids[0], "jws").await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = world.tx().await;
    for key in ["f1", "f2"] {
        assert!(
            shreds::is_any_destroyed(&mut tx, &[key.to_owned()])
                .await
                .unwrap(),
            "{key}"
        );
    }
    let found = shreds::find_tombstone(&mut tx, ids[0]).await.unwrap();
    assert_eq!(found, Some((at(7), one)));
    assert_eq!(
        shreds::find_tombstones(&mut tx, &ids).await.unwrap().len(),
        1
    );
    assert_eq!(shreds::waiting(&mut tx).await.unwrap(), (1, Some(at(7))));
    assert_eq!(shreds::waiting_recordings(&mut tx).await.unwrap(), [ids[0]]);
    let seen = endings::after(&mut tx, 0, 9).await.unwrap();
    let shredded = StreamEnding::Shredded(ids[0]);
    assert!(seen.iter().all(|seen| *seen == (1, shredded)));
    assert_eq!(chain::note_durable(&mut tx, 1).await.unwrap(), 1);
    drop(tx);

    // A leg is not tombstoned twice.
    let again = tombstone(ids[0], receipt(), &[(Leg::Caller, "f3")]);
    let again = shreds::insert_tombstones(&mut world.tx().await, &[again], at(8)).await;
    assert!(again.is_err());
}

async fn tombstones_come_back_in_the_order_of_their_numbers(world: &World) {
    let ids = world.announced(4).await;
    let mut tx = world.tx().await;
    // The order of writing, of ids and of clocks are all different from that of the numbers.
    for (index, millis, seq) in [(1, 0, 10), (3, 30, 7), (0, 20, 12), (2, 10, 11)] {
        super::tombstone(&mut tx, ids[index], at(millis), receipt(), seq, None)
            .await
            .unwrap();
    }
    let all = [(7, ids[3]), (10, ids[1]), (11, ids[2]), (12, ids[0])];
    let all = all.map(|(seq, id)| (seq, StreamEnding::Shredded(id)));
    for (after, limit, expected) in [
        (0, 9, &all[..]),
        (6, 9, &all[..]),
        (7, 9, &all[1..]),
        (11, 9, &all[3..]),
        (12, 9, &[]),
        (0, 2, &all[..2]),
        (10, 1, &all[2..3]),
    ] {
        assert_eq!(
            endings::after(&mut tx, after, limit).await.unwrap(),
            expected,
            "after {after}, {limit} at most"
        );
    }
}

/// Two processes shred concurrently, and a third polls meanwhile.
async fn who_asks_again_and_again_misses_no_tombstone(world: &World) {
    let ids = world.announced(60).await;
    let another = world.another().await.unwrap();
    let third = world.another().await.unwrap();
    let reason: ShredReason = super::parsed("operator");
    let begin = audit::head(&mut third.read().await.unwrap()).await.unwrap();
    let fencing = ids.iter().enumerate().map(|(index, id)| {
        let db = if index % 2 == 0 { &world.db } else { &another };
        let id = *id;
        let reason = &reason;
        db.unit("tombstoned", move |mut unit| async move {
            let receipt = receipt();
            let entry = NewEntry::shred_tombstoned(at(0), Initiator::Operator, id, receipt, reason);
            let seq = unit.audit_now(vec![entry]).await?;
            super::tombstone(&mut unit, id, at(0), receipt, seq, None).await?;
            Ok::<_, Error>(())
        })
    });
    let asking = async {
        let mut seen = begin;
        let mut found = Vec::new();
        while found.len() < ids.len() {
            for (seq, ending) in endings::after(&mut third.read().await.unwrap(), seen, 7)
                .await
                .unwrap()
            {
                assert!(seq > seen, "{seq} comes after {seen}");
                seen = seq;
                let StreamEnding::Shredded(id) = ending else {
                    panic!("{ending:?}");
                };
                found.push(id);
            }
            tokio::task::yield_now().await;
        }
        (seen, found)
    };
    let asking = tokio::time::timeout(std::time::Duration::from_secs(30), asking);
    let (tombstoned, asked) = tokio::join!(join_all(fencing), asking);
    tombstoned.into_iter().for_each(Result::unwrap);
    let (seen, mut found) = asked.expect("all are found");
    found.sort();
    assert_eq!(
        (seen, found),
        (
            audit::head(&mut third.read().await.unwrap()).await.unwrap(),
            ids
        )
    );
    another.close().await;
    third.close().await;
}

async fn a_destroyed_key_is_known_by_its_public_name(world: &World) {
    let ids = world.announced(2).await;
    let mut tx = world.tx().await;
    assert!(
        !shreds::is_any_destroyed(&mut tx, &["f1".to_owned()])
            .await
            .unwrap()
    );
    super::tombstone(&mut tx, ids[0], at(0), receipt(), 1, Some("f1"))
        .await
        .unwrap();
    // A recording that never had a key has no fingerprint.
    super::tombstone(&mut tx, ids[1], at(0), receipt(), 2, None)
        .await
        .unwrap();
    assert!(
        shreds::is_any_destroyed(&mut tx, &["f1".to_owned()])
            .await
            .unwrap()
    );
    for other in ["f", "f2", ""] {
        assert!(
            !shreds::is_any_destroyed(&mut tx, &[other.to_owned()])
                .await
                .unwrap()
        );
    }
}

async fn the_database_itself_keeps_tombstones(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    super::tombstone(&mut tx, id, at(7), receipt(), 1, Some("f1"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut attacks = vec![
        "UPDATE tombstones SET fingerprint = NULL",
        "DELETE FROM tombstones",
        "DELETE FROM recordings",
    ];
    if world.is_sqlite() {
        attacks.push(
            "REPLACE INTO tombstones SELECT recording_id, leg, 0, receipt_id, NULL, seq FROM tombstones",
        );
    } else {
        attacks.push("TRUNCATE tombstones");
    }
    for attack in attacks {
        let refused = world.tx().await.execute(attack, &[]).await;
        assert!(refused.is_err(), "{attack}");
    }
    assert!(
        shreds::is_any_destroyed(&mut world.tx().await, &["f1".to_owned()])
            .await
            .unwrap()
    );
}

async fn file(tx: &mut Tx, id: ReceiptId, recording: RecordingId, jws: &str) -> Result<(), Error> {
    let filed = NewReceipt {
        id,
        recording,
        state: "tombstoned",
        jws: jws.to_owned(),
        had_key: true,
    };
    shreds::insert_receipts(tx, &[filed], at(0)).await
}

async fn a_receipt_is_filed_and_replaced(world: &World) {
    let ids = world.announced(2).await;
    let first = receipt();
    let mut tx = world.tx().await;
    assert_eq!(shreds::find_receipt(&mut tx, first).await.unwrap(), None);
    assert!(matches!(
        super::refile(&mut tx, first, "closed", "a.b.c", "x").await,
        Err(Error::Conflict)
    ));
    file(&mut tx, first, ids[0], "a.b.c").await.unwrap();
    file(&mut tx, receipt(), ids[1], "g.h.i").await.unwrap();
    let stale = super::refile(&mut tx, first, "closed", "d.e.f", "not any more").await;
    assert!(
        matches!(stale, Err(Error::Conflict)),
        "what was replaced meanwhile is not replaced unseen"
    );
    super::refile(&mut tx, first, "closed", "d.e.f", "a.b.c")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(
        file(&mut world.tx().await, receipt(), ids[0], "x")
            .await
            .is_err(),
        "one for each recording"
    );
    assert_eq!(
        shreds::find_receipt(&mut world.tx().await, first)
            .await
            .unwrap()
            .as_deref(),
        Some("d.e.f")
    );
    assert_eq!(
        world
            .int("SELECT COUNT(*) FROM receipts WHERE state = 'closed'")
            .await,
        1
    );
}
