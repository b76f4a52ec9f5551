//! Every action is recorded before it takes effect; otherwise it does not take effect.

use std::time::Duration;

use bytes::Bytes;
use recvault::{demo::conversation, flow, model::actor::OsUser};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Database, Recipe};

async fn a_life_is_written_down_in_order(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault
        .grant("agent", recorded.id, "quality-review")
        .await
        .reasons();
    vault
        .grant("stranger", recorded.id, "quality-review")
        .await
        .problem(404, "not-found");
    let path = vault.audio(recorded.id).await;
    vault
        .anybody()
        .with(Method::GET, &path, &[("range", "bytes=100-199")])
        .await;
    vault.clock.advance(Duration::from_secs(3600));
    vault.anybody().get(&path).await.reasons();
    let refused = json!({ "reason": "operator" });
    vault
        .asks("agent")
        .delete(&format!("/v1/recordings/{}", recorded.id), refused)
        .await
        .reasons();
    vault.asks("reviewer").get("/v1/audit").await.reasons();
    vault.shred(recorded.id).await;
    vault.process.flow.worker.work_off().await.unwrap();
    flow::revoke_token(
        &vault.process.db,
        &vault.clock,
        vault.minted("agent").row.id,
    )
    .await
    .unwrap();

    let actor = |who: &str| vault.minted(who).principal.id.to_string();
    let id = json!(recorded.id);
    let vaults = "vault".to_owned();
    let operators = format!("operator:{}", OsUser::of_process());
    let expected = [
        (&operators, "vault.created", Value::Null),
        (&operators, "token.created", Value::Null),
        (&vaults, "policy.published", Value::Null),
        (&vaults, "policy.in-force", Value::Null),
        (&vaults, "snapshot.verified", Value::Null),
        (&operators, "token.created", Value::Null),
        (&operators, "token.created", Value::Null),
        (&operators, "token.created", Value::Null),
        (&operators, "token.created", Value::Null),
        (&operators, "token.created", Value::Null),
        (&operators, "token.created", Value::Null),
        (&vaults, "recording.sealed", id.clone()),
        (&actor("agent"), "decision.denied", id.clone()),
        (&actor("stranger"), "decision.denied", id.clone()),
        (&actor("reviewer"), "decision.allowed", id.clone()),
        (&actor("reviewer"), "opening.started", id.clone()),
        (&actor("reviewer"), "decision.denied", id.clone()),
        (&actor("agent"), "decision.denied", id.clone()),
        (&actor("reviewer"), "decision.denied", Value::Null),
        (&actor("privacy-officer"), "shred.tombstoned", id.clone()),
        (&vaults, "shred.bytes-removed", id.clone()),
        (&vaults, "source.deleted", id),
        (&operators, "token.revoked", Value::Null),
    ];
    let entries = vault.entries().await;
    for (at, (entry, (actor, event, recording))) in entries.iter().zip(&expected).enumerate() {
        assert_eq!(
            (&entry["seq"], &entry["actor"], &entry["event"]),
            (&json!(at + 1), &json!(actor), &json!(event)),
            "{entry}"
        );
        assert_eq!(&entry["recording"], recording, "{entry}");
    }
    assert_eq!(entries.len(), expected.len());
    assert_eq!(
        entries[12]["details"]["reasons"],
        json!(["role-not-allowed"])
    );
    assert_eq!(
        entries[13]["details"]["reasons"],
        json!(["account-unknown-to-principal"])
    );
    assert_eq!(
        entries[15]["details"],
        json!({ "grant": entries[14]["details"]["grant"], "artefact": "audio", "from": 100, "to": 200, "credential": vault.minted("reviewer").row.id })
    );
    assert_eq!(entries[16]["details"]["reasons"], json!(["grant-expired"]));
    assert_eq!(
        (
            &entries[17]["details"]["action"],
            &entries[18]["details"]["action"]
        ),
        (&json!("shred"), &json!("audit"))
    );
}

