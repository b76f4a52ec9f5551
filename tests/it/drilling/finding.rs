//! The findings of a drill: roots that were not destroyed, losses of the store, and damaged or
//! unreadable copies.

use std::{
    fs,
    path::{Path, PathBuf},
};

use recvault::drill::{ExaminedKind, Old};

use super::{Lived, held, held_by, keep, lived, old};
use crate::{
    epochs::keys,
    world::{Database, Recipe, TestVault, files_below},
};

async fn a_root_that_was_not_destroyed_is_found_out(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [dies, _lives] = [vault.sealed().await, vault.sealed().await];
    vault.process.flow.recovery.journal().await.unwrap();
    let kept = keep(&vault, "first").await;
    let root = fs::read(vault.folder().join("custody/root")).unwrap();
    vault.shred(dies.id).await;
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert!(held(&vault, old(&[&kept])).await.holds());

    // From a backup that should not exist, under a running service: none can start beside it.
    let process = vault.another_process().await;
    fs::write(vault.folder().join("custody/root.bak"), root).unwrap();
    let by_database = Old {
        dbs: vec![kept.db.clone()],
        ..Old::default()
    };
    let by_store = Old {
        stores: vec![kept.store.clone()],
        ..Old::default()
    };
    for old in [by_database, by_store] {
        let held = held_by(&process, &vault, old).await;
        assert!(!held.drill.forgets() && held.drill.recovers());
        assert_eq!(
            (
                held.reached.as_slice(),
                held.drill.forgetting.shredded_reached
            ),
            (&[dies.id][..], 1)
        );
        assert!(
            held.failures[0].contains(&dies.id.to_string()),
            "{:?}",
            held.failures
        );
    }
    let log = vault.entries().await;
    assert_eq!(log.last().unwrap()["details"]["forgets"], false);
}

/// Removes the pieces of the journal that are newer than these.
fn remove_journal(vault: &TestVault, but: &[PathBuf]) {
    let pieces = files_below(&vault.folder().join("objects/journal"));
    let doomed: Vec<_> = pieces
        .into_iter()
        .filter(|piece| !but.contains(piece))
        .collect();
    assert!(!doomed.is_empty());
    doomed
        .iter()
        .for_each(|piece| fs::remove_file(piece).unwrap());
}

async fn what_the_store_has_lost_is_missed(database: Database) {
    let Lived {
        vault,
        living,
        kept,
    } = lived(database).await;
    let recorded = vault.sealed().await;
    // A new process is refused after the loss; this one runs already.
    let runs = vault.another_process().await;
    let behind = held_by(&runs, &vault, old(&[&kept[0]])).await;
    assert!(behind.holds(), "{:?}", behind.failures);
    let recovery = &behind.drill.recovery;
    assert_eq!(
        (
            recovery.gap,
            recovery.gap_behind,
            recovery.gap_since.is_some()
        ),
        (1, 1, true),
        "it waits for the journal"
    );
    assert!(recovery.waiting >= 1 && recovery.oldest_waiting.is_some());

    // The piece of the journal of a living recording is lost.
    vault.process.flow.recovery.journal().await.unwrap();
    remove_journal(&vault, &[]);
    let gap = held_by(&runs, &vault, old(&[&kept[0]])).await;
    assert!(gap.drill.forgets() && !gap.drill.recovers());
    assert_eq!(
        (gap.drill.recovery.gap, gap.drill.recovery.gap_behind),
        (1, 0)
    );
    assert!(
        gap.failures[0].contains(&recorded.id.to_string()),
        "{:?}",
        gap.failures
    );

    // The piece of a tombstone is lost.
    vault.process.flow.vault.snapshot().await.unwrap();
    let before = files_below(&vault.folder().join("objects/journal"));
    vault.shred(living.id).await;
    remove_journal(&vault, &before);
    let tombstone = held_by(&runs, &vault, old(&[&kept[0]])).await;
    assert!(!tombstone.drill.recovers());
    let recovery = &tombstone.drill.recovery;
    assert_eq!(
        (
            recovery.tombstones_missing,
            recovery.tombstones_behind,
            recovery.shredded_opened
        ),
        (1, 0, 1)
    );
    assert!(
        tombstone
            .failures
            .iter()
            .all(|failure| failure.contains(&living.id.to_string())),
        "{:?}",
        tombstone.failures
    );

    // Everything is lost.
    fs::remove_dir_all(vault.folder().join("objects/snapshots")).unwrap();
    let nothing = held_by(&runs, &vault, old(&[&kept[0]])).await;
    assert!(!nothing.drill.recovers() && !nothing.drill.recovery.restored);
    assert!(
        nothing.failures[0].contains("cannot be rebuilt"),
        "{:?}",
        nothing.failures
    );
}

