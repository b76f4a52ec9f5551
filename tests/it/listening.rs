//! Playback: the permitted principals, purposes, times and bytes.

mod playing;

use std::{fs, time::Duration};

use recvault::{
    config::SHIPPED_POLICY,
    flow,
    model::{id::RecordingId, time::Timestamp},
};
use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, Database, Recipe, Recorded, TestVault, send};

/// The shipped policy, as expected by the test: purpose, tiers, roles, and whether it requires a
/// justification.
const PURPOSES: [(&str, &[&str], &[&str], bool); 6] = [
    ("follow-up", &["standard"], &["agent", "reviewer"], true),
    (
        "quality-review",
        &["standard", "sensitive"],
        &["reviewer"],
        false,
    ),
    ("training", &["standard"], &["reviewer"], true),
    (
        "dispute-resolution",
        &["standard", "sensitive", "restricted"],
        &["privacy-officer"],
        true,
    ),
    (
        "subject-request",
        &["standard", "sensitive", "restricted"],
        &["privacy-officer"],
        true,
    ),
    (
        "legal-request",
        &["standard", "sensitive", "restricted"],
        &["privacy-officer"],
        true,
    ),
];

const TIERS: [(&str, u64); 3] = [("standard", 3600), ("sensitive", 900), ("restricted", 300)];

