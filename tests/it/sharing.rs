//! A snapshot writes the rows that changed since an earlier one, and names the others; the store and
//! custody still rebuild everything.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use recvault::{
    app::App,
    db::{
        image::{self, Image, Table},
        shared_rows::{self, SharedRows},
    },
    model::id::{ObjectId, RecordingId},
    store::RecoveryKind,
    vault::{self, Choice},
};

use crate::{
    epochs::keys,
    world::{Database, Recipe, TestVault},
};

/// More recordings than a piece has at most.
const MANY: usize = 1100;

/// Announces recordings. Returns them in order of their coming, roughly.
async fn announced(vault: &TestVault, count: usize) -> Vec<RecordingId> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = join_all((0..50).map(|_| vault.announced())).await;
        all.extend(some.into_iter().map(|recorded| recorded.id));
    }
    all
}

async fn many(database: Database) -> (TestVault, Vec<RecordingId>) {
    let vault = Recipe::on(database).by_hand().await;
    let first = vault.sealed().await.id;
    // It stands in the first piece.
    vault.clock.advance(Duration::from_secs(1));
    let mut all = vec![first];
    all.extend(announced(&vault, MANY).await);
    vault.process.flow.vault.journal_all().await.unwrap();
    (vault, all)
}

/// Writes a snapshot. Returns the length of its file, and the objects in use that it did not find.
async fn snapshot(vault: &TestVault) -> (u64, Vec<SharedRows>) {
    let before: BTreeSet<ObjectId> = in_use(vault).await.iter().map(|rows| rows.object).collect();
    let checked = vault.process.flow.vault.snapshot().await.unwrap();
    let size = vault.process.store.recovery_size(checked.snapshot).await;
    let after = in_use(vault).await;
    assert_eq!(
        checked.shared,
        after.len() as u64,
        "it names what is in use"
    );
    let is_fresh = |rows: &SharedRows| !before.contains(&rows.object);
    (size.unwrap(), after.into_iter().filter(is_fresh).collect())
}

async fn in_use(vault: &TestVault) -> Vec<SharedRows> {
    let mut tx = vault.process.db.read().await.unwrap();
    shared_rows::in_use(&mut tx).await.unwrap()
}

async fn left(vault: &TestVault) -> Vec<SharedRows> {
    let mut tx = vault.process.db.read().await.unwrap();
    shared_rows::left(&mut tx).await.unwrap()
}

fn file_of(vault: &TestVault, object: ObjectId) -> PathBuf {
    let digits = object.to_string().replace("obj_", "");
    let path = format!("objects/objects/{}/{digits}.floe", &digits[..2]);
    vault.folder().join(path)
}

/// Returns every row of a table.
async fn rows(app: &recvault::db::Db, table: Table) -> Vec<Image> {
    let mut tx = app.read().await.unwrap();
    image::chunk(&mut tx, table, None, 1_000_000).await.unwrap()
}

/// Checks that a vault is rebuilt from this snapshot, or the newest, with the rows of every
/// recording as they are now, and the whole log.
async fn is_rebuilt(vault: &TestVault, choice: Choice) {
    vault.process.flow.vault.journal().await.unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(Database::Sqlite).await;
    let plan = vault::plan(&app.parts(), choice).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::None)
        .await
        .unwrap();
    holds_the_same(&app, vault).await;
}

async fn holds_the_same(app: &App, vault: &TestVault) {
    for table in [
        Table::Recordings,
        Table::Artefacts,
        Table::Details,
        Table::KeyEntries,
        Table::Tombstones,
    ] {
        let [found, living] = [&app.db, &vault.process.db].map(|db| rows(db, table));
        let (found, living) = (found.await, living.await);
        assert_eq!(found.len(), living.len(), "{table:?}");
        if matches!(table, Table::Recordings | Table::Details) {
            assert!(found == living, "{table:?}");
        }
    }
    let living = rows(&vault.process.db, Table::Audit).await;
    let found = rows(&app.db, Table::Audit).await;
    // The last entries tell of the snapshot itself, and wait for the next change.
    let (shared, _) = living.split_at(living.len() - 3);
    assert!(
        found.starts_with(shared),
        "{} of {}",
        found.len(),
        living.len()
    );
}

async fn a_snapshot_writes_what_changed(database: Database) {
    let (vault, all) = many(database).await;
    let (first, fresh) = snapshot(&vault).await;
    assert!(!fresh.is_empty());
    let shared: u64 = fresh.iter().map(|rows| rows.size).sum();
    let objects = vault.objects().await.len();

    let (second, fresh) = snapshot(&vault).await;
    assert_eq!(fresh, []);
    assert_eq!(vault.objects().await.len(), objects);
    assert!(
        shared > 100_000 && second < first + 10_000,
        "{second}, {shared}"
    );
    is_rebuilt(&vault, Choice::default()).await;

    // The first one stands in the first piece, which is written again; the others are not.
    let before = in_use(&vault).await.len();
    assert_eq!(vault.shred(all[0]).await.status, 200);
    let (_, fresh) = snapshot(&vault).await;
    assert!(!fresh.is_empty() && fresh.len() <= 2, "{fresh:?}");
    assert!(in_use(&vault).await.len() >= before);
    assert_eq!(
        left(&vault).await.len(),
        1,
        "no snapshot after this one names it"
    );
    is_rebuilt(&vault, Choice::default()).await;
    // The previous snapshot still has the rows that it names.
    let files = vault
        .process
        .store
        .list_recovery(RecoveryKind::Snapshot)
        .await;
    let previous = files.unwrap().iter().rev().nth(1).map(|(name, _)| *name);
    let choice = Choice {
        snapshot: previous,
        ..Choice::default()
    };
    is_rebuilt(&vault, choice).await;
    let gone = left(&vault).await[0].object;
    assert!(file_of(&vault, gone).exists());
    // Only when no snapshot names it any more it is deleted.
    snapshot(&vault).await;
    assert!(file_of(&vault, gone).exists());
    snapshot(&vault).await;
    assert!(!file_of(&vault, gone).exists());
    assert_eq!(left(&vault).await, []);
    is_rebuilt(&vault, Choice::default()).await;
}

