//! A database that lacks changes of the vault: it is not written, and nothing opens.

mod store;

use std::{fs, time::Duration};

use recvault::{
    app::{self, App},
    config::Config,
    db::{self, ClosedFor, Db},
    flow::{self, NewToken},
    model::id::ObjectId,
    store::{RecoveryKind, RecoveryName},
    vault,
};
use serde_json::json;

use crate::{
    epochs::keys,
    world::{Database, Recipe, TestVault, until},
};

fn token() -> NewToken {
    NewToken::new("another".parse().unwrap(), Duration::from_secs(3600))
}

/// Opens the app of a command over this database.
async fn app_over(vault: &TestVault, db: Db) -> App {
    let mut app = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap();
    app.db = db;
    app
}

async fn an_old_copy_takes_no_token_and_turns_nothing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (_copy, copied) = vault.ground().copy(vault.folder()).await;
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    let mut app = app_over(&vault, copied).await;
    // Before the comparison it is read-only.
    let refused = flow::mint_token(&app.db, &app.clock, token())
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not compared with the store"), "{refused}");
    let refused = app.unlock().await.map(drop).unwrap_err().to_string();
    assert!(
        refused.contains("lacks later changes") && refused.contains("snapshot restore"),
        "{refused}"
    );
    // A later attempt writes nothing either.
    let refused = flow::mint_token(&app.db, &app.clock, token())
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("the database is no longer written"),
        "{refused}"
    );
    let reading = app.flow_to_read().await.unwrap();
    assert!(
        reading
            .epochs
            .turn(&keys())
            .await
            .unwrap_err()
            .to_string()
            .contains("lacks later changes")
    );
    assert!(reading.health.refusal() == Some(ClosedFor::Forgetful));
    assert_eq!(
        reading.monitoring.status().await.unwrap().epoch.epoch,
        1,
        "it is read"
    );
    // The complete one continues.
    assert_eq!(
        vault
            .process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .unwrap()
            .covered,
        1
    );
}

async fn a_copy_that_went_on_by_itself_is_refused_by_what_stands_at_a_number(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (copy, copied) = vault.ground().copy(vault.folder()).await;
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    // Twenty entries of its own: by number it is newer than the store.
    let head = copy.integer("SELECT seq FROM audit_head").await.unwrap();
    for number in 1..=20 {
        let seq = head + number;
        copy.run(&format!("INSERT INTO audit (seq, at, actor, event, details) VALUES ({seq}, 1, 'operator:root', 'token.created', '{{}}')"))
            .await;
        copy.run(&format!("UPDATE audit_head SET seq = {seq}"))
            .await;
    }
    let mut app = app_over(&vault, copied).await;
    let refused = app.flow().await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("lacks later changes"), "{refused}");
}

async fn a_replica_that_lagged_takes_over_and_nothing_opens_any_more(database: Database) {
    let vault = Recipe::on(database).served().await;
    let [lives, dies] = [vault.record(), vault.record()];
    for recorded in [&lives, &dies] {
        assert_eq!(vault.tell(recorded, "completed").await.status, 204);
        until("it is sealed", async || {
            vault.state(recorded.id).await == "sealed"
        })
        .await;
    }
    vault.ground().keep().await;
    assert_eq!(vault.shred(dies.id).await.status, 200);
    vault.ground().go_back().await;
    assert_eq!(vault.state(dies.id).await, "sealed", "so says the replica");
    // Each opening writes an entry first, whose number was used before; and the watch checks by
    // itself.
    for id in [dies.id, lives.id] {
        vault
            .grant("reviewer", id, "quality-review")
            .await
            .problem(503, "database-out-of-date");
    }
    until("it is not ready", async || {
        vault.anybody().get("/readyz").await.status == 503
    })
    .await;
    vault
        .anybody()
        .get("/readyz")
        .await
        .problem(503, "database-out-of-date");
    let late = vault.record();
    assert_eq!(
        vault.tell(&late, "completed").await.status,
        503,
        "a callback is sent again, to a vault that remembers"
    );
    let flow = &vault.process.flow;
    assert!(
        flow.epochs
            .turn(&keys())
            .await
            .unwrap_err()
            .to_string()
            .contains("lacks later changes")
    );
    assert!(flow.vault.snapshot().await.is_err());
    assert!(flow.sweeper.sweep(Duration::ZERO).await.is_err());
    assert!(
        vault
            .metrics()
            .await
            .contains("recvault_database_refused 1")
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM audit WHERE event = 'decision.allowed'")
            .await,
        Some(0),
        "nothing was written"
    );
}

async fn a_replica_is_noticed_without_anybody_writing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.ground().keep().await;
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    vault.process.flow.vault.check_rollback().await.unwrap();
    vault.ground().go_back().await;
    let refused = vault
        .process
        .flow
        .vault
        .check_rollback()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("lacks later changes"), "{refused}");
    vault
        .grant("reviewer", recorded.id, "quality-review")
        .await
        .problem(503, "database-out-of-date");
}

/// Older connections still see the old file, and every new one sees the new file: detection must
/// not depend on their agreement.
#[tokio::test]
async fn a_file_that_was_replaced_under_a_service_is_noticed_by_the_journal() {
    let vault = Recipe::default().by_hand().await;
    vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (_copy, copied) = vault.ground().copy(vault.folder()).await;
    copied.close().await;
    let flow = vault.process.flow.clone();
    flow::mint_token(&vault.process.db, &vault.clock, token())
        .await
        .unwrap();
    flow.vault.check_rollback().await.unwrap();
    let copies = fs::read_dir(vault.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let old = copies
        .into_iter()
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("copy-")
        })
        .unwrap();
    fs::rename(old.join("vault.db"), vault.folder().join("vault.db")).unwrap();
    for beside in ["vault.db-wal", "vault.db-shm"] {
        let _ = fs::remove_file(vault.folder().join(beside));
    }
    let refused = tokio::time::timeout(Duration::from_secs(30), flow.recovery.journal())
        .await
        .expect("it does not go round for ever");
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("replaced or removed")
    );
    assert_eq!(flow.health.refusal(), Some(ClosedFor::Displaced));
}

