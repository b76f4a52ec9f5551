//! The operator runs a drill: with real old copies, and with every fault that it must find.

mod finding;

use std::{fs, path::PathBuf};

use recvault::{
    drill::{ExaminedKind, Old},
    evidence::{DrillReport, drill::Canary},
    flow::{CompletedDrill, DrillOptions},
};

use crate::{
    epochs::keys,
    world::{Database, Process, Recipe, Recorded, TestVault, files_below},
};

/// Runs a drill with these old copies; the evidence must verify, and match the result.
pub(crate) async fn held(vault: &TestVault, old: Old) -> CompletedDrill {
    held_by(&vault.another_process().await, vault, old).await
}

async fn held_by(process: &Process, vault: &TestVault, old: Old) -> CompletedDrill {
    let sandbox = tempfile::tempdir().unwrap();
    let options = DrillOptions {
        old,
        sandbox: Some(sandbox.path().to_owned()),
        sample: 100,
    };
    let held = process
        .flow
        .drills
        .hold(&keys(), options, &|_| {})
        .await
        .unwrap();
    let published = vault
        .anybody()
        .get("/.well-known/jwks.json")
        .await
        .text()
        .parse()
        .unwrap();
    assert_eq!(
        DrillReport::verify(&held.evidence, &published),
        Ok(held.drill.clone())
    );
    let printed = serde_json::to_value(&held).unwrap();
    assert_eq!(
        (&printed["forgets"], &printed["recovers"]),
        (&held.drill.forgets().into(), &held.drill.recovers().into())
    );
    assert_eq!(
        printed["artefacts"].as_array().unwrap().len() as u64,
        held.drill.forgetting.artefacts
    );
    held
}

/// Copies of the database and of the store's recovery files, as somebody keeps them who forgets to
/// delete them.
struct Kept {
    db: String,
    store: PathBuf,
    _ground: Box<dyn std::any::Any + Send + Sync>,
}

async fn keep(vault: &TestVault, name: &str) -> Kept {
    let folder = vault.folder().join(format!("kept-{name}"));
    for kind in ["snapshots", "journal"] {
        fs::create_dir_all(folder.join(kind)).unwrap();
        for file in files_below(&vault.folder().join("objects").join(kind)) {
            // As a bucket with versions would name it.
            let name = format!("{}@v1", file.file_name().unwrap().to_str().unwrap());
            fs::copy(&file, folder.join(kind).join(name)).unwrap();
        }
    }
    let (db, ground): (String, Box<dyn std::any::Any + Send + Sync>) =
        if vault.ground().is_postgres() {
            let (ground, copied) = vault.ground().copy(vault.folder()).await;
            copied.close().await;
            (ground.url.clone(), Box::new(ground))
        } else {
            for suffix in ["", "-wal"] {
                let _ = fs::copy(
                    vault.folder().join(format!("vault.db{suffix}")),
                    folder.join(format!("vault.db{suffix}")),
                );
            }
            (
                folder.join("vault.db").to_str().unwrap().to_owned(),
                Box::new(()),
            )
        };
    Kept {
        db,
        store: folder,
        _ground: ground,
    }
}

fn old(kept: &[&Kept]) -> Old {
    Old {
        dbs: kept.iter().map(|kept| kept.db.clone()).collect(),
        stores: kept.iter().map(|kept| kept.store.clone()).collect(),
        files: Vec::new(),
    }
}

/// A vault with a history (living, shredded, moved and shredded, turned), and copies from before
/// and in between.
struct Lived {
    vault: TestVault,
    living: Recorded,
    kept: [Kept; 2],
}

async fn lived(database: Database) -> Lived {
    let vault = Recipe::on(database).by_hand().await;
    let [living, moves, dies, dies_moved] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.process.flow.recovery.journal().await.unwrap();
    vault.process.flow.vault.snapshot().await.unwrap();
    let first = keep(&vault, "first").await;
    for id in [moves.id, dies_moved.id] {
        vault
            .process
            .flow
            .reclassification
            .move_to(&keys(), id, &"sensitive".parse().unwrap(), false)
            .await
            .unwrap();
    }
    vault.shred(dies.id).await;
    let second = keep(&vault, "second").await;
    vault.shred(dies_moved.id).await;
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    Lived {
        vault,
        living,
        kept: [first, second],
    }
}

