//! Statements before and after a withdrawal.

use std::time::Duration;

use serde_json::json;

use super::{ANNA, conversation};
use crate::{
    consenting::consent_policy,
    world::{Database, Recipe},
};

async fn a_new_consent_opens_only_what_comes_after(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let before = vault.sealed_now().await;
    vault.took_part(&before, "caller", ANNA).await;
    let said = vault
        .says(json!({ "subject": ANNA, "answer": "given" }))
        .await;
    assert!(said.status == 200 || said.status == 201, "{said:?}");
    assert_eq!(
        vault.grant("reviewer", before.id, "training").await.status,
        201
    );
    vault.clock.advance(Duration::from_secs(1));
    vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training"] }))
        .await;
    assert_eq!(
        vault
            .grant("reviewer", before.id, "training")
            .await
            .reasons(),
        ["consent-missing"]
    );
    vault.plays(&before).await;
    vault.clock.advance(Duration::from_secs(1));
    vault
        .says(json!({ "subject": ANNA, "answer": "given" }))
        .await;
    let after = vault.sealed_now().await;
    vault.took_part(&after, "caller", ANNA).await;
    assert_eq!(
        vault
            .grant("reviewer", before.id, "training")
            .await
            .reasons(),
        ["consent-missing"]
    );
    assert_eq!(
        vault.grant("reviewer", after.id, "training").await.status,
        201
    );
}

/// By a statement of consent, without `POST /v1/revocations`.
async fn who_says_no_longer_has_revoked(database: Database) {
    let vault = Recipe {
        policy: consent_policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let [theirs, in_call, other, late] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
        vault.record(),
    ];
    vault.took_part(&theirs, "caller", ANNA).await;
    vault
        .says(json!({ "subject": ANNA, "purposes": [], "answer": "withdrawn" }))
        .await;
    assert_eq!(vault.state(theirs.id).await, "shredded");
    // In a call, by a participant who is known only by the leg; also for recordings that are
    // announced later.
    for recorded in [&in_call, &late] {
        let call = conversation(recorded);
        let said = vault.says(json!({ "call": call, "leg": "caller", "purposes": ["recording"], "answer": "withdrawn" })).await;
        assert!(
            said.status == 200 || said.status == 201 || recorded.id == late.id,
            "{said:?}"
        );
    }
    assert_eq!(vault.state(in_call.id).await, "shredded");
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (
            vault.state(late.id).await,
            vault.count("recording.sealed").await
        ),
        ("shredded".to_owned(), 3)
    );
    assert_eq!(vault.state(other.id).await, "sealed");
}

async fn what_never_rested_on_consent_outlives_its_withdrawal(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.took_part(&recorded, "caller", ANNA).await;
    vault
        .says(json!({ "subject": ANNA, "purposes": ["training"], "answer": "given" }))
        .await;
    let training = async || {
        let wanted = json!({ "purpose": "training", "justification": "a good example" });
        vault
            .asks("reviewer")
            .post(&format!("/v1/recordings/{}/grants", recorded.id), wanted)
            .await
    };
    assert_eq!(training().await.status, 201);
    vault
        .says(json!({ "subject": ANNA, "purposes": [], "answer": "withdrawn" }))
        .await;
    // Training was based on it; the rest stays open, until they revoke without naming a purpose.
    assert_eq!(training().await.reasons(), ["consent-missing"]);
    vault.plays(&recorded).await;
}

on_both_databases!(
    a_new_consent_opens_only_what_comes_after,
    who_says_no_longer_has_revoked,
    what_never_rested_on_consent_outlives_its_withdrawal,
);
