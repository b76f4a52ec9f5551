//! Permissions: a shred needs the action `revoke`, a hold opens its declared purpose, an export
//! needs the action `export`, and grants end with their approval or token.

mod bodies;
mod ended;
mod reach;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use recvault::{
    config::SHIPPED_POLICY,
    db::endings,
    flow::{self, Ended},
    model::{artefact::Artefact, id::RecordingId, sid::AccountSid},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::consenting::consent_policy;
use crate::world::{Answer, Caller, Database, Process, Recipe, Recorded, TestVault, send};

const ANNA: &str = "+49 30 901820";
const BERND: &str = "+49 30 901821";

/// Returns a client with a new token.
pub(crate) async fn somebody(vault: &TestVault, role: &str, accounts: &[AccountSid]) -> Caller {
    let wanted = flow::NewToken {
        roles: vec![role.parse().unwrap()],
        accounts: accounts.to_vec(),
        ..flow::NewToken::new("somebody".parse().unwrap(), Duration::from_secs(24 * 3600))
    };
    let minted = flow::mint_token(&vault.process.db, &vault.clock, wanted)
        .await
        .unwrap();
    vault.process.api.clone().bearing(minted.token.expose())
}

/// Returns the shipped policy with a desk that names parties, records consent and corrects it, but
/// may not revoke.
fn with_a_desk(policy: &str) -> String {
    let mut policy = policy.replacen("[roles]\n", "[roles]\ndesk = \"Tells.\"\n", 1);
    for action in ["catalogue = [", "consent = [", "correct = ["] {
        let line = format!("\n{action}");
        assert!(policy.contains(&line), "{action}");
        policy = policy.replacen(&line, &format!("{line}\"desk\", "), 1);
    }
    policy
}

async fn with_a_desk_on(database: Database, policy: &str) -> (TestVault, Caller) {
    let policy = with_a_desk(policy);
    let recipe = Recipe {
        policy,
        ..Recipe::on(database)
    };
    let vault = recipe.by_hand().await;
    let desk = somebody(&vault, "desk", &[]).await;
    (vault, desk)
}

fn call(recorded: &Recorded) -> String {
    format!("CA{}", recorded.sid.as_str().trim_start_matches("RE"))
}

async fn names(who: &Caller, recorded: &Recorded, number: &str) -> Answer {
    let parties = json!({ "parties": [{ "leg": "caller", "number": number }] });
    who.post(&format!("/v1/calls/{}/parties", call(recorded)), parties)
        .await
}

async fn unvouched(vault: &TestVault) -> i64 {
    vault
        .process
        .flow
        .monitoring
        .status()
        .await
        .unwrap()
        .unvouched
}

async fn who_may_only_name_lets_go_of_nothing(database: Database) {
    let (vault, desk) = with_a_desk_on(database, SHIPPED_POLICY).await;
    let limited = somebody(
        &vault,
        "privacy-officer",
        std::slice::from_ref(&vault.other_account),
    )
    .await;
    let [named, corrected, other] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.took_part(&corrected, "caller", BERND).await;
    vault.revoked(json!({ "subject": ANNA })).await;
    // The answer does not disclose revocations.
    let answers = [
        names(&desk, &named, ANNA).await,
        names(&desk, &other, BERND).await,
    ];
    assert_eq!(
        (answers[0].status, answers[0].text()),
        (200, answers[1].text())
    );
    let correction = json!({ "parties": [{ "leg": "caller", "number": ANNA }] });
    let path = format!("/v1/recordings/{}", corrected.id);
    let request = desk.request(Method::PATCH, &path).json(&correction);
    assert_eq!(send(request).await.status, 200);
    // Calls without known participants: one is named by the desk, one by an officer of another
    // account, who names nobody in a recording of this one.
    let late = [vault.record(), vault.record()];
    for (who, recorded) in [&desk, &limited].into_iter().zip(&late) {
        assert_eq!(names(who, recorded, ANNA).await.status, 200);
        assert_eq!(vault.tell(recorded, "completed").await.status, 204);
        vault.process.flow.worker.work_off().await.unwrap();
    }
    vault.process.flow.revocations.continue_all().await.unwrap();
    for recorded in [&named, &corrected, &late[0], &late[1]] {
        assert_eq!(vault.state(recorded.id).await, "sealed");
    }
    assert_eq!(unvouched(&vault).await, 3, "they wait");
    let status = vault.process.flow.monitoring.status().await.unwrap();
    let waiting = status.first_unvouched.iter().map(|waits| waits.recording);
    let mut waiting: Vec<RecordingId> = waiting.collect();
    waiting.sort_unstable();
    let mut expected = [named.id, corrected.id, late[0].id];
    expected.sort_unstable();
    assert_eq!(waiting, expected);
    let withdrawn = json!({ "subject": BERND, "answer": "withdrawn", "method": "letter" });
    desk.post("/v1/consents", withdrawn)
        .await
        .problem(403, "denied");
    assert_eq!(vault.state(other.id).await, "sealed");
    // The same statement of a principal with `revoke` takes effect.
    let officer = vault.asks("privacy-officer");
    assert_eq!(names(&officer, &named, ANNA).await.status, 200);
    assert_eq!(vault.state(named.id).await, "shredded");
    assert_eq!(unvouched(&vault).await, 2);
    vault.clock.advance(Duration::from_secs(1));
    let again = vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(again["counts"]["shredded"], 3);
    for recorded in [&corrected, &late[0]] {
        assert_eq!(vault.state(recorded.id).await, "shredded");
    }
    assert_eq!(vault.state(late[1].id).await, "sealed");
    assert_eq!(
        (
            vault.state(other.id).await.as_str(),
            unvouched(&vault).await
        ),
        ("sealed", 0)
    );
}

async fn who_may_only_tell_closes_and_sets_no_deadline(database: Database) {
    let (vault, desk) = with_a_desk_on(database, &consent_policy()).await;
    let recorded = vault.sealed().await;
    vault.took_part(&recorded, "caller", ANNA).await;
    let says = async |who: &Caller, answer: &str| {
        let told = json!({ "subject": ANNA, "answer": answer, "method": "speech" });
        let told = who.post("/v1/consents", told).await;
        assert_eq!(told.status, 201, "{told:?}");
    };
    let sweep = async || {
        vault.clock.advance(Duration::from_secs(8 * 24 * 3600));
        vault.process.flow.quarantine.sweep().await.unwrap();
        vault.state(recorded.id).await
    };
    let ends = async || vault.details(recorded.id).await["quarantine_ends"].clone();
    says(&desk, "given").await;
    assert_eq!(ends().await, Value::Null);
    says(&desk, "declined").await;
    assert_eq!(ends().await, "4000-01-01T00:00:00.000Z");
    assert_eq!(sweep().await, "sealed");
    says(&vault.asks("privacy-officer"), "declined").await;
    assert_ne!(ends().await, "4000-01-01T00:00:00.000Z");
    assert_eq!(sweep().await, "shredded");
}

async fn a_hold_is_for_what_the_policy_declares_and_shown_to_who_holds(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}/holds/case-7", recorded.id);
    let hold = |purpose: &str| json!({ "purpose": purpose, "reason": "litigation", "authority": "a court", "review_at": "2030-01-01T00:00:00Z" });
    let officer = vault.asks("privacy-officer");
    let place = async |purpose: &str| {
        let request = officer.request(Method::PUT, &path).json(&hold(purpose));
        send(request).await
    };
    let refused = place("quality-review").await;
    refused.problem(400, "bad-request");
    assert!(
        refused
            .text()
            .contains("use one of its `hold_purposes`: `legal-request`")
    );
    assert_eq!(place("legal-request").await.status, 200);
    let shown = async |who: &str| {
        let path = format!("/v1/recordings/{}", recorded.id);
        vault.asks(who).get(&path).await.json()["holds"].clone()
    };
    assert_eq!(shown("privacy-officer").await[0]["name"], "case-7");
    for who in ["agent", "reviewer", "auditor"] {
        assert_eq!(shown(who).await, Value::Null, "{who}");
    }
}