async fn the_log_cannot_be_written_and_nothing_happens(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let waiting = vault.announced().await;
    let before = vault.entries().await;
    let grants = vault.ground().integer("SELECT COUNT(*) FROM grants").await;
    vault.ground().refuse_rows_of("audit").await;

    for (who, what) in [
        ("reviewer", "allowed"),
        ("agent", "refused"),
        ("stranger", "hidden"),
    ] {
        let answer = vault.grant(who, recorded.id, "quality-review").await;
        answer.problem(500, "internal");
        assert!(!answer.text().contains("rvg_"), "{what}");
    }
    assert_eq!(
        vault.ground().integer("SELECT COUNT(*) FROM grants").await,
        grants
    );
    let refused = vault.anybody().get(&path).await;
    refused.problem(500, "internal");
    assert!(refused.text().len() < 400);
    vault.shred(recorded.id).await.problem(500, "internal");
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (
            vault.state(waiting.id).await,
            vault.key_entry(waiting.id).await
        ),
        ("announced".to_owned(), None)
    );
    assert_eq!(vault.state(recorded.id).await, "sealed");
    assert!(
        flow::revoke_token(
            &vault.process.db,
            &vault.clock,
            vault.minted("agent").row.id
        )
        .await
        .is_err()
    );

    vault.ground().take_rows_of("audit").await;
    assert_eq!(vault.entries().await, before, "no number was used up");
    assert_eq!(
        vault.asks("agent").get("/v1/recordings").await.status,
        200,
        "its token lives"
    );
    vault.plays(&recorded).await;
    // The audio that was stored before its entry could be written has no owner, and is swept when
    // it is old enough.
    assert_eq!(vault.objects().await.len(), 2);
    vault.later().await;
    vault.plays(&waiting).await;
    assert_eq!(vault.objects().await.len(), 3);
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(
        vault.process.flow.sweeper.sweep(day).await.unwrap().orphans,
        0,
        "it might be one that is just being entered"
    );
    vault.clock.advance(day);
    assert_eq!(
        vault.process.flow.sweeper.sweep(day).await.unwrap().orphans,
        1
    );
    vault.plays(&waiting).await;
    vault.plays(&recorded).await;
}

on_both_databases!(
    a_life_is_written_down_in_order,
    the_log_cannot_be_written_and_nothing_happens,
    an_auditor_of_one_account_reads_of_that_account_only,
);

#[tokio::test]
async fn the_auditor_reads_the_log_page_by_page() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    vault.plays(&recorded).await;
    let auditor = vault.asks("auditor");
    let all = vault.entries().await;
    let mut place = "after=0".to_owned();
    let mut read = Vec::new();
    loop {
        let page = auditor
            .get(&format!("/v1/audit?{place}&limit=5"))
            .await
            .json();
        let items = page["items"].as_array().unwrap().clone();
        assert!((1..=5).contains(&items.len()));
        read.extend(items);
        match page["next_cursor"].as_str() {
            Some(next) => place = format!("cursor={next}"),
            None => break,
        }
    }
    assert_eq!(read, all);
    assert_eq!(
        auditor.get("/v1/audit").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        all.len()
    );
    let exactly = auditor
        .get(&format!("/v1/audit?limit={}", all.len()))
        .await
        .json();
    assert_eq!(
        exactly["next_cursor"],
        Value::Null,
        "a last page that is full is still the last"
    );
    assert_eq!(
        auditor.get("/v1/audit?after=1000000").await.json(),
        json!({ "items": [], "next_cursor": null })
    );
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=x",
        "cursor=x",
        "cursor=1&after=1",
        "before=3",
    ] {
        auditor
            .get(&format!("/v1/audit?{bad}"))
            .await
            .problem(400, "bad-request");
    }
}

#[tokio::test]
async fn only_auditors_and_privacy_officers_read_the_log() {
    let vault = Recipe::default().by_hand().await;
    for who in ["auditor", "privacy-officer"] {
        assert_eq!(vault.asks(who).get("/v1/audit").await.status, 200);
    }
    for who in ["agent", "reviewer"] {
        assert_eq!(
            vault.asks(who).get("/v1/audit").await.reasons(),
            ["role-not-allowed"]
        );
    }
    vault
        .asks("nobody")
        .get("/v1/audit")
        .await
        .problem(404, "not-found");
    vault
        .anybody()
        .get("/v1/audit")
        .await
        .problem(401, "unauthorized");
}

async fn an_auditor_of_one_account_reads_of_that_account_only(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.plays(&vault.sealed().await).await;
    let others = vault.record_for(&vault.other_account, Bytes::from_static(conversation::WAV));
    assert_eq!(vault.tell(&others, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    // The stranger has every role, for the other account: no entries of the first one, and none of
    // other tokens and of policies.
    let read = vault.asks("stranger").get("/v1/audit").await.json();
    let about: Vec<Value> = vault
        .entries()
        .await
        .into_iter()
        .filter(|entry| {
            // Their own token is limited to that account.
            entry["recording"] == json!(others.id)
                || entry["details"]["accounts"] == json!([vault.other_account])
        })
        .collect();
    assert_eq!(about.len(), 2);
    assert_eq!(read, json!({ "items": about, "next_cursor": null }));
}

#[tokio::test]
async fn the_log_only_grows_whoever_is_connected() {
    let vault = Recipe::default().by_hand().await;
    let before = vault.entries().await;
    for sql in [
        "DELETE FROM audit",
        "UPDATE audit SET actor = 'vault'",
        "DELETE FROM tombstones",
    ] {
        let mut connection = vault.ground().sqlite().await;
        let done = sqlx::raw_sql(sql).execute(&mut connection).await;
        assert!(done.is_err() || sql.ends_with("tombstones"), "{sql}");
    }
    assert_eq!(vault.entries().await, before);
}