/// Returns the vault's configuration with another database.
async fn on_another_database(
    vault: &TestVault,
    database: Database,
) -> (tempfile::TempDir, impl Sized) {
    let folder = tempfile::tempdir().unwrap();
    let ground = database.ground(folder.path()).await;
    let text = fs::read_to_string(&vault.made.config).unwrap();
    let url = if ground.is_postgres() {
        ground.url.clone()
    } else {
        format!("sqlite:{}/vault.db", folder.path().display())
    };
    let (before, after) = text.split_once("[database]\nurl = \"").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    fs::write(
        &vault.made.config,
        format!(
            "{before}[database]\nurl = \"{url}{}",
            format_args!("\"{after}")
        ),
    )
    .unwrap();
    (folder, ground)
}

async fn a_lost_database_is_no_reason_to_make_a_new_vault(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let roots = async || {
        let custody = recvault::custody::open(
            Config::read(&vault.made.config).unwrap().custody,
            vault.folder(),
        )
        .unwrap();
        custody.roots().await.unwrap()
    };
    let before = (roots().await, vault.objects().await);
    let _ground = on_another_database(&vault, database).await;
    let refused = app::init(
        &app::InitPlan::in_folder(vault.folder()),
        vault.clock.clone(),
    )
    .await
    .map(drop)
    .unwrap_err()
    .to_string();
    assert!(
        refused.contains("holds no vault, but a vault exists")
            && refused.contains("snapshot restore"),
        "{refused}"
    );
    // Without a recovery file, the objects show it.
    for kind in ["snapshots", "journal"] {
        let _ = fs::rename(
            vault.folder().join("objects").join(kind),
            vault.folder().join(kind),
        );
    }
    let refused = app::init(
        &app::InitPlan::in_folder(vault.folder()),
        vault.clock.clone(),
    )
    .await
    .map(drop)
    .unwrap_err()
    .to_string();
    assert!(refused.contains("sealed objects"), "{refused}");
    for kind in ["snapshots", "journal"] {
        let _ = fs::remove_dir_all(vault.folder().join("objects").join(kind));
        let _ = fs::rename(
            vault.folder().join(kind),
            vault.folder().join("objects").join(kind),
        );
    }
    let mut app = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap();
    let refused = app.flow().await.map(drop).unwrap_err().to_string();
    assert!(
        refused.contains("snapshot restore"),
        "every command says the same: {refused}"
    );
    assert_eq!((roots().await, vault.objects().await), before);
    // And that is the remedy.
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    let process = vault.process_over(app).await;
    vault.plays_in(&process, &recorded).await;
}

async fn a_sweep_over_a_database_that_is_behind_removes_nothing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.ground().keep().await;
    vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let before = vault.objects().await;
    vault.ground().go_back().await;
    // A process that has never read the store.
    let app = App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap();
    assert!(
        app.unlock()
            .await
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("lacks later changes")
    );
    let refused = vault
        .process
        .flow
        .garbage
        .sweep(Duration::ZERO)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("lacks later changes"), "{refused}");
    assert!(
        vault
            .process
            .flow
            .garbage
            .list(Duration::ZERO)
            .await
            .is_err()
    );
    assert_eq!(vault.objects().await, before);
}

/// A session that began before others of this process read newer state is not out of date.
async fn what_others_see_meanwhile_is_no_loss(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let flow = &vault.process.flow;
    let writes = async {
        for _ in 0..150 {
            flow::mint_token(&vault.process.db, &vault.clock, token())
                .await
                .unwrap();
            flow.vault.check_rollback().await.unwrap();
        }
    };
    let recalls = async || {
        for _ in 0..600 {
            flow.vault.check_rollback().await.unwrap();
        }
    };
    let journals = async {
        for _ in 0..150 {
            flow.vault.journal_all().await.unwrap();
        }
    };
    tokio::join!(writes, recalls(), recalls(), journals);
    assert!(flow.health.refusal().is_none());
}

on_both_databases!(
    an_old_copy_takes_no_token_and_turns_nothing,
    a_copy_that_went_on_by_itself_is_refused_by_what_stands_at_a_number,
    a_replica_that_lagged_takes_over_and_nothing_opens_any_more,
    a_replica_is_noticed_without_anybody_writing,
    what_others_see_meanwhile_is_no_loss,
    a_lost_database_is_no_reason_to_make_a_new_vault,
    a_sweep_over_a_database_that_is_behind_removes_nothing,
);

/// A database with rows is not a new vault, even if the usual tables are empty.
#[tokio::test]
async fn a_database_with_a_row_anywhere_is_not_empty() {
    let vault = Recipe::default().by_hand().await;
    for row in [
        "INSERT INTO budgets (principal_id, purpose, day, used) VALUES ('prn_1', 'training', 1, 1)",
        "INSERT INTO outbox (kind, id, mark, since) VALUES ('token', 'tok_1', 1, 1)",
        "UPDATE audit_head SET seq = 7",
    ] {
        let (app, ground) = vault.app_on_an_empty_database(Database::Sqlite).await;
        ground.1.run(row).await;
        let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
        let refused = vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, vault::Error::Db(db::Error::NotEmpty(_))),
            "{row}: {refused}"
        );
    }
    let answer = vault.asks("reviewer").get("/v1/recordings").await;
    assert_eq!(answer.json()["items"], json!([]));
}
