//! The form of answers: refusals, headers, the description, and public resources.

use std::{collections::BTreeSet, fs};

use recvault::{
    config::SHIPPED_POLICY,
    model::id::RecordingId,
    policy::{Permit, action},
};
use reqwest::Method;
use serde_json::json;

use super::has_the_headers;
use crate::world::{Answer, Caller, Recipe, send};

#[tokio::test]
async fn every_refusal_is_a_problem_with_every_header() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let agent = vault.asks("agent");
    let anybody = vault.anybody();
    let id = recorded.id;
    let missing = RecordingId::random(&mut rand::rng());
    let media = vault.audio(id).await;
    let cases: Vec<(u16, &str, Answer)> = vec![
        (404, "not-found", anybody.get("/").await),
        (404, "not-found", anybody.get("/metrics").await),
        (404, "not-found", anybody.get("/v1/recordings/").await),
        (
            404,
            "not-found",
            agent.get(&format!("/v1/recordings/{missing}")).await,
        ),
        (404, "not-found", agent.get("/v1/recordings/%FF").await),
        (404, "not-found", anybody.get("/v1/media/x/audio.wav").await),
        (
            405,
            "method-not-allowed",
            anybody.with(Method::PUT, "/v1/recordings", &[]).await,
        ),
        (
            405,
            "method-not-allowed",
            anybody.with(Method::DELETE, &media, &[]).await,
        ),
        (
            405,
            "method-not-allowed",
            anybody.with(Method::PUT, "/twilio/recordings", &[]).await,
        ),
        (401, "unauthorized", anybody.get("/v1/recordings").await),
        (403, "denied", agent.get("/v1/audit").await),
        (
            403,
            "bad-signature",
            anybody
                .form("/twilio/recordings", "AccountSid=x", &["x"])
                .await,
        ),
        (
            400,
            "bad-request",
            anybody.form("/twilio/recordings", "A=%F", &["x"]).await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?state=lost").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?since=yesterday").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?limit=0").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?limit=1001").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?cursor=x").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?colour=red").await,
        ),
        (
            400,
            "bad-request",
            agent
                .post(&format!("/v1/recordings/{id}/grants"), json!("x"))
                .await,
        ),
        (
            413,
            "too-large",
            agent
                .post(
                    &format!("/v1/recordings/{id}/grants"),
                    json!("x".repeat(70_000)),
                )
                .await,
        ),
        (
            416,
            "range-not-satisfiable",
            anybody
                .with(Method::GET, &media, &[("range", "bytes=99999999-")])
                .await,
        ),
    ];
    for (status, kind, answer) in &cases {
        answer.problem(*status, kind);
        has_the_headers(answer);
    }
    for answer in [
        anybody.get("/healthz").await,
        anybody.get(&media).await,
        agent.get("/v1/recordings").await,
    ] {
        assert_eq!(answer.status, 200);
        has_the_headers(&answer);
    }
    // A public document may be kept, and its tag is asked for again.
    let policy = anybody.get("/v1/policy").await;
    assert_eq!(policy.header("cache-control"), "no-cache");
}

/// Returns the rest of a call's arguments, up to the closing parenthesis.
fn arguments(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &text[..end.unwrap()]
}

#[tokio::test]
async fn the_description_lists_every_route_and_no_other() {
    let vault = Recipe::default().by_hand().await;
    let document = vault.anybody().get("/openapi.json").await.json();
    let methods = ["get", "post", "put", "delete", "patch"];
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            methods
                .into_iter()
                .filter(|method| item[method].is_object())
                .map(|method| (path.clone(), method.to_owned()))
        })
        .collect();
    // The route table is on one page and can be parsed; the routes for Twilio are a separate table.
    let mut routed = BTreeSet::new();
    let tables = [
        ("", include_str!("../../../src/api.rs")),
        ("/twilio", include_str!("../../../src/api/twilio.rs")),
    ];
    for (prefix, table) in tables {
        for route in table.split(".route(").skip(1) {
            let (_, route) = route.split_once('"').unwrap();
            let (path, rest) = route.split_once('"').unwrap();
            let handlers = arguments(rest);
            for method in methods
                .into_iter()
                .filter(|method| handlers.contains(&format!("{method}(")))
            {
                routed.insert((format!("{prefix}{path}"), method.to_owned()));
            }
        }
    }
    assert!(routed.len() >= 13, "{routed:?}");
    assert_eq!(described, routed);
    for (path, method) in &described {
        let operation = &document["paths"][path][method];
        assert!(
            operation["description"].is_string() || operation["summary"].is_string(),
            "{method} {path}"
        );
        let asks_for_bearer = operation["security"][0]["bearer"].is_array();
        assert_eq!(
            asks_for_bearer,
            refuses_strangers(vault.anybody(), path, method).await,
            "{method} {path}"
        );
    }
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
}

async fn refuses_strangers(anybody: &Caller, path: &str, method: &str) -> bool {
    let path = path.replace("{id}", "rec_0").replace("{token}", "x");
    send(anybody.request(method.to_uppercase().parse().unwrap(), &path))
        .await
        .status
        == 401
}

#[tokio::test]
async fn anybody_reads_the_policy_that_is_enforced() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let answer = vault.anybody().get("/v1/policy").await;
    assert_eq!(
        answer.text(),
        fs::read_to_string(vault.folder().join("privacy-policy.toml")).unwrap()
    );
    let digest = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &answer.body,
    ));
    let grant = vault
        .grant("reviewer", recorded.id, "quality-review")
        .await
        .json();
    assert_eq!(
        (grant["policy_digest"].as_str(), answer.header("etag")),
        (Some(digest.as_str()), format!("\"{digest}\"").as_str())
    );
}

#[tokio::test]
async fn anybody_reads_on_the_privacy_page_how_soon_old_backups_forget() {
    let at_once = SHIPPED_POLICY.replacen(
        "forgotten = \"scheduled\"",
        "forgotten = \"immediately\"",
        1,
    );
    let vault = Recipe {
        policy: at_once,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    vault.shred(recorded.id).await;
    let answer = vault.anybody().get("/privacy").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let page = answer.text();
    let digest = vault.details(recorded.id).await["policy_digest"]
        .as_str()
        .unwrap()
        .to_owned();
    for said in [
        digest.as_str(),
        "<strong>24 hours</strong>",
        "Twilio",
        "quality-review",
        "standard this begins immediately",
        "can still undo: 1.",
    ] {
        assert!(
            page.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(said),
            "{said} in {page}"
        );
    }
    vault
        .process
        .flow
        .epochs
        .turn(&Permit::of_operator(action::Keys))
        .await
        .unwrap();
    assert!(
        vault
            .anybody()
            .get("/privacy")
            .await
            .text()
            .contains("can still undo: 0.")
    );
}