async fn sealed_in(vault: &TestVault, tier: &str) -> Recorded {
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let answer = vault
        .post_callback(
            &vault.account,
            &format!("/twilio/recordings?tier={tier}"),
            &params,
        )
        .await;
    assert_eq!(answer.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    recorded
}

async fn ask(
    vault: &TestVault,
    who: &str,
    id: RecordingId,
    purpose: &str,
    justification: Option<&str>,
) -> Answer {
    let body = json!({ "purpose": purpose, "justification": justification });
    vault
        .asks(who)
        .post(&format!("/v1/recordings/{id}/grants"), body)
        .await
}

async fn everybody_asks_for_everything_and_gets_what_the_policy_says(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for (tier, seconds) in TIERS {
        let recorded = sealed_in(&vault, tier).await;
        for (purpose, tiers, roles, wants_words) in PURPOSES {
            for who in ["agent", "reviewer", "privacy-officer", "auditor"] {
                for justification in [Some("because"), Some(" \u{200b}. "), None] {
                    let is_missing = wants_words && justification != Some("because");
                    let found = [
                        (!tiers.contains(&tier), "purpose-not-for-tier"),
                        (!roles.contains(&who), "role-not-allowed"),
                        (is_missing, "justification-missing"),
                        // Nobody has consented, and nobody else has approved.
                        (purpose == "training", "consent-missing"),
                        (tier == "restricted", "approval-missing"),
                    ];
                    let expected: Vec<&str> = found
                        .into_iter()
                        .filter_map(|(holds, code)| holds.then_some(code))
                        .collect();
                    let answer = ask(&vault, who, recorded.id, purpose, justification).await;
                    let case = format!("{who} wants {tier} for {purpose} with {justification:?}");
                    if expected.is_empty() {
                        assert_eq!(answer.status, 201, "{case}: {answer:?}");
                        let grant = answer.json();
                        let end = Timestamp::parse_rfc3339(grant["expires_at"].as_str().unwrap())
                            .unwrap();
                        assert_eq!(
                            end.since(vault.clock.now()),
                            Duration::from_secs(seconds),
                            "{case}"
                        );
                        let view = if purpose == "training" {
                            "window"
                        } else {
                            "audio"
                        };
                        assert_eq!(
                            (&grant["purpose"], &grant["view"]),
                            (&json!(purpose), &json!(view)),
                            "{case}"
                        );
                        assert_eq!(
                            grant["policy_digest"].as_str(),
                            Some(vault.process.flow.rulebook.current().digest())
                        );
                    } else {
                        assert_eq!(answer.reasons(), expected, "{case}");
                    }
                }
            }
        }
    }
}

async fn a_stranger_cannot_tell_what_is_there(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let theirs = vault.sealed().await;
    let shredded = vault.sealed().await;
    assert_eq!(vault.shred(shredded.id).await.status, 200);
    let missing = RecordingId::random(&mut rand::rng());
    for who in ["stranger", "nobody"] {
        let absent = ask(&vault, who, missing, "quality-review", None).await;
        absent.problem(404, "not-found");
        for id in [theirs.id, shredded.id] {
            for purpose in ["quality-review", "legal-request", "curiosity"] {
                let hidden = ask(&vault, who, id, purpose, Some("because")).await;
                assert_eq!(
                    (hidden.status, &hidden.body),
                    (404, &absent.body),
                    "{who} {purpose}"
                );
            }
            for path in [
                format!("/v1/recordings/{id}"),
                "/v1/recordings/rec_0".to_owned(),
                format!("/v1/recordings/{missing}"),
            ] {
                let hidden = vault.asks(who).get(&path).await;
                assert_eq!(
                    (hidden.status, &hidden.body),
                    (404, &absent.body),
                    "{who} {path}"
                );
            }
            let body = json!({ "reason": "operator" });
            let hidden = vault
                .asks(who)
                .delete(&format!("/v1/recordings/{id}"), body)
                .await;
            assert_eq!((hidden.status, &hidden.body), (404, &absent.body), "{who}");
        }
    }
    assert_eq!(vault.state(theirs.id).await, "sealed");
    let list = vault.asks("stranger").get("/v1/recordings").await.json();
    assert_eq!(list, json!({ "items": [], "next_cursor": null }));
    assert_eq!(
        vault.asks("auditor").get("/v1/recordings").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // The stranger's own recordings are visible.
    let own = vault.record_for(&vault.other_account, theirs.wav);
    assert_eq!(vault.tell(&own, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        ask(&vault, "stranger", own.id, "quality-review", None)
            .await
            .status,
        201
    );
    let list = vault.asks("stranger").get("/v1/recordings").await.json();
    assert_eq!(
        (
            list["items"].as_array().unwrap().len(),
            &list["items"][0]["id"]
        ),
        (1, &json!(own.id))
    );
}

async fn a_grant_ends_and_with_it_the_sound(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    vault.clock.advance(Duration::from_millis(3_599_999));
    assert_eq!(
        vault.anybody().with(Method::HEAD, &path, &[]).await.status,
        200
    );
    vault.clock.advance(Duration::from_millis(1));
    assert_eq!(
        vault.anybody().get(&path).await.reasons(),
        ["grant-expired"]
    );
    assert_eq!(
        vault.anybody().with(Method::HEAD, &path, &[]).await.status,
        403
    );
    // Long after its end, it is deleted.
    vault.clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    assert_eq!(
        vault
            .process
            .flow
            .sweeper
            .sweep(Duration::from_secs(3600))
            .await
            .unwrap()
            .grants,
        1
    );
    vault.anybody().get(&path).await.problem(404, "not-found");
}

async fn a_revoked_token_takes_its_grants_with_it(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let officers = vault
        .grant("privacy-officer", recorded.id, "legal-request")
        .await
        .json();
    let token = vault.minted("reviewer").row.id;
    flow::revoke_token(&vault.process.db, &vault.clock, token)
        .await
        .unwrap();
    vault.anybody().get(&path).await.problem(404, "not-found");
    let answer = ask(&vault, "reviewer", recorded.id, "quality-review", None).await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    // The grants of others stay valid.
    let path = vault
        .process
        .path_of(officers["audio_url"].as_str().unwrap());
    assert_eq!(vault.anybody().get(&path).await.status, 200);
}

on_both_databases!(
    everybody_asks_for_everything_and_gets_what_the_policy_says,
    a_stranger_cannot_tell_what_is_there,
    a_grant_ends_and_with_it_the_sound,
    a_revoked_token_takes_its_grants_with_it,
);

#[tokio::test]
async fn what_is_asked_without_a_valid_token_is_refused() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}", recorded.id);
    let good = format!("Bearer {}", vault.minted("agent").token.expose());
    let grant = vault
        .audio(recorded.id)
        .await
        .split('/')
        .nth(3)
        .unwrap()
        .to_owned();
    let basic = good.replace("Bearer", "Basic");
    let wrong = good.replace("rvt_", "rvg_");
    let as_grant = format!("Bearer {grant}");
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer rvt_x",
        &basic,
        &wrong,
        &as_grant,
    ] {
        vault
            .anybody()
            .with(Method::GET, &path, &[("authorization", header)])
            .await
            .problem(401, "unauthorized");
    }
    vault
        .anybody()
        .get(&path)
        .await
        .problem(401, "unauthorized");
    vault
        .anybody()
        .with(
            Method::GET,
            &path,
            &[("authorization", &good), ("authorization", &good)],
        )
        .await
        .problem(401, "unauthorized");
    assert_eq!(
        vault
            .anybody()
            .with(
                Method::GET,
                &path,
                &[("authorization", &good.replace("Bearer", "bearer"))]
            )
            .await
            .status,
        200
    );
    // A bearer token opens no media.
    let path = format!(
        "/v1/media/{}/audio.wav",
        vault.minted("reviewer").token.expose()
    );
    vault.anybody().get(&path).await.problem(404, "not-found");
    // After 30 days a token is no longer valid.
    vault.clock.advance(Duration::from_secs(30 * 24 * 3600));
    vault
        .asks("agent")
        .get("/v1/recordings")
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_request_for_a_grant_that_makes_no_sense_is_told_why() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}/grants", recorded.id);
    for (body, field) in [
        (json!({}), "purpose"),
        (json!({ "purpose": "Quality!" }), "purpose"),
        (json!({ "purpose": "quality-review", "extra": 1 }), "extra"),
        (
            json!({ "purpose": "quality-review", "justification": 1 }),
            "justification",
        ),
    ] {
        let problem = vault
            .asks("reviewer")
            .post(&path, body)
            .await
            .problem(400, "bad-request");
        assert!(
            problem["detail"].as_str().unwrap().contains(field),
            "{problem}"
        );
    }
    let text = vault
        .asks("reviewer")
        .request(Method::POST, &path)
        .header("content-type", "text/plain")
        .body("{}");
    send(text).await.problem(415, "unsupported-media-type");
    let long = json!({ "purpose": "quality-review", "justification": "x".repeat(64 * 1024) });
    vault
        .asks("reviewer")
        .post(&path, long)
        .await
        .problem(413, "too-large");
    for (words, expected) in [(1000, 201), (1001, 403)] {
        assert_eq!(
            ask(
                &vault,
                "agent",
                recorded.id,
                "follow-up",
                Some(&"ä".repeat(words))
            )
            .await
            .status,
            expected
        );
    }
    let unknown = ask(
        &vault,
        "reviewer",
        recorded.id,
        "curiosity",
        Some("because"),
    )
    .await;
    assert_eq!(unknown.reasons(), ["purpose-unknown"]);
    let announced = vault.announced().await;
    assert_eq!(
        ask(&vault, "agent", announced.id, "training", None)
            .await
            .reasons(),
        [
            "recording-not-sealed",
            "role-not-allowed",
            "justification-missing",
            "consent-missing"
        ]
    );
}