async fn an_archive_of_a_person_needs_the_action_export(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.took_part(&recorded, "caller", ANNA).await;
    let asks = async |who: &str, purpose: &str, number: &str| {
        let body = json!({ "subject": number, "purpose": purpose, "justification": "they asked" });
        vault.asks(who).post("/v1/exports", body).await
    };
    // They may state the purpose.
    for (who, purpose) in [("reviewer", "quality-review"), ("agent", "follow-up")] {
        let answers = [
            asks(who, purpose, ANNA).await,
            asks(who, purpose, BERND).await,
            asks(who, purpose, "x").await,
        ];
        for answer in &answers {
            answer.problem(403, "denied");
            assert_eq!(answer.text(), answers[0].text());
        }
    }
    assert_eq!(vault.count("subject.exported").await, 0);
    let answer = asks("privacy-officer", "subject-request", ANNA).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(vault.count("subject.exported").await, 1);
}

/// Returns a restricted recording, the officer who requested it, the approval and the grant.
async fn approved(vault: &TestVault) -> (RecordingId, Caller, Value, Answer) {
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let path = "/twilio/recordings?tier=restricted";
    let told = vault.post_callback(&vault.account, path, &params).await;
    assert_eq!(told.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    let officer = vault.asks("privacy-officer");
    let other = somebody(vault, "privacy-officer", &[]).await;
    let why = json!({ "purpose": "dispute-resolution", "justification": "file 7" });
    let path = format!("/v1/recordings/{}", recorded.id);
    let asked = officer
        .post(&format!("{path}/approvals"), why.clone())
        .await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let id = asked.json()["id"].clone();
    assert_eq!(decides(&other, &id, true).await.status, 200);
    let grant = officer.post(&format!("{path}/grants"), why).await;
    assert_eq!(grant.status, 201, "{grant:?}");
    (recorded.id, other, id, grant)
}

async fn decides(who: &Caller, id: &Value, approve: bool) -> Answer {
    let path = format!("/v1/approvals/{}", id.as_str().unwrap());
    who.post(&path, json!({ "approve": approve })).await
}

fn audio(vault: &TestVault, grant: &Answer) -> String {
    let url = grant.json()["audio_url"].as_str().unwrap().to_owned();
    vault.process.path_of(&url)
}

async fn listening(process: &Process, path: &str) -> BoxStream<'static, Result<Bytes, Ended>> {
    let token = path.split('/').nth(3).unwrap();
    let playback = &process.flow.playback;
    let heard = playback.redeem(token, None, Artefact::Audio).await.unwrap();
    let pieces = playback.listen(&heard, 0..heard.playable.len()).await;
    pieces.unwrap().boxed()
}

