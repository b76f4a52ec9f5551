//! Second persons, emergencies and budgets: limits on what one principal may do alone or
//! repeatedly.

mod limits;
mod requests;

use std::time::Duration;

use futures_util::future::join_all;
use recvault::{flow, model::id::RecordingId};
use serde_json::{Value, json};

use crate::world::{Answer, Caller, Database, Recipe, Recorded, TestVault};

const WORDS: &str = "Ophelia Brandywine disputes what was agreed";

/// Returns another principal with this role.
async fn another(vault: &TestVault, role: &str) -> Caller {
    let wanted = flow::NewToken {
        roles: vec![role.parse().unwrap()],
        ..flow::NewToken::new(
            "second".parse().unwrap(),
            Duration::from_secs(30 * 24 * 3600),
        )
    };
    let minted = flow::mint_token(&vault.process.db, &vault.clock, wanted)
        .await
        .unwrap();
    vault.process.api.clone().bearing(minted.token.expose())
}

async fn restricted(vault: &TestVault) -> Recorded {
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    assert_eq!(
        vault
            .post_callback(
                &vault.account,
                "/twilio/recordings?tier=restricted",
                &params
            )
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
    recorded
}

async fn asks_for_approval(who: &Caller, id: RecordingId, purpose: &str) -> Answer {
    who.post(
        &format!("/v1/recordings/{id}/approvals"),
        json!({ "purpose": purpose, "justification": WORDS }),
    )
    .await
}

async fn asks_to_listen(who: &Caller, id: RecordingId, purpose: &str, more: Value) -> Answer {
    let mut body = json!({ "purpose": purpose, "justification": WORDS });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    who.post(&format!("/v1/recordings/{id}/grants"), body).await
}

async fn decides(who: &Caller, id: &Value, approve: bool) -> Answer {
    who.post(
        &format!("/v1/approvals/{}", id.as_str().unwrap()),
        json!({ "approve": approve }),
    )
    .await
}

fn path(vault: &TestVault, grant: &Answer) -> String {
    assert_eq!(grant.status, 201, "{grant:?}");
    vault
        .process
        .path_of(grant.json()["audio_url"].as_str().unwrap())
}

/// Returns the audit entries of this event.
async fn entries(vault: &TestVault, event: &str) -> Vec<Value> {
    let log = vault
        .asks("auditor")
        .get("/v1/audit?limit=1000")
        .await
        .json();
    log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["event"] == event)
        .cloned()
        .collect()
}

