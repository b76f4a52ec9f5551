//! A person revokes: all recordings of the person are shredded, whatever their state, and so are
//! later arrivals of earlier recordings.

mod meanwhile;
mod purposes;
mod saying;

use std::{collections::BTreeSet, time::Duration};

use recvault::{
    evidence::{
        KeySet, Receipt,
        revocation::{RevocationReceipt, RevocationState, digest_of},
    },
    model::{
        id::{ReceiptId, RecordingId},
        revocation::Target,
        subject::Conversation,
    },
    policy::{Permit, action},
};
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, Recorded, TestVault};

const ANNA: &str = "+49 30 901820";
const BERND: &str = "+49 30 901821";

fn conversation(recorded: &Recorded) -> Conversation {
    format!("CA{}", recorded.sid.as_str().trim_start_matches("RE"))
        .parse()
        .unwrap()
}

impl TestVault {
    /// Names a participant of the call of a recording, as an application.
    pub(crate) async fn took_part(&self, recorded: &Recorded, leg: &str, number: &str) {
        let parties = json!({ "parties": [{ "leg": leg, "number": number }] });
        let path = format!("/v1/calls/{}/parties", conversation(recorded));
        let answer = self.asks("privacy-officer").post(&path, parties).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    pub(crate) async fn revoke(&self, who: &str, what: Value) -> Answer {
        let mut body = json!({ "reason": "subject-request" });
        body.as_object_mut()
            .unwrap()
            .extend(what.as_object().unwrap().clone());
        self.asks(who).post("/v1/revocations", body).await
    }

    /// Revokes as the privacy officer; the revocation must be complete at once.
    pub(crate) async fn revoked(&self, what: Value) -> Value {
        let answer = self.revoke("privacy-officer", what).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        assert_eq!(
            (&body["state"], &body["pending"]),
            (&json!("done"), &json!(0)),
            "{body}"
        );
        body
    }

    pub(crate) async fn published_keys(&self) -> KeySet {
        self.anybody()
            .get("/.well-known/jwks.json")
            .await
            .text()
            .parse()
            .unwrap()
    }

    /// Returns the receipt for the whole revocation, verified with the published keys; checks that
    /// it lists exactly the returned receipts.
    pub(crate) async fn whole(&self, body: &Value) -> RevocationReceipt {
        let whole = RevocationReceipt::verify(
            body["receipt"].as_str().unwrap(),
            &self.published_keys().await,
        )
        .unwrap();
        let receipts: Vec<ReceiptId> = serde_json::from_value(body["receipts"].clone()).unwrap();
        assert_eq!(
            (whole.receipts_sha256.as_str(), whole.shredded),
            (digest_of(&receipts).as_str(), receipts.len() as u64)
        );
        assert_eq!(json!(whole.id), body["id"]);
        whole
    }

    /// Returns the recordings of the receipts, each verified.
    async fn proven(&self, body: &Value) -> BTreeSet<RecordingId> {
        let keys = self.published_keys().await;
        let mut proven = BTreeSet::new();
        for id in body["receipts"].as_array().unwrap() {
            let answer = self
                .anybody()
                .get(&format!("/v1/receipts/{}", id.as_str().unwrap()))
                .await;
            let receipt = Receipt::verify(&answer.text(), &keys).unwrap();
            assert_eq!(receipt.reason().as_str(), "subject-request");
            proven.insert(receipt.recording());
        }
        proven
    }

    async fn revocation(&self, id: &Value) -> Value {
        let answer = self
            .asks("privacy-officer")
            .get(&format!("/v1/revocations/{}", id.as_str().unwrap()))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Records a person's statement about training, as the privacy officer.
    async fn says(&self, statement: Value) -> Answer {
        let mut body = json!({ "purposes": ["training"], "method": "speech" });
        body.as_object_mut()
            .unwrap()
            .extend(statement.as_object().unwrap().clone());
        self.asks("privacy-officer")
            .post("/v1/consents", body)
            .await
    }

    /// Adds a recording that began now, later than the stand-in's others.
    async fn sealed_now(&self) -> Recorded {
        let recorded = self.record();
        let mut params = self.stand_in.callback_params(&recorded.sid, "completed");
        params.retain(|(name, _)| name != "RecordingStartTime");
        assert_eq!(
            self.post_callback(&self.account.clone(), "/twilio/recordings", &params)
                .await
                .status,
            204
        );
        self.process.flow.worker.work_off().await.unwrap();
        assert_eq!(self.state(recorded.id).await, "sealed");
        recorded
    }

    async fn statements(&self) -> i64 {
        self.ground()
            .integer("SELECT COUNT(*) FROM consents WHERE answer = 'withdrawn'")
            .await
            .unwrap()
    }
}

async fn a_person_withdraws_and_gets_proof_of_everything(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [calls, is_called, other] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.took_part(&calls, "caller", ANNA).await;
    vault.took_part(&calls, "callee", BERND).await;
    vault.took_part(&is_called, "callee", ANNA).await;
    vault.took_part(&other, "caller", BERND).await;
    let path = vault.audio(calls.id).await;

    let body = vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(vault.proven(&body).await, [calls.id, is_called.id].into());
    assert_eq!(
        (&body["held"], &body["counts"]),
        (
            &json!([]),
            &json!({ "shredded": 2, "held": 0, "closed": 0 })
        )
    );
    let whole = vault.whole(&body).await;
    assert_eq!(
        (whole.state, whole.limited, whole.reason.as_str()),
        (RevocationState::Complete, false, "subject-request")
    );
    vault.anybody().get(&path).await.problem(410, "shredded");
    vault.plays(&other).await;
    assert_eq!(
        vault.statements().await,
        1,
        "for every conversation of theirs"
    );
    assert_eq!(
        vault.process.flow.recovery.status().await.unwrap().waiting,
        0,
        "what is told is in the journal"
    );

    // Neither the number nor the person's id is in stored or returned data.
    let subject = vault
        .process
        .flow
        .vault
        .subject(&ANNA.parse().unwrap())
        .to_string();
    let log: String = vault.entries().await.iter().map(Value::to_string).collect();
    for secret in ["901820", &subject] {
        assert!(
            !log.contains(secret) && !body.to_string().contains(secret),
            "{secret}"
        );
    }
    let begun = vault
        .entries()
        .await
        .into_iter()
        .find(|entry| entry["event"] == "revocation.begun")
        .unwrap();
    assert_eq!(
        (&begun["details"]["reach"], &begun["details"]["revocation"]),
        (&json!("subject"), &body["id"])
    );
    assert_eq!(vault.count("revocation.done").await, 1);

    // A repeat is harmless, and returns the same receipts.
    let again = vault.revoked(json!({ "subject": "+4930901820" })).await;
    assert_eq!(again["receipts"], body["receipts"]);
    assert_eq!(vault.count("shred.tombstoned").await, 2);
    vault.plays(&other).await;
    let page = vault
        .asks("privacy-officer")
        .get(&format!(
            "/v1/revocations/{}?limit=1",
            body["id"].as_str().unwrap()
        ))
        .await
        .json();
    let next = page["outcomes"]["next_cursor"].as_str().unwrap();
    let rest = vault
        .asks("privacy-officer")
        .get(&format!(
            "/v1/revocations/{}?cursor={next}",
            body["id"].as_str().unwrap()
        ))
        .await
        .json();
    let both = [&page, &rest].map(|page| {
        serde_json::from_value::<RecordingId>(page["outcomes"]["items"][0]["recording"].clone())
            .unwrap()
    });
    assert_eq!(BTreeSet::from(both), [calls.id, is_called.id].into());
    assert_eq!(rest["outcomes"]["next_cursor"], Value::Null);
}

async fn an_officer_revokes_one_recording_and_an_account(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [one, other] = [vault.sealed().await, vault.sealed().await];
    let foreign = vault.record_for(&vault.other_account, one.wav.clone());
    assert_eq!(vault.tell(&foreign, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    let body = vault.revoked(json!({ "recording": one.id })).await;
    assert_eq!(vault.proven(&body).await, [one.id].into());
    vault.plays(&other).await;
    let body = vault.revoked(json!({ "account": vault.account })).await;
    assert_eq!(vault.proven(&body).await, [one.id, other.id].into());
    vault.plays(&foreign).await;
    assert_eq!(
        vault.statements().await,
        0,
        "nobody said anything for themselves"
    );

    let nothing = RecordingId::random(&mut rand::rng());
    vault
        .revoke("privacy-officer", json!({ "recording": nothing }))
        .await
        .problem(404, "not-found");
    for (bad, field) in [
        (json!({}), "exactly one"),
        (
            json!({ "recording": one.id, "account": vault.account }),
            "exactly one",
        ),
        (json!({ "subject": "030 901820" }), "international"),
        (
            json!({ "account": vault.account, "purposes": ["singing"] }),
            "singing",
        ),
        (
            json!({ "account": vault.account, "purposes": ["quality-review"] }),
            "does not rest on consent",
        ),
    ] {
        let problem = vault
            .revoke("privacy-officer", bad)
            .await
            .problem(400, "bad-request");
        assert!(
            problem["detail"].as_str().unwrap().contains(field),
            "{problem}"
        );
    }
    for who in ["agent", "reviewer", "auditor"] {
        assert_eq!(
            vault
                .revoke(who, json!({ "recording": foreign.id }))
                .await
                .reasons(),
            ["role-not-allowed"]
        );
    }
    vault.plays(&foreign).await;
}

async fn who_may_know_one_account_revokes_in_that_one_only(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let own = vault.record_for(&vault.other_account, vault.record().wav);
    let [foreign, late] = [
        vault.sealed().await,
        vault.record_for(&vault.other_account, own.wav.clone()),
    ];
    assert_eq!(vault.tell(&own, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    for recorded in [&own, &foreign, &late] {
        vault.took_part(recorded, "caller", ANNA).await;
    }
    let answer = vault.revoke("stranger", json!({ "subject": ANNA })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(vault.proven(&answer.json()).await, [own.id].into());
    assert!(vault.whole(&answer.json()).await.limited);
    assert_eq!(
        vault.statements().await,
        0,
        "nothing is said for conversations of others"
    );
    vault
        .revoke("stranger", json!({ "recording": foreign.id }))
        .await
        .problem(404, "not-found");
    vault
        .revoke("stranger", json!({ "account": vault.account }))
        .await
        .problem(404, "not-found");
    let later = vault.announced().await;
    vault.took_part(&later, "caller", ANNA).await;
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    vault.plays(&foreign).await;
    vault.plays(&later).await;
    assert_eq!(vault.state(late.id).await, "shredded");
    // Revocations of other accounts are not visible to them.
    let whole = vault.revoked(json!({ "recording": foreign.id })).await;
    let path = format!("/v1/revocations/{}", whole["id"].as_str().unwrap());
    vault
        .asks("stranger")
        .get(&path)
        .await
        .problem(404, "not-found");
    let stranger = vault
        .revoke(
            "stranger",
            json!({ "subject": ANNA, "purposes": ["training"] }),
        )
        .await
        .json();
    assert_eq!(stranger["counts"]["shredded"], 2, "both are gone already");
}

/// A revocation is begun, but not continued: as if the process had died.
async fn another_process_goes_on(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let permit = Permit::of_operator(action::Revoke);
    let reason = "subject-request".parse().unwrap();
    let begin = |flow: recvault::flow::Flow| {
        let permit = &permit;
        let reason = &reason;
        let target = Target::Recording(recorded.id);
        async move {
            flow.revocations
                .begin(permit, target, BTreeSet::new(), reason)
                .await
                .unwrap()
        }
    };
    let died = begin(vault.process.flow.clone()).await;
    let left = begin(vault.process.flow.clone()).await;
    // Its time limit ends before it has done anything.
    vault
        .process
        .flow
        .revocations
        .go_on_for(left.id, Duration::ZERO)
        .await
        .unwrap();
    let other = vault.another_process().await;
    let status = other
        .flow
        .revocations
        .status(&permit, left.id)
        .await
        .unwrap();
    if !status.revocation.is_done {
        assert_eq!(status.pending, 1);
        assert_eq!(
            other
                .flow
                .revocations
                .continue_all()
                .await
                .unwrap()
                .revocations,
            1,
            "the one that was given back"
        );
    }
    assert!(
        !other
            .flow
            .revocations
            .status(&permit, died.id)
            .await
            .unwrap()
            .revocation
            .is_done,
        "somebody may still be at it"
    );
    vault.clock.advance(Duration::from_secs(61));
    let (first, second) = tokio::join!(
        vault.process.flow.revocations.continue_all(),
        other.flow.revocations.continue_all()
    );
    assert_eq!(first.unwrap().revocations + second.unwrap().revocations, 1);
    for id in [died.id, left.id] {
        let status = other.flow.revocations.status(&permit, id).await.unwrap();
        assert!(status.revocation.is_done);
        assert_eq!(
            (status.counts.shredded, status.shredded[0].recording),
            (1, recorded.id)
        );
    }
    assert_eq!(vault.count("shred.tombstoned").await, 1);
}

on_both_databases!(
    a_person_withdraws_and_gets_proof_of_everything,
    an_officer_revokes_one_recording_and_an_account,
    who_may_know_one_account_revokes_in_that_one_only,
    another_process_goes_on,
);
