//! An ended permission opens nothing, even for a session that was redeemed before; and a `HEAD` has
//! no effect.

use recvault::{
    flow::Ended,
    model::artefact::Artefact,
    policy::{Permit, action},
};
use reqwest::Method;
use serde_json::json;

use super::{ANNA, approved, audio, decides, end_of, listening, somebody};
use crate::world::{Database, Recipe, send};

async fn who_was_let_in_before_a_grant_ended_opens_nothing(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let recorded = vault.sealed().await;
    vault.took_part(&recorded, "caller", ANNA).await;
    let grant = vault.grant("reviewer", recorded.id, "quality-review").await;
    let path = audio(&vault, &grant);
    let token = path.split('/').nth(3).unwrap();
    // Another process, which has not noticed the end when it opens.
    let playback = &other.flow.playback;
    let heard = playback.redeem(token, None, Artefact::Audio).await.unwrap();
    let parties = playback.redeem_parties(token, None).await.unwrap();
    let ended = format!("/v1/grants/{}", grant.json()["id"].as_str().unwrap());
    let reviewer = vault.asks("reviewer");
    let ended = send(reviewer.request(Method::DELETE, &ended)).await;
    assert_eq!(ended.status, 204);
    assert!(playback.listen(&heard, 0..10).await.is_err());
    assert!(playback.show_parties(&parties).await.is_err());
    assert_eq!(vault.count("opening.started").await, 0);
}

async fn a_grant_ends_with_the_approval_on_which_it_came_to_rest(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let officer = vault.asks("privacy-officer");
    let approver = somebody(&vault, "privacy-officer", &[]).await;
    let why = json!({ "purpose": "dispute-resolution", "justification": "file 7" });
    let recording = format!("/v1/recordings/{}", recorded.id);
    // No approval was required when it was granted.
    let grant = officer
        .post(&format!("{recording}/grants"), why.clone())
        .await;
    let path = audio(&vault, &grant);
    let keys = Permit::of_operator(action::Keys);
    let tiers = &vault.process.flow.reclassification;
    tiers
        .move_to(&keys, recorded.id, &"restricted".parse().unwrap(), false)
        .await
        .unwrap();
    let asked = officer.post(&format!("{recording}/approvals"), why).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let approval = asked.json()["id"].clone();
    assert_eq!(decides(&approver, &approval, true).await.status, 200);
    let mut stream = listening(&vault.process, &path).await;
    assert_eq!(decides(&approver, &approval, false).await.status, 200);
    assert_eq!(end_of(&mut stream).await, Some(Ended::GrantOver));
    assert_eq!(vault.count("grant.ended").await, 1);
    vault.anybody().get(&path).await.problem(403, "denied");
}

async fn head_runs_no_get_that_has_an_effect(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let (id, approver, ..) = approved(&vault).await;
    let described = vault.anybody().get("/openapi.json").await.json();
    let paths = described["paths"].as_object().unwrap();
    let read = paths.iter().filter(|(_, item)| item["get"].is_object());
    // Refusals are recorded, whatever the method, and do not count.
    let effects = async || {
        let events = vault.events().await.into_iter();
        events.filter(|event| !event.ends_with(".denied")).count()
    };
    for (path, _) in read {
        let path = path.replace("/recordings/{id}", &format!("/recordings/{id}"));
        let path = path.replace(['{', '}'], "");
        let before = effects().await;
        let head = approver.with(Method::HEAD, &path, &[]).await;
        assert_eq!(effects().await, before, "{path}");
        if path == "/v1/approvals" || path.starts_with("/twilio/") {
            assert_eq!(head.status, 405, "{path}");
            assert!(head.header("allow").starts_with("GET"), "{path}");
        }
    }
    assert_eq!(approver.get("/v1/approvals").await.status, 200);
    assert_eq!(vault.count("approval.shown").await, 1);
}

async fn the_names_of_holds_are_for_who_holds(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let officer = vault.asks("privacy-officer");
    let hold = json!({ "purpose": "legal-request", "reason": "litigation", "authority": "a court", "review_at": "2030-01-01T00:00:00Z" });
    let path = format!("/v1/recordings/{}/holds/case-7", recorded.id);
    let placed = send(officer.request(Method::PUT, &path).json(&hold)).await;
    assert_eq!(placed.status, 200, "{placed:?}");
    // Revoked, but held.
    let revoked = vault
        .revoke("privacy-officer", json!({ "recording": recorded.id }))
        .await;
    assert!(matches!(revoked.status, 200 | 202), "{revoked:?}");
    for who in ["agent", "reviewer", "auditor"] {
        let report = vault.asks(who).get("/v1/retention").await;
        assert!(!report.text().contains("case-7"), "{who}: {report:?}");
        let report = report.json();
        let conflicts = report["conflicts"].as_array().unwrap();
        assert_eq!((report["holds"].is_null(), conflicts.len()), (true, 1));
        assert!(conflicts[0]["holds"].is_null(), "{who}: {report}");
    }
    let report = officer.get("/v1/retention").await.json();
    assert_eq!(report["holds"][0]["name"], "case-7");
    assert_eq!(report["conflicts"][0]["holds"], json!(["case-7"]));
}

on_both_databases!(
    who_was_let_in_before_a_grant_ended_opens_nothing,
    a_grant_ends_with_the_approval_on_which_it_came_to_rest,
    head_runs_no_get_that_has_an_effect,
    the_names_of_holds_are_for_who_holds,
);