on_both_databases!(
    a_root_that_was_not_destroyed_is_found_out,
    what_the_store_has_lost_is_missed,
);

#[tokio::test]
async fn a_damaged_object_of_a_living_recording_is_found() {
    let Lived {
        vault,
        living,
        kept,
    } = lived(Database::Sqlite).await;
    let object = vault.artefacts(living.id).await[0]
        .object
        .unwrap()
        .to_string();
    let digits = object.strip_prefix("obj_").unwrap();
    let path = vault
        .folder()
        .join("objects/objects")
        .join(&digits[..2])
        .join(format!("{digits}.floe"));
    let whole = fs::read(&path).unwrap();
    for at in [0, 200, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let held = held(&vault, old(&[&kept[0]])).await;
        assert!(held.drill.forgets() && !held.drill.recovers(), "byte {at}");
        let recovery = &held.drill.recovery;
        assert_eq!(
            (
                recovery.sampled,
                recovery.sample_keys,
                recovery.sample_authentic
            ),
            (2, 2, 1)
        );
        assert!(
            held.failures[0].contains(&living.id.to_string()),
            "{:?}",
            held.failures
        );
    }
    fs::remove_file(&path).unwrap();
    assert!(!held(&vault, old(&[&kept[0]])).await.drill.recovers());
    fs::write(&path, whole).unwrap();
    assert!(held(&vault, old(&[&kept[0]])).await.holds());
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_not_passed_over() {
    let Lived { vault, kept, .. } = lived(Database::Sqlite).await;
    let stranger = Recipe::on(Database::Sqlite).by_hand().await;
    let at = |name: &str| vault.folder().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    fs::write(at("noise"), "x".repeat(10_000)).unwrap();
    fs::write(at("empty.db"), "").unwrap();
    fs::create_dir_all(at("no-store/journal")).unwrap();
    fs::create_dir_all(at("bad-store/snapshots")).unwrap();
    fs::write(at("bad-store/snapshots/x.floe"), "x").unwrap();
    let live = files_below(&vault.folder().join("objects/snapshots")).remove(0);
    fs::write(at("cut"), &fs::read(live).unwrap()[..2000]).unwrap();
    let bad = Old {
        dbs: vec![
            text(&at("noise")),
            text(&at("nowhere.db")),
            text(&at("empty.db")),
            text(&stranger.folder().join("vault.db")),
            "postgres://h:no-port/x".into(),
        ],
        stores: vec![
            at("no-store"),
            at("nowhere"),
            at("bad-store"),
            stranger.folder().join("objects"),
        ],
        files: vec![at("noise"), at("cut")],
    };
    let found = held(&vault, bad).await;
    assert!(!found.drill.forgets() && found.drill.recovers());
    assert_eq!(found.drill.forgetting.shredded_reached, 0);
    for (name, why) in [
        ("noise`", "not a database"),
        ("nowhere.db`", "No such file"),
        ("empty.db`", "it holds no vault"),
        ("vault.db`", "another vault"),
        ("postgres://…`", "not a PostgreSQL URL"),
        ("no-store`", "no snapshot"),
        ("nowhere`", "No such file"),
        ("x.floe`", "has no header"),
        (".floe`", "another vault"),
        ("noise`", "has no header"),
        ("cut`", "truncated"),
    ] {
        assert!(
            found
                .failures
                .iter()
                .any(|failure| failure.contains(name) && failure.contains(why)),
            "{name} {why}: {:?}",
            found.failures
        );
    }
    assert_eq!(
        (found.drill.forgetting.unreadable, found.failures.len()),
        (11, 11),
        "{:?}",
        found.failures
    );

    // One bad copy among good ones does not prevent the examination of the rest.
    let mut both = old(&[&kept[0]]);
    both.files.push(at("noise"));
    let held = held(&vault, both).await;
    assert_eq!(
        (
            held.drill.forgets(),
            held.drill.forgetting.unreadable,
            held.failures.len()
        ),
        (false, 1, 1)
    );
    assert!(
        held.artefacts
            .iter()
            .any(|looked| looked.kind == ExaminedKind::Database && looked.page_versions > 0)
    );
}
