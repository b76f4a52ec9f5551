//! The database is lost: the store and custody alone suffice to rebuild the vault.

use std::{collections::BTreeSet, fs};

use recvault::{
    app::App,
    config::Config,
    custody::{self, Custody},
    db::{self, Db, epochs, keys as pages},
    keyring::{PageRow, reach::reach},
    vault::{self, Choice, Restored},
};

use crate::{
    epochs::keys,
    world::{Database, Process, Recipe, TestVault},
};

/// Starts a new process over an empty database, rebuilt from the store.
pub(crate) async fn rebuilt(
    vault: &TestVault,
    database: Database,
) -> (Restored, Process, impl Sized) {
    let (app, ground) = on_an_empty_database(vault, database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    let restored = vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    (restored, vault.process_over(app).await, ground)
}

async fn on_an_empty_database(
    vault: &TestVault,
    database: Database,
) -> (App, (tempfile::TempDir, impl Sized)) {
    let folder = tempfile::tempdir().unwrap();
    let ground = database.ground(folder.path()).await;
    let mut app = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap();
    app.db = Db::open(
        &recvault::db::DatabaseSettings {
            url: ground.url.clone(),
            connections: 4,
        },
        folder.path(),
    )
    .await
    .unwrap();
    (app, (folder, ground))
}

async fn snapshot_and_journal_rebuild_everything(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    // In the snapshot: one living, one shredded before, one shredded after, one moved after.
    let [lives, dead, dies, moves] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.shred(dead.id).await;
    vault.process.flow.vault.snapshot().await.unwrap();
    vault.shred(dies.id).await;
    vault
        .process
        .flow
        .reclassification
        .move_to(&keys(), moves.id, &"sensitive".parse().unwrap(), false)
        .await
        .unwrap();
    // In the journal only: one living, one shredded.
    let [late, late_dead] = [vault.sealed().await, vault.sealed().await];
    assert!(vault.process.flow.recovery.journal().await.unwrap() > 0);
    vault.shred(late_dead.id).await;
    let before = vault.entries().await;

    for other in Database::given() {
        let (restored, process, _ground) = rebuilt(&vault, other).await;
        assert_eq!(
            (restored.epoch, restored.tombstones, restored.vault),
            (1, 3, vault.made.vault)
        );
        for living in [&lives, &moves, &late] {
            vault.plays_in(&process, living).await;
        }
        let officer = process
            .api
            .clone()
            .bearing(vault.minted("privacy-officer").token.expose());
        for gone in [&dead, &dies, &late_dead] {
            let body = serde_json::json!({ "purpose": "dispute-resolution", "justification": "x" });
            officer
                .post(&format!("/v1/recordings/{}/grants", gone.id), body)
                .await
                .problem(410, "shredded");
        }
        let tier = officer
            .get(&format!("/v1/recordings/{}", moves.id))
            .await
            .json()["tier"]
            .clone();
        assert_eq!(tier, "sensitive");
        // The log is complete up to the shred, and continues without a gap.
        let log = process
            .flow
            .catalogue
            .audit(
                &recvault::policy::Permit::of_operator(recvault::policy::action::Audit),
                recvault::db::audit::AuditFilter::default(),
                1000,
            )
            .await
            .unwrap();
        let log: Vec<_> = log
            .items
            .iter()
            .map(|entry| serde_json::to_value(entry).unwrap())
            .collect();
        assert_eq!(log[..before.len()], before[..], "every entry of before");
        assert_eq!(log[before.len()]["event"], "vault.restored");
        assert!((1..).zip(&log).all(|(seq, entry)| entry["seq"] == seq));
        // The rebuilt vault turns, and continues; only the last of the two, because they share
        // custody.
        if other == Database::Sqlite {
            assert_eq!(
                process
                    .flow
                    .epochs
                    .turn(&keys())
                    .await
                    .unwrap()
                    .unwrap()
                    .covered,
                3
            );
            vault.plays_in(&process, &lives).await;
        }
    }
}

async fn a_database_from_before_a_shred_is_not_served(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    vault.process.flow.vault.compare_with_store().await.unwrap();
    let (_copy, copied) = vault.ground().copy(vault.folder()).await;
    vault.shred(recorded.id).await;
    let mut app = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap();
    app.db = copied;
    let refused = app.flow().await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("lacks later changes"), "{refused}");

    // After a turn the same copy cannot even be unlocked.
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    let refused = app
        .unlock()
        .await
        .err()
        .expect("its root is destroyed")
        .to_string();
    assert!(refused.contains("old copy"), "{refused}");
}

