//! The database is lost: the store and custody alone rebuild the vault.

use std::fs;

use recvault::{
    app::App,
    config::Config,
    ledger::Ledger,
    vault::{self, Restored},
};

use crate::{
    epochs::keys,
    world::{Database, Process, Recipe, TestVault},
};

/// A new process over an empty database, rebuilt from the store.
async fn rebuilt(vault: &TestVault, database: Database) -> (Restored, Process, impl Sized) {
    let (app, ground) = on_an_empty_database(vault, database).await;
    let plan = vault::plan(&app.parts(), None).await.unwrap();
    let restored = vault::restore(app.parts(), &plan).await.unwrap();
    (restored, vault.process_over(app).await, ground)
}

async fn on_an_empty_database(vault: &TestVault, database: Database) -> (App, (tempfile::TempDir, impl Sized)) {
    let folder = tempfile::tempdir().unwrap();
    let ground = database.ground(folder.path()).await;
    let mut app = App::open(Config::read(&vault.made.config).unwrap(), vault.clock.clone()).await.unwrap();
    app.ledger = Ledger::open(&recvault::ledger::Settings { url: ground.url.clone(), connections: 4 }, folder.path()).await.unwrap();
    (app, (folder, ground))
}

async fn snapshot_and_journal_rebuild_everything(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    // In the snapshot: one that lives, one that is shredded before, one that is shredded after, one that moves after.
    let [lives, dead, dies, moves] = [vault.sealed().await, vault.sealed().await, vault.sealed().await, vault.sealed().await];
    vault.shred(dead.id).await;
    vault.process.flow.vault().snapshot().await.unwrap();
    vault.shred(dies.id).await;
    vault.process.flow.move_to(&keys(), moves.id, &"sensitive".parse().unwrap(), false).await.unwrap();
    // In the journal only: one that lives, one that is shredded.
    let [late, late_dead] = [vault.sealed().await, vault.sealed().await];
    assert!(vault.process.flow.journal().await.unwrap() > 0);
    vault.shred(late_dead.id).await;
    let numbered_to = vault.entries().await.len();

    for other in [Database::Postgres, Database::Sqlite].into_iter().filter(|other| other.is_there()) {
        let (restored, process, _ground) = rebuilt(&vault, other).await;
        assert_eq!((restored.epoch, restored.fences, restored.vault), (1, 3, vault.made.vault));
        for living in [&lives, &moves, &late] {
            vault.plays_in(&process, living).await;
        }
        let officer = process.api.clone().bearing(vault.minted("privacy-officer").token.expose());
        for gone in [&dead, &dies, &late_dead] {
            let body = serde_json::json!({ "purpose": "dispute-resolution", "justification": "x" });
            officer.post(&format!("/v1/recordings/{}/grants", gone.id), body).await.problem(410, "shredded");
        }
        let tier = officer.get(&format!("/v1/recordings/{}", moves.id)).await.json()["tier"].clone();
        assert_eq!(tier, "sensitive");
        // Numbers that were given once are not given again.
        let log = process.flow.audit(&recvault::policy::Permit::of_operator(recvault::policy::Action::Audit), 0, 1000).await.unwrap();
        let last = log.items.iter().rfind(|entry| entry.event.as_str() == "vault.restored").unwrap();
        assert!(last.seq > i64::try_from(numbered_to).unwrap() - 3, "{last:?}");
        // The rebuilt vault turns, and goes on; only the last of the two, for they share custody.
        if other == Database::Sqlite {
            assert_eq!(process.flow.turn(&keys()).await.unwrap().unwrap().covered, 3);
            vault.plays_in(&process, &lives).await;
        }
    }
}

async fn a_ledger_from_before_a_shred_is_not_served(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.journal().await.unwrap();
    vault.process.flow.vault().check_memory().await.unwrap();
    let (_copy, copied) = vault.ground().copy(vault.folder()).await;
    vault.shred(recorded.id).await;
    let mut app = App::open(Config::read(&vault.made.config).unwrap(), vault.clock.clone()).await.unwrap();
    app.ledger = copied;
    let (flow, _committer) = app.flow().await.unwrap();
    let refused = flow.vault().check_memory().await.unwrap_err().to_string();
    assert!(refused.contains("has forgotten"), "{refused}");
    drop(flow);

    // After a turn the same copy does not even unlock.
    vault.process.flow.turn(&keys()).await.unwrap().unwrap();
    let refused = app.unlock().await.err().expect("its root is destroyed").to_string();
    assert!(refused.contains("old copy"), "{refused}");
}

async fn a_snapshot_older_than_the_root_is_refused(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    let old = vault.process.flow.vault().snapshot().await.unwrap().snapshot;
    let kept = vault.folder().join("objects").join(old.to_string());
    let copy = fs::read(&kept).unwrap();
    vault.process.flow.turn(&keys()).await.unwrap().unwrap();
    assert!(!kept.exists(), "the turn removed it");
    fs::write(&kept, copy).unwrap();
    let (app, _ground) = on_an_empty_database(&vault, database).await;
    let refused = vault::plan(&app.parts(), Some(old)).await.unwrap_err().to_string();
    assert!(refused.contains("older than the root"), "{refused}");
    // Nor does it open for who insists.
    let plan = vault::Plan { snapshot: old, journal: Vec::new() };
    assert!(matches!(vault::restore(app.parts(), &plan).await, Err(vault::Error::Custody(recvault::custody::Error::NoRoot(_)))));
    let newest = vault::plan(&app.parts(), None).await.unwrap();
    assert_eq!(newest.snapshot.epoch, 2);
    vault::restore(app.parts(), &newest).await.unwrap();
    assert!(matches!(vault::restore(app.parts(), &newest).await, Err(vault::Error::NotEmpty)), "never over a vault");
}

on_both_databases!(
    snapshot_and_journal_rebuild_everything,
    a_ledger_from_before_a_shred_is_not_served,
    a_snapshot_older_than_the_root_is_refused,
);