/// Returns the end of a stream that was not read yet.
async fn end_of(stream: &mut BoxStream<'static, Result<Bytes, Ended>>) -> Option<Ended> {
    while let Some(piece) = stream.next().await {
        if let Err(ended) = piece {
            return Some(ended);
        }
    }
    None
}

async fn the_same_asked_at_once_in_two_processes_is_one_request(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let (id, ..) = approved(&vault).await;
    let token = vault.minted("privacy-officer").token.expose();
    let body = json!({ "purpose": "legal-request", "justification": "file 7" });
    let path = format!("/v1/recordings/{id}/approvals");
    let callers = [&vault.process, &other].map(|process| process.api.clone().bearing(token));
    let asked = callers
        .iter()
        .cycle()
        .take(8)
        .map(|who| who.post(&path, body.clone()));
    let answers = futures_util::future::join_all(asked).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.json()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((created, ids.len()), (1, 1), "{answers:?}");
    let rows = "SELECT COUNT(*) FROM approvals WHERE purpose = 'legal-request'";
    assert_eq!(vault.ground().integer(rows).await, Some(1));
}

async fn an_approval_that_is_taken_back_ends_the_grants_on_it_in_every_process(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let mut watch = other.flow.playback.watch().await.unwrap();
    let (_, approver, approval, grant) = approved(&vault).await;
    let path = audio(&vault, &grant);
    let mut here = listening(&vault.process, &path).await;
    let mut there = listening(&other, &path).await;
    assert_eq!(decides(&approver, &approval, false).await.status, 200);
    assert_eq!(end_of(&mut here).await, Some(Ended::GrantOver));
    watch.look().await.unwrap();
    assert_eq!(end_of(&mut there).await, Some(Ended::GrantOver));
    vault.anybody().get(&path).await.problem(403, "denied");
    let rests =
        "SELECT COUNT(*) FROM grants WHERE approval_id IS NOT NULL AND ended_at IS NOT NULL";
    assert_eq!(vault.ground().integer(rests).await, Some(1));
    assert_eq!(vault.count("grant.ended").await, 1);
}

