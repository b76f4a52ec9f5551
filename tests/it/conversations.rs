//! Conversations: which there are, what belongs to one, and a thread read under one grant.

mod limits;
mod reading;
mod redacting;

use recvault::demo::conversation;
use serde_json::{Value, json};

use crate::{
    authority::somebody,
    threads::{ANNA, BEN, vault_on},
    world::{Caller, Database, TestVault},
};

pub(super) fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().unwrap().clone()
}

impl TestVault {
    /// Returns the conversation of a message.
    async fn thread_of(&self, message: impl std::fmt::Display) -> String {
        let shown = self
            .asks("privacy-officer")
            .get(&format!("/v1/recordings/{message}"))
            .await;
        shown.json()["thread_id"].as_str().unwrap().to_owned()
    }
}

async fn listed(who: &Caller, query: &str) -> Vec<String> {
    let page = who.get(&format!("/v1/conversations{query}")).await;
    assert_eq!(page.status, 200, "{page:?}");
    let ids = items(&page.json())
        .into_iter()
        .map(|item| item["id"].as_str().unwrap().to_owned());
    ids.collect()
}

async fn conversations_are_listed_and_shown_with_what_belongs_to_them(database: Database) {
    let vault = vault_on(database).await;
    let mut ids = Vec::new();
    for (who, text) in [(ANNA, "one"), (BEN, "two"), (ANNA, "three")] {
        ids.push(vault.kept(who, text).await);
        vault.clock.advance(std::time::Duration::from_secs(1));
    }
    let call = vault.sealed().await;
    let (of_anna, of_ben) = (vault.thread_of(ids[0]).await, vault.thread_of(ids[1]).await);
    let of_call = call.sid.as_str().replacen("RE", "CA", 1);

    let officer = vault.asks("privacy-officer");
    let threads = listed(&officer, "?kind=thread").await;
    assert_eq!(threads, [of_anna.clone(), of_ben.clone()]);
    let oldest = listed(&officer, "?kind=thread&sort=latest_at").await;
    assert_eq!(oldest, [of_ben.clone(), of_anna.clone()]);
    assert_eq!(listed(&officer, "?kind=call").await, [of_call.as_str()]);
    assert_eq!(listed(&officer, "?kind=chat").await, [""; 0]);
    assert_eq!(listed(&officer, "").await.len(), 3);
    let first = officer.get("/v1/conversations?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = listed(&officer, &format!("?limit=2&cursor={cursor}")).await;
    assert_eq!(rest.len(), 1);
    officer
        .get(&format!("/v1/conversations?kind=call&cursor={cursor}"))
        .await
        .problem(400, "bad-request");

    let shown = officer
        .get(&format!("/v1/conversations/{of_anna}?limit=1"))
        .await
        .json();
    assert_eq!(
        (&shown["kind"], &shown["account_sid"]),
        (&json!("thread"), &json!(vault.account))
    );
    assert_eq!(
        shown["parties"],
        json!([{ "leg": "contact", "known": true }])
    );
    assert_eq!(items(&shown["recordings"])[0]["id"], json!(ids[0]));
    let cursor = shown["recordings"]["next_cursor"].as_str().unwrap();
    let rest = officer
        .get(&format!("/v1/conversations/{of_anna}?cursor={cursor}"))
        .await
        .json();
    assert_eq!(items(&rest["recordings"]).len(), 1);
    assert_eq!(items(&rest["recordings"])[0]["id"], json!(ids[2]));
    let newest = officer
        .get(&format!("/v1/conversations/{of_anna}?sort=-recorded_at"))
        .await
        .json();
    assert_eq!(items(&newest["recordings"])[0]["id"], json!(ids[2]));

    // Who may not name participants is not told of them.
    let agent = vault.asks("agent");
    let shown = agent.get(&format!("/v1/conversations/{of_anna}")).await;
    assert_eq!(shown.json()["parties"], Value::Null);
    for nothing in [format!("thr_{}", "0".repeat(32)), "thr_1".to_owned()] {
        agent
            .get(&format!("/v1/conversations/{nothing}"))
            .await
            .problem(404, "not-found");
    }
}

async fn a_person_is_searched_among_conversations_by_who_may(database: Database) {
    let vault = vault_on(database).await;
    let of_anna = vault.kept(ANNA, "one").await;
    let of_anna = vault.thread_of(of_anna).await;
    vault.kept(BEN, "two").await;
    let body = json!({ "subject": ANNA });
    let officer = vault.asks("privacy-officer");
    let found = officer
        .post("/v1/conversations/search", body.clone())
        .await
        .json();
    assert_eq!(items(&found).len(), 1);
    assert_eq!(items(&found)[0]["id"], json!(of_anna));
    let agent = vault.asks("agent");
    let refused = agent.post("/v1/conversations/search", body).await;
    assert_eq!(refused.reasons(), ["role-not-allowed"]);
    let number = ANNA.replace('+', "%2B");
    let refused = officer
        .get(&format!("/v1/conversations?subject={number}"))
        .await;
    refused.problem(400, "bad-request");
    assert!(!refused.text().contains(&ANNA[1..]));
}

async fn nobody_learns_of_another_account_through_its_conversations(database: Database) {
    let vault = vault_on(database).await;
    let ours = vault.kept(ANNA, "one").await;
    let ours = vault.thread_of(ours).await;
    let other = vault.other_account.clone();
    let theirs = vault.record_for(&other, bytes::Bytes::from_static(conversation::WAV));
    vault.tell(&theirs, "completed").await;
    vault.process.flow.worker.work_off().await.unwrap();
    let theirs = theirs.sid.as_str().replacen("RE", "CA", 1);

    let limited = somebody(&vault, "privacy-officer", std::slice::from_ref(&other)).await;
    assert_eq!(listed(&limited, "").await, [theirs.as_str()]);
    let asked = format!("?account={}", vault.account);
    assert_eq!(listed(&limited, &asked).await, [""; 0]);
    let nothing = limited
        .get(&format!("/v1/conversations/thr_{}", "0".repeat(32)))
        .await;
    let hidden = limited.get(&format!("/v1/conversations/{ours}")).await;
    hidden.problem(404, "not-found");
    assert_eq!(hidden.text(), nothing.text());
    let body = json!({ "subject": ANNA });
    let found = limited.post("/v1/conversations/search", body).await.json();
    assert_eq!(items(&found), [] as [Value; 0]);
    let shown = limited.get(&format!("/v1/conversations/{theirs}")).await;
    assert_eq!(shown.json()["account_sid"], json!(other));
}

on_both_databases!(
    conversations_are_listed_and_shown_with_what_belongs_to_them,
    a_person_is_searched_among_conversations_by_who_may,
    nobody_learns_of_another_account_through_its_conversations,
);
