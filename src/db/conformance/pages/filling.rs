//! Leaves with room for new keys, and who fills them.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{
    super::{World, at, holder},
    id, insert, page,
};
use crate::{
    db::{
        Error, Term, Tx,
        keys::{self, NewKeys},
    },
    keyring::{LEAF, PageRow},
    model::{
        id::{HolderId, PageId},
        time::Timestamp,
    },
};

every_database!(
    a_process_gets_its_own_leaf_first,
    a_leaf_of_another_process_is_free_only_after_its_time,
    full_leaves_branches_and_other_tiers_are_not_for_filling,
    two_claimants_never_share_a_leaf,
    leaves_are_claimed_for_as_many_keys_as_there_are,
    whoever_fills_and_whoever_destroys_do_not_wait_for_each_other,
    a_leaf_that_was_filled_meanwhile_is_not_given,
);

/// Claims a leaf of tier `standard` at `now`, for a minute.
async fn claim(world: &World, filler: HolderId, now: Timestamp) -> Option<PageId> {
    let until = Timestamp::from_millis(now.as_millis() + 60_000);
    let mut tx = world.tx().await;
    let claimed = claim_in(&mut tx, filler, Term::at(now, until)).await;
    tx.commit().await.unwrap();
    claimed.unwrap()
}

async fn claim_in(tx: &mut Tx, filler: HolderId, term: Term) -> Result<Option<PageId>, Error> {
    let one = NewKeys::from([("standard", 1)]);
    let claimed = keys::claim_leaves(tx, &one, &BTreeSet::new(), filler, term).await?;
    assert!(claimed.iter().all(|(tier, _)| tier == "standard"));
    Ok(claimed.first().map(|(_, page)| *page))
}

async fn a_process_gets_its_own_leaf_first(world: &World) {
    let us = holder();
    let them = holder();
    let own = page("standard", LEAF, 5);
    let fuller = page("standard", LEAF, 100);
    insert(world, &own, us, at(10)).await;
    insert(world, &fuller, them, at(10)).await;
    assert_eq!(claim(world, us, at(9)).await, Some(own.id));
    // Even if the other page is free by now, and fuller.
    assert_eq!(claim(world, us, at(1_000)).await, Some(own.id));
    assert_eq!(
        claim(world, us, at(999_999)).await,
        Some(own.id),
        "a process's own leaf does not run out for itself"
    );
}

async fn a_leaf_of_another_process_is_free_only_after_its_time(world: &World) {
    let us = holder();
    let them = holder();
    let leaf = page("standard", LEAF, 5);
    insert(world, &leaf, them, at(10)).await;
    assert_eq!(claim(world, us, at(9)).await, None);
    assert_eq!(claim(world, us, at(10)).await, None);
    assert_eq!(claim(world, us, at(11)).await, Some(leaf.id));
    // Held for a minute from then on: each claim renews it.
    assert_eq!(claim(world, them, at(60_011)).await, None);
    assert_eq!(claim(world, us, at(60_011)).await, Some(leaf.id));
    assert_eq!(claim(world, them, at(120_011)).await, None);
    assert_eq!(claim(world, them, at(120_012)).await, Some(leaf.id));
    assert_eq!(claim(world, us, at(120_013)).await, None);
    // A lease of a clock that was three days ahead blocks nobody.
    let ahead = page("sensitive", LEAF, 5);
    insert(world, &ahead, them, at(3 * 24 * 3_600_000)).await;
    world
        .sql(&["UPDATE pages SET tier = 'standard' WHERE tier = 'sensitive'"])
        .await;
    assert_eq!(claim(world, us, at(120_013)).await, Some(ahead.id));
}

async fn full_leaves_branches_and_other_tiers_are_not_for_filling(world: &World) {
    let us = holder();
    assert_eq!(claim(world, us, at(1)).await, None, "there is none yet");
    for page in [
        page("standard", LEAF, 128),
        page("standard", 1, 5),
        page("restricted", LEAF, 5),
    ] {
        insert(world, &page, us, at(0)).await;
    }
    assert_eq!(claim(world, us, at(1)).await, None);
    let nearly_full = page("standard", LEAF, 127);
    insert(world, &nearly_full, us, at(0)).await;
    assert_eq!(claim(world, us, at(1)).await, Some(nearly_full.id));
}