async fn a_snapshot_older_than_the_root_is_refused(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    let old = vault.process.flow.vault.snapshot().await.unwrap().snapshot;
    let kept = vault.folder().join("objects").join(old.to_string());
    let copy = fs::read(&kept).unwrap();
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert!(!kept.exists(), "the turn removed it");
    fs::write(&kept, copy).unwrap();
    let (app, _ground) = on_an_empty_database(&vault, database).await;
    let refused = vault::plan(
        &app.parts(),
        Choice {
            snapshot: Some(old),
            ..Choice::default()
        },
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(refused.contains("older than the root"), "{refused}");
    // Nor can it be forced open.
    let plan = vault::Plan {
        snapshot: old,
        journal: Vec::new(),
        gaps: Vec::new(),
        unreadable: 0,
        choice: Choice::default(),
        listed: Default::default(),
    };
    assert!(matches!(
        vault::restore(app.parts(), &plan, vault::Claim::TakeOver).await,
        Err(vault::Error::Custody(recvault::custody::Error::NoRoot(_)))
    ));
    let why = |refused: Result<(), vault::Error>| refused.unwrap_err().to_string();
    let check = async |plan, claim| vault::check_restore(&app.parts(), plan, claim).await;
    assert!(matches!(
        check(&plan, vault::Claim::TakeOver).await,
        Err(vault::Error::Custody(recvault::custody::Error::NoRoot(_)))
    ));
    let newest = vault::plan(&app.parts(), Default::default()).await.unwrap();
    assert_eq!(newest.snapshot.epoch, 2);
    // A dry run refuses what the restore refuses, in the same words.
    let refused = vault::restore(app.parts(), &newest, vault::Claim::Take).await;
    assert_eq!(
        why(check(&newest, vault::Claim::Take).await),
        why(refused.map(drop))
    );
    let unlisted = vault::Plan {
        listed: Default::default(),
        ..newest.clone()
    };
    let refused = check(&unlisted, vault::Claim::TakeOver).await;
    assert!(matches!(refused, Err(vault::Error::StoreMoved(_))));
    check(&newest, vault::Claim::TakeOver).await.unwrap();
    vault::restore(app.parts(), &newest, vault::Claim::TakeOver)
        .await
        .unwrap();
    assert!(
        matches!(
            vault::restore(app.parts(), &newest, vault::Claim::TakeOver).await,
            Err(vault::Error::Db(db::Error::NotEmpty(_)))
        ),
        "never over a vault"
    );
    assert!(matches!(
        check(&newest, vault::Claim::TakeOver).await,
        Err(vault::Error::Db(db::Error::NotEmpty(_)))
    ));
}

/// A copy of the whole key store, and the keys that the present roots in custody open in it.
#[derive(Default)]
struct Kept {
    pages: Vec<PageRow>,
    sealed: Vec<(u64, Vec<u8>)>,
}

impl Kept {
    async fn copy(&mut self, db: &Db) {
        let mut tx = db.read().await.unwrap();
        self.pages.extend(pages::all_pages(&mut tx).await.unwrap());
        let epochs = epochs::newest(&mut tx, 100).await.unwrap();
        self.sealed
            .extend(epochs.into_iter().map(|row| (row.epoch, row.root_sealed)));
    }

    async fn reach(&self, vault: &TestVault, custody: &dyn Custody) -> BTreeSet<String> {
        let mut keys = Vec::new();
        for root in custody.roots().await.unwrap() {
            for (_, sealed) in self.sealed.iter().filter(|(_, sealed)| !sealed.is_empty()) {
                keys.extend(custody.open(root, sealed).await.ok());
            }
        }
        reach(
            &keys.iter().collect::<Vec<_>>(),
            self.pages.clone(),
            vault.made.vault,
        )
        .record_keys
    }
}

/// Losses in the middle of a turn are covered by the random lives of `model_based`, and by the
/// crash points of the executable.
async fn a_database_lost_after_a_turn_that_was_refused_brings_nothing_back(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [lives, dies] = [vault.sealed().await, vault.sealed().await];
    vault.process.flow.recovery.journal().await.unwrap();
    let key = vault.key_entry(dies.id).await.unwrap().fingerprint;
    // A store whose snapshots cannot be listed is noticed before a root is created.
    let [snapshots, away] =
        ["snapshots", "away"].map(|name| vault.folder().join("objects").join(name));
    fs::rename(&snapshots, &away).unwrap();
    fs::write(&snapshots, "in the way").unwrap();
    vault.process.flow.epochs.turn(&keys()).await.unwrap_err();
    fs::remove_file(&snapshots).unwrap();
    fs::rename(&away, &snapshots).unwrap();
    let mut kept = Kept::default();
    kept.copy(&vault.process.db).await;

    // That database is lost; the rebuilt one has the earlier epoch, and shreds.
    let (restored, process, _ground) = rebuilt(&vault, database).await;
    assert_eq!(restored.epoch, 1);
    kept.copy(&process.db).await;
    let officer = process
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let shred = officer
        .delete(
            &format!("/v1/recordings/{}", dies.id),
            serde_json::json!({ "reason": "subject-request" }),
        )
        .await;
    assert_eq!(shred.status, 200, "{shred:?}");
    kept.copy(&process.db).await;
    let custody = custody::open(
        Config::read(&vault.made.config).unwrap().custody,
        vault.folder(),
    )
    .unwrap();
    assert!(
        kept.reach(&vault, custody.as_ref()).await.contains(&key),
        "until the turn an old copy gives it"
    );
    let turned = process.flow.epochs.turn(&keys()).await.unwrap().unwrap();
    assert_eq!(
        (turned.epoch, turned.covered),
        (2, 1),
        "no number was given to the turn that was refused"
    );
    kept.copy(&process.db).await;
    let reached = kept.reach(&vault, custody.as_ref()).await;
    assert!(
        !reached.contains(&key)
            && reached.contains(&vault.key_entry(lives.id).await.unwrap().fingerprint)
    );
    vault.plays_in(&process, &lives).await;
}

async fn what_only_the_lost_database_held_is_out_of_reach_after_the_next_turn(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    vault.process.flow.vault.snapshot().await.unwrap();
    // Sealed and shredded after the snapshot: the rebuilt database never had its page's older
    // versions.
    let dies = vault.sealed().await;
    let key = vault.key_entry(dies.id).await.unwrap().fingerprint;
    let mut kept = Kept::default();
    kept.copy(&vault.process.db).await;
    assert_eq!(vault.shred(dies.id).await.status, 200);
    let (restored, process, _ground) = rebuilt(&vault, database).await;
    assert_eq!(restored.tombstones, 1);
    let custody = custody::open(
        Config::read(&vault.made.config).unwrap().custody,
        vault.folder(),
    )
    .unwrap();
    kept.copy(&process.db).await;
    assert!(kept.reach(&vault, custody.as_ref()).await.contains(&key));
    assert_eq!(
        process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .unwrap()
            .covered,
        1
    );
    kept.copy(&process.db).await;
    assert!(!kept.reach(&vault, custody.as_ref()).await.contains(&key));
}

async fn a_rebuilt_vault_settles_before_it_lets_anything_in(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (app, _ground) = on_an_empty_database(&vault, database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    let is_settled = async || {
        epochs::is_settled(&mut app.db.read().await.unwrap())
            .await
            .unwrap()
    };
    assert!(!is_settled().await);
    let before = vault::plan(&app.parts(), Default::default()).await.unwrap();
    app.unlock().await.unwrap().finish_restore().await.unwrap();
    assert!(is_settled().await);
    let after = vault::plan(&app.parts(), Default::default()).await.unwrap();
    assert!(
        after.snapshot.timeline > before.snapshot.timeline && after.journal.is_empty(),
        "{after:?}"
    );
}

on_both_databases!(
    snapshot_and_journal_rebuild_everything,
    a_database_from_before_a_shred_is_not_served,
    a_snapshot_older_than_the_root_is_refused,
    a_database_lost_after_a_turn_that_was_refused_brings_nothing_back,
    what_only_the_lost_database_held_is_out_of_reach_after_the_next_turn,
    a_rebuilt_vault_settles_before_it_lets_anything_in,
);