async fn a_vault_with_a_life_behind_it_forgets_and_recovers(database: Database) {
    let Lived { vault, kept, .. } = lived(database).await;
    let waits = vault.sealed().await;
    let third = keep(&vault, "third").await;
    vault.shred(waits.id).await;
    let before = files_below(&kept[0].store)
        .iter()
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect::<Vec<_>>();
    let entries = vault.entries().await.len();

    let held = held(&vault, old(&[&kept[0], &kept[1], &third])).await;
    assert_eq!(held.failures, Vec::<String>::new());
    assert!(held.holds() && held.reached.is_empty());
    let forgetting = &held.drill.forgetting;
    assert_eq!(
        (forgetting.shredded, forgetting.waiting, forgetting.living),
        (2, 1, 2)
    );
    assert_eq!(
        forgetting.waiting_reached, 1,
        "until the next turn, an old copy gives it"
    );
    assert!(!forgetting.own_artefacts && forgetting.canary.is_none());
    let old_snapshots: Vec<_> = held
        .artefacts
        .iter()
        .filter(|looked| looked.kind == ExaminedKind::Snapshot)
        .collect();
    assert!(
        old_snapshots.iter().any(|looked| looked.opened)
            && old_snapshots.iter().any(|looked| !looked.opened),
        "{old_snapshots:?}"
    );
    if database == Database::Sqlite {
        assert!(
            held.artefacts
                .iter()
                .any(|looked| looked.kind == ExaminedKind::DatabaseWithoutWal)
        );
    }
    let recovery = &held.drill.recovery;
    assert_eq!(
        (
            recovery.tombstones,
            recovery.tombstones_missing,
            recovery.living,
            recovery.gap
        ),
        (3, 0, 2, 0)
    );
    assert_eq!(
        (
            recovery.sampled,
            recovery.sample_authentic,
            recovery.shredded_sampled
        ),
        (2, 2, 3)
    );
    assert_eq!(
        (
            recovery.waiting,
            recovery.recovery_point_lag_s,
            recovery.horizon_s
        ),
        (0, 0, 24 * 3600)
    );

    // Only one entry was added.
    let log = vault.entries().await;
    assert_eq!(log.len(), entries + 1);
    assert_eq!(
        (&log[entries]["event"], &log[entries]["details"]["recovers"]),
        (&"drill.held".into(), &true.into())
    );
    assert!(
        before
            .iter()
            .all(|(file, content)| fs::read(file).unwrap() == *content),
        "an old copy was touched"
    );

    // After the next turn, the waiting shreds are out of reach, too.
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    let later = self::held(&vault, old(&[&kept[0], &kept[1], &third])).await;
    assert!(later.holds(), "{:?}", later.failures);
    assert_eq!(
        (
            later.drill.forgetting.shredded,
            later.drill.forgetting.waiting
        ),
        (3, 0)
    );
}

async fn who_has_no_old_copy_is_shown_that_the_attack_is_not_blind(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let held = held(&vault, Old::default()).await;
    assert!(held.holds(), "{:?}", held.failures);
    let Some(Canary {
        shredded,
        living,
        artefacts,
        closure_bites: true,
        ..
    }) = held.drill.forgetting.canary
    else {
        panic!("{held:?}")
    };
    assert_eq!((shredded, living), (13, 23));
    assert!(artefacts > 6 && held.drill.forgetting.own_artefacts);
}

async fn a_drill_takes_what_happens_meanwhile_for_what_it_is(database: Database) {
    let Lived {
        vault,
        living,
        kept,
    } = lived(database).await;
    let happens = async {
        for _ in 0..2 {
            let recorded = vault.sealed().await;
            vault.process.flow.vault.snapshot().await.unwrap();
            vault.shred(recorded.id).await;
            vault
                .process
                .flow
                .epochs
                .turn(&keys())
                .await
                .unwrap()
                .unwrap();
        }
        vault.shred(living.id).await;
    };
    let (held, ()) = tokio::join!(held(&vault, old(&[&kept[0], &kept[1]])), happens);
    assert_eq!((held.failures.as_slice(), held.holds()), (&[][..], true));
}

on_both_databases!(
    a_vault_with_a_life_behind_it_forgets_and_recovers,
    who_has_no_old_copy_is_shown_that_the_attack_is_not_blind,
    a_drill_takes_what_happens_meanwhile_for_what_it_is,
);
