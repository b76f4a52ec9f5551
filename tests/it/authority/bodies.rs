//! A body has one interpretation, and states its type.

use recvault::model::id::RecordingId;
use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, Database, Recipe, TestVault, send};

/// Returns every route that reads JSON, with a valid body.
fn routes(id: RecordingId) -> Vec<(Method, String, String)> {
    let recording = format!("/v1/recordings/{id}");
    let statement = json!({ "subject": "+4930901820", "answer": "given", "method": "letter", "purposes": ["training"] });
    let named = json!({ "parties": [{ "leg": "caller", "number": "+4930901820" }] });
    let hold = json!({ "purpose": "legal-request", "reason": "x", "authority": "y", "review_at": "2030-01-01T00:00:00Z" });
    let ask = json!({ "purpose": "quality-review" });
    let all = [
        (Method::DELETE, recording.clone(), json!({ "reason": "x" })),
        (Method::PATCH, recording.clone(), json!({ "labels": {} })),
        (Method::POST, format!("{recording}/grants"), ask.clone()),
        (Method::PUT, format!("{recording}/holds/x"), hold),
        (
            Method::POST,
            "/v1/revocations".into(),
            json!({ "recording": id, "reason": "x" }),
        ),
        (
            Method::POST,
            format!("{recording}/approvals"),
            json!({ "purpose": "quality-review", "justification": "x" }),
        ),
        (
            Method::POST,
            format!("/v1/approvals/apr_{}", "0".repeat(32)),
            json!({ "approve": true }),
        ),
        (
            Method::POST,
            "/v1/exports".into(),
            json!({ "subject": "+4930901820", "purpose": "subject-request", "justification": "x" }),
        ),
        (
            Method::PUT,
            format!("{recording}/transcript"),
            json!({ "language": "en", "source": "x", "sentences": [] }),
        ),
        (
            Method::POST,
            format!("/v1/calls/CA{}/parties", "0".repeat(32)),
            named.clone(),
        ),
        (
            Method::POST,
            format!("/v1/conferences/CF{}/parties", "0".repeat(32)),
            named,
        ),
        (Method::POST, "/v1/consents".into(), statement),
        (
            Method::POST,
            "/v1/consents/search".into(),
            json!({ "subject": "+4930901820" }),
        ),
    ];
    all.into_iter()
        .map(|(method, path, body)| (method, path, body.to_string()))
        .collect()
}

async fn sends(
    vault: &TestVault,
    (method, path): (&Method, &str),
    kinds: &[&str],
    body: &str,
) -> Answer {
    let mut request = vault.asks("privacy-officer").request(method.clone(), path);
    for kind in kinds {
        request = request.header("content-type", *kind);
    }
    send(request.body(body.to_owned())).await
}

async fn what_means_two_things_is_refused_on_every_route(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    for (method, path, body) in routes(recorded.id) {
        let to = (&method, path.as_str());
        let json = &["application/json"][..];
        let (first, _) = body[1..].split_once(':').unwrap();
        // A repeated name, with another escape; an unknown name; arrays of the values.
        let escaped = format!("\"\\u{:04x}{}", first.as_bytes()[1], &first[2..]);
        let values: serde_json::Value = serde_json::from_str(&body).unwrap();
        let values: Vec<_> = values.as_object().unwrap().values().cloned().collect();
        for wrong in [
            format!("{{{first}:null,{}", &body[1..]),
            format!("{{{escaped}:null,{}", &body[1..]),
            format!("{{\"no-such-name\":1,{}", &body[1..]),
            json!(values).to_string(),
            "[]".to_owned(),
            format!("{body}{body}"),
        ] {
            let answer = sends(&vault, to, json, &wrong).await;
            assert_eq!(answer.status, 400, "{method} {path} {wrong}: {answer:?}");
        }
        for kinds in [
            &[][..],
            &["text/plain"],
            &["application/x-www-form-urlencoded"],
            &["application/jsonp"],
            &["application/json", "application/json"],
        ] {
            let answer = sends(&vault, to, kinds, &body).await;
            answer.problem(415, "unsupported-media-type");
            assert!(answer.text().contains("application/json"), "{answer:?}");
        }
        assert_eq!(vault.state(recorded.id).await, "sealed");
    }
}

async fn no_fault_repeats_a_number(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let json = &["application/json"][..];
    for (method, path, body) in routes(recorded.id) {
        let to = (&method, path.as_str());
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let members = body.as_object().unwrap();
        for name in members.keys() {
            for wrong in [
                json!(493076543201_u64),
                json!({ "493076543201": 1 }),
                json!([{ "leg": 493076543201_u64, "493076543201": 493076543201_u64 }]),
            ] {
                let mut body = body.clone();
                body[name] = wrong;
                let answer = sends(&vault, to, json, &body.to_string()).await;
                assert_eq!(answer.status, 400, "{method} {path} {body}: {answer:?}");
                assert!(!answer.text().contains("3076543201"), "{answer:?}");
            }
        }
        // A text may be accepted, but a fault does not repeat it either.
        for name in members.keys() {
            let mut body = body.clone();
            body[name] = json!("sip:493076543201@example.org");
            let answer = sends(&vault, to, json, &body.to_string()).await;
            if answer.status == 400 {
                assert!(!answer.text().contains("3076543201"), "{answer:?}");
            }
        }
        let mut body = body.clone();
        body["+493076543201"] = json!(1);
        let answer = sends(&vault, to, json, &body.to_string()).await;
        assert_eq!(answer.status, 400, "{method} {path} {body}: {answer:?}");
        assert!(!answer.text().contains("3076543201"), "{answer:?}");
    }
}

async fn a_callback_of_another_type_is_told_what_is_expected(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let request = vault
        .anybody()
        .request(Method::POST, "/twilio/recordings")
        .header("content-type", "text/plain")
        .body("AccountSid=x");
    let answer = send(request).await;
    answer.problem(415, "unsupported-media-type");
    assert!(answer.text().contains("application/x-www-form-urlencoded"));
}

async fn a_statement_names_a_version_that_was_in_force(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let tell = async |version: &str, at: Option<&str>| {
        let mut body = json!({ "subject": "+4930901820", "answer": "given", "method": "letter", "purposes": ["training"], "policy_version": version });
        if let Some(at) = at {
            body["at"] = json!(at);
        }
        vault
            .asks("privacy-officer")
            .post("/v1/consents", body)
            .await
    };
    for (version, at) in [
        ("2", None),
        ("0", Some("2026-02-01T00:00:00Z")),
        ("1", Some("2025-12-31T23:59:59Z")),
    ] {
        let answer = tell(version, at).await;
        answer.problem(400, "bad-request");
        assert!(answer.text().contains("`policy_version`"), "{answer:?}");
    }
    assert_eq!(tell("1", None).await.status, 201);
    assert_eq!(tell("1", Some("2026-02-01T00:00:00Z")).await.status, 201);
}

on_both_databases!(
    what_means_two_things_is_refused_on_every_route,
    no_fault_repeats_a_number,
    a_callback_of_another_type_is_told_what_is_expected,
    a_statement_names_a_version_that_was_in_force,
);
