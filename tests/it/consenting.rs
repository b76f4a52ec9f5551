//! What people say about being recorded and listened to, and what becomes of recordings about which
//! they said nothing.

use std::{collections::BTreeSet, time::Duration};

use recvault::{
    config::SHIPPED_POLICY,
    flow::Format,
    model::{id::RecordingId, subject::Address},
    policy::{Action, Permit},
    vault,
};
use serde_json::{Value, json};

use crate::world::{Answer, Database, Process, Recipe, Recorded, TestVault, files_below};

/// Numbers of nobody (reserved by the Bundesnetzagentur for films).
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

/// A vault that wants the consent of everybody whom it records.
async fn strict(database: Database) -> TestVault {
    Recipe {
        policy: consent_policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

/// The call of a recording that nobody told the vault of yet.
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

/// Somebody's answer to recording and to everything else, told by the privacy officer.
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
    vault.process.flow.work_off().await.unwrap();
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
    assert_eq!(vault.process.flow.sweep(DAY).await.unwrap().unconsented, 0);
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
    // A no of one of them ends it for all, for the grant that was given, too.
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
            .sweep_quarantine()
            .await
            .unwrap()
            .shredded,
        0
    );
    vault.clock.advance(Duration::from_millis(1));
    assert_eq!(vault.process.flow.sweep(DAY).await.unwrap().unconsented, 2);
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
    let fenced = vault
        .entries()
        .await
        .into_iter()
        .rfind(|entry| entry["event"] == "shred.fenced")
        .unwrap();
    assert_eq!(
        (&fenced["actor"], &fenced["details"]["reason"]),
        (&json!("vault"), &json!("no-consent"))
    );
    assert_eq!(
        vault.process.flow.sweep_quarantine().await.unwrap(),
        Default::default(),
        "nothing is left to do"
    );
    // Evidence that comes too late brings nothing back.
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
    // As if the statements had come at the very moment of sealing, and the mark had been set all
    // the same.
    let ends = vault.clock.now().as_millis();
    vault
        .ground()
        .run(&format!(
            "UPDATE recordings SET quarantine_ends = {ends} WHERE id = '{}'",
            recorded.id
        ))
        .await;
    let swept = vault.process.flow.sweep_quarantine().await.unwrap();
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
    // An unknown third party is covered by what everybody said; a known one who declines is not.
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

async fn only_those_who_may_speak_of_consent(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    seal(&vault, &recorded).await;
    let parties = format!("/v1/calls/{}/parties", call_of(&recorded));
    let told = json!({ "call": call_of(&recorded), "answer": "given", "method": "speech" });
    let named = json!({ "parties": [{ "leg": "third", "number": CALLER }] });
    for who in ["agent", "reviewer", "auditor"] {
        assert_eq!(
            vault
                .asks(who)
                .post("/v1/consents", told.clone())
                .await
                .reasons(),
            ["role-not-allowed"]
        );
        assert_eq!(
            vault
                .asks(who)
                .post(&parties, named.clone())
                .await
                .reasons(),
            ["role-not-allowed"]
        );
        assert_eq!(
            vault.asks(who).get(&parties).await.reasons(),
            ["role-not-allowed"]
        );
        assert_eq!(
            vault
                .asks(who)
                .post("/v1/consents/search", json!({ "subject": CALLER }))
                .await
                .reasons(),
            ["role-not-allowed"]
        );
    }
    // The stranger has every role, in another account.
    let stranger = vault.asks("stranger");
    stranger
        .post("/v1/consents", told.clone())
        .await
        .problem(404, "not-found");
    stranger
        .post(&parties, named.clone())
        .await
        .problem(404, "not-found");
    stranger.get(&parties).await.problem(404, "not-found");
    for (path, body) in [
        (
            "/v1/consents",
            json!({ "subject": CALLER, "answer": "given", "method": "speech" }),
        ),
        ("/v1/consents/search", json!({ "subject": CALLER })),
    ] {
        stranger.post(path, body).await.problem(400, "bad-request");
    }
    vault
        .asks("nobody")
        .post("/v1/consents", told.clone())
        .await
        .problem(404, "not-found");
    vault
        .anybody()
        .post("/v1/consents", told)
        .await
        .problem(401, "unauthorized");
    assert_eq!(
        (
            vault.count("consent.recorded").await,
            vault.count("parties.named").await
        ),
        (0, 1)
    );
    assert!(waits(&vault, recorded.id).await);
}

async fn a_withdrawal_needs_leave_to_revoke(database: Database) {
    let policy = consent_policy().replacen(
        "revoke = [\"privacy-officer\"]",
        "revoke = [\"auditor\"]",
        1,
    );
    let vault = Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let told = |answer: &str| json!({ "items": [{ "subject": CALLER, "answer": answer, "method": "letter" }] });
    assert_eq!(
        officer(&vault, "/v1/consents", told("withdrawn"))
            .await
            .reasons(),
        ["role-not-allowed"]
    );
    assert_eq!(vault.count("consent.recorded").await, 0);
    assert_eq!(
        officer(&vault, "/v1/consents", told("declined"))
            .await
            .status,
        201
    );
}

async fn a_thousand_statements_come_at_once(database: Database) {
    let vault = strict(database).await;
    let items: Vec<Value> = (0..1000)
        .map(|number| json!({ "subject": format!("+49302312{number:04}"), "answer": "given", "method": "web-form", "purposes": ["recording"] }))
        .collect();
    let told = officer(&vault, "/v1/consents", json!({ "items": items })).await;
    assert_eq!(
        (told.status, told.json()["recorded"].clone()),
        (201, json!(1000))
    );
    let ids: BTreeSet<String> = told.json()["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(ids.len(), 1000);
    let padded = json!({ "items": vec![json!({ "evidence": "x".repeat(1000) }); 1100] });
    officer(&vault, "/v1/consents", padded)
        .await
        .problem(413, "too-large");
}

async fn what_somebody_said_is_listed_without_who_they_are(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    let first = says(&vault, CALLER, "given").await["ids"][0].clone();
    vault.clock.advance(Duration::from_secs(1));
    let items = json!({ "items": [
        { "call": call_of(&recorded), "leg": "caller", "purposes": ["training"], "answer": "declined", "method": "keypad",
          "disclosure": "abc", "policy_version": "0.9", "at": "2026-01-01T00:00:00Z" },
        { "subject": CALLEE, "answer": "given", "method": "import", "at": "2026-01-01T00:00:00Z" },
    ]});
    let told = officer(&vault, "/v1/consents", items.clone()).await;
    assert_eq!(
        (told.status, told.json()["recorded"].clone()),
        (201, json!(2))
    );
    let again = officer(&vault, "/v1/consents", items).await.json();
    assert_eq!(
        (&again["recorded"], &again["ids"]),
        (&json!(0), &told.json()["ids"]),
        "told again, it is the same"
    );

    let page = officer(
        &vault,
        "/v1/consents/search",
        json!({ "subject": "+493023125001", "limit": 1 }),
    )
    .await
    .json();
    assert_eq!(
        (&page["items"][0]["id"], &page["items"][0]["policy_version"]),
        (&first, &json!("1"))
    );
    assert_eq!(page["items"][0]["conversation"], Value::Null);
    let rest = json!({ "subject": CALLER, "limit": 1, "cursor": page["next_cursor"] });
    let page = officer(&vault, "/v1/consents/search", rest).await.json();
    let item = &page["items"][0];
    assert_eq!(
        (&item["id"], &page["next_cursor"]),
        (&told.json()["ids"][0], &Value::Null)
    );
    assert_eq!(
        (&item["leg"], &item["answer"], &item["policy_version"]),
        (&json!("caller"), &json!("declined"), &json!("0.9"))
    );
    assert!(
        item["disclosure_sha256"]
            .as_str()
            .unwrap()
            .starts_with("ba7816bf"),
        "{item}"
    );
    let by_url = vault
        .asks("privacy-officer")
        .get("/v1/consents?subject=%2B493023125001")
        .await;
    assert_eq!(by_url.json()["items"].as_array().unwrap().len(), 2);
    for answer in [by_url.text(), page.to_string()] {
        assert!(!answer.contains("3125"), "{answer}");
    }
}

async fn a_request_with_a_fault_records_nothing_and_repeats_no_number(database: Database) {
    let vault = strict(database).await;
    let good = json!({ "subject": CALLER, "answer": "given", "method": "speech" });
    let later = vault.clock.now().after(Duration::from_secs(301));
    let with = |name: &str, value: Value| {
        let mut told = good.clone();
        told[name] = value;
        told
    };
    for (bad, field) in [
        (with("at", json!(later)), "`at`"),
        (with("purposes", json!(["selling"])), "`purposes`"),
        (with("purposes", json!([CALLER])), "`purposes`"),
        (with("subject", json!("030 3125001")), "`subject`"),
        (with("subject", json!(49_303_125_001_i64)), "`subject`"),
        (with("answer", json!(CALLER)), "`answer`"),
        (with("method", json!("import")), "`at`"),
        (with(CALLER, json!(1)), "a member that is none of"),
        (
            with("call", json!(format!("CA{}", "0".repeat(32)))),
            "`subject`",
        ),
    ] {
        let one = officer(&vault, "/v1/consents", bad.clone())
            .await
            .problem(400, "bad-request");
        let many = officer(&vault, "/v1/consents", json!({ "items": [good, bad] }))
            .await
            .problem(400, "bad-request");
        for problem in [one, many] {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(field), "{bad}: {detail}");
            assert!(!detail.contains("3125"), "{detail}");
        }
    }
    for bad in [
        json!({ "items": [] }),
        json!({ "items": [good], "more": 1 }),
        json!({ "items": vec![good.clone(); 1001] }),
        json!([good]),
    ] {
        officer(&vault, "/v1/consents", bad)
            .await
            .problem(400, "bad-request");
    }
    let path = format!("/v1/calls/CA{}/parties", "0".repeat(32));
    for bad in [
        json!({ "parties": [{ "leg": "caller", "number": "030 3125001" }] }),
        json!({ "parties": [{ "leg": CALLER }] }),
        json!({ "parties": [{ "leg": "caller" }, { "leg": "caller", "number": CALLER }] }),
        json!({ "parties": [{ "leg": "caller", CALLER: 1 }] }),
        json!({ "parties": [] }),
        json!({ "parties": CALLER }),
    ] {
        let problem = officer(&vault, &path, bad)
            .await
            .problem(400, "bad-request");
        assert!(!problem.to_string().contains("3125"), "{problem}");
    }
    officer(
        &vault,
        "/v1/calls/CA12/parties",
        json!({ "parties": [{ "leg": "caller" }] }),
    )
    .await
    .problem(404, "not-found");
    assert_eq!(
        (
            vault.count("consent.recorded").await,
            vault.count("parties.named").await
        ),
        (0, 0)
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM consents")
            .await,
        Some(0)
    );
}

fn consent() -> Permit {
    Permit::of_operator(Action::Consent)
}

async fn a_file_is_taken_in_whole_or_not_at_all(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    seal(&vault, &recorded).await;
    let header = "subject,call,leg,purposes,answer,method,at\n";
    let row = |number: &str, answer: &str| {
        format!("{number},,,recording;training,{answer},contract,2026-01-01T00:00:00Z\n")
    };
    let import = async |text: String, dry_run: bool| {
        vault
            .process
            .flow
            .import_consents(&consent(), Format::Csv, text.as_bytes(), dry_run)
            .await
    };

    let bad = format!(
        "{header}{}{}{}",
        row(CALLER, "given"),
        row(CALLEE, "maybe"),
        row("0", "given")
    );
    let refused = import(bad, false).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("2 faults; nothing was recorded\n  line 3: `answer`: ")
            && refused.contains("\n  line 4: `subject`: ")
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM consents")
            .await,
        Some(0)
    );

    let good = format!(
        "{header}{}{}{}",
        row(CALLER, "given"),
        row(CALLEE, "given"),
        row(CALLER, "given")
    );
    let would = import(good.clone(), true).await.unwrap();
    assert_eq!(
        (
            would.statements,
            would.fresh,
            vault
                .ground()
                .integer("SELECT COUNT(*) FROM consents")
                .await
        ),
        (3, 2, Some(0))
    );
    let did = import(good.clone(), false).await.unwrap();
    assert_eq!((did.statements, did.fresh, did.settled.released), (3, 2, 1));
    assert!(!waits(&vault, recorded.id).await);
    vault.clock.advance(DAY);
    let again = import(good, false).await.unwrap();
    assert_eq!(
        (again.fresh, vault.count("consent.recorded").await),
        (0, 2),
        "a file that is taken in again changes nothing"
    );
    let listed = vault
        .process
        .flow
        .consents_of(&consent(), &Address::parse(CALLER).unwrap(), None, 10)
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(
        listed.items[0].statement.policy_version, None,
        "what another system knew is not of this policy"
    );
    let opened = vault
        .process
        .flow
        .vault()
        .open_evidence(listed.items[0].statement.id, &listed.items[0].evidence)
        .unwrap();
    assert_eq!(
        opened.as_str(),
        "{\"address\":\"+493023125001\",\"evidence\":null}"
    );
}

