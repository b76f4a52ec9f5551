//! A store that has lost files or holds foreign ones: names alone decide nothing.

use recvault::{
    model::timeline::Timeline,
    policy::{Permit, action},
};

use super::*;
use crate::world::files_below;

/// Stores bytes under a misleading name.
fn plant(
    vault: &TestVault,
    kind: RecoveryKind,
    epoch: u64,
    seq: i64,
    bytes: &[u8],
) -> std::path::PathBuf {
    let name = RecoveryName {
        kind,
        epoch,
        timeline: Timeline::FIRST,
        seq,
        id: ObjectId::random(&mut rand::rng()),
    };
    let path = vault.folder().join("objects").join(name.to_string());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

async fn strange_names_decide_nothing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let snapshots = vault.folder().join("objects/snapshots");
    let real = fs::read(
        fs::read_dir(&snapshots)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    )
    .unwrap();
    for kind in RecoveryKind::ALL {
        plant(&vault, kind, 1, i64::MAX, b"");
        plant(&vault, kind, 1, i64::MAX - 1, b"{}\n");
        plant(&vault, kind, 1, i64::MAX - 2, &real);
        plant(&vault, kind, 9, i64::MAX, &real);
    }
    // A new process starts, and counts the skipped files.
    let process = vault.another_process().await;
    assert_eq!(
        process.flow.vault.unreadable_files(),
        6,
        "those of another epoch are not even tried"
    );
    vault.plays_in(&process, &recorded).await;
    process.flow.vault.snapshot().await.unwrap();
    process.flow.vault.snapshot().await.unwrap();
    process.flow.sweeper.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(
        process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .unwrap()
            .epoch,
        2
    );
    // Nor do they affect a restore.
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    assert_eq!((plan.snapshot.epoch, plan.gaps.len()), (2, 0));
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
}

async fn a_flood_of_names_is_bounded_work_and_lets_nothing_be_destroyed(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (_copy, copied) = vault.ground().copy(vault.folder()).await;
    let gone = vault.sealed().await;
    assert_eq!(vault.shred(gone.id).await.status, 200);
    for number in 0..100 {
        plant(
            &vault,
            RecoveryKind::Journal,
            1,
            i64::MAX - number,
            b"no header",
        );
    }
    // A writer was compared with the newest file that opens, whatever the number of unreadable
    // ones.
    let process = vault.another_process().await;
    assert_eq!(process.flow.vault.unreadable_files(), 100);
    let refused = app_over(&vault, copied)
        .await
        .unlock()
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("lacks later changes"),
        "an old copy does not hide behind them: {refused}"
    );
    // While a newer file may be among them, nothing is destroyed. A file that failed once is not
    // tried again.
    plant(&vault, RecoveryKind::Snapshot, 1, i64::MAX, b"no header");
    for number in 100..200 {
        plant(
            &vault,
            RecoveryKind::Journal,
            1,
            i64::MAX - number,
            b"no header",
        );
    }
    let refused = process
        .flow
        .garbage
        .sweep(Duration::ZERO)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("nothing is destroyed") && refused.contains("files do not"),
        "{refused}"
    );
    process.flow.garbage.sweep(Duration::ZERO).await.unwrap();
}

/// A disk that is not mounted, or a mistyped path, looks like an empty store.
async fn a_store_that_has_forgotten_takes_no_writer(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let there = vault.folder().join("objects");
    let away = vault.folder().join("objects.away");
    fs::rename(&there, &away).unwrap();
    // It is not created.
    let refused = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .map(drop)
    .unwrap_err()
    .to_string();
    assert!(
        refused.contains("not mounted") && refused.contains("--new-store"),
        "{refused}"
    );
    assert!(!there.exists());
    // An empty folder, as where the disk is not mounted, is refused too.
    fs::create_dir(&there).unwrap();
    let app = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap();
    let refused = app.unlock().await.map(drop).unwrap_err().to_string();
    assert!(
        refused.contains("not mounted") && refused.contains("--new-store"),
        "{refused}"
    );
    let refused = flow::mint_token(&app.db, &app.clock, token())
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not compared with the store"), "{refused}");
    // Only an operator who declares the store to be new continues with it.
    assert!(
        app.unlock_over_a_new_store()
            .await
            .unwrap()
            .snapshot()
            .await
            .is_ok()
    );
    app.unlock().await.unwrap();
    fs::remove_dir_all(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    vault.plays_in(&vault.process, &recorded).await;
}

/// It may shred, for that costs nothing; but it tells the store nothing about it.
async fn an_old_copy_that_a_store_which_was_away_let_in_writes_nothing_to_it(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (copy, copied) = vault.ground().copy(vault.folder()).await;
    let gone = vault.sealed().await;
    assert_eq!(vault.shred(gone.id).await.status, 200);

    let mut app = app_over(&vault, copied).await;
    let there = vault.folder().join("objects");
    let away = vault.folder().join("objects.away");
    fs::rename(&there, &away).unwrap();
    let flow = app.flow_to_shred().await.unwrap();
    fs::rename(&away, &there).unwrap();
    let before = files_below(&there);
    let permit = Permit::of_operator(action::Shred);
    let reason = "subject-request".parse().unwrap();
    for _ in 0..2 {
        let refused = flow
            .shredding
            .shred(&permit, recorded.id, &reason)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("lacks later changes"), "{refused}");
    }
    assert_eq!(files_below(&there), before);
    let key = "SELECT COUNT(*) FROM tombstones";
    assert_eq!(copy.integer(key).await, Some(1), "it did destroy the key");
}

async fn two_vaults_in_one_store_sweep_nothing(database: Database) {
    let one = Recipe::on(database).by_hand().await;
    let two = Recipe::on(database).by_hand().await;
    one.sealed().await;
    one.process.flow.recovery.journal().await.unwrap();
    for kind in ["snapshots", "journal"] {
        for file in fs::read_dir(one.folder().join("objects").join(kind)).unwrap() {
            let file = file.unwrap();
            fs::create_dir_all(two.folder().join("objects").join(kind)).unwrap();
            fs::copy(
                file.path(),
                two.folder()
                    .join("objects")
                    .join(kind)
                    .join(file.file_name()),
            )
            .unwrap();
        }
    }
    let refused = two
        .process
        .flow
        .garbage
        .sweep(Duration::ZERO)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("two vaults must not share a store"),
        "{refused}"
    );
}

on_both_databases!(
    strange_names_decide_nothing,
    a_flood_of_names_is_bounded_work_and_lets_nothing_be_destroyed,
    a_store_that_has_forgotten_takes_no_writer,
    an_old_copy_that_a_store_which_was_away_let_in_writes_nothing_to_it,
    two_vaults_in_one_store_sweep_nothing,
);
