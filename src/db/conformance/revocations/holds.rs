//! Holds, and their effect on shreds.

use std::collections::BTreeSet;

use super::super::{World, at, parsed, recording_id};
use crate::{
    db::{
        Error,
        holds::{self, HoldFilter, HoldRow},
        recordings,
    },
    model::{actor::Initiator, id::RecordingId},
};

every_database!(
    a_hold_and_the_count_of_holds_go_together,
    what_a_hold_keeps_is_not_shredded_but_closed,
);

fn hold(recording: RecordingId, name: &str) -> HoldRow {
    HoldRow {
        recording,
        name: parsed(name),
        purpose: parsed("legal-request"),
        reason: parsed("litigation"),
        authority: parsed("Landgericht Berlin"),
        review_at: at(1000),
        placed_at: at(1),
        placed_by: Initiator::Operator.actor(),
        lifted_at: None,
    }
}

async fn a_hold_and_the_count_of_holds_go_together(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    assert!(holds::place(&mut tx, &hold(id, "a")).await.unwrap());
    assert!(
        !holds::place(
            &mut tx,
            &HoldRow {
                placed_at: at(2),
                ..hold(id, "a")
            }
        )
        .await
        .unwrap(),
        "it says the same"
    );
    let longer = HoldRow {
        review_at: at(2000),
        placed_at: at(3),
        ..hold(id, "a")
    };
    assert!(holds::place(&mut tx, &longer).await.unwrap());
    assert!(holds::place(&mut tx, &hold(id, "b")).await.unwrap());
    assert_eq!(
        holds::find(&mut tx, id, &parsed("a")).await.unwrap(),
        Some(longer)
    );
    assert_eq!(
        recordings::find(&mut tx, id).await.unwrap().unwrap().holds,
        2
    );
    assert_eq!(
        holds::lift(&mut tx, id, &parsed("c"), at(4)).await.unwrap(),
        None
    );
    assert_eq!(
        holds::lift(&mut tx, id, &parsed("a"), at(4)).await.unwrap(),
        Some(1)
    );
    assert_eq!(
        holds::lift(&mut tx, id, &parsed("a"), at(5)).await.unwrap(),
        None
    );
    assert_eq!(
        holds::find(&mut tx, id, &parsed("a"))
            .await
            .unwrap()
            .unwrap()
            .lifted_at,
        Some(at(4))
    );
    assert_eq!(
        holds::purposes(&mut tx, &[id]).await.unwrap(),
        [(id, vec![parsed("legal-request")])].into()
    );
    let standing = holds::standing(&mut tx, &[id]).await.unwrap();
    assert_eq!(standing, [hold(id, "b")]);
    let listed = holds::list(
        &mut tx,
        &HoldFilter {
            conflicts: true,
            ..HoldFilter::default()
        },
        9,
    )
    .await
    .unwrap();
    assert_eq!(listed, []);
    tx.commit().await.unwrap();
    let nobodys = holds::place(&mut world.tx().await, &hold(recording_id(99), "a")).await;
    assert!(matches!(nobodys, Err(Error::Stale(_))));
}

async fn what_a_hold_keeps_is_not_shredded_but_closed(world: &World) {
    let ids = world.announced(3).await;
    let mut tx = world.tx().await;
    holds::place(&mut tx, &hold(ids[0], "a")).await.unwrap();
    assert_eq!(
        recordings::mark_shredded(&mut tx, &ids[..2], at(5))
            .await
            .unwrap(),
        [ids[1]].into()
    );
    // Only the held one, and only once.
    assert_eq!(
        holds::close(&mut tx, &ids, &parsed("x"), at(5))
            .await
            .unwrap(),
        [ids[0]].into()
    );
    assert_eq!(
        holds::close(&mut tx, &ids, &parsed("y"), at(6))
            .await
            .unwrap(),
        BTreeSet::new()
    );
    assert_eq!(
        recordings::find(&mut tx, ids[0])
            .await
            .unwrap()
            .unwrap()
            .revoked_at,
        Some(at(5))
    );
    let conflicts = holds::list(
        &mut tx,
        &HoldFilter {
            conflicts: true,
            ..HoldFilter::default()
        },
        9,
    )
    .await
    .unwrap();
    assert_eq!(conflicts, [(hold(ids[0], "a"), Some(at(5)))]);
    assert_eq!(holds::released(&mut tx, 9).await.unwrap(), []);
    holds::lift(&mut tx, ids[0], &parsed("a"), at(7))
        .await
        .unwrap();
    assert_eq!(
        holds::released(&mut tx, 9).await.unwrap(),
        [(ids[0], parsed("x"))]
    );
    assert_eq!(
        recordings::mark_shredded(&mut tx, &ids, at(8))
            .await
            .unwrap(),
        [ids[0], ids[2]].into()
    );
    assert_eq!(holds::released(&mut tx, 9).await.unwrap(), []);
    assert!(matches!(
        holds::place(&mut tx, &hold(ids[0], "a")).await,
        Err(Error::Stale(_))
    ));
}
