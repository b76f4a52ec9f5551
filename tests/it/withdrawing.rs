//! Somebody withdraws: everything of theirs is let go of, whatever it is doing at that moment, and
//! whatever comes later of what was before.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use recvault::{
    config::SHIPPED_POLICY,
    demo::{
        conversation::{Channels, WAV, repeat_to},
        stand_in::Fault,
    },
    evidence::{
        KeySet, Receipt,
        revocation::{RevocationReceipt, RevocationState, digest_of},
    },
    model::{
        artefact::Artefact,
        id::{ReceiptId, RecordingId},
        revocation::Target,
        subject::Conversation,
        time::Clock,
    },
    policy::{Action, Permit},
};
use serde_json::{Value, json};

use crate::{
    consenting::consent_policy,
    world::{Answer, Database, GatedHost, Recipe, Recorded, TestVault, until},
};

const ANNA: &str = "+49 30 901820";
const BERND: &str = "+49 30 901821";

fn conversation(recorded: &Recorded) -> Conversation {
    format!("CA{}", recorded.sid.as_str().trim_start_matches("RE"))
        .parse()
        .unwrap()
}

impl TestVault {
    /// Somebody took part in the call of a recording, as an application tells it.
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

    /// The privacy officer revokes, and it is done at once.
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

    /// The receipt for the whole, checked by who has nothing but the published keys; and that it is
    /// of just the receipts that were told.
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

    /// The recordings that receipts are of, each checked.
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

    /// The privacy officer tells what somebody said of their training.
    async fn says(&self, statement: Value) -> Answer {
        let mut body = json!({ "purposes": ["training"], "method": "speech" });
        body.as_object_mut()
            .unwrap()
            .extend(statement.as_object().unwrap().clone());
        self.asks("privacy-officer")
            .post("/v1/consents", body)
            .await
    }

    /// A recording that began now, and not when those of the stand-in did.
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
        self.process.flow.work_off().await.unwrap();
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
        vault.process.flow.journal_status().await.unwrap().waiting,
        0,
        "what is told is in the journal"
    );

    // Neither the number nor the person's id is in what stays or goes out.
    let subject = vault
        .process
        .flow
        .vault()
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

    // Once more is harmless, and gives the same receipts.
    let again = vault.revoked(json!({ "subject": "+4930901820" })).await;
    assert_eq!(again["receipts"], body["receipts"]);
    assert_eq!(vault.count("shred.fenced").await, 2);
    vault.plays(&other).await;
    let page = vault
        .asks("privacy-officer")
        .get(&format!(
            "/v1/revocations/{}?limit=1",
            body["id"].as_str().unwrap()
        ))
        .await
        .json();
    let next = page["next_cursor"].as_str().unwrap();
    let rest = vault
        .asks("privacy-officer")
        .get(&format!(
            "/v1/revocations/{}?cursor={next}",
            body["id"].as_str().unwrap()
        ))
        .await
        .json();
    let both = [&page, &rest].map(|page| {
        serde_json::from_value::<RecordingId>(page["outcomes"][0]["recording"].clone()).unwrap()
    });
    assert_eq!(BTreeSet::from(both), [calls.id, is_called.id].into());
    assert!(rest.get("next_cursor").is_none_or(Value::is_null));
}