#[tokio::test]
async fn a_later_policy_narrows_at_once_and_never_widens() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let quality = "[[purposes]]\nname = \"quality-review\"";
    let (before, after) = SHIPPED_POLICY.split_once(quality).unwrap();
    let later = |roles: &str, version: &str| {
        let after = after.replacen("roles = [\"reviewer\"]", &format!("roles = [{roles}]"), 1);
        format!("{before}{quality}{after}").replacen(
            "version = \"1\"",
            &format!("version = \"{version}\""),
            1,
        )
    };
    fs::write(
        vault.folder().join("privacy-policy.toml"),
        later("\"agent\"", "2"),
    )
    .unwrap();
    let process = vault.another_process().await;
    // The grant was issued under the first version; the second does not name reviewers.
    assert_eq!(process.api.get(&path).await.reasons(), ["role-not-allowed"]);
    // The second version names agents, but the first, to which the recording is pinned, does not.
    let agent = process
        .api
        .clone()
        .bearing(vault.minted("agent").token.expose());
    let body = json!({ "purpose": "quality-review" });
    let refused = agent
        .post(
            &format!("/v1/recordings/{}/grants", recorded.id),
            body.clone(),
        )
        .await;
    assert_eq!(refused.reasons(), ["role-not-allowed"]);
    let text = refused.json()["reasons"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("version `1`"), "{text}");
    // For new recordings, only the second version counts.
    let new = vault.record();
    let params = vault.stand_in.callback_params(&new.sid, "completed");
    let signed = vault.stand_in.callback(
        &vault.account,
        &process.public("/twilio/recordings"),
        &params,
    );
    assert_eq!(
        process
            .api
            .form("/twilio/recordings", &signed.body, &[&signed.signature])
            .await
            .status,
        204
    );
    process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        agent
            .post(&format!("/v1/recordings/{}/grants", new.id), body)
            .await
            .status,
        201
    );
}
