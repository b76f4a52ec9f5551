//! Stale pages, and the receipts that a turn covers.

use super::super::{World, at, holder, refile};
use crate::{
    db::{
        Error, epochs, keys,
        shreds::{self, NewReceipt},
    },
    keyring::{LEAF, PageRow},
    model::{
        id::{PageId, ReceiptId},
        time::Timestamp,
    },
};

every_database!(
    a_stale_page_stays_stale_until_it_is_renewed,
    rotation_marks_a_tier_or_all,
    a_turn_covers_what_waits_and_nothing_else,
);

fn page(tier: &str, level: u8) -> PageRow {
    let id = PageId::random(&mut rand::rng());
    let tier = tier.to_owned();
    PageRow {
        id,
        tier,
        level,
        generation: 1,
        parent: None,
        used: 1,
        epoch: 1,
        stale: false,
        sealed: vec![0; 4124],
    }
}

async fn entered(world: &World, pages: &[&PageRow]) {
    let mut tx = world.tx().await;
    for page in pages {
        keys::insert_page(&mut tx, page, holder(), at(0))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn a_stale_page_stays_stale_until_it_is_renewed(world: &World) {
    let leaf = page("standard", LEAF);
    entered(world, &[&leaf, &page("standard", LEAF)]).await;
    let mut tx = world.tx().await;
    assert_eq!(keys::stale_pages(&mut tx, LEAF, 9).await.unwrap(), []);
    let shredded = PageRow {
        generation: 2,
        stale: true,
        ..leaf.clone()
    };
    keys::replace_page(&mut tx, &shredded).await.unwrap();
    // A deposit that read the page before it was marked does not know the mark.
    let filled = PageRow {
        generation: 3,
        used: 2,
        ..leaf.clone()
    };
    keys::replace_page(&mut tx, &filled).await.unwrap();
    let stale = PageRow {
        stale: true,
        ..filled
    };
    assert_eq!(
        keys::stale_pages(&mut tx, LEAF, 9).await.unwrap(),
        [(leaf.id, None)]
    );
    assert_eq!(
        keys::pages(&mut tx, &[leaf.id].into()).await.unwrap(),
        [stale]
    );
    assert_eq!(
        (
            keys::stale_pages(&mut tx, 1, 9).await.unwrap(),
            keys::count_stale(&mut tx).await.unwrap()
        ),
        (vec![], 1)
    );
    let renewed = PageRow {
        generation: 4,
        epoch: 2,
        ..leaf
    };
    keys::renew_pages(&mut tx, std::slice::from_ref(&renewed))
        .await
        .unwrap();
    assert_eq!(keys::count_stale(&mut tx).await.unwrap(), 0);
    assert!(matches!(
        keys::renew_pages(&mut tx, std::slice::from_ref(&renewed)).await,
        Err(Error::Conflict)
    ));
}

async fn rotation_marks_a_tier_or_all(world: &World) {
    let leaf = page("standard", LEAF);
    let branch = page("standard", 1);
    let other = page("sensitive", LEAF);
    let root = page("~root", 4);
    entered(world, &[&leaf, &branch, &other, &root]).await;
    let mut tx = world.tx().await;
    assert_eq!(
        keys::count_pages(&mut tx, Some("standard")).await.unwrap(),
        2
    );
    assert_eq!(
        keys::mark_stale(&mut tx, Some("standard")).await.unwrap(),
        2
    );
    assert_eq!(
        keys::mark_stale(&mut tx, Some("standard")).await.unwrap(),
        0,
        "again is nothing new"
    );
    assert_eq!(
        (
            keys::count_pages(&mut tx, None).await.unwrap(),
            keys::mark_stale(&mut tx, None).await.unwrap()
        ),
        (3, 1)
    );
    assert_eq!(epochs::rotated_at(&mut tx).await.unwrap(), None);
    epochs::note_rotated(&mut tx, at(5)).await.unwrap();
    assert_eq!(epochs::rotated_at(&mut tx).await.unwrap(), Some(at(5)));
}

async fn a_turn_covers_what_waits_and_nothing_else(world: &World) {
    let ids = world.announced(3).await;
    let receipts: [ReceiptId; 3] = std::array::from_fn(|_| ReceiptId::random(&mut rand::rng()));
    let tombstone = async |at_: usize, tombstoned_at: Timestamp, had_key: bool| {
        let mut tx = world.tx().await;
        let key = had_key.then_some("f");
        let seq = i64::try_from(at_).unwrap() + 1;
        super::super::tombstone(&mut tx, ids[at_], tombstoned_at, receipts[at_], seq, key)
            .await
            .unwrap();
        let state = if had_key { "tombstoned" } else { "closed" };
        let filed = NewReceipt {
            id: receipts[at_],
            recording: ids[at_],
            state,
            jws: "a.b.c".to_owned(),
            had_key,
        };
        shreds::insert_receipts(&mut tx, &[filed], tombstoned_at)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    assert_eq!(
        shreds::waiting(&mut world.tx().await).await.unwrap(),
        (0, None)
    );
    tombstone(0, at(10), true).await;
    tombstone(1, at(5), false).await;
    let mut tx = world.tx().await;
    assert_eq!(
        shreds::waiting(&mut tx).await.unwrap(),
        (1, Some(at(10))),
        "what never had a key waits for nothing"
    );
    let standard = "standard".parse().unwrap();
    assert!(
        shreds::any_uncovered_of(&mut tx, &[&standard])
            .await
            .unwrap()
    );
    assert!(
        !shreds::any_uncovered_of(&mut tx, &[&"restricted".parse().unwrap()])
            .await
            .unwrap()
    );
    assert_eq!(shreds::cover(&mut tx, 2).await.unwrap(), 1);
    assert!(
        !shreds::any_uncovered_of(&mut tx, &[&standard])
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    tombstone(2, at(20), true).await;
    let covered = async || shreds::covered(&mut world.tx().await, 2, 9).await.unwrap();
    assert_eq!(covered().await, [(receipts[0], "a.b.c".to_owned())]);
    assert_eq!(
        shreds::waiting(&mut world.tx().await).await.unwrap(),
        (2, Some(at(10))),
        "covered is not done yet"
    );
    let mut tx = world.tx().await;
    assert_eq!(shreds::uncover(&mut tx).await.unwrap(), 1);
    assert_eq!(shreds::cover(&mut tx, 3).await.unwrap(), 2);
    refile(&mut tx, receipts[0], "closed", "d.e.f", "a.b.c")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(covered().await, [], "2 covers nothing of 3");
    let all = shreds::covered(&mut world.tx().await, 3, 9).await.unwrap();
    assert_eq!(all, [(receipts[2], "a.b.c".to_owned())]);
}
