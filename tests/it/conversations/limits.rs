//! Limits of a thread's grant: labels, accounts, budgets, approvals and time.

use std::time::Duration;

use recvault::{
    config::SHIPPED_POLICY,
    flow,
    model::{id::RecordingId, sid::AccountSid},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    items,
    reading::{asks_for, granted, path_of, read, texts, told},
};
use crate::{
    authority::somebody,
    threads::{ANNA, BEN, keeping, vault_on},
    viewing::policy,
    world::{Caller, Database, Recipe, TestVault, that_keeps_everything},
};

/// A purpose besides those of [`policy`].
fn purpose(name: &str, more: &str) -> String {
    format!(
        "[[purposes]]\nname = \"{name}\"\ntext = \"A purpose.\"\ndpv = \"https://w3id.org/dpv#ServiceOptimisation\"\n\
         tiers = [\"standard\", \"sensitive\", \"restricted\"]\nroles = [\"reviewer\"]\njustification = false\nview = \"transcript\"\n{more}\n\n"
    )
}

async fn vault_with(database: Database, purposes: &[String]) -> TestVault {
    let policy = keeping(&policy()).replacen(
        "# The recipients of recordings",
        &format!("{}\n# The recipients of recordings", purposes.concat()),
        1,
    );
    Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

impl TestVault {
    async fn labelled(&self, id: RecordingId, queue: &str) {
        let corrected = self
            .asks("privacy-officer")
            .request(Method::PATCH, &format!("/v1/recordings/{id}"))
            .json(&json!({ "labels": { "queue": queue } }));
        let corrected = crate::world::send(corrected).await;
        assert_eq!(corrected.status, 200, "{corrected:?}");
    }
}

async fn whoever_is_limited_to_a_label_reads_only_what_has_it(database: Database) {
    let when = "when = \"if principal has queue then resource has queue && principal.queue.contains(resource.queue) else true\"";
    let vault = vault_with(database, &[purpose("review-own", when)]).await;
    let (thread, ids) = vault.thread(ANNA, &["sold", "repaired", "nobody's"]).await;
    vault.labelled(ids[0], "sales").await;
    vault.labelled(ids[1], "support").await;
    let limited = async |queue: &str| {
        let wanted = flow::NewToken {
            roles: vec!["reviewer".parse().unwrap()],
            attributes: [("queue".parse().unwrap(), [queue.parse().unwrap()].into())].into(),
            ..flow::NewToken::new("sales".parse().unwrap(), Duration::from_secs(24 * 3600))
        };
        let minted = flow::mint_token(&vault.process.db, &vault.clock, wanted).await;
        let token = minted.unwrap().token;
        vault.process.api.clone().bearing(token.expose())
    };
    let sales = limited("sales").await;
    let path = granted(&sales, &thread, "review-own").await;
    for path in [path.clone(), path.replace("json", "html")] {
        let page = vault.anybody().get(&path).await.text();
        assert!(page.contains("sold"), "{page}");
        assert!(
            !page.contains("repaired") && !page.contains("nobody's"),
            "{page}"
        );
    }
    let page = read(&vault, &path).await;
    let withheld = &items(&page)[1]["withheld"];
    assert_eq!(
        (&withheld["why"], &withheld["reasons"][0]["code"]),
        (&json!("denied"), &json!("condition-not-met"))
    );
    assert_eq!(withheld["reasons"][0]["clause"], "purposes/review-own/when");

    // A label that changes after the grant counts from then on, in either direction.
    vault.labelled(ids[0], "support").await;
    vault.labelled(ids[1], "sales").await;
    assert_eq!(
        texts(&read(&vault, &path).await),
        [None, Some("repaired".to_owned()), None]
    );
    // Of a thread without a message for them, nothing is opened.
    vault.labelled(ids[1], "support").await;
    assert_eq!(texts(&read(&vault, &path).await), [None, None, None]);
    let refused = asks_for(&sales, &thread, "review-own").await;
    assert_eq!(refused.reasons(), ["condition-not-met"]);
    let everybody = limited("support").await;
    let path = granted(&everybody, &thread, "review-own").await;
    let page = read(&vault, &path).await;
    assert_eq!(texts(&page)[..2], told(&["sold", "repaired"])[..]);
}

async fn a_thread_of_another_account_looks_like_none(database: Database) {
    let vault = vault_on(database).await;
    let (thread, ids) = vault.thread(ANNA, &["one"]).await;
    let other: AccountSid = vault.other_account.clone();
    let limited = somebody(&vault, "reviewer", std::slice::from_ref(&other)).await;
    let nothing = format!("thr_{}", "0".repeat(32));
    let hidden = asks_for(&limited, &thread, "see").await;
    hidden.problem(404, "not-found");
    assert_eq!(
        hidden.text(),
        asks_for(&limited, &nothing, "see").await.text()
    );
    let stranger = vault.asks("stranger");
    let hidden = asks_for(&stranger, &thread, "see").await;
    hidden.problem(404, "not-found");
    assert_eq!(
        hidden.text(),
        asks_for(&stranger, &nothing, "see").await.text()
    );

    // Grants of others are not shown to them either, and cannot be ended.
    let path = granted(&vault.asks("reviewer"), &thread, "see").await;
    let officer = somebody(&vault, "privacy-officer", std::slice::from_ref(&other)).await;
    let listed = officer.get("/v1/grants?principal=all").await.json();
    assert_eq!(items(&listed), [] as [Value; 0]);
    let all = vault
        .asks("privacy-officer")
        .get(&format!("/v1/grants?principal=all&conversation={thread}"))
        .await
        .json();
    let grant = items(&all)[0].clone();
    assert_eq!(
        (&grant["conversation_id"], &grant["recording_id"]),
        (&json!(thread), &Value::Null)
    );
    let id = grant["id"].as_str().unwrap();
    let end = async |who: &Caller| {
        let request = who.request(Method::DELETE, &format!("/v1/grants/{id}"));
        crate::world::send(request).await
    };
    assert_eq!(end(&officer).await.status, 404);
    assert_eq!(texts(&read(&vault, &path).await), told(&["one"]));
    assert_eq!(end(&vault.asks("privacy-officer")).await.status, 204);
    assert_eq!(
        vault.anybody().get(&path).await.reasons(),
        ["grant-expired"]
    );
    assert_eq!(vault.state(ids[0]).await, "sealed");
}

async fn a_budget_counts_a_thread_once_and_stops_the_next(database: Database) {
    let vault = vault_with(database, &[purpose("few", "budget = 1")]).await;
    let (first, ids) = vault.thread(ANNA, &["one", "two"]).await;
    let (second, _) = vault.thread(BEN, &["three"]).await;
    let reviewer = vault.asks("reviewer");
    let both = [
        granted(&reviewer, &first, "few").await,
        granted(&reviewer, &second, "few").await,
    ];
    for _ in 0..2 {
        assert_eq!(texts(&read(&vault, &both[0]).await), told(&["one", "two"]));
    }
    let page = read(&vault, &both[1]).await;
    assert_eq!(texts(&page), [None]);
    assert_eq!(
        items(&page)[0]["withheld"]["reasons"][0]["code"],
        "budget-spent"
    );
    // A message of the thread by itself would be another opening.
    let alone = vault.grant("reviewer", ids[0], "few").await;
    assert_eq!(alone.reasons(), ["budget-spent"]);
    let again = asks_for(&reviewer, &second, "few").await;
    assert_eq!(again.reasons(), ["budget-spent"]);
    vault.clock.advance(Duration::from_secs(24 * 3600));
    let next_day = granted(&reviewer, &second, "few").await;
    assert_eq!(texts(&read(&vault, &next_day).await), told(&["three"]));
}

async fn an_approval_opens_one_message_of_a_thread_and_its_end_ends_the_grant(database: Database) {
    let vault = Recipe {
        policy: keeping(&that_keeps_everything(SHIPPED_POLICY)),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let card = "my card is 4111 1111 1111 1111";
    let (thread, ids) = vault.thread(ANNA, &["hello", card]).await;
    assert_eq!(vault.member(ids[1], "tier").await, "restricted");
    let first = vault.asks("privacy-officer");
    let second = somebody(&vault, "privacy-officer", &[]).await;
    let asked =
        json!({ "purpose": "dispute-resolution", "justification": "a dispute about a card" });
    let granted = async || {
        let path = format!("/v1/conversations/{thread}/grants");
        let answer = first.post(&path, asked.clone()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        path_of(&answer)
    };
    let path = granted().await;
    let page = read(&vault, &path).await;
    assert_eq!(texts(&page), [Some("hello".to_owned()), None]);
    let why = &items(&page)[1]["withheld"]["reasons"][0]["code"];
    assert_eq!(why, "approval-missing");

    let requested = first
        .post(
            &format!("/v1/recordings/{}/approvals", ids[1]),
            asked.clone(),
        )
        .await;
    let approval = requested.json()["id"].as_str().unwrap().to_owned();
    let decide = async |approve: bool| {
        let path = format!("/v1/approvals/{approval}");
        let decided = second.post(&path, json!({ "approve": approve })).await;
        assert_eq!(decided.status, 200, "{decided:?}");
    };
    let other = granted().await;
    decide(true).await;
    assert_eq!(texts(&read(&vault, &path).await), told(&["hello", card]));
    // The tier's grants last five minutes, the other's longer.
    vault.clock.advance(Duration::from_secs(5 * 60));
    let page = read(&vault, &path).await;
    assert_eq!(texts(&page), [Some("hello".to_owned()), None]);
    let why = &items(&page)[1]["withheld"]["reasons"][0]["code"];
    assert_eq!(why, "grant-expired");

    // Only the grant that gave the message rests on the approval.
    decide(false).await;
    assert_eq!(
        vault.anybody().get(&path).await.reasons(),
        ["grant-expired"]
    );
    let page = read(&vault, &other).await;
    assert_eq!(texts(&page), [Some("hello".to_owned()), None]);
}

async fn the_grant_ends_with_its_time_and_its_token(database: Database) {
    let vault = vault_on(database).await;
    let (thread, _) = vault.thread(ANNA, &["one"]).await;
    let reviewer = somebody(&vault, "reviewer", &[]).await;
    let path = granted(&reviewer, &thread, "see").await;
    assert_eq!(texts(&read(&vault, &path).await), told(&["one"]));
    vault.clock.advance(Duration::from_secs(3600));
    assert_eq!(
        vault.anybody().get(&path).await.reasons(),
        ["grant-expired"]
    );
    assert_eq!(vault.count("conversation.opened").await, 1);
    vault
        .anybody()
        .get(&format!("/v1/media/rvg_{}/thread.json", "A".repeat(43)))
        .await
        .problem(404, "not-found");
}

on_both_databases!(
    whoever_is_limited_to_a_label_reads_only_what_has_it,
    a_thread_of_another_account_looks_like_none,
    a_budget_counts_a_thread_once_and_stops_the_next,
    an_approval_opens_one_message_of_a_thread_and_its_end_ends_the_grant,
    the_grant_ends_with_its_time_and_its_token,
);
