//! Further data of a request: a ticket, and its network.

use recvault::config::SHIPPED_POLICY;
use reqwest::Method;
use serde_json::json;

use super::{WORDS, asks_to_listen, entries, path};
use crate::world::{Database, Recipe, Recorded, TestVault};

async fn a_ticket_is_named_and_written_down(database: Database) {
    let condition = "justification = true\nbasis = \"contract\"\nwhen = \"context has ticket\"";
    let policy = SHIPPED_POLICY.replacen(
        "justification = true\n# The legal basis.",
        &format!("{condition}\n# The legal basis."),
        1,
    );
    let policy = policy.replacen(
        "# The legal basis. With \"consent\", every known party must have consented to this purpose.\nbasis = \"contract\"\n",
        "",
        1,
    );
    let vault = Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let agent = vault.asks("agent");
    assert_eq!(
        asks_to_listen(&agent, recorded.id, "follow-up", json!({}))
            .await
            .reasons(),
        ["condition-not-met"]
    );
    let open = path(
        &vault,
        &asks_to_listen(
            &agent,
            recorded.id,
            "follow-up",
            json!({ "ticket": "CASE-7" }),
        )
        .await,
    );
    assert_eq!(
        vault.anybody().get(&open).await.status,
        200,
        "it is known at each opening"
    );
    assert_eq!(
        entries(&vault, "decision.allowed").await[0]["details"]["ticket"],
        "CASE-7"
    );
    for bad in ["", "two words", "x".repeat(65).as_str()] {
        asks_to_listen(&agent, recorded.id, "follow-up", json!({ "ticket": bad }))
            .await
            .problem(400, "bad-request");
    }
}

on_both_databases!(a_ticket_is_named_and_written_down,);

#[tokio::test]
async fn where_a_request_comes_from_is_asked_at_every_opening() {
    let condition =
        "when = \"context has network && context.network.isInRange(ip(\\\"192.0.2.0/24\\\"))\"";
    let policy = SHIPPED_POLICY.replacen(
        "basis = \"contract\"\n",
        &format!("basis = \"contract\"\n{condition}\n"),
        1,
    );
    let recipe = |server| Recipe {
        policy: policy.clone(),
        server,
        ..Recipe::default()
    };
    let vault = recipe("trusted_proxies = [\"127.0.0.1\"]").by_hand().await;
    let recorded = vault.sealed().await;
    let ask = async |vault: &TestVault, recorded: &Recorded, from: &str| {
        let request = vault.asks("agent").request(
            Method::POST,
            &format!("/v1/recordings/{}/grants", recorded.id),
        );
        let request = request
            .header("x-forwarded-for", from)
            .json(&json!({ "purpose": "follow-up", "justification": WORDS }));
        crate::world::send(request).await
    };
    assert_eq!(
        ask(&vault, &recorded, "198.51.100.1").await.reasons(),
        ["condition-not-met"]
    );
    assert_eq!(
        ask(&vault, &recorded, "192.0.2.7, 198.51.100.1")
            .await
            .reasons(),
        ["condition-not-met"]
    );
    let open = path(
        &vault,
        &ask(&vault, &recorded, "198.51.100.1, 192.0.2.7").await,
    );
    assert_eq!(
        vault
            .anybody()
            .with(Method::GET, &open, &[("x-forwarded-for", "192.0.2.8")])
            .await
            .status,
        200
    );
    assert_eq!(
        vault
            .anybody()
            .with(Method::GET, &open, &[("x-forwarded-for", "198.51.100.1")])
            .await
            .reasons(),
        ["condition-not-met"]
    );
    assert_eq!(
        vault.anybody().get(&open).await.reasons(),
        ["condition-not-met"],
        "the proxy does not say"
    );
    // The header of a peer that is not a trusted proxy is ignored.
    let vault = recipe("").by_hand().await;
    let recorded = vault.sealed().await;
    assert_eq!(
        ask(&vault, &recorded, "192.0.2.7").await.reasons(),
        ["condition-not-met"]
    );
}