async fn an_officer_revokes_one_recording_and_an_account(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [one, other] = [vault.sealed().await, vault.sealed().await];
    let foreign = vault.record_for(&vault.other_account, one.wav.clone());
    assert_eq!(vault.tell(&foreign, "completed").await.status, 204);
    vault.process.flow.work_off().await.unwrap();
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

async fn what_waits_to_be_fetched_is_never_fetched(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let waits = vault.announced().await;
    vault.took_part(&waits, "caller", ANNA).await;
    let body = vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(vault.proven(&body).await, [waits.id].into());
    vault.process.flow.work_off().await.unwrap();
    assert_eq!(
        (vault.state(waits.id).await, vault.objects().await.len()),
        ("shredded".to_owned(), 0)
    );
    assert_eq!(vault.count("recording.sealed").await, 0);
}

async fn what_is_being_fetched_is_not_kept(database: Database) {
    let vault = Recipe {
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let host = GatedHost::start(bytes::Bytes::from_static(WAV)).await;
    let fetched = vault.announced().await;
    vault.took_part(&fetched, "caller", ANNA).await;
    vault.stand_in.fail(
        &fetched.sid,
        Fault::RedirectTo {
            url: host.url.clone(),
        },
    );
    let revoking = async {
        host.reached().await;
        let body = vault.revoked(json!({ "subject": ANNA })).await;
        host.open();
        body
    };
    let (worked, body) = tokio::join!(vault.process.flow.work_off(), revoking);
    worked.unwrap();
    assert_eq!(vault.proven(&body).await, [fetched.id].into());
    assert_eq!(
        (vault.state(fetched.id).await, vault.objects().await.len()),
        ("shredded".to_owned(), 0)
    );
    assert_eq!(
        (vault.count("recording.sealed").await, vault.dead().await),
        (0, None)
    );
}

/// Who hears it for training is cut off when consent to that is withdrawn, in another process as in
/// this one.
async fn whoever_listens_is_cut_off_when_consent_is_withdrawn(database: Database) {
    let vault = Recipe {
        clock: Clock::System,
        ..Recipe::on(database)
    }
    .served()
    .await;
    let recorded = vault.record_wav(repeat_to(240, Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    vault.took_part(&recorded, "caller", ANNA).await;
    vault
        .says(json!({ "subject": ANNA, "answer": "given" }))
        .await;
    let wanted = json!({ "purpose": "training", "justification": "a good example" });
    let grant = vault
        .asks("reviewer")
        .post(&format!("/v1/recordings/{}/grants", recorded.id), wanted)
        .await
        .json();
    let token = grant["audio_url"]
        .as_str()
        .unwrap()
        .split('/')
        .rev()
        .nth(1)
        .unwrap()
        .to_owned();
    let heard = vault
        .process
        .flow
        .redeem(&token, None, Artefact::Audio)
        .await
        .unwrap();
    let mut pieces = Box::pin(
        vault
            .process
            .flow
            .listen(&heard, 0..heard.playable.len())
            .await
            .unwrap(),
    );
    assert!(pieces.next().await.unwrap().is_ok());
    let other = vault.another_process().await;
    let officer = other
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let said = json!({ "subject": ANNA, "purposes": ["training"], "answer": "withdrawn", "method": "speech" });
    assert_eq!(officer.post("/v1/consents", said).await.status, 201);
    let since = Instant::now();
    until("the watch has seen it", async || {
        vault.process.flow.status().await.unwrap().streams == 0
    })
    .await;
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert!(
        pieces.next().await.unwrap().is_err(),
        "nothing more is released"
    );
    assert_eq!(vault.state(recorded.id).await, "sealed");
    assert!(
        vault
            .process
            .flow
            .redeem(&token, None, Artefact::Audio)
            .await
            .is_err()
    );
}

async fn what_arrives_later_is_not_kept(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let body = vault.revoked(json!({ "account": vault.account })).await;
    assert_eq!(vault.whole(&body).await.shredded, 0);
    // It was recorded before, and Twilio tells of it only now.
    let late = vault.announced().await;
    vault.process.flow.work_off().await.unwrap();
    assert_eq!(
        (vault.state(late.id).await, vault.objects().await.len()),
        ("shredded".to_owned(), 0)
    );
    assert_eq!(vault.count("recording.sealed").await, 0);
    assert_eq!(vault.dead().await, None);
    vault.process.flow.continue_revocations().await.unwrap();
    let body = vault.revocation(&body["id"]).await;
    assert_eq!(vault.proven(&body).await, [late.id].into());
    assert_eq!(
        vault.whole(&body).await.shredded,
        1,
        "the receipt for the whole knows of it"
    );

    // What is recorded after the revocation is not its business.
    vault.clock.advance(Duration::from_secs(1));
    let after = vault.sealed_now().await;
    vault.plays(&after).await;
    vault.process.flow.continue_revocations().await.unwrap();
    vault.plays(&after).await;
}

async fn a_party_that_is_named_later_is_reached_all_the_same(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [named_later, other] = [vault.sealed().await, vault.sealed().await];
    let body = vault.revoked(json!({ "subject": ANNA })).await;
    vault.took_part(&other, "caller", BERND).await;
    vault.process.flow.continue_revocations().await.unwrap();
    vault.plays(&named_later).await;
    vault.took_part(&named_later, "caller", ANNA).await;
    // By that request already: nothing is left for the service.
    assert_eq!(
        vault
            .process
            .flow
            .continue_revocations()
            .await
            .unwrap()
            .revocations,
        0
    );
    let body = vault.revocation(&body["id"]).await;
    assert_eq!(vault.proven(&body).await, [named_later.id].into());
    assert_eq!(vault.whole(&body).await.shredded, 1);
    vault.plays(&other).await;
    // And what comes after the withdrawal is not reached, though it is theirs.
    vault.clock.advance(Duration::from_secs(1));
    let after = vault.sealed_now().await;
    vault.took_part(&after, "caller", ANNA).await;
    assert_eq!(
        vault
            .process
            .flow
            .continue_revocations()
            .await
            .unwrap()
            .revocations,
        0
    );
    vault.plays(&after).await;
}

async fn a_single_purpose_is_closed(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let late = vault.record();
    vault.took_part(&recorded, "caller", ANNA).await;
    vault.took_part(&late, "caller", ANNA).await;
    let body = vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training"] }))
        .await;
    assert_eq!(
        body["counts"],
        json!({ "shredded": 0, "held": 0, "closed": 1 })
    );
    assert_eq!(
        (vault.whole(&body).await.closed, vault.statements().await),
        (1, 1)
    );
    vault.plays(&recorded).await;
    let entries = vault.entries().await;
    let closed = entries
        .iter()
        .find(|entry| entry["event"] == "recording.revoked")
        .unwrap();
    assert_eq!(
        (&closed["recording"], &closed["details"]["purposes"]),
        (&json!(recorded.id), &json!(["training"]))
    );
    // What arrives later is kept, and closed too.
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.work_off().await.unwrap();
    vault.plays(&late).await;
    vault.process.flow.continue_revocations().await.unwrap();
    assert_eq!(vault.revocation(&body["id"]).await["counts"]["closed"], 2);
    assert_eq!(
        vault.statements().await,
        1,
        "what they said stands for all their conversations"
    );

    // For an account nobody speaks: everybody's consent in its conversations is withdrawn.
    let body = vault
        .revoked(json!({ "account": vault.account, "purposes": ["training"] }))
        .await;
    assert_eq!(
        (&body["counts"]["closed"], vault.statements().await),
        (&json!(2), 3)
    );
    // Together with `recording` it is everything.
    let body = vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training", "recording"] }))
        .await;
    assert_eq!(vault.proven(&body).await, [recorded.id, late.id].into());
}

/// The shipped policy with training, which rests on consent, as its only purpose.
fn only_training() -> String {
    let (head, rest) = SHIPPED_POLICY.split_once("[[purposes]]").unwrap();
    let training = rest
        .split("[[purposes]]")
        .find(|block| block.contains("\"training\""))
        .unwrap();
    let (_, tail) = rest.split_once("[[rights]]").unwrap();
    format!("{head}[[purposes]]{training}[[rights]]{tail}")
}

async fn what_no_purpose_can_open_any_more_is_not_kept(database: Database) {
    let vault = Recipe {
        policy: only_training(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let late = vault.record();
    for recorded in [&recorded, &late] {
        vault.took_part(recorded, "caller", ANNA).await;
    }
    let body = vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training"] }))
        .await;
    assert_eq!(vault.proven(&body).await, [recorded.id].into());
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.work_off().await.unwrap();
    assert_eq!(
        (
            vault.state(late.id).await.as_str(),
            vault.count("recording.sealed").await
        ),
        ("shredded", 1)
    );
}

async fn who_may_know_one_account_revokes_in_that_one_only(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let own = vault.record_for(&vault.other_account, vault.record().wav);
    let [foreign, late] = [
        vault.sealed().await,
        vault.record_for(&vault.other_account, own.wav.clone()),
    ];
    assert_eq!(vault.tell(&own, "completed").await.status, 204);
    vault.process.flow.work_off().await.unwrap();
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
    vault.process.flow.work_off().await.unwrap();
    vault.plays(&foreign).await;
    vault.plays(&later).await;
    assert_eq!(vault.state(late.id).await, "shredded");
    // What is not theirs, they do not even see.
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

/// A revocation is begun, and nobody goes on with it: as if the process had died.
async fn another_process_goes_on(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let permit = Permit::of_operator(Action::Revoke);
    let reason = "subject-request".parse().unwrap();
    let begin = |flow: recvault::flow::Flow| {
        let permit = &permit;
        let reason = &reason;
        let target = Target::Recording(recorded.id);
        async move {
            flow.begin_revocation(permit, target, BTreeSet::new(), reason)
                .await
                .unwrap()
        }
    };
    let died = begin(vault.process.flow.clone()).await;
    let left = begin(vault.process.flow.clone()).await;
    // Its patience ends before it did anything.
    vault
        .process
        .flow
        .go_on_for(left.id, Duration::ZERO)
        .await
        .unwrap();
    let other = vault.another_process().await;
    let status = other.flow.revocation(&permit, left.id).await.unwrap();
    if !status.revocation.is_done {
        assert_eq!(status.pending, 1);
        assert_eq!(
            other.flow.continue_revocations().await.unwrap().revocations,
            1,
            "the one that was given back"
        );
    }
    assert!(
        !other
            .flow
            .revocation(&permit, died.id)
            .await
            .unwrap()
            .revocation
            .is_done,
        "somebody may still be at it"
    );
    vault.clock.advance(Duration::from_secs(61));
    let (first, second) = tokio::join!(
        vault.process.flow.continue_revocations(),
        other.flow.continue_revocations()
    );
    assert_eq!(first.unwrap().revocations + second.unwrap().revocations, 1);
    for id in [died.id, left.id] {
        let status = other.flow.revocation(&permit, id).await.unwrap();
        assert!(status.revocation.is_done);
        assert_eq!(
            (status.counts.shredded, status.shredded[0].recording),
            (1, recorded.id)
        );
    }
    assert_eq!(vault.count("shred.fenced").await, 1);
}

async fn a_new_consent_opens_only_what_comes_after(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let before = vault.sealed_now().await;
    vault.took_part(&before, "caller", ANNA).await;
    let said = vault
        .says(json!({ "subject": ANNA, "answer": "given" }))
        .await;
    assert!(said.status == 200 || said.status == 201, "{said:?}");
    assert_eq!(
        vault.grant("reviewer", before.id, "training").await.status,
        201
    );
    vault.clock.advance(Duration::from_secs(1));
    vault
        .revoked(json!({ "subject": ANNA, "purposes": ["training"] }))
        .await;
    assert_eq!(
        vault
            .grant("reviewer", before.id, "training")
            .await
            .reasons(),
        ["consent-missing"]
    );
    vault.plays(&before).await;
    vault.clock.advance(Duration::from_secs(1));
    vault
        .says(json!({ "subject": ANNA, "answer": "given" }))
        .await;
    let after = vault.sealed_now().await;
    vault.took_part(&after, "caller", ANNA).await;
    assert_eq!(
        vault
            .grant("reviewer", before.id, "training")
            .await
            .reasons(),
        ["consent-missing"]
    );
    assert_eq!(
        vault.grant("reviewer", after.id, "training").await.status,
        201
    );
}

/// By a statement of consent, and not by the word for it.
async fn who_says_no_longer_has_revoked(database: Database) {
    let vault = Recipe {
        policy: consent_policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let [theirs, in_call, other, late] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
        vault.record(),
    ];
    vault.took_part(&theirs, "caller", ANNA).await;
    vault
        .says(json!({ "subject": ANNA, "purposes": [], "answer": "withdrawn" }))
        .await;
    assert_eq!(vault.state(theirs.id).await, "shredded");
    // In a call, by who is known only by their place in it; also what Twilio tells of later.
    for recorded in [&in_call, &late] {
        let call = conversation(recorded);
        let said = vault.says(json!({ "call": call, "leg": "caller", "purposes": ["recording"], "answer": "withdrawn" })).await;
        assert!(
            said.status == 200 || said.status == 201 || recorded.id == late.id,
            "{said:?}"
        );
    }
    assert_eq!(vault.state(in_call.id).await, "shredded");
    assert_eq!(vault.tell(&late, "completed").await.status, 204);
    vault.process.flow.work_off().await.unwrap();
    assert_eq!(
        (
            vault.state(late.id).await,
            vault.count("recording.sealed").await
        ),
        ("shredded".to_owned(), 3)
    );
    assert_eq!(vault.state(other.id).await, "sealed");
}

async fn what_never_rested_on_consent_outlives_its_withdrawal(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.took_part(&recorded, "caller", ANNA).await;
    vault
        .says(json!({ "subject": ANNA, "purposes": ["training"], "answer": "given" }))
        .await;
    let training = async || {
        let wanted = json!({ "purpose": "training", "justification": "a good example" });
        vault
            .asks("reviewer")
            .post(&format!("/v1/recordings/{}/grants", recorded.id), wanted)
            .await
    };
    assert_eq!(training().await.status, 201);
    vault
        .says(json!({ "subject": ANNA, "purposes": [], "answer": "withdrawn" }))
        .await;
    // Training rested on it; the rest goes on, until they revoke without naming a purpose.
    assert_eq!(training().await.reasons(), ["consent-missing"]);
    vault.plays(&recorded).await;
}

on_both_databases!(
    a_new_consent_opens_only_what_comes_after,
    who_says_no_longer_has_revoked,
    what_never_rested_on_consent_outlives_its_withdrawal,
    a_person_withdraws_and_gets_proof_of_everything,
    an_officer_revokes_one_recording_and_an_account,
    what_waits_to_be_fetched_is_never_fetched,
    what_is_being_fetched_is_not_kept,
    whoever_listens_is_cut_off_when_consent_is_withdrawn,
    what_arrives_later_is_not_kept,
    a_party_that_is_named_later_is_reached_all_the_same,
    a_single_purpose_is_closed,
    what_no_purpose_can_open_any_more_is_not_kept,
    who_may_know_one_account_revokes_in_that_one_only,
    another_process_goes_on,
);
