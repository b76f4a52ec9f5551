//! Pages of the key tree, and the entries that point into them.

mod filling;

use std::sync::atomic::{AtomicBool, Ordering};

use super::{World, at, holder};
use crate::{
    db::{
        Error,
        keys::{self, KeyEntry},
    },
    keyring::{LEAF, LEVELS, PageRow, PageSlot, SERVICE, tree},
    model::{
        artefact::Leg,
        id::{DatabaseId, HolderId, PageId, ReceiptId, VaultId},
        time::Timestamp,
    },
};

every_database!(
    a_database_belongs_to_one_vault,
    a_path_runs_from_the_root_page_down,
    the_fullest_page_with_room_is_found,
    a_page_is_replaced_by_its_next_generation_only,
    of_two_who_replace_a_page_one_is_told,
    an_entry_is_entered_found_and_removed_once,
    behind_a_tombstone_there_is_no_entry,
);

fn id() -> PageId {
    PageId::random(&mut rand::rng())
}

fn page(tier: &str, level: u8, used: u8) -> PageRow {
    PageRow {
        id: id(),
        tier: tier.into(),
        level,
        generation: 1,
        parent: None,
        used,
        epoch: 1,
        stale: false,
        sealed: vec![used; 4124],
    }
}

async fn insert(world: &World, page: &PageRow, filler: HolderId, until: Timestamp) {
    let mut tx = world.tx().await;
    keys::insert_page(&mut tx, page, filler, until)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn a_database_belongs_to_one_vault(world: &World) {
    let mut tx = world.tx().await;
    assert_eq!(keys::vault_id(&mut tx).await.unwrap(), None);
    let vault = VaultId::random(&mut rand::rng());
    assert_eq!(keys::database_id(&mut tx).await.unwrap(), None);
    let [first, second] = [(), ()].map(|()| DatabaseId::random(&mut rand::rng()));
    keys::insert_vault(&mut tx, vault, first, at(0))
        .await
        .unwrap();
    assert_eq!(keys::vault_id(&mut tx).await.unwrap(), Some(vault));
    assert_eq!(keys::database_id(&mut tx).await.unwrap(), Some(first));
    keys::set_database_id(&mut tx, second).await.unwrap();
    assert_eq!(keys::database_id(&mut tx).await.unwrap(), Some(second));
}

async fn a_path_runs_from_the_root_page_down(world: &World) {
    let mut above: Option<PageRow> = None;
    let mut rows = Vec::new();
    for level in (LEAF..=LEVELS).rev() {
        let parent = above.as_ref().map(|above| PageSlot {
            page: above.id,
            slot: 127,
        });
        let row = PageRow {
            parent,
            ..page("standard", level, 7)
        };
        above = Some(row.clone());
        rows.push(row);
    }
    // A sibling that is not on the path, and an arbitrary insertion order.
    let sibling = PageRow {
        parent: rows[3].parent,
        ..page("standard", LEAF, 1)
    };
    for row in rows.iter().rev().chain([&sibling]) {
        insert(world, row, holder(), at(0)).await;
    }
    let mut tx = world.tx().await;
    for (depth, row) in rows.iter().enumerate() {
        assert_eq!(
            keys::path(&mut tx, row.id).await.unwrap(),
            rows[..=depth],
            "level {}",
            row.level
        );
    }
    assert!(matches!(
        keys::path(&mut tx, id()).await,
        Err(Error::Inconsistent { .. })
    ));
    let all = keys::all_pages(&mut tx).await.unwrap();
    assert_eq!(all.len(), rows.len() + 1);
    assert!(rows.iter().chain([&sibling]).all(|row| all.contains(row)));
}

async fn the_fullest_page_with_room_is_found(world: &World) {
    let mut tx = world.tx().await;
    assert_eq!(
        keys::page_with_room(&mut tx, "standard", 1).await.unwrap(),
        None
    );
    assert_eq!(
        (
            keys::root_page(&mut tx).await.unwrap(),
            keys::service_page(&mut tx).await.unwrap()
        ),
        (None, None)
    );
    let pages = [0, 1, 127, 128].map(|used| page("standard", 1, used));
    let root = page(tree::ROOT, tree::ROOT_LEVEL, 2);
    let service = page(SERVICE, LEAF, 1);
    for page in pages.iter().chain([
        &root,
        &service,
        &page("restricted", 1, 127),
        &page("standard", 2, 127),
    ]) {
        keys::insert_page(&mut tx, page, holder(), at(0))
            .await
            .unwrap();
    }
    assert_eq!(
        keys::page_with_room(&mut tx, "standard", 1).await.unwrap(),
        Some(pages[2].id)
    );
    assert_eq!(keys::root_page(&mut tx).await.unwrap(), Some(root.id));
    assert_eq!(keys::service_page(&mut tx).await.unwrap(), Some(service.id));
}

async fn a_page_is_replaced_by_its_next_generation_only(world: &World) {
    let first = page("standard", LEAF, 3);
    insert(world, &first, holder(), at(0)).await;
    let next = PageRow {
        generation: 2,
        used: 4,
        sealed: vec![9; 4124],
        ..first.clone()
    };
    for generation in [0, 1, 3, -1] {
        let refused = keys::replace_page(
            &mut world.tx().await,
            &PageRow {
                generation,
                ..next.clone()
            },
        )
        .await;
        assert!(
            matches!(refused, Err(Error::Conflict)),
            "generation {generation} after 1"
        );
    }
    let elsewhere = keys::replace_page(
        &mut world.tx().await,
        &PageRow {
            id: id(),
            ..next.clone()
        },
    )
    .await;
    assert!(matches!(elsewhere, Err(Error::Conflict)));
    let mut tx = world.tx().await;
    keys::replace_page(&mut tx, &next).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    assert_eq!(
        keys::path(&mut tx, first.id).await.unwrap(),
        std::slice::from_ref(&next)
    );
    assert!(matches!(
        keys::replace_page(&mut tx, &next).await,
        Err(Error::Conflict)
    ));
}

async fn of_two_who_replace_a_page_one_is_told(world: &World) {
    let first = page("standard", LEAF, 0);
    insert(world, &first, holder(), at(0)).await;
    let tried_again = AtomicBool::new(false);
    // Both read generation 1 before either writes; the later one retries the whole unit, and both
    // keys are stored.
    let read = tokio::sync::Barrier::new(2);
    let add = || {
        let is_first_try = AtomicBool::new(true);
        let tried_again = &tried_again;
        let read = &read;
        let db = &world.db;
        let page = first.id;
        async move {
            let before = keys::path(&mut db.read().await?, page).await?.remove(0);
            read.wait().await;
            db.unit("added", async |mut unit| {
                unit.without_entry("a test");
                let row = if is_first_try.swap(false, Ordering::SeqCst) {
                    before.clone()
                } else {
                    tried_again.store(true, Ordering::SeqCst);
                    keys::path(&mut unit, page).await?.remove(0)
                };
                let next = PageRow {
                    generation: row.generation + 1,
                    used: row.used + 1,
                    ..row
                };
                keys::replace_page(&mut unit, &next).await
            })
            .await
        }
    };
    let (one, two) = tokio::join!(add(), add());
    assert!(one.is_ok() && two.is_ok());
    assert!(tried_again.into_inner(), "one of them had to try again");
    let row = keys::path(&mut world.tx().await, first.id)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((row.generation, row.used), (3, 2));
}

fn entry(slot: u8) -> KeyEntry {
    KeyEntry {
        place: PageSlot { page: id(), slot },
        fingerprint: format!("{slot:064x}"),
    }
}

/// Inserts the entry, and the page to which it points.
async fn enter(world: &World, number: u32, entry: &KeyEntry) -> Result<(), Error> {
    let mut tx = world.tx().await;
    keys::insert_page(
        &mut tx,
        &PageRow {
            id: entry.place.page,
            ..page("standard", LEAF, 1)
        },
        holder(),
        at(0),
    )
    .await?;
    keys::insert_entries(
        &mut tx,
        [((super::recording_id(number), Leg::All), entry.clone())].into(),
    )
    .await?;
    tx.commit().await
}

async fn an_entry_is_entered_found_and_removed_once(world: &World) {
    let ids = world.announced(2).await;
    let entries = [entry(0), entry(127)];
    for (number, entry) in (0..).zip(&entries) {
        enter(world, number, entry).await.unwrap();
    }
    assert!(
        enter(world, 0, &entry(1)).await.is_err(),
        "a recording's leg has one key"
    );
    assert!(
        enter(world, 9, &entry(1)).await.is_err(),
        "an unknown recording has none"
    );
    let mut tx = world.tx().await;
    for (id, entry) in ids.iter().zip(&entries) {
        assert_eq!(
            keys::find_entry(&mut tx, *id, Leg::All)
                .await
                .unwrap()
                .as_ref(),
            Some(entry)
        );
    }
    keys::remove_entries(&mut tx, &[(ids[0], Leg::All)].into())
        .await
        .unwrap();
    assert!(matches!(
        keys::remove_entries(&mut tx, &[(ids[0], Leg::All)].into()).await,
        Err(Error::Stale(_))
    ));
    assert_eq!(
        keys::find_entry(&mut tx, ids[0], Leg::All).await.unwrap(),
        None
    );
    assert!(
        keys::find_entry(&mut tx, ids[1], Leg::All)
            .await
            .unwrap()
            .is_some()
    );
}

async fn behind_a_tombstone_there_is_no_entry(world: &World) {
    let ids = world.announced(2).await;
    let entries = [entry(0), entry(1)];
    enter(world, 0, &entries[0]).await.unwrap();
    enter(world, 1, &entries[1]).await.unwrap();
    // The entry's row remains, as in a half-restored copy of the table.
    let mut tx = world.tx().await;
    let receipt = ReceiptId::random(&mut rand::rng());
    super::tombstone(
        &mut tx,
        ids[0],
        at(1),
        receipt,
        1,
        Some(&entries[0].fingerprint),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.int("SELECT COUNT(*) FROM key_entries").await, 2);
    let mut tx = world.db.read().await.unwrap();
    assert_eq!(
        keys::find_entry(&mut tx, ids[0], Leg::All).await.unwrap(),
        None
    );
    assert_eq!(
        keys::find_entry(&mut tx, ids[1], Leg::All).await.unwrap(),
        Some(entries[1].clone())
    );
}
