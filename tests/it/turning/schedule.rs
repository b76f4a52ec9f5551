//! The schedule of turns, and the pages that a rotation renews.

use std::{collections::BTreeMap, time::Duration};

use recvault::{
    config::SHIPPED_POLICY,
    db::keys as pages,
    keyring::{PageRow, SERVICE, tree::ROOT},
    model::id::PageId,
};

use super::{began, receipt_id, turn};
use crate::{
    epochs::{keys, receipt_of},
    world::{Database, FaultyStore, Op, Recipe},
};

async fn the_schedule_turns_when_something_has_waited_half_the_time(database: Database) {
    let vault = Recipe {
        epoch: "turn_every_h = 4",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let flow = &vault.process.flow;
    let hour = Duration::from_secs(3600);
    let [dies, moves, lives] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.clock.advance(10 * hour);
    assert!(!flow.epochs.keep().await.unwrap(), "nothing waits");
    vault.shred(dies.id).await;
    vault.clock.advance(2 * hour - Duration::from_millis(1));
    assert!(!flow.epochs.keep().await.unwrap());
    let status = flow.epochs.status().await.unwrap();
    assert_eq!(
        (status.waiting, status.horizon_s, status.horizon_now_s),
        (1, 4 * 3600, 2 * 3600 - 1)
    );
    vault.clock.advance(Duration::from_millis(1));
    assert!(flow.epochs.keep().await.unwrap());
    assert_eq!(began(&vault).await, [1, 2]);
    vault.clock.advance(10 * hour);
    assert!(!flow.epochs.keep().await.unwrap(), "nothing waits any more");
    // A moved key waits, too: older copies of its old page hold it.
    flow.reclassification
        .move_to(&keys(), moves.id, &"sensitive".parse().unwrap(), false)
        .await
        .unwrap();
    assert!(flow.epochs.keep().await.unwrap());
    assert_eq!(began(&vault).await, [1, 2, 3]);
    vault.plays(&lives).await;
}

async fn a_tier_that_forgets_immediately_does_not_wait(database: Database) {
    let policy = SHIPPED_POLICY.replacen(
        "forgotten = \"scheduled\"",
        "forgotten = \"immediately\"",
        1,
    );
    let vault = Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let flow = &vault.process.flow;
    let [at_once, scheduled] = [vault.sealed().await, vault.sealed().await];
    flow.reclassification
        .move_to(&keys(), scheduled.id, &"sensitive".parse().unwrap(), false)
        .await
        .unwrap();
    turn(&vault.process).await.unwrap();
    vault.shred(scheduled.id).await;
    assert!(!flow.epochs.keep().await.unwrap());
    let receipt = receipt_id(&vault.shred(at_once.id).await);
    assert!(flow.epochs.keep().await.unwrap());
    assert_eq!(receipt_of(&vault, &receipt).await.epoch(), Some(3));
    assert!(!flow.epochs.keep().await.unwrap());
}

async fn a_rotation_renews_a_tier_or_all_and_reads_no_sound(database: Database) {
    let store = FaultyStore::new();
    let vault = Recipe {
        adapter: Some(std::sync::Arc::new(store.clone())),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let all = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    let tier = "sensitive".parse().unwrap();
    vault
        .process
        .flow
        .reclassification
        .move_to(&keys(), all[1].id, &tier, false)
        .await
        .unwrap();
    turn(&vault.process).await.unwrap();
    let rows = async || -> BTreeMap<PageId, PageRow> {
        let rows = pages::all_pages(&mut vault.process.db.read().await.unwrap())
            .await
            .unwrap();
        rows.into_iter().map(|row| (row.id, row)).collect()
    };
    let before = rows().await;
    let reads = store.met(Op::Get);
    let dry = vault
        .process
        .flow
        .epochs
        .rotate(&keys(), Some(&tier), true)
        .await
        .unwrap();
    assert!(dry.turned.is_none() && rows().await == before);
    let rotated = vault
        .process
        .flow
        .epochs
        .rotate(&keys(), Some(&tier), false)
        .await
        .unwrap();
    assert_eq!(
        (rotated.pages, dry.pages),
        (4, 4),
        "the path of a tier with one leaf"
    );
    let after = rows().await;
    for (id, row) in &after {
        let is_renewed = row.tier == "sensitive" || row.tier == ROOT;
        assert_eq!(
            row.sealed != before[id].sealed,
            is_renewed,
            "{} {}",
            row.tier,
            row.level
        );
    }
    let rotated = vault
        .process
        .flow
        .epochs
        .rotate(&keys(), None, false)
        .await
        .unwrap();
    assert_eq!(
        (rotated.pages, after.len()),
        (9, 10),
        "two tiers and the vault's own page; the root page is renewed in every turn"
    );
    let last = rows().await;
    assert!(
        last.iter().all(|(id, row)| row.sealed != after[id].sealed)
            && last.values().any(|row| row.tier == SERVICE)
    );
    assert_eq!(store.met(Op::Get), reads, "no byte of sound is read");
    vault.plays(&all[0]).await;
    vault.plays_in(&vault.process, &all[1]).await;
}

on_both_databases!(
    the_schedule_turns_when_something_has_waited_half_the_time,
    a_tier_that_forgets_immediately_does_not_wait,
    a_rotation_renews_a_tier_or_all_and_reads_no_sound,
);
