//! Single purposes are withdrawn.

use recvault::config::SHIPPED_POLICY;
use serde_json::json;

use super::ANNA;
use crate::world::{Database, Recipe};

async fn a_single_purpose_is_closed(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let late = vault.record();
    vault.took_part(&recorded, "caller", ANNA).await;
    vault.took_part(&late, "caller", ANNA).await;
    let body = vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training"] }))
        .await;
    assert_eq!(
        body["counts"],
        json!({ "shredded": 0, "held": 0, "closed": 1 })
    );
    assert_eq!(
        (vault.whole(&body).await.closed, vault.statements().await),
        (1, 1)
    );
    vault.plays(&recorded).await;
    let entries = vault.entries().await;
    let closed = entries
        .iter()
        .find(|entry| entry["event"] == "recording.revoked")
        .unwrap();
    assert_eq!(
        (&closed["recording"], &closed["details"]["purposes"]),
        (&json!(recorded.id), &json!(["training"]))
    );
    // Later arrivals are kept, but closed too.
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    vault.plays(&late).await;
    vault.process.flow.revocations.continue_all().await.unwrap();
    assert_eq!(vault.revocation(&body["id"]).await["counts"]["closed"], 2);
    assert_eq!(
        vault.statements().await,
        1,
        "what they said stands for all their conversations"
    );

    // For an account, the consent of every participant of its conversations is withdrawn.
    let body = vault
        .revoked(json!({ "account": vault.account, "purposes": ["training"] }))
        .await;
    assert_eq!(
        (&body["counts"]["closed"], vault.statements().await),
        (&json!(2), 3)
    );
    // Together with `recording`, everything is revoked.
    let body = vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training", "recording"] }))
        .await;
    assert_eq!(vault.proven(&body).await, [recorded.id, late.id].into());
}

/// Returns the shipped policy with training, which is based on consent, as its only purpose.
fn only_training() -> String {
    let (head, rest) = SHIPPED_POLICY.split_once("[[purposes]]").unwrap();
    let training = rest
        .split("[[purposes]]")
        .find(|block| block.contains("\"training\""))
        .unwrap();
    let (_, tail) = rest.split_once("[[rights]]").unwrap();
    let text = format!("{head}[[purposes]]{training}[[rights]]{tail}");
    // No hold can name a purpose that does not exist.
    text.replace(
        "hold_purposes = [\"legal-request\", \"dispute-resolution\"]",
        "",
    )
}

async fn what_no_purpose_can_open_any_more_is_not_kept(database: Database) {
    let vault = Recipe {
        policy: only_training(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let late = vault.record();
    for recorded in [&recorded, &late] {
        vault.took_part(recorded, "caller", ANNA).await;
    }
    let body = vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training"] }))
        .await;
    assert_eq!(vault.proven(&body).await, [recorded.id].into());
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (
            vault.state(late.id).await.as_str(),
            vault.count("recording.sealed").await
        ),
        ("shredded", 1)
    );
}

on_both_databases!(
    a_single_purpose_is_closed,
    what_no_purpose_can_open_any_more_is_not_kept,
);
