//! A database whose file or custody is taken away from a running service: it confirms nothing that
//! the next start would lack.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::poll_immediate;
use recvault::{
    db::{self, ClosedFor},
    evidence::NewEntry,
    flow::{self, NewToken},
    vault,
};
use tokio::sync::Notify;

use crate::world::{Database, Recipe, until};

/// Changes the files of a running service's database; it then refuses all requests with the reason.
async fn is_noticed(take: impl FnOnce(&Path), put_back: impl FnOnce(&Path)) {
    let vault = Recipe::default().served().await;
    let recorded = vault.record();
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    take(&vault.folder().join("vault.db"));
    // No health check runs before: nothing may be confirmed that is lost with the process.
    let late = vault.record();
    assert_eq!(
        vault.tell(&late, "completed").await.status,
        503,
        "the callback is sent again"
    );
    vault
        .grant("reviewer", recorded.id, "quality-review")
        .await
        .problem(503, "database-displaced");
    let answer = vault.anybody().get("/readyz").await;
    answer.problem(503, "database-displaced");
    let flow = vault.process.flow.clone();
    let refused = flow.vault.check_rollback().await.unwrap_err().to_string();
    assert!(
        refused.contains("vault.db")
            && refused.contains("replaced or removed")
            && refused.contains("put the file and the files beside it back"),
        "{refused}"
    );
    put_back(&vault.folder().join("vault.db"));
    vault
        .anybody()
        .get("/readyz")
        .await
        .problem(503, "database-displaced");
    vault.process.db.close().await;
    vault
        .opens()
        .await
        .expect("what is put back is opened by the next start");
}

fn away(file: &Path) -> PathBuf {
    file.with_file_name("away.db")
}

fn beside(file: &Path, end: &str) -> PathBuf {
    file.with_file_name(format!(
        "{}{end}",
        file.file_name().unwrap().to_str().unwrap()
    ))
}

#[tokio::test]
async fn a_database_that_is_moved_away_is_noticed() {
    is_noticed(
        |file| fs::rename(file, away(file)).unwrap(),
        |file| fs::rename(away(file), file).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_database_that_is_removed_is_noticed() {
    is_noticed(
        |file| {
            fs::hard_link(file, away(file)).unwrap();
            fs::remove_file(file).unwrap();
        },
        |file| fs::rename(away(file), file).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_database_that_is_replaced_by_an_identical_copy_is_noticed() {
    is_noticed(
        |file| {
            fs::hard_link(file, away(file)).unwrap();
            fs::copy(file, file.with_file_name("copy.db")).unwrap();
            fs::rename(file.with_file_name("copy.db"), file).unwrap();
        },
        |file| fs::rename(away(file), file).unwrap(),
    )
    .await;
}

/// Changes committed since the last checkpoint are only in this file.
#[tokio::test]
async fn a_write_ahead_log_that_is_removed_is_noticed() {
    is_noticed(
        |file| fs::rename(beside(file, "-wal"), away(file)).unwrap(),
        |file| fs::rename(away(file), beside(file, "-wal")).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_database_that_is_removed_is_noticed_without_anybody_writing() {
    let vault = Recipe::default().by_hand().await;
    let flow = &vault.process.flow;
    let begun = vault.process.db.unit("begun", async |_| {
        fs::remove_file(vault.folder().join("vault.db")).unwrap();
        Ok(())
    });
    assert!(
        matches!(begun.await, Err(db::Error::Closed(_))),
        "also what had begun"
    );
    let refused = flow.vault.check_rollback().await.unwrap_err().to_string();
    assert!(refused.contains("replaced or removed"), "{refused}");
    assert!(
        !vault.folder().join("vault.db").exists(),
        "no reader makes an empty one"
    );
    assert_eq!(flow.health.refusal(), Some(ClosedFor::Displaced));
    let token = NewToken::new("another".parse().unwrap(), Duration::from_secs(3600));
    let refused = flow::mint_token(&vault.process.db, &vault.clock, token)
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("replaced or removed"), "{refused}");
}

/// The last connection that closes removes the files beside the database; that is no reason to
/// refuse the next one.
#[tokio::test]
async fn a_database_that_was_closed_is_not_displaced() {
    let vault = Recipe::default().by_hand().await;
    vault.process.db.close().await;
    assert!(!vault.folder().join("vault.db-wal").exists());
    vault.process.db.stands().unwrap();
}

async fn the_former_database_says_that_another_has_taken_over(database: Database) {
    let vault = Recipe::on(database).served().await;
    let recorded = vault.record();
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    until("it is not ready", async || {
        vault.anybody().get("/readyz").await.status == 503
    })
    .await;
    vault.process.flow.vault.check_owner().await.unwrap_err();
    vault
        .anybody()
        .get("/readyz")
        .await
        .problem(503, "taken-over");
    let late = vault.record();
    assert_eq!(vault.tell(&late, "completed").await.status, 503);
    vault
        .grant("reviewer", recorded.id, "quality-review")
        .await
        .problem(503, "taken-over");
}

/// The requesting client disconnects while the last entry waits for another writer.
async fn a_caller_who_is_cancelled_does_not_take_the_finding_along(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();

    let former = &vault.process.flow.vault;
    let begun = Notify::new();
    let mut writer = Box::pin(vault.process.db.unit("writer", async |mut unit| {
        unit.audit_now(vec![NewEntry::custody_changed(vault.clock.now(), &[1])])
            .await?;
        begun.notify_one();
        std::future::pending::<Result<(), db::Error>>().await
    }));
    tokio::select! {
        _ = &mut writer => panic!("it never ends"),
        () = begun.notified() => {}
    }
    let mut asked = Box::pin(former.check_owner());
    let is_found = async || {
        let work = former.unit("probe", async |mut unit| {
            unit.without_entry("only a question");
            Ok::<(), vault::Error>(())
        });
        matches!(
            poll_immediate(Box::pin(work)).await,
            Some(Err(vault::Error::NotOwner { .. }))
        )
    };
    tokio::select! {
        found = &mut asked => panic!("the entry waits for the writer: {found:?}"),
        () = until("the loss of custody is known", is_found) => {}
    }
    drop((asked, writer));

    for _ in 0..2 {
        former.check_owner().await.unwrap_err();
    }
    assert_eq!(vault.count("custody.lost").await, 1);
    assert_eq!(
        vault.process.flow.health.refusal(),
        Some(ClosedFor::TakenOver)
    );
}

on_both_databases!(
    the_former_database_says_that_another_has_taken_over,
    a_caller_who_is_cancelled_does_not_take_the_finding_along,
);