async fn a_grant_is_ended_by_its_bearer_or_by_who_may_revoke(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let mut watch = other.flow.playback.watch().await.unwrap();
    let recorded = vault.sealed().await;
    let stranger = somebody(
        &vault,
        "privacy-officer",
        std::slice::from_ref(&vault.other_account),
    )
    .await;
    let end = async |who: &Caller, grant: &Answer| {
        let path = format!("/v1/grants/{}", grant.json()["id"].as_str().unwrap());
        send(who.request(Method::DELETE, &path)).await
    };
    let grant = async || vault.grant("reviewer", recorded.id, "quality-review").await;
    let [first, second] = [grant().await, grant().await];
    let paths = [&first, &second].map(|grant| audio(&vault, grant));
    let mut streams = [
        listening(&vault.process, &paths[0]).await,
        listening(&other, &paths[0]).await,
        listening(&other, &paths[1]).await,
    ];
    end(&vault.asks("agent"), &first)
        .await
        .problem(403, "denied");
    end(&stranger, &first).await.problem(404, "not-found");
    for _ in 0..2 {
        assert_eq!(end(&vault.asks("reviewer"), &first).await.status, 204);
    }
    assert_eq!(end_of(&mut streams[0]).await, Some(Ended::GrantOver));
    watch.look().await.unwrap();
    assert_eq!(end_of(&mut streams[1]).await, Some(Ended::GrantOver));
    assert_eq!(end_of(&mut streams[2]).await, None, "it is another grant");
    vault.anybody().get(&paths[0]).await.problem(403, "denied");
    let officer = vault.asks("privacy-officer");
    assert_eq!(end(&officer, &second).await.status, 204);
    assert_eq!(vault.count("grant.ended").await, 2);
    let nobodys = format!("/v1/grants/grt_{}", "0".repeat(32));
    send(officer.request(Method::DELETE, &nobodys))
        .await
        .problem(404, "not-found");
}

async fn a_stream_ends_with_its_token_and_with_its_tier(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let mut watch = other.flow.playback.watch().await.unwrap();
    let [one, two] = [vault.sealed().await, vault.sealed().await];
    let mut by_token = listening(&other, &vault.audio(one.id).await).await;
    let mut by_tier = listening(&other, &vault.audio(two.id).await).await;
    let seq = recvault::db::audit::head(&mut vault.process.db.read().await.unwrap())
        .await
        .unwrap();
    let keys = recvault::policy::Permit::of_operator(recvault::policy::action::Keys);
    let tiers = &vault.process.flow.reclassification;
    tiers
        .move_to(&keys, two.id, &"sensitive".parse().unwrap(), false)
        .await
        .unwrap();
    watch.look().await.unwrap();
    assert_eq!(end_of(&mut by_tier).await, Some(Ended::Refused));
    let token = vault.minted("reviewer").row.id;
    flow::revoke_token(&vault.process.db, &vault.clock, token)
        .await
        .unwrap();
    watch.look().await.unwrap();
    assert_eq!(end_of(&mut by_token).await, Some(Ended::Refused));
    let mut tx = vault.process.db.read().await.unwrap();
    let told = endings::after(&mut tx, seq, 9).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|(_, ending)| ending).collect();
    assert_eq!(
        told,
        [
            endings::StreamEnding::Moved(two.id),
            endings::StreamEnding::Token(token)
        ]
    );
}

