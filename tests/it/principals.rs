//! One person with two tokens is one principal: rules by principal, rules by credential, and the
//! audit log of both.

use std::time::Duration;

use recvault::{
    config::SHIPPED_POLICY,
    flow::{self, Minted},
    model::{access::PrincipalKind, actor::OsUser, id::RecordingId},
};
use serde_json::{Value, json};

use crate::world::{Answer, Caller, Database, Recipe, Recorded, TestVault};

const PURPOSE: &str = "dispute-resolution";

/// Returns a token of a person, with one role.
async fn minted(vault: &TestVault, person: &str, role: &str) -> Minted {
    let wanted = flow::NewToken {
        principal: Some(person.parse().unwrap()),
        kind: Some(PrincipalKind::Person),
        roles: vec![role.parse().unwrap()],
        ..flow::NewToken::new(
            "phone".parse().unwrap(),
            Duration::from_secs(30 * 24 * 3600),
        )
    };
    flow::mint_token(&vault.process.db, &vault.clock, wanted)
        .await
        .unwrap()
}

fn bearer(vault: &TestVault, token: &Minted) -> Caller {
    vault.process.api.clone().bearing(token.token.expose())
}

async fn restricted(vault: &TestVault) -> Recorded {
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let path = "/twilio/recordings?tier=restricted";
    let told = vault.post_callback(&vault.account, path, &params).await;
    assert_eq!(told.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    recorded
}

async fn asks(who: &Caller, what: &str, id: RecordingId, purpose: &str) -> Answer {
    let body = json!({ "purpose": purpose, "justification": "what was agreed" });
    who.post(&format!("/v1/recordings/{id}/{what}"), body).await
}

async fn approves(who: &Caller, asked: &Value) -> Answer {
    let path = format!("/v1/approvals/{}", asked["id"].as_str().unwrap());
    who.post(&path, json!({ "approve": true })).await
}

fn path(vault: &TestVault, grant: &Answer) -> String {
    assert_eq!(grant.status, 201, "{grant:?}");
    let url = grant.json()["audio_url"].clone();
    vault.process.path_of(url.as_str().unwrap())
}

/// Returns the audit entries of this event.
async fn entries(vault: &TestVault, event: &str) -> Vec<Value> {
    let log = vault.asks("auditor").get("/v1/audit?limit=1000").await;
    let items = log.json()["items"].as_array().unwrap().clone();
    items
        .into_iter()
        .filter(|entry| entry["event"] == event)
        .collect()
}

async fn one_person_with_two_tokens_does_not_approve_their_own_request(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let desk = minted(&vault, "anna", "privacy-officer").await;
    let phone = minted(&vault, "anna", "privacy-officer").await;
    let other = minted(&vault, "berta", "privacy-officer").await;
    assert_eq!(desk.principal, phone.principal);
    assert!(desk.is_new_principal && !phone.is_new_principal);

    let asked = asks(&bearer(&vault, &desk), "approvals", recorded.id, PURPOSE).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let asked = asked.json();
    assert_eq!(asked["requested_by"], json!(desk.principal.id));
    let again = asks(&bearer(&vault, &phone), "approvals", recorded.id, PURPOSE).await;
    assert_eq!((again.status, again.json()), (200, asked.clone()));
    for token in [&desk, &phone] {
        approves(&bearer(&vault, token), &asked)
            .await
            .problem(403, "own-request");
    }
    let listen = asks(&bearer(&vault, &phone), "grants", recorded.id, PURPOSE).await;
    assert_eq!(listen.reasons(), ["approval-missing"]);

    // Another principal may; and the approval is for the person, whichever token is used.
    let decided = approves(&bearer(&vault, &other), &asked).await;
    assert_eq!(decided.status, 200, "{decided:?}");
    assert_eq!(decided.json()["decided_by"], json!(other.principal.id));
    for token in [&desk, &phone] {
        let listen = asks(&bearer(&vault, token), "grants", recorded.id, PURPOSE).await;
        let sound = vault.anybody().get(&path(&vault, &listen)).await;
        assert!(sound.status == 200 && sound.body == recorded.wav);
    }
}

async fn two_tokens_of_one_person_share_one_days_budget(database: Database) {
    let policy = SHIPPED_POLICY.replacen("budget = 200", "budget = 2", 1);
    assert_ne!(policy, SHIPPED_POLICY);
    let vault = Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    // A recording counts once a day, so it takes several.
    let [first, second, third] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    let desk = bearer(&vault, &minted(&vault, "anna", "agent").await);
    let phone = bearer(&vault, &minted(&vault, "anna", "agent").await);
    let other = bearer(&vault, &minted(&vault, "berta", "agent").await);
    // Granted before the budget is spent, to be opened after it.
    let late = path(&vault, &asks(&phone, "grants", third.id, "follow-up").await);
    for (who, recorded) in [(&desk, &first), (&phone, &second)] {
        let listen = asks(who, "grants", recorded.id, "follow-up").await;
        let sound = vault.anybody().get(&path(&vault, &listen)).await;
        assert_eq!(sound.status, 200);
    }
    assert_eq!(vault.anybody().get(&late).await.reasons(), ["budget-spent"]);
    for who in [&desk, &phone] {
        let listen = asks(who, "grants", third.id, "follow-up").await;
        assert_eq!(listen.reasons(), ["budget-spent"]);
    }
    let listen = asks(&other, "grants", third.id, "follow-up").await;
    let sound = vault.anybody().get(&path(&vault, &listen)).await;
    assert_eq!(sound.status, 200, "another's budget is their own");
}

async fn a_revoked_token_ends_only_its_own_grants(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let tokens = [
        minted(&vault, "anna", "reviewer").await,
        minted(&vault, "anna", "reviewer").await,
        minted(&vault, "anna", "reviewer").await,
        minted(&vault, "berta", "reviewer").await,
    ];
    let mut paths = Vec::new();
    for token in &tokens {
        let listen = asks(
            &bearer(&vault, token),
            "grants",
            recorded.id,
            "quality-review",
        )
        .await;
        paths.push(path(&vault, &listen));
    }
    let statuses = async || {
        let mut statuses = Vec::new();
        for path in &paths {
            statuses.push(vault.anybody().get(path).await.status);
        }
        statuses
    };
    let db = &vault.process.db;
    flow::revoke_token(db, &vault.clock, tokens[0].row.id)
        .await
        .unwrap();
    assert_eq!(statuses().await, [404, 200, 200, 200]);
    // All tokens of a person at once.
    let anna = "anna".parse().unwrap();
    let revoked = flow::revoke_tokens_of(db, &vault.clock, &anna)
        .await
        .unwrap();
    assert_eq!(revoked.principal, tokens[0].principal);
    assert_eq!(revoked.tokens.len(), 2);
    assert_eq!(statuses().await, [404, 404, 404, 200]);
    bearer(&vault, &tokens[1])
        .get("/v1/recordings")
        .await
        .problem(401, "unauthorized");
    assert!(matches!(
        flow::revoke_tokens_of(db, &vault.clock, &anna).await,
        Err(flow::Error::NotFound)
    ));
    let told = entries(&vault, "token.revoked").await;
    assert_eq!(told.len(), 3);
    for entry in told {
        assert_eq!(entry["details"]["principal"], json!(revoked.principal.id));
    }
}

async fn the_log_names_the_principal_and_the_credential(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let desk = minted(&vault, "anna", "privacy-officer").await;
    let phone = minted(&vault, "anna", "privacy-officer").await;
    let other = minted(&vault, "berta", "privacy-officer").await;
    let asked = asks(&bearer(&vault, &desk), "approvals", recorded.id, PURPOSE).await;
    approves(&bearer(&vault, &other), &asked.json()).await;
    let listen = asks(&bearer(&vault, &phone), "grants", recorded.id, PURPOSE).await;
    vault.anybody().get(&path(&vault, &listen)).await;
    let shred = bearer(&vault, &desk);
    shred
        .delete(
            &format!("/v1/recordings/{}", recorded.id),
            json!({ "reason": "subject-request" }),
        )
        .await;
    for (event, by) in [
        ("approval.requested", &desk),
        ("approval.decided", &other),
        ("decision.allowed", &phone),
        ("opening.started", &phone),
        ("shred.tombstoned", &desk),
    ] {
        let told = entries(&vault, event).await;
        assert_eq!(told.len(), 1, "{event}");
        assert_eq!(
            (&told[0]["actor"], &told[0]["details"]["credential"]),
            (&json!(by.principal.id), &json!(by.row.id)),
            "{event}"
        );
    }
    let created = entries(&vault, "token.created").await;
    let last = created.last().unwrap();
    assert_eq!(
        last["actor"],
        json!(format!("operator:{}", OsUser::of_process()))
    );
    assert_eq!(
        (&last["details"]["token"], &last["details"]["principal"]),
        (&json!(other.row.id), &json!(other.principal.id))
    );
    assert_eq!(last["details"].get("credential"), None);
    let log = vault.asks("auditor").get("/v1/audit?limit=1000").await;
    assert!(
        !log.text().contains("anna"),
        "who stands behind an id is not in the log"
    );
}

/// The journal restores a token with its principal, and never one without the other.
async fn who_came_after_the_snapshot_is_the_same_person_in_a_rebuilt_vault(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = restricted(&vault).await;
    let desk = minted(&vault, "anna", "privacy-officer").await;
    let asked = asks(&bearer(&vault, &desk), "approvals", recorded.id, PURPOSE).await;
    vault.process.flow.vault.snapshot().await.unwrap();
    let phone = minted(&vault, "anna", "privacy-officer").await;
    let other = minted(&vault, "berta", "privacy-officer").await;
    assert!(vault.process.flow.recovery.journal().await.unwrap() > 0);
    let (_, process, _ground) = crate::restoring::rebuilt(&vault, database).await;
    let of = |token: &Minted| process.api.clone().bearing(token.token.expose());
    approves(&of(&phone), &asked.json())
        .await
        .problem(403, "own-request");
    let decided = approves(&of(&other), &asked.json()).await;
    assert_eq!(decided.status, 200, "{decided:?}");
    assert_eq!(decided.json()["decided_by"], json!(other.principal.id));
}

async fn a_name_is_one_kind_of_principal_and_an_id_names_nobody_new(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let anna = minted(&vault, "anna", "reviewer").await;
    let own = vault.minted("reviewer");
    assert_eq!(own.principal.subject.as_str(), own.row.id.to_string());
    assert_eq!(own.principal.kind, PrincipalKind::Service);
    let mint = async |name: &str, kind| {
        let wanted = flow::NewToken {
            principal: Some(name.parse().unwrap()),
            kind,
            ..flow::NewToken::new("x".parse().unwrap(), Duration::from_secs(60))
        };
        flow::mint_token(&vault.process.db, &vault.clock, wanted).await
    };
    let tokens = flow::list_tokens(&vault.process.db).await.unwrap().len();
    let refused = mint("anna", Some(PrincipalKind::Service)).await;
    let refused = refused.map(drop).unwrap_err().to_string();
    assert!(refused.contains("`anna` is a person"), "{refused}");
    for nobody in ["tok_1", "prn_00000000000000000000000000000000"] {
        let refused = mint(nobody, None).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("recvault principal list"), "{refused}");
    }
    let listed = flow::list_tokens(&vault.process.db).await.unwrap();
    assert_eq!(listed.len(), tokens, "what was refused left nothing");
    // By name, by id, and by the token whose own principal it is.
    let by_name = mint("anna", None).await.unwrap();
    let by_id = mint(&anna.principal.id.to_string(), None).await.unwrap();
    assert_eq!(by_name.principal, anna.principal);
    assert_eq!(by_id.principal, anna.principal);
    let second = mint(&own.row.id.to_string(), None).await.unwrap();
    assert_eq!(second.principal, own.principal);
}

on_both_databases!(
    one_person_with_two_tokens_does_not_approve_their_own_request,
    two_tokens_of_one_person_share_one_days_budget,
    a_revoked_token_ends_only_its_own_grants,
    the_log_names_the_principal_and_the_credential,
    who_came_after_the_snapshot_is_the_same_person_in_a_rebuilt_vault,
    a_name_is_one_kind_of_principal_and_an_id_names_nobody_new,
);
