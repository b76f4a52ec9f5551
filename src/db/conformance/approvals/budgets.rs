//! Budgets of openings, and the first opening of a grant.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::{
    super::{World, at, parsed},
    DAY, purpose, somebody,
};
use crate::{
    db::{
        budgets,
        grants::{self, GrantRow},
        tokens::{self, TokenRow},
    },
    model::{
        grant_object::GrantObject,
        id::{GrantId, PrincipalId, RecordingId, TokenId},
    },
};

every_database!(
    the_last_opening_of_a_budget_is_had_by_one,
    a_budget_is_one_principals_purposes_and_days,
    without_a_budget_openings_are_counted_too,
    a_recording_counts_once_a_day_however_often_it_is_opened,
    past_days_are_forgotten,
    a_grant_is_opened_for_the_first_time_once,
);

/// Spends on a new recording each time.
async fn spent(world: &World, principal: PrincipalId, budget: Option<u32>, millis: i64) -> bool {
    let recording = RecordingId::random(&mut rand::rng());
    spent_on(world, principal, recording, budget, millis).await
}

async fn spent_on(
    world: &World,
    principal: PrincipalId,
    recording: RecordingId,
    budget: Option<u32>,
    millis: i64,
) -> bool {
    let spent = world.db.unit("spent", async |mut unit| {
        unit.without_entry("a test");
        let now = at(millis);
        budgets::spend(
            &mut unit,
            principal,
            &purpose(),
            &recording.into(),
            budget,
            now,
        )
        .await
    });
    spent.await.unwrap()
}

async fn a_recording_counts_once_a_day_however_often_it_is_opened(world: &World) {
    let one = somebody();
    let [first, second] = [(); 2].map(|()| RecordingId::random(&mut rand::rng()));
    let both = join_all((0..8).map(|_| spent_on(world, one, first, Some(1), 0))).await;
    assert_eq!(both, [true; 8]);
    assert_eq!(used(world, one, 0).await, 1);
    for _ in 0..2 {
        assert!(!spent_on(world, one, second, Some(1), 0).await);
    }
    assert!(spent_on(world, one, second, Some(2), 0).await);
    let ids = [first, second, RecordingId::random(&mut rand::rng())];
    let counted = async |who, millis| {
        let mut tx = world.tx().await;
        budgets::counted(
            &mut tx,
            who,
            &purpose(),
            &ids.map(GrantObject::from),
            at(millis),
        )
        .await
        .unwrap()
    };
    assert_eq!(
        counted(one, 0).await,
        [first, second].map(GrantObject::from).into()
    );
    assert!(counted(one, DAY).await.is_empty());
    assert!(counted(somebody(), 0).await.is_empty());
}

async fn used(world: &World, principal: PrincipalId, millis: i64) -> u32 {
    budgets::used(
        &mut world.db.read().await.unwrap(),
        principal,
        &purpose(),
        at(millis),
    )
    .await
    .unwrap()
}

async fn the_last_opening_of_a_budget_is_had_by_one(world: &World) {
    let somebody = somebody();
    let spent = join_all((0..20).map(|_| spent(world, somebody, Some(5), 0))).await;
    assert_eq!(spent.into_iter().filter(|spent| *spent).count(), 5);
    assert_eq!(used(world, somebody, 0).await, 5);
}

async fn a_budget_is_one_principals_purposes_and_days(world: &World) {
    let one = somebody();
    let other = somebody();
    // `at(0)` is some hours after midnight.
    let midnight = DAY - at(0).as_millis().rem_euclid(DAY);
    assert!(spent(world, one, Some(1), midnight - 1).await);
    assert!(!spent(world, one, Some(1), midnight - 1).await);
    assert!(
        spent(world, one, Some(2), midnight - 1).await,
        "the budget grew"
    );
    assert!(
        !spent(world, one, Some(1), midnight - 1).await,
        "and shrank"
    );
    assert!(spent(world, other, Some(1), midnight - 1).await);
    assert!(spent(world, one, Some(1), midnight).await);
    assert!(
        !spent(world, one, Some(0), midnight + DAY).await,
        "nothing is what none of it leaves"
    );
    assert_eq!(
        (
            used(world, one, midnight - 1).await,
            used(world, one, midnight).await,
            used(world, one, midnight + DAY).await
        ),
        (2, 1, 0)
    );
    let another = RecordingId::random(&mut rand::rng());
    let mut tx = world.tx().await;
    assert!(
        budgets::spend(
            &mut tx,
            one,
            &parsed("training"),
            &another.into(),
            Some(1),
            at(midnight)
        )
        .await
        .unwrap()
    );
    drop(tx);
    assert_eq!(
        budgets::used(
            &mut world.tx().await,
            one,
            &parsed("training"),
            at(midnight)
        )
        .await
        .unwrap(),
        0,
        "that unit was dropped"
    );
}

async fn without_a_budget_openings_are_counted_too(world: &World) {
    let somebody = somebody();
    for _ in 0..3 {
        assert!(spent(world, somebody, None, 0).await);
    }
    assert!(!spent(world, somebody, Some(3), 0).await);
}

async fn past_days_are_forgotten(world: &World) {
    let somebody = somebody();
    for day in 0..3 {
        assert!(spent(world, somebody, None, day * DAY).await);
    }
    let mut tx = world.tx().await;
    assert_eq!(budgets::remove_past(&mut tx, at(DAY)).await.unwrap(), 1);
    assert_eq!(budgets::remove_past(&mut tx, at(DAY)).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(
        (
            used(world, somebody, 0).await,
            used(world, somebody, DAY).await,
            used(world, somebody, 2 * DAY).await
        ),
        (0, 1, 1)
    );
}

async fn a_grant_is_opened_for_the_first_time_once(world: &World) {
    let bearer = TokenRow {
        id: TokenId::random(&mut rand::rng()),
        hash: "h".into(),
        principal: somebody(),
        label: "x".into(),
        roles: Vec::new(),
        accounts: Vec::new(),
        attributes: BTreeMap::new(),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: None,
    };
    let recording = world.one_announced().await;
    let row = GrantRow {
        id: GrantId::random(&mut rand::rng()),
        hash: "g".into(),
        object: recording.into(),
        account: "AC00000000000000000000000000000000".parse().unwrap(),
        token: bearer.id,
        purpose: purpose(),
        justified: true,
        ticket: None,
        break_glass: true,
        policy_digest: "d".repeat(64),
        issued_at: at(1),
        expires_at: at(100),
        opened_at: None,
        approval: None,
        ended_at: None,
    };
    let mut tx = world.tx().await;
    super::super::principals::enter(&mut tx, bearer.principal).await;
    tokens::insert(&mut tx, &bearer).await.unwrap();
    grants::insert(&mut tx, &row).await.unwrap();
    assert!(grants::open(&mut tx, row.id, at(5)).await.unwrap());
    assert!(!grants::open(&mut tx, row.id, at(6)).await.unwrap());
    let nobodys = GrantId::random(&mut rand::rng());
    assert!(!grants::open(&mut tx, nobodys, at(6)).await.unwrap());
    assert_eq!(
        grants::find(&mut tx, "g").await.unwrap(),
        Some(GrantRow {
            opened_at: Some(at(5)),
            ..row
        })
    );
}
