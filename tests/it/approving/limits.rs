//! Emergencies and budgets.

use std::time::Duration;

use futures_util::future::join_all;
use recvault::config::SHIPPED_POLICY;
use reqwest::Method;
use serde_json::json;

use super::{asks_to_listen, entries, path, restricted};
use crate::world::{Database, Recipe};

async fn in_an_emergency_an_officer_breaks_the_glass_and_everybody_hears_of_it(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let officer = vault.asks("privacy-officer");
    let broken = json!({ "break_glass": true, "ticket": "CASE-1042" });
    let path_of = format!("/v1/recordings/{}/grants", recorded.id);
    let silent = json!({ "purpose": "legal-request", "break_glass": true });
    assert!(
        officer
            .post(&path_of, silent)
            .await
            .reasons()
            .contains(&"justification-missing".to_owned())
    );
    assert!(
        asks_to_listen(
            &vault.asks("reviewer"),
            recorded.id,
            "legal-request",
            broken.clone()
        )
        .await
        .status
            == 403
    );
    assert_eq!(
        (
            vault.count("glass.broken").await,
            vault
                .process
                .flow
                .monitoring
                .status()
                .await
                .unwrap()
                .broken_glass
        ),
        (0, 0)
    );

    let open = path(
        &vault,
        &asks_to_listen(&officer, recorded.id, "legal-request", broken.clone()).await,
    );
    assert!(vault.anybody().get(&open).await.body == recorded.wav);
    let told = entries(&vault, "glass.broken").await;
    assert_eq!(told.len(), 1);
    let details = &told[0]["details"];
    assert_eq!(
        (&told[0]["actor"], &told[0]["recording"]),
        (
            &json!(vault.minted("privacy-officer").principal.id),
            &json!(recorded.id)
        )
    );
    assert_eq!(
        (&details["tier"], &details["ticket"], &details["purpose"]),
        (
            &json!("restricted"),
            &json!("CASE-1042"),
            &json!("legal-request")
        )
    );
    let allowed = entries(&vault, "decision.allowed").await;
    assert_eq!(
        (
            &allowed[0]["details"]["break_glass"],
            &allowed[0]["details"]["grant"]
        ),
        (&json!(true), &details["grant"])
    );
    assert_eq!(
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .broken_glass,
        1
    );
    // If no approval is required, none is bypassed.
    let standard = vault.sealed().await;
    let plain = asks_to_listen(
        &vault.asks("reviewer"),
        standard.id,
        "quality-review",
        broken,
    )
    .await;
    assert_eq!((plain.status, vault.count("glass.broken").await), (201, 1));
    vault.clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    assert_eq!(
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .broken_glass,
        0
    );
}

fn with_budget(of: u32) -> String {
    let policy = SHIPPED_POLICY.replacen("budget = 200", &format!("budget = {of}"), 1);
    assert_ne!(policy, SHIPPED_POLICY);
    policy
}

async fn twenty_ask_at_once_and_five_open(database: Database) {
    let vault = Recipe {
        policy: with_budget(5),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let mut all = Vec::new();
    for _ in 0..21 {
        all.push(vault.sealed().await);
    }
    let recorded = all.pop().unwrap();
    let agent = vault.asks("agent");
    let asked = all
        .iter()
        .map(|each| asks_to_listen(&agent, each.id, "follow-up", json!({})));
    let grants = join_all(asked).await;
    let paths: Vec<String> = grants.iter().map(|grant| path(&vault, grant)).collect();
    for path in &paths {
        assert_eq!(
            vault.anybody().with(Method::HEAD, path, &[]).await.status,
            200,
            "a look opens nothing"
        );
    }
    let opened = join_all(paths.iter().map(|path| vault.anybody().get(path))).await;
    let (open, refused): (Vec<_>, Vec<_>) = paths
        .iter()
        .zip(&opened)
        .partition(|(_, answer)| answer.status == 200);
    assert_eq!((open.len(), refused.len()), (5, 15));
    for (_, answer) in &refused {
        assert_eq!(answer.reasons(), ["budget-spent"]);
    }
    assert_eq!(vault.count("opening.started").await, 5);
    // Seeking in an opened recording costs nothing, and a refused one stays refused.
    for (path, _) in &open {
        assert_eq!(
            vault
                .anybody()
                .with(Method::GET, path, &[("range", "bytes=10-20")])
                .await
                .status,
            206
        );
    }
    assert_eq!(
        vault.anybody().get(refused[0].0).await.reasons(),
        ["budget-spent"]
    );
    // Nothing more is granted, for this purpose and to this principal.
    assert_eq!(
        asks_to_listen(&agent, recorded.id, "follow-up", json!({}))
            .await
            .reasons(),
        ["budget-spent"]
    );
    let reviewer = vault.asks("reviewer");
    for purpose in ["follow-up", "quality-review"] {
        let path = path(
            &vault,
            &asks_to_listen(&reviewer, recorded.id, purpose, json!({})).await,
        );
        assert_eq!(vault.anybody().get(&path).await.status, 200);
    }
    // The next day begins anew.
    vault.clock.advance(Duration::from_secs(24 * 3600));
    let next = path(
        &vault,
        &asks_to_listen(&agent, recorded.id, "follow-up", json!({})).await,
    );
    assert_eq!(vault.anybody().get(&next).await.status, 200);
    let day = vault
        .process
        .flow
        .sweeper
        .sweep(Duration::from_secs(3600))
        .await;
    day.unwrap();
    assert_eq!(vault.anybody().get(&next).await.status, 200);
}

async fn what_is_opened_again_after_midnight_counts_that_day(database: Database) {
    const DAY: i64 = 24 * 3600 * 1000;
    let vault = Recipe {
        policy: with_budget(1),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let [first, second] = [vault.sealed().await, vault.sealed().await];
    let since_midnight = vault.clock.now().as_millis().rem_euclid(DAY);
    let to_midnight = u64::try_from(DAY - since_midnight).unwrap();
    let minute = Duration::from_secs(60);
    vault
        .clock
        .advance(Duration::from_millis(to_midnight).saturating_sub(minute));
    let agent = vault.asks("agent");
    let asked = [first.id, second.id].map(|id| asks_to_listen(&agent, id, "follow-up", json!({})));
    let [first_grant, second_grant]: [_; 2] = join_all(asked).await.try_into().unwrap();
    let [one, two] = [path(&vault, &first_grant), path(&vault, &second_grant)];
    let anybody = vault.anybody();
    assert_eq!(anybody.get(&one).await.status, 200);
    let head = anybody.with(Method::HEAD, &two, &[]).await;
    assert_eq!(head.status, 403, "as GET would answer");
    assert_eq!(anybody.get(&two).await.reasons(), ["budget-spent"]);
    // The next day, the same grant.
    vault.clock.advance(2 * minute);
    assert_eq!(anybody.with(Method::HEAD, &two, &[]).await.status, 200);
    assert_eq!(anybody.get(&one).await.status, 200);
    assert_eq!(
        anybody.get(&one).await.status,
        200,
        "to go on costs nothing"
    );
    assert_eq!(anybody.get(&two).await.reasons(), ["budget-spent"]);
}

on_both_databases!(
    what_is_opened_again_after_midnight_counts_that_day,
    in_an_emergency_an_officer_breaks_the_glass_and_everybody_hears_of_it,
    twenty_ask_at_once_and_five_open,
);