/// A new process over an empty database, rebuilt from the store.
async fn rebuilt(vault: &TestVault, database: Database) -> (Process, impl Sized) {
    let (app, ground) = vault.app_on_an_empty_ledger(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    (vault.process_over(app).await, ground)
}

async fn what_was_said_outlives_the_database(database: Database) {
    let vault = strict(database).await;
    let [early, late] = [vault.record(), vault.record()];
    both_are_named(&vault, &early).await;
    says(&vault, CALLER, "given").await;
    seal(&vault, &early).await;
    vault.process.flow.vault().snapshot().await.unwrap();
    // In the journal only.
    says(&vault, CALLEE, "given").await;
    both_are_named(&vault, &late).await;
    seal(&vault, &late).await;
    vault.process.flow.journal().await.unwrap();
    says(&vault, CALLER, "declined").await;

    for other in Database::given() {
        let (process, _ground) = rebuilt(&vault, other).await;
        let officer = process
            .api
            .clone()
            .bearing(vault.minted("privacy-officer").token.expose());
        for (number, answers) in [(CALLER, vec!["declined", "given"]), (CALLEE, vec!["given"])] {
            let page = officer
                .post("/v1/consents/search", json!({ "subject": number }))
                .await
                .json();
            let found: BTreeSet<&str> = page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["answer"].as_str().unwrap())
                .collect();
            assert_eq!(
                found,
                answers.into_iter().collect(),
                "a no is in the store before it is told"
            );
        }
        for recorded in [&early, &late] {
            let parties = officer
                .get(&format!("/v1/calls/{}/parties", call_of(recorded)))
                .await
                .json();
            assert_eq!(parties["parties"].as_array().unwrap().len(), 2);
            let shown = officer
                .get(&format!("/v1/recordings/{}", recorded.id))
                .await
                .json();
            assert!(
                !shown["quarantine_ends"].is_null(),
                "by the no that came last"
            );
        }
    }
}