async fn two_officers_open_together_what_one_may_not_open_alone(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let first = vault.asks("privacy-officer");
    let second = another(&vault, "privacy-officer").await;
    let purpose = "dispute-resolution";
    assert_eq!(
        asks_to_listen(&first, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );

    let asked = asks_for_approval(&first, recorded.id, purpose).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let asked = asked.json();
    let eight_hours = vault.clock.now().after(Duration::from_secs(8 * 3600));
    assert_eq!(
        (&asked["state"], &asked["expires_at"]),
        (&json!("requested"), &json!(eight_hours))
    );
    let again = asks_for_approval(&first, recorded.id, purpose).await;
    assert_eq!(
        (again.status, again.json()),
        (200, asked.clone()),
        "one that waits is given back"
    );
    assert_eq!(
        asks_to_listen(&first, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"],
        "nobody agreed yet"
    );

    // An approving principal sees the justification; the log records that it was shown.
    let listed = second.get("/v1/approvals?state=requested").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let item = &listed["items"][0];
    let requester = json!(vault.minted("privacy-officer").principal.id);
    assert_eq!(
        (&item["id"], &item["justification"], &item["tier"]),
        (&asked["id"], &json!(WORDS), &json!("restricted"))
    );
    assert_eq!(
        (
            &item["requested_by"],
            &item["purpose"],
            &item["recording_id"]
        ),
        (&requester, &json!(purpose), &json!(recorded.id))
    );
    assert_eq!(entries(&vault, "approval.shown").await.len(), 1);
    assert_eq!(
        vault.asks("reviewer").get("/v1/approvals").await.reasons(),
        ["role-not-allowed"]
    );
    assert_eq!(
        vault.asks("stranger").get("/v1/approvals").await.json()["items"],
        json!([]),
        "their account has no recording"
    );

    // Not the requester, not every role, and not a principal without access to the account.
    let problem = decides(&first, &asked["id"], true)
        .await
        .problem(403, "own-request");
    assert!(
        problem["detail"].as_str().unwrap().contains("own request"),
        "{problem}"
    );
    assert_eq!(
        decides(&vault.asks("reviewer"), &asked["id"], true)
            .await
            .reasons(),
        ["role-not-allowed"]
    );
    decides(&vault.asks("stranger"), &asked["id"], true)
        .await
        .problem(404, "not-found");
    decides(
        &second,
        &json!("apr_00000000000000000000000000000000"),
        true,
    )
    .await
    .problem(404, "not-found");
    assert_eq!(
        asks_to_listen(&first, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );

    vault.clock.advance(Duration::from_secs(3600));
    let decided = decides(&second, &asked["id"], true).await;
    assert_eq!(decided.status, 200, "{decided:?}");
    let until = vault.clock.now().after(Duration::from_secs(8 * 3600));
    assert_eq!(
        (&decided.json()["state"], &decided.json()["expires_at"]),
        (&json!("approved"), &json!(until)),
        "counted anew"
    );
    assert_eq!(
        decides(&second, &asked["id"], true).await.json(),
        decided.json(),
        "to say it again changes nothing"
    );
    let opened = vault
        .anybody()
        .get(&path(
            &vault,
            &asks_to_listen(&first, recorded.id, purpose, json!({})).await,
        ))
        .await;
    assert!(opened.status == 200 && opened.body == recorded.wav);

    // It is valid for one principal and one purpose.
    assert_eq!(
        asks_to_listen(&second, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );
    assert_eq!(
        asks_to_listen(&first, recorded.id, "legal-request", json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );
    let other = restricted(&vault).await;
    assert_eq!(
        asks_to_listen(&first, other.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );
    // And for a limited time, which its last grant does not outlive.
    vault.clock.advance(Duration::from_secs(8 * 3600 - 60));
    let last = asks_to_listen(&first, recorded.id, purpose, json!({})).await;
    assert_eq!(last.json()["expires_at"], json!(until));
    let last = path(&vault, &last);
    vault.clock.advance(Duration::from_secs(60));
    assert!(
        vault
            .anybody()
            .get(&last)
            .await
            .reasons()
            .contains(&"approval-missing".to_owned())
    );
    assert_eq!(
        asks_to_listen(&first, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );

    let [requested, given] = [
        entries(&vault, "approval.requested").await,
        entries(&vault, "approval.decided").await,
    ];
    assert_eq!((requested.len(), given.len()), (1, 1));
    assert_eq!(
        (&requested[0]["actor"], &requested[0]["details"]["approval"]),
        (&requester, &asked["id"])
    );
    assert_eq!(
        (
            &given[0]["details"]["requested_by"],
            &given[0]["details"]["approved"]
        ),
        (&requester, &json!(true))
    );
    let log = vault
        .asks("auditor")
        .get("/v1/audit?limit=1000")
        .await
        .text();
    assert!(
        !log.contains("Brandywine"),
        "what was written is not in the log"
    );
}

/// As by a client that repeats a request before it has the first answer.
async fn equal_decisions_at_one_moment_are_one(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let first = vault.asks("privacy-officer");
    let second = another(&vault, "privacy-officer").await;
    for purpose in ["dispute-resolution", "legal-request"] {
        let asked = asks_for_approval(&first, recorded.id, purpose).await.json();
        let approve = || decides(&second, &asked["id"], true);
        let answers = join_all((0..8).map(|_| approve())).await;
        for answer in &answers {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json(), answers[0].json());
        }
    }
    assert_eq!(entries(&vault, "approval.decided").await.len(), 2);
}

async fn what_is_taken_back_refused_or_over_opens_nothing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let first = vault.asks("privacy-officer");
    let second = another(&vault, "privacy-officer").await;
    let purpose = "legal-request";
    // Withdrawn.
    let asked = asks_for_approval(&first, recorded.id, purpose).await.json();
    assert_eq!(decides(&second, &asked["id"], true).await.status, 200);
    let open = path(
        &vault,
        &asks_to_listen(&first, recorded.id, purpose, json!({})).await,
    );
    assert_eq!(
        decides(&second, &asked["id"], false).await.json()["state"],
        "refused"
    );
    assert_eq!(
        vault.anybody().get(&open).await.reasons(),
        ["grant-expired", "approval-missing"],
        "not even what was granted before"
    );
    decides(&second, &asked["id"], true)
        .await
        .problem(409, "conflict");
    assert_eq!(decides(&second, &asked["id"], false).await.status, 200);
    // Refused.
    let asked = asks_for_approval(&first, recorded.id, purpose).await;
    assert_eq!(asked.status, 201, "one may ask again");
    assert_eq!(
        decides(&second, &asked.json()["id"], false).await.json()["state"],
        "refused"
    );
    assert_eq!(
        asks_to_listen(&first, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );
    // Expired.
    let asked = asks_for_approval(&first, recorded.id, purpose).await.json();
    vault.clock.advance(Duration::from_secs(8 * 3600));
    decides(&second, &asked["id"], true)
        .await
        .problem(409, "conflict");
    assert_eq!(
        second.get("/v1/approvals?state=requested").await.json()["items"],
        json!([])
    );
    assert_eq!(
        second.get("/v1/approvals").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        second.get("/v1/approvals?limit=2").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        asks_to_listen(&first, recorded.id, purpose, json!({}))
            .await
            .reasons(),
        ["approval-missing"]
    );
    // After a shred nothing can be approved, and the justification cannot be read.
    let asked = asks_for_approval(&first, recorded.id, purpose).await.json();
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    assert_eq!(second.get("/v1/approvals").await.json()["items"], json!([]));
    decides(&second, &asked["id"], true)
        .await
        .problem(410, "shredded");
    asks_for_approval(&first, recorded.id, purpose)
        .await
        .problem(410, "shredded");
}

async fn approval_is_asked_for_only_where_it_is_all_that_is_missing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let standard = vault.sealed().await;
    let hidden = restricted(&vault).await;
    let problem = asks_for_approval(&vault.asks("reviewer"), standard.id, "quality-review")
        .await
        .problem(409, "conflict");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("no approval is needed"),
        "{problem}"
    );
    let refused = asks_for_approval(&vault.asks("reviewer"), hidden.id, "legal-request")
        .await
        .reasons();
    assert!(
        refused.contains(&"role-not-allowed".to_owned()),
        "{refused:?}"
    );
    asks_for_approval(&vault.asks("stranger"), hidden.id, "legal-request")
        .await
        .problem(404, "not-found");
    let path = format!("/v1/recordings/{}/approvals", hidden.id);
    let silent = json!({ "purpose": "legal-request", "justification": " . " });
    assert!(
        vault
            .asks("privacy-officer")
            .post(&path, silent)
            .await
            .reasons()
            .contains(&"justification-missing".to_owned())
    );
    let long = json!({ "purpose": "legal-request", "justification": "x".repeat(1001) });
    assert!(
        vault
            .asks("privacy-officer")
            .post(&path, long)
            .await
            .reasons()
            .contains(&"justification-too-long".to_owned())
    );
    vault
        .asks("privacy-officer")
        .post(&path, json!({ "purpose": "legal-request" }))
        .await
        .problem(400, "bad-request");
    assert_eq!(vault.count("approval.requested").await, 0);
}

on_both_databases!(
    equal_decisions_at_one_moment_are_one,
    two_officers_open_together_what_one_may_not_open_alone,
    what_is_taken_back_refused_or_over_opens_nothing,
    approval_is_asked_for_only_where_it_is_all_that_is_missing,
);