async fn two_claimants_never_share_a_leaf(world: &World) {
    let leaves = [
        page("standard", LEAF, 5),
        page("standard", LEAF, 6),
        page("standard", LEAF, 7),
    ];
    for leaf in &leaves {
        insert(world, leaf, holder(), at(0)).await;
    }
    let another = world.another().await.unwrap();
    let claims = (0..12).map(|number| {
        let db = if number % 2 == 0 { &world.db } else { &another };
        let us = holder();
        db.unit("claimed", move |mut unit| async move {
            unit.without_entry("a test");
            claim_in(&mut unit, us, Term::at(at(1), at(60_000))).await
        })
    });
    let mut given: Vec<PageId> = join_all(claims)
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    let claimed = given.len();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), claimed, "no leaf was given twice");
    assert!(claimed >= 1);
    another.close().await;
}

/// Two concurrent deposits of one process claim the same leaf, which has room for one more key.
async fn a_leaf_that_was_filled_meanwhile_is_not_given(world: &World) {
    let us = holder();
    let leaf = page("standard", LEAF, 127);
    insert(world, &leaf, us, at(100)).await;
    let mut first = world.tx().await;
    assert_eq!(
        claim_in(&mut first, us, Term::at(at(1), at(100)))
            .await
            .unwrap(),
        Some(leaf.id)
    );
    keys::replace_page(
        &mut first,
        &PageRow {
            generation: 2,
            used: 128,
            ..leaf.clone()
        },
    )
    .await
    .unwrap();
    let last_slot = async {
        // On PostgreSQL the second one has chosen the leaf and waits for its row lock; on SQLite it
        // has not begun.
        while !world.is_sqlite()
            && world.int("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await == 0
        {
        }
        first.commit().await.unwrap();
    };
    let ((), second) = tokio::join!(last_slot, claim(world, us, at(1)));
    assert_eq!(second, None);
}

async fn leaves_are_claimed_for_as_many_keys_as_there_are(world: &World) {
    let us = holder();
    let [fullest, full, other] = [
        page("standard", LEAF, 120),
        page("standard", LEAF, 100),
        page("restricted", LEAF, 1),
    ];
    for leaf in [&full, &fullest, &other, &page("standard", LEAF, 50)] {
        insert(world, leaf, us, at(0)).await;
    }
    let mut tx = world.tx().await;
    let keys = NewKeys::from([("standard", 9), ("restricted", 1), ("sensitive", 1)]);
    let term = Term::at(at(1), at(60_000));
    let claimed = keys::claim_leaves(&mut tx, &keys, &BTreeSet::new(), us, term).await;
    let standard = |leaf: &PageRow| (leaf.tier.clone(), leaf.id);
    assert_eq!(claimed.unwrap(), [&other, &fullest, &full].map(standard));
}

/// A unit that fills leaves of two tiers, and one that destroys keys on both, lock them in one
/// order.
async fn whoever_fills_and_whoever_destroys_do_not_wait_for_each_other(world: &World) {
    if world.is_sqlite() {
        return;
    }
    let us = holder();
    let mut ids = [id(), id()];
    ids.sort();
    let [first, second] = ids;
    // The order of the tiers is not that of the ids.
    for (tier, id) in [("a", second), ("b", first)] {
        let leaf = PageRow {
            id,
            ..page(tier, LEAF, 5)
        };
        insert(world, &leaf, us, at(0)).await;
    }
    let mut destroying = world.tx().await;
    keys::lock(&mut destroying, &[first].into()).await.unwrap();
    let filling = async {
        let mut tx = world.tx().await;
        let keys = NewKeys::from([("a", 1), ("b", 1)]);
        let term = Term::at(at(1), at(60_000));
        let claimed = keys::claim_leaves(&mut tx, &keys, &BTreeSet::new(), us, term).await;
        assert_eq!(claimed.unwrap().len(), 2);
        tx.commit().await.unwrap();
    };
    let destroying = async {
        while world.int("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await == 0 {
            tokio::task::yield_now().await;
        }
        let locked = keys::lock(&mut destroying, &[second].into()).await;
        locked.unwrap();
        destroying.commit().await.unwrap();
    };
    tokio::join!(filling, destroying);
}