async fn nothing_personal_is_left_in_the_ledger_or_the_store(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    says(&vault, CALLER, "given").await;
    seal(&vault, &recorded).await;
    let file = format!(
        "subject,answer,method,evidence,at\n{CALLEE},given,contract,contract of Ophelia Brandywine,2026-01-01T00:00:00Z\n"
    );
    vault
        .process
        .flow
        .import_consents(&consent(), Format::Csv, file.as_bytes(), false)
        .await
        .unwrap();
    vault.process.flow.journal().await.unwrap();
    vault.process.flow.vault().snapshot().await.unwrap();
    vault.audio(recorded.id).await;
    let mut places = vec![vault.ground().all_rows().await.into_bytes()];
    places.extend(
        files_below(vault.folder())
            .iter()
            .map(|file| std::fs::read(file).unwrap()),
    );
    for needle in [
        "3023125001",
        "3023125002",
        "23125-00",
        "second 3 of the call",
        "Brandywine",
    ] {
        let found = |hay: &Vec<u8>| {
            hay.windows(needle.len())
                .any(|window| window == needle.as_bytes())
        };
        assert!(!places.iter().any(found), "{needle}");
    }
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
    only_those_who_may_speak_of_consent,
    a_withdrawal_needs_leave_to_revoke,
    a_thousand_statements_come_at_once,
    what_somebody_said_is_listed_without_who_they_are,
    a_request_with_a_fault_records_nothing_and_repeats_no_number,
    a_file_is_taken_in_whole_or_not_at_all,
    what_was_said_outlives_the_database,
    nothing_personal_is_left_in_the_ledger_or_the_store,
);
