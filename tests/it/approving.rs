//! Second persons, emergencies and budgets: what one principal may not do alone, or not any number
//! of times.

use std::time::Duration;

use futures_util::future::join_all;
use recvault::{config::SHIPPED_POLICY, flow, model::id::RecordingId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Caller, Database, Recipe, Recorded, TestVault};

const WORDS: &str = "Ophelia Brandywine disputes what was agreed";

/// Somebody else with these roles.
async fn another(vault: &TestVault, role: &str) -> Caller {
    let wanted = flow::NewToken {
        roles: vec![role.parse().unwrap()],
        ..flow::NewToken::new(
            "second".parse().unwrap(),
            Duration::from_secs(30 * 24 * 3600),
        )
    };
    let minted = flow::mint_token(&vault.process.ledger, &vault.clock, wanted)
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
    vault.process.flow.work_off().await.unwrap();
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

/// The entries of the audit log of this event.
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

    // Who may approve sees why; that it was shown is in the log.
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

    // Not oneself, not any role, not who may not know.
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

    // It is for one principal and one purpose.
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
    // And for a time, which its last grant does not outlive.
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

async fn what_is_taken_back_refused_or_over_opens_nothing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let first = vault.asks("privacy-officer");
    let second = another(&vault, "privacy-officer").await;
    let purpose = "legal-request";
    // Taken back.
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
        ["approval-missing"],
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
    // Over.
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
    // Gone with the recording: nothing is left to approve, and what was said cannot be read.
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
        .problem(400, "bad-request");
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
            vault.process.flow.status().await.unwrap().broken_glass
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
    assert_eq!(vault.process.flow.status().await.unwrap().broken_glass, 1);
    // Where nothing has to be broken, nothing is.
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
    assert_eq!(vault.process.flow.status().await.unwrap().broken_glass, 0);
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
    let recorded = vault.sealed().await;
    let agent = vault.asks("agent");
    let grants =
        join_all((0..20).map(|_| asks_to_listen(&agent, recorded.id, "follow-up", json!({}))))
            .await;
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
    // Seeking in what is open costs nothing, and what was refused stays so.
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
    let day = vault.process.flow.sweep(Duration::from_secs(3600)).await;
    day.unwrap();
    assert_eq!(vault.anybody().get(&next).await.status, 200);
}

async fn a_ticket_is_named_and_written_down(database: Database) {
    let condition = "justification = true\nbasis = \"contract\"\nwhen = \"context has ticket\"";
    let policy = SHIPPED_POLICY.replacen(
        "justification = true\n# The legal basis.",
        &format!("{condition}\n# The legal basis."),
        1,
    );
    let policy = policy.replacen(
        "# The legal basis. With \"consent\", every party must have consented to this purpose.\nbasis = \"contract\"\n",
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

on_both_databases!(
    two_officers_open_together_what_one_may_not_open_alone,
    what_is_taken_back_refused_or_over_opens_nothing,
    approval_is_asked_for_only_where_it_is_all_that_is_missing,
    in_an_emergency_an_officer_breaks_the_glass_and_everybody_hears_of_it,
    twenty_ask_at_once_and_five_open,
    a_ticket_is_named_and_written_down,
);

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
    // Who is no proxy is not believed.
    let vault = recipe("").by_hand().await;
    let recorded = vault.sealed().await;
    assert_eq!(
        ask(&vault, &recorded, "192.0.2.7").await.reasons(),
        ["condition-not-met"]
    );
}
