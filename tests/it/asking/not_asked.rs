//! Calls that are not asked, do not wait, or in which another party cannot consent.

use std::time::{Duration, Instant};

use recvault::{config::SHIPPED_POLICY, demo::stand_in::GatherAnswer};

use super::{
    ANNA, APP, ASKS, DESK, VOICE, answering, asking,
    line::{Line, told},
};
use crate::world::{Database, Recipe};

#[tokio::test]
async fn a_stranger_cannot_agree_for_a_caller() {
    let vault = answering(Database::Sqlite).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let url = asked.attribute("Gather", "action").unwrap();
    let params = vault.stand_in.gather_params(
        &vault.account,
        &line.call,
        &GatherAnswer::Digits("1".into()),
    );
    let signed = vault.stand_in.callback(&vault.account, &url, &params);
    let path = vault.process.path_of(&url);
    let other = path.replace("attempt=1", "attempt=2");
    let changed = signed.body.replace("Digits=1", "Digits=2");
    for (path, body) in [(&other, &signed.body), (&path, &changed)] {
        vault
            .anybody()
            .form(path, body, &[&signed.signature])
            .await
            .problem(403, "bad-signature");
    }
    vault
        .anybody()
        .form(&path, &signed.body, &[])
        .await
        .problem(403, "bad-signature");
    assert_eq!(told(&vault).await, 0);
    let params: Vec<_> = params
        .into_iter()
        .filter(|(name, _)| name != "CallSid")
        .collect();
    vault
        .post_callback(&vault.account, &path, &params)
        .await
        .problem(400, "bad-request");
}

#[tokio::test]
async fn a_call_is_not_asked_where_the_policy_asks_nothing() {
    let vault = Recipe {
        twilio: APP,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let line = Line::from(&vault, ANNA);
    assert_eq!(line.asks(VOICE).await.verbs(), ["Redirect"]);
    // Nor before the policy is in force.
    let policy = format!(
        "{}{ASKS}",
        SHIPPED_POLICY.replacen("effective = 2026-01-01", "effective = 2126-01-01", 1)
    );
    let vault = Recipe {
        policy,
        twilio: APP,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let line = Line::from(&vault, ANNA);
    assert_eq!(line.asks(VOICE).await.verbs(), ["Redirect"]);
}

#[tokio::test]
async fn a_call_that_has_nowhere_to_go_on_is_not_asked() {
    let vault = asking(Database::Sqlite, "").await;
    let line = Line::from(&vault, ANNA);
    let over = line.asks(VOICE).await;
    assert_eq!(
        (over.verbs(), over.text("Say")),
        (
            vec!["Say".into(), "Hangup".into()],
            "This call is not recorded.".into()
        )
    );
    // Before two calls are joined, the continuation need not be configured.
    let desk = line.dials(DESK);
    assert_eq!(
        desk.asks(&format!("{VOICE}?leg=callee")).await.verbs()[0],
        "Gather"
    );
}

#[tokio::test]
async fn somebody_holds_the_database_and_the_call_does_not_wait_for_it() {
    let vault = answering(Database::Sqlite).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let mut other = vault.ground().sqlite().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    let began = Instant::now();
    let on = line.presses(&asked, "1").await;
    assert!(began.elapsed() < Duration::from_secs(14));
    assert_eq!(
        (on.verbs(), on.text("Say")),
        (
            vec!["Say".into(), "Redirect".into()],
            "This call is not recorded.".into()
        )
    );
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
}
