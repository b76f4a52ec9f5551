//! The permission to record consent, and the list of statements.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    CALLEE, CALLER, both_are_named, call_of, consent_policy, officer, says, seal, strict, waits,
};
use crate::world::{Database, Recipe};

async fn only_those_who_may_speak_of_consent(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    seal(&vault, &recorded).await;
    let parties = format!("/v1/calls/{}/parties", call_of(&recorded));
    let told = json!({ "call": call_of(&recorded), "answer": "given", "method": "speech" });
    let named = json!({ "parties": [{ "leg": "third", "number": CALLER }] });
    for who in ["agent", "reviewer", "auditor"] {
        assert_eq!(
            vault
                .asks(who)
                .post("/v1/consents", told.clone())
                .await
                .reasons(),
            ["role-not-allowed"]
        );
        assert_eq!(
            vault
                .asks(who)
                .post(&parties, named.clone())
                .await
                .reasons(),
            ["role-not-allowed"]
        );
        assert_eq!(
            vault.asks(who).get(&parties).await.reasons(),
            ["role-not-allowed"]
        );
        assert_eq!(
            vault
                .asks(who)
                .post("/v1/consents/search", json!({ "subject": CALLER }))
                .await
                .reasons(),
            ["role-not-allowed"]
        );
    }
    // The stranger has every role, in another account.
    let stranger = vault.asks("stranger");
    stranger
        .post("/v1/consents", told.clone())
        .await
        .problem(404, "not-found");
    stranger
        .post(&parties, named.clone())
        .await
        .problem(404, "not-found");
    stranger.get(&parties).await.problem(404, "not-found");
    for (path, body) in [
        (
            "/v1/consents",
            json!({ "subject": CALLER, "answer": "given", "method": "speech" }),
        ),
        ("/v1/consents/search", json!({ "subject": CALLER })),
    ] {
        stranger.post(path, body).await.problem(400, "bad-request");
    }
    vault
        .asks("nobody")
        .post("/v1/consents", told.clone())
        .await
        .problem(404, "not-found");
    vault
        .anybody()
        .post("/v1/consents", told)
        .await
        .problem(401, "unauthorized");
    assert_eq!(
        (
            vault.count("consent.recorded").await,
            vault.count("parties.named").await
        ),
        (0, 1)
    );
    assert!(waits(&vault, recorded.id).await);
}

async fn a_withdrawal_needs_leave_to_revoke(database: Database) {
    let policy = consent_policy().replacen(
        "revoke = [\"privacy-officer\"]",
        "revoke = [\"auditor\"]",
        1,
    );
    let vault = Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let told = |answer: &str| json!({ "items": [{ "subject": CALLER, "answer": answer, "method": "letter" }] });
    assert_eq!(
        officer(&vault, "/v1/consents", told("withdrawn"))
            .await
            .reasons(),
        ["role-not-allowed"]
    );
    assert_eq!(vault.count("consent.recorded").await, 0);
    assert_eq!(
        officer(&vault, "/v1/consents", told("declined"))
            .await
            .status,
        201
    );
}

async fn what_somebody_said_is_listed_without_who_they_are(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    let first = says(&vault, CALLER, "given").await["ids"][0].clone();
    vault.clock.advance(Duration::from_secs(1));
    let items = json!({ "items": [
        { "call": call_of(&recorded), "leg": "caller", "purposes": ["training"], "answer": "declined", "method": "keypad",
          "disclosure": "abc", "policy_version": "1", "at": "2026-01-01T00:00:00Z" },
        { "subject": CALLEE, "answer": "given", "method": "import", "at": "2026-01-01T00:00:00Z" },
    ]});
    let told = officer(&vault, "/v1/consents", items.clone()).await;
    assert_eq!(
        (told.status, told.json()["recorded"].clone()),
        (201, json!(2))
    );
    let again = officer(&vault, "/v1/consents", items).await.json();
    assert_eq!(
        (&again["recorded"], &again["ids"]),
        (&json!(0), &told.json()["ids"]),
        "told again, it is the same"
    );

    let page = officer(
        &vault,
        "/v1/consents/search",
        json!({ "subject": "+493023125001", "limit": 1 }),
    )
    .await
    .json();
    assert_eq!(
        (&page["items"][0]["id"], &page["items"][0]["policy_version"]),
        (&first, &json!("1"))
    );
    assert_eq!(page["items"][0]["conversation"], Value::Null);
    let rest = json!({ "subject": CALLER, "limit": 1, "cursor": page["next_cursor"] });
    let page = officer(&vault, "/v1/consents/search", rest).await.json();
    let item = &page["items"][0];
    assert_eq!(
        (&item["id"], &page["next_cursor"]),
        (&told.json()["ids"][0], &Value::Null)
    );
    assert_eq!(
        (&item["leg"], &item["answer"], &item["policy_version"]),
        (&json!("caller"), &json!("declined"), &json!("1"))
    );
    assert!(
        item["disclosure_sha256"]
            .as_str()
            .unwrap()
            .starts_with("ba7816bf"),
        "{item}"
    );
    let by_url = vault
        .asks("privacy-officer")
        .get("/v1/consents?subject=%2B493023125001")
        .await;
    assert_eq!(by_url.json()["items"].as_array().unwrap().len(), 2);
    for answer in [by_url.text(), page.to_string()] {
        assert!(!answer.contains("3125"), "{answer}");
    }
}

on_both_databases!(
    only_those_who_may_speak_of_consent,
    a_withdrawal_needs_leave_to_revoke,
    what_somebody_said_is_listed_without_who_they_are,
);