async fn a_limited_auditor_sees_every_entry_about_their_account(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let own = vault.record_for(&vault.other_account, vault.record().wav);
    assert_eq!(vault.tell(&own, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    let foreign = vault.sealed().await;
    for recorded in [&own, &foreign] {
        vault.took_part(recorded, "caller", ANNA).await;
        let statement = json!({ "call": call(recorded), "leg": "caller", "answer": "declined", "purposes": ["training"], "method": "speech" });
        let told = vault
            .asks("privacy-officer")
            .post("/v1/consents", statement)
            .await;
        assert_eq!(told.status, 201, "{told:?}");
        // This revokes for a conversation, which the revocation's own entries do not name.
        let statement = json!({ "call": call(recorded), "leg": "caller", "answer": "withdrawn", "method": "speech" });
        let told = vault
            .asks("privacy-officer")
            .post("/v1/consents", statement)
            .await;
        assert_eq!(told.status, 201, "{told:?}");
    }
    vault.process.flow.revocations.continue_all().await.unwrap();
    for account in [&vault.other_account, &vault.account] {
        vault.revoked(json!({ "account": account })).await;
    }
    somebody(&vault, "auditor", std::slice::from_ref(&vault.account)).await;
    let auditor = somebody(
        &vault,
        "auditor",
        std::slice::from_ref(&vault.other_account),
    )
    .await;
    let mut seen = Vec::new();
    let mut next = Some(String::new());
    // In the smallest pages, so that a lost entry between two would be noticed.
    while let Some(cursor) = next {
        let page = auditor
            .get(&format!("/v1/audit?limit=1{cursor}"))
            .await
            .json();
        seen.extend(page["items"].as_array().unwrap().clone());
        let cursor = page["next_cursor"].as_str();
        next = cursor.map(|cursor| format!("&cursor={cursor}"));
    }
    let text = json!(seen).to_string();
    for hidden in [
        call(&foreign),
        foreign.id.to_string(),
        vault.account.to_string(),
    ] {
        assert!(!text.contains(&hidden), "{hidden}");
    }
    for event in [
        "parties.named",
        "consent.recorded",
        "revocation.begun",
        "revocation.done",
        "token.created",
        "recording.sealed",
        "shred.tombstoned",
    ] {
        let count = seen.iter().filter(|entry| entry["event"] == event).count();
        let expected = match event {
            // The stranger's token is limited to that account, too.
            "token.created" => 2,
            // One for the conversation, one for the account.
            "consent.recorded" | "revocation.begun" | "revocation.done" => 2,
            _ => 1,
        };
        assert_eq!(count, expected, "{event}: {text}");
    }
}

on_both_databases!(
    who_may_only_name_lets_go_of_nothing,
    who_may_only_tell_closes_and_sets_no_deadline,
    a_hold_is_for_what_the_policy_declares_and_shown_to_who_holds,
    an_archive_of_a_person_needs_the_action_export,
    the_same_asked_at_once_in_two_processes_is_one_request,
    an_approval_that_is_taken_back_ends_the_grants_on_it_in_every_process,
    a_grant_is_ended_by_its_bearer_or_by_who_may_revoke,
    a_stream_ends_with_its_token_and_with_its_tier,
    a_limited_auditor_sees_every_entry_about_their_account,
);