async fn a_turn_writes_only_what_changed(database: Database) {
    let (vault, all) = many(database).await;
    snapshot(&vault).await;
    let before: BTreeSet<ObjectId> = in_use(&vault)
        .await
        .iter()
        .map(|rows| rows.object)
        .collect();
    assert_eq!(vault.shred(all[0]).await.status, 200);
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    let after = in_use(&vault).await;
    let kept = after.iter().filter(|rows| before.contains(&rows.object));
    assert_eq!(kept.count() + 1, before.len());
    // No snapshot of before the turn is left, and so is none of its rows.
    assert_eq!(left(&vault).await.len(), 1);
    // The receipt changed with the end of the turn.
    for written in [1, 0, 0] {
        assert_eq!(snapshot(&vault).await.1.len(), written);
    }
    assert_eq!(left(&vault).await, []);
    is_rebuilt(&vault, Choice::default()).await;
}

async fn shared_rows_that_are_missing_or_altered_are_noticed_and_written_again(database: Database) {
    let (vault, _) = many(database).await;
    snapshot(&vault).await;
    type Spoil = fn(&PathBuf);
    let spoils: [Spoil; 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
    ];
    for spoil in spoils {
        let object = in_use(&vault).await[0].object;
        spoil(&file_of(&vault, object));
        // The snapshot is of no use: an older one and the journal have everything, or it is refused.
        let (app, _ground) = vault.app_on_an_empty_database(Database::Sqlite).await;
        if let Ok(plan) = vault::plan(&app.parts(), Choice::default()).await {
            assert!(plan.unreadable > 0);
            let restored = vault::restore(app.parts(), &plan, vault::Claim::None).await;
            if restored.is_ok() {
                // What was only announced is no journal's; a comparison finds it again.
                for table in [Table::KeyEntries, Table::Artefacts] {
                    let [found, living] = [&app.db, &vault.process.db].map(|db| rows(db, table));
                    assert_eq!(found.await.len(), living.await.len(), "{table:?}");
                }
            }
        }
        // The living vault has the rows. What is of another length is seen at once, what is altered
        // when the snapshot is verified.
        if vault.process.flow.vault.snapshot().await.is_err() {
            let is_left = left(&vault).await.iter().any(|rows| rows.object == object);
            assert!(is_left);
            vault.process.flow.vault.snapshot().await.unwrap();
        }
        is_rebuilt(&vault, Choice::default()).await;
    }
}

async fn two_processes_share_rows(database: Database) {
    let (vault, _) = many(database).await;
    let other = vault.another_process().await;
    let [one, two] = [&vault.process, &other].map(|process| process.flow.vault.snapshot());
    let (one, two) = tokio::join!(one, two);
    one.unwrap();
    two.unwrap();
    let snapshots = vault
        .process
        .store
        .list_recovery(RecoveryKind::Snapshot)
        .await;
    for (name, _) in snapshots.unwrap() {
        vault
            .process
            .flow
            .vault
            .verify_snapshot(name)
            .await
            .unwrap();
    }
    for _ in 0..3 {
        snapshot(&vault).await;
    }
    assert_eq!(left(&vault).await, []);
    is_rebuilt(&vault, Choice::default()).await;
}

async fn a_snapshot_names_the_entries_that_an_earlier_one_wrote(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let id = vault.announced().await.id;
    for _ in 0..22 {
        let refused = join_all((0..50).map(|_| vault.grant("reviewer", id, "quality-review")));
        assert!(refused.await.iter().all(|answer| answer.status == 403));
    }
    let (first, fresh) = snapshot(&vault).await;
    assert_eq!(
        fresh.iter().map(|rows| rows.rows).collect::<Vec<_>>(),
        [1024]
    );
    assert_eq!(snapshot(&vault).await.1, []);
    let (last, fresh) = snapshot(&vault).await;
    assert!(
        fresh.is_empty() && last < first + 5000,
        "{first} and {last}"
    );
    is_rebuilt(&vault, Choice::default()).await;
}

on_both_databases!(
    a_snapshot_writes_what_changed,
    a_turn_writes_only_what_changed,
    shared_rows_that_are_missing_or_altered_are_noticed_and_written_again,
    two_processes_share_rows,
    a_snapshot_names_the_entries_that_an_earlier_one_wrote,
);
