//! Statements of consent to recording and listening, and the fate of recordings without any.

mod many;
mod outliving;
mod speaking;

use std::time::Duration;

use recvault::{
    config::SHIPPED_POLICY,
    model::id::RecordingId,
    policy::{Permit, action},
};
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, Recorded, TestVault};

/// Fictitious numbers (reserved by the Bundesnetzagentur for films).
const CALLER: &str = "+49 30 23125-001";
const CALLEE: &str = "+49 30 23125-002";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The shipped policy, with recording based on consent.
pub(crate) fn consent_policy() -> String {
    let (before, after) = SHIPPED_POLICY.split_once("[collection]").unwrap();
    format!(
        "{before}[collection]{}",
        after.replacen("basis = \"legitimate-interest\"", "basis = \"consent\"", 1)
    )
}

/// Creates a vault that requires the consent of every participant.
async fn strict(database: Database) -> TestVault {
    Recipe {
        policy: consent_policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

/// Returns the call of a recording that was not announced yet.
fn call_of(recorded: &Recorded) -> String {
    format!("CA{}", &recorded.sid.as_str()[2..])
}

async fn officer(vault: &TestVault, path: &str, body: Value) -> Answer {
    vault.asks("privacy-officer").post(path, body).await
}

async fn name(vault: &TestVault, recorded: &Recorded, parties: Value) -> Answer {
    officer(
        vault,
        &format!("/v1/calls/{}/parties", call_of(recorded)),
        json!({ "parties": parties }),
    )
    .await
}

/// Records a person's answer to recording and all purposes, as the privacy officer.
async fn says(vault: &TestVault, number: &str, answer: &str) -> Value {
    let told = json!({ "subject": number, "answer": answer, "method": "speech", "evidence": "second 3 of the call" });
    let recorded = officer(vault, "/v1/consents", told).await;
    assert_eq!(recorded.status, 201, "{recorded:?}");
    recorded.json()
}

async fn both_are_named(vault: &TestVault, recorded: &Recorded) {
    let named = name(
        vault,
        recorded,
        json!([{ "leg": "caller", "number": CALLER }, { "leg": "callee", "number": CALLEE }]),
    )
    .await;
    assert_eq!(
        (named.status, named.json()["parties"][1].clone()),
        (200, json!({ "leg": "caller", "known": true }))
    );
}

async fn seal(vault: &TestVault, recorded: &Recorded) {
    // It began just now: purposes open recordings for some time only.
    let began = jiff::Timestamp::from_millisecond(vault.clock.now().as_millis()).unwrap();
    let began = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_string(&began)
        .unwrap();
    let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
    params.retain(|(name, _)| name != "RecordingStartTime");
    params.push(("RecordingStartTime".into(), began));
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/recordings", &params)
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(vault.state(recorded.id).await, "sealed");
}

async fn waits(vault: &TestVault, id: RecordingId) -> bool {
    !vault.details(id).await["quarantine_ends"].is_null()
}

async fn a_recording_waits_until_the_last_party_has_consented(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    says(&vault, CALLER, "given").await;
    seal(&vault, &recorded).await;
    let ends = vault.clock.now().after(7 * DAY);
    assert_eq!(
        vault.details(recorded.id).await["quarantine_ends"],
        json!(ends)
    );
    let events = vault.events().await;
    assert_eq!(
        events[events.len() - 2..],
        ["recording.sealed", "recording.quarantined"],
        "in one unit"
    );

    let said = says(&vault, CALLEE, "given").await;
    assert_eq!(
        (said["recorded"].clone(), said["released"].clone()),
        (json!(1), json!(1))
    );
    assert!(!waits(&vault, recorded.id).await);
    let events = vault.events().await;
    assert_eq!(
        events[events.len() - 2..],
        ["consent.recorded", "recording.released"],
        "in one unit"
    );
    vault.clock.advance(8 * DAY);
    assert_eq!(
        vault
            .process
            .flow
            .sweeper
            .sweep(DAY)
            .await
            .unwrap()
            .unconsented,
        0
    );
    vault.plays(&recorded).await;
}

async fn nobody_hears_what_waits(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    seal(&vault, &recorded).await;
    for (who, purpose) in [
        ("reviewer", "quality-review"),
        ("privacy-officer", "legal-request"),
        ("privacy-officer", "subject-request"),
    ] {
        let refused = vault.grant(who, recorded.id, purpose).await.reasons();
        assert!(refused.contains(&"quarantined".to_owned()), "{refused:?}");
    }
    says(&vault, CALLER, "given").await;
    says(&vault, CALLEE, "given").await;
    let heard = vault.audio(recorded.id).await;
    assert_eq!(vault.anybody().get(&heard).await.status, 200);
    // A refusal of one participant ends it for all, also for the existing grant.
    says(&vault, CALLEE, "declined").await;
    assert_eq!(vault.anybody().get(&heard).await.reasons(), ["quarantined"]);
}

async fn a_purpose_is_based_on_the_consent_of_every_party(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    seal(&vault, &recorded).await;
    let missing = async || {
        vault
            .grant("reviewer", recorded.id, "training")
            .await
            .reasons()
            == ["consent-missing"]
    };
    assert!(
        missing().await,
        "a party that nobody knows has not consented"
    );
    both_are_named(&vault, &recorded).await;
    says(&vault, CALLER, "given").await;
    assert!(missing().await);
    let told = |purpose: &str| json!({ "subject": CALLEE, "purposes": [purpose], "answer": "given", "method": "keypad" });
    assert_eq!(
        officer(&vault, "/v1/consents", told("recording"))
            .await
            .status,
        201
    );
    assert!(missing().await, "to another purpose");
    assert_eq!(
        officer(&vault, "/v1/consents", told("training"))
            .await
            .status,
        201
    );
    assert_eq!(
        vault
            .grant("reviewer", recorded.id, "training")
            .await
            .status,
        201
    );
    vault.clock.advance(Duration::from_secs(1));
    says(&vault, CALLEE, "declined").await;
    assert!(missing().await);
    vault.clock.advance(Duration::from_secs(1));
    assert_eq!(
        officer(&vault, "/v1/consents", told("training"))
            .await
            .status,
        201
    );
    assert_eq!(
        vault
            .grant("reviewer", recorded.id, "training")
            .await
            .status,
        201,
        "who declined may say yes later"
    );
}

async fn what_waits_in_vain_is_shredded(database: Database) {
    let vault = strict(database).await;
    let [in_vain, silent, kept] = [vault.record(), vault.record(), vault.record()];
    both_are_named(&vault, &in_vain).await;
    both_are_named(&vault, &kept).await;
    for recorded in [&in_vain, &silent, &kept] {
        seal(&vault, recorded).await;
        assert!(waits(&vault, recorded.id).await);
    }
    vault
        .ground()
        .run(&format!(
            "UPDATE recordings SET holds = 1 WHERE id = '{}'",
            kept.id
        ))
        .await;
    vault.clock.advance(7 * DAY - Duration::from_millis(1));
    assert_eq!(
        vault
            .process
            .flow
            .quarantine
            .sweep()
            .await
            .unwrap()
            .shredded,
        0
    );
    vault.clock.advance(Duration::from_millis(1));
    assert_eq!(
        vault
            .process
            .flow
            .sweeper
            .sweep(DAY)
            .await
            .unwrap()
            .unconsented,
        2
    );
    for (recorded, state) in [
        (&in_vain, "shredded"),
        (&silent, "shredded"),
        (&kept, "sealed"),
    ] {
        assert_eq!(
            vault.state(recorded.id).await,
            state,
            "a hold keeps the third"
        );
    }
    let tombstoned = vault
        .entries()
        .await
        .into_iter()
        .rfind(|entry| entry["event"] == "shred.tombstoned")
        .unwrap();
    assert_eq!(
        (&tombstoned["actor"], &tombstoned["details"]["reason"]),
        (&json!("vault"), &json!("no-consent"))
    );
    assert_eq!(
        vault.process.flow.quarantine.sweep().await.unwrap(),
        Default::default(),
        "nothing is left to do"
    );
    // Late evidence restores nothing.
    says(&vault, CALLER, "given").await;
    assert_eq!(
        says(&vault, CALLEE, "given").await["released"],
        1,
        "the one that a hold kept"
    );
    assert_eq!(vault.state(in_vain.id).await, "shredded");
}

async fn evidence_that_was_overlooked_counts_at_the_end(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    seal(&vault, &recorded).await;
    for number in [CALLER, CALLEE] {
        says(&vault, number, "given").await;
    }
    // As if the statements had arrived at the very moment of sealing, and the quarantine had been
    // set nevertheless.
    let ends = vault.clock.now().as_millis();
    vault
        .ground()
        .run(&format!(
            "UPDATE recordings SET quarantine_ends = {ends} WHERE id = '{}'",
            recorded.id
        ))
        .await;
    let swept = vault.process.flow.quarantine.sweep().await.unwrap();
    assert_eq!((swept.released, swept.shredded), (1, 0));
    assert!(!waits(&vault, recorded.id).await);
}

async fn consent_before_the_call_leaves_nothing_to_wait_for(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    let told = json!({ "call": call_of(&recorded), "purposes": ["recording"], "answer": "given", "method": "announcement" });
    assert_eq!(officer(&vault, "/v1/consents", told).await.status, 201);
    seal(&vault, &recorded).await;
    assert!(
        !waits(&vault, recorded.id).await,
        "everybody in the call stayed on the line"
    );
    assert_eq!(vault.count("recording.quarantined").await, 0);
    // An unknown third party is covered by the statements of the others; a known one who declines
    // is not.
    assert_eq!(
        name(&vault, &recorded, json!([{ "leg": "third" }]))
            .await
            .status,
        200
    );
    assert!(!waits(&vault, recorded.id).await);
    both_are_named(&vault, &recorded).await;
    assert_eq!(says(&vault, CALLER, "declined").await["quarantined"], 1);
    assert!(waits(&vault, recorded.id).await);
}

async fn a_party_who_is_named_later_must_have_consented_too(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    name(
        &vault,
        &recorded,
        json!([{ "leg": "caller", "number": CALLER }]),
    )
    .await;
    says(&vault, CALLER, "given").await;
    seal(&vault, &recorded).await;
    assert!(!waits(&vault, recorded.id).await);
    let named = name(&vault, &recorded, json!([{ "leg": "callee" }])).await;
    assert_eq!(
        named.json()["parties"],
        json!([{ "leg": "callee", "known": false }, { "leg": "caller", "known": true }])
    );
    assert!(
        waits(&vault, recorded.id).await,
        "somebody whom nobody knows has not consented"
    );
    says(&vault, CALLEE, "given").await;
    assert!(
        waits(&vault, recorded.id).await,
        "nor is it known that it was they"
    );
    name(
        &vault,
        &recorded,
        json!([{ "leg": "callee", "number": CALLEE }]),
    )
    .await;
    assert!(!waits(&vault, recorded.id).await);
}

async fn a_known_party_is_not_exchanged(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    both_are_named(&vault, &recorded).await;
    assert_eq!(
        vault.count("parties.named").await,
        1,
        "naming the same again is nothing new"
    );
    let other = json!([{ "leg": "third" }, { "leg": "caller", "number": CALLEE }]);
    let problem = name(&vault, &recorded, other)
        .await
        .problem(409, "conflict");
    assert!(
        problem["detail"].as_str().unwrap().contains("`caller`"),
        "{problem}"
    );
    let shown = vault
        .asks("privacy-officer")
        .get(&format!("/v1/calls/{}/parties", call_of(&recorded)))
        .await
        .json();
    assert_eq!(
        shown,
        json!({ "parties": [{ "leg": "callee", "known": true }, { "leg": "caller", "known": true }] })
    );
}

fn consent() -> Permit<action::Consent> {
    Permit::of_operator(action::Consent)
}

on_both_databases!(
    a_recording_waits_until_the_last_party_has_consented,
    nobody_hears_what_waits,
    a_purpose_is_based_on_the_consent_of_every_party,
    what_waits_in_vain_is_shredded,
    evidence_that_was_overlooked_counts_at_the_end,
    consent_before_the_call_leaves_nothing_to_wait_for,
    a_party_who_is_named_later_must_have_consented_too,
    a_known_party_is_not_exchanged,
);
