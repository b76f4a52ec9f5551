//! The notice before the first message of a thread is kept: once, and content waits for an answer.

use std::time::Duration;

use recvault::{
    config::SHIPPED_POLICY,
    demo::stand_in::{Behaviour, Call, MessageFacts, RequestFault},
    flow::Reconciling,
    model::sid::MessageSid,
};
use serde_json::{Value, json};

use super::{ANNA, BEN, LINE, keeping};
use crate::{
    consenting::consent_policy,
    restoring::rebuilt,
    transcribing::work,
    world::{Caller, Database, Process, Recipe, TestVault, that_keeps_everything},
};

const NOTICE: &str =
    "Example Company keeps these messages, and Twilio carries them. Answer YES to agree.";
const YES: &str =
    "\n[[consent.messages]]\nwords = [\"yes\"]\nanswer = \"given\"\npurposes = [\"recording\"]\n";

fn telling(more: &str) -> String {
    let policy = that_keeps_everything(&keeping(&consent_policy()));
    format!("{policy}{YES}\n[consent.messages_first]\ntext = \"{NOTICE}\"\n{more}")
}

async fn vault_with(database: Database, more: &str) -> TestVault {
    Recipe {
        policy: telling(more),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

impl TestVault {
    fn comes(&self, from: &str, body: &str) -> MessageSid {
        let facts = MessageFacts::inbound(from, LINE, body);
        self.stand_in.add_message(&self.account, facts)
    }

    /// Delivers the webhook of a new message, and does what is due.
    async fn hears(&self, from: &str, body: &str) {
        let sid = self.comes(from, body);
        let params = self.stand_in.incoming_message_params(&sid);
        assert_eq!(self.told_message(&params).await.status, 200);
        work(self).await;
    }

    /// Returns the notices at Twilio to a person.
    fn notices_to(&self, number: &str) -> Vec<MessageSid> {
        let sent = self.stand_in.messages_to(number).into_iter();
        sent.map(|(sid, body)| {
            assert_eq!(body, NOTICE);
            sid
        })
        .collect()
    }

    /// Twilio sends what it took, and its callback comes. The vault looks again.
    async fn delivers(&self, sid: &MessageSid) {
        self.stand_in.set_message_status(sid, "delivered");
        let params = self.stand_in.message_status_params(sid, "delivered");
        let answer = self.post_callback(&self.account, "/twilio/messages/status", &params);
        assert_eq!(answer.await.status, 204);
        self.later().await;
    }

    /// Returns the statements about a person, as answer and disclosure.
    async fn timeline(&self, number: &str) -> Vec<(Value, Value)> {
        let asked = json!({ "subject": number });
        let officer = self.asks("privacy-officer");
        let found = officer.post("/v1/consents/search", asked).await;
        assert_eq!(found.status, 200, "{found:?}");
        let items = found.json()["items"].as_array().unwrap().clone();
        let pair = |said: &Value| (said["answer"].clone(), said["disclosure_sha256"].clone());
        items.iter().map(pair).collect()
    }

    async fn closed(&self) -> Option<i64> {
        let sql = "SELECT COUNT(*) FROM recordings WHERE quarantine_ends IS NOT NULL";
        self.ground().integer(sql).await
    }
}

fn digest() -> Value {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, NOTICE.as_bytes());
    hex::encode(digest).into()
}

async fn a_person_is_told_once_and_their_messages_wait_for_the_answer(database: Database) {
    let vault = vault_with(database, "").await;
    vault.hears(ANNA, "hello").await;
    vault.hears(ANNA, "is it there?").await;
    let notices = vault.notices_to(ANNA);
    assert_eq!(notices.len(), 1);
    assert!(vault.timeline(ANNA).await.is_empty(), "not delivered yet");
    vault.delivers(&notices[0]).await;
    assert_eq!(vault.timeline(ANNA).await, [(json!("informed"), digest())]);
    assert_eq!(vault.count("notice.sent").await, 1);

    // The notice is a message of the thread. It waits as the others do, and causes no other one.
    assert_eq!(vault.messages().await.len(), 3);
    assert_eq!(vault.closed().await, Some(3));
    vault.later().await;
    assert_eq!(vault.notices_to(ANNA).len(), 1);
    assert_eq!(vault.notices_to(BEN).len(), 0);

    vault.hears(ANNA, "Yes!").await;
    assert_eq!(vault.closed().await, Some(0));
    vault.hears(ANNA, "thanks").await;
    assert_eq!(
        (vault.closed().await, vault.notices_to(ANNA).len()),
        (Some(0), 1)
    );
}

async fn a_notice_whose_answer_was_lost_is_found_and_not_sent_again(database: Database) {
    let vault = vault_with(database, "").await;
    let fault = RequestFault::DoneThenServerError;
    vault.stand_in.fail_call(Call::MessageCreate, fault);
    vault.hears(ANNA, "hello").await;
    assert_eq!(vault.notices_to(ANNA).len(), 1);
    assert_eq!(vault.count("notice.sent").await, 0);
    vault.later().await;
    let notices = vault.notices_to(ANNA);
    assert_eq!((notices.len(), vault.count("notice.sent").await), (1, 1));
    vault.delivers(&notices[0]).await;
    assert_eq!(vault.timeline(ANNA).await, [(json!("informed"), digest())]);
}

async fn nobody_who_opted_out_is_written_to_again(database: Database) {
    for is_late in [false, true] {
        let vault = vault_with(database, "").await;
        vault.stand_in.behave(|behaviour: &mut Behaviour| {
            behaviour.opted_out.insert(ANNA.to_owned());
            behaviour.opt_out_is_found_late = is_late;
        });
        for text in ["hello", "again"] {
            vault.hears(ANNA, text).await;
            vault.later().await;
        }
        assert_eq!(vault.stand_in.requests(Call::MessageCreate), 1);
        assert_eq!(vault.count("notice.refused").await, 1);
        let code = "SELECT error_code FROM notices WHERE ended_at IS NOT NULL";
        assert_eq!(vault.ground().integer(code).await, Some(21610));
        assert_eq!(
            (vault.timeline(ANNA).await, vault.closed().await),
            (vec![], Some(2))
        );
    }
}

async fn nobody_who_answered_or_was_told_by_an_application_is_told_again(database: Database) {
    let vault = vault_with(database, "").await;
    let officer = vault.asks("privacy-officer");
    let told = json!({ "subject": ANNA, "answer": "informed", "method": "web-form", "purposes": ["recording"] });
    assert_eq!(officer.post("/v1/consents", told).await.status, 201);
    vault.agrees(BEN).await;
    vault.hears(ANNA, "hello").await;
    vault.hears(BEN, "hello").await;
    assert_eq!(vault.stand_in.requests(Call::MessageCreate), 0);
    // To be told is no yes.
    assert_eq!(vault.closed().await, Some(1));

    let vault = vault_with(database, "sent_by = \"application\"").await;
    vault.hears(ANNA, "hello").await;
    assert_eq!(vault.stand_in.requests(Call::MessageCreate), 0);
    assert_eq!(vault.closed().await, Some(1));
}

async fn an_old_message_that_is_found_makes_no_notice_due(database: Database) {
    let vault = vault_with(database, "").await;
    let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
    for (from, age) in [(ANNA, days(2)), (BEN, days(1) / 2)] {
        let facts = MessageFacts {
            sent: Some(vault.clock.now().before(age)),
            ..MessageFacts::inbound(from, LINE, "hello")
        };
        vault.stand_in.add_message(&vault.account, facts);
    }
    let wanted = Reconciling::default();
    let reconciliation = &vault.process.flow.reconciliation;
    let compared = reconciliation.reconcile(&wanted).await.unwrap();
    assert_eq!(compared[0].found.announced, 2);
    work(&vault).await;
    assert_eq!(vault.closed().await, Some(2));
    let notices = [ANNA, BEN].map(|number| vault.notices_to(number).len());
    assert_eq!(notices, [0, 1]);
}

async fn a_rebuilt_vault_tells_who_was_not_told_and_nobody_twice(database: Database) {
    let vault = vault_with(database, "").await;
    let tells = async |api: &Caller, url: String, from: &str| {
        let sid = vault.comes(from, "hello");
        let params = vault.stand_in.incoming_message_params(&sid);
        let signed = vault.stand_in.callback(&vault.account, &url, &params);
        let signatures = [signed.signature.as_str()];
        let told = api.form("/twilio/messages", &signed.body, &signatures);
        assert_eq!(told.await.status, 200);
    };
    let url = |process: &Process| process.public("/twilio/messages");
    tells(&vault.process.api, url(&vault.process), ANNA).await;
    vault.process.flow.vault.snapshot().await.unwrap();
    // What happens from here on is lost, but the messages themselves.
    work(&vault).await;
    assert_eq!(vault.notices_to(ANNA).len(), 1);
    tells(&vault.process.api, url(&vault.process), BEN).await;
    vault.process.flow.vault.journal().await.unwrap();

    let (_, process, _ground) = rebuilt(&vault, database).await;
    process.flow.worker.work_off().await.unwrap();
    for _ in 0..2 {
        tells(&process.api, url(&process), ANNA).await;
        tells(&process.api, url(&process), BEN).await;
        process.flow.worker.work_off().await.unwrap();
    }
    assert_eq!(vault.notices_to(ANNA).len(), 1);
    assert_eq!(vault.notices_to(BEN).len(), 1);
}

on_both_databases!(
    a_person_is_told_once_and_their_messages_wait_for_the_answer,
    a_notice_whose_answer_was_lost_is_found_and_not_sent_again,
    nobody_who_opted_out_is_written_to_again,
    nobody_who_answered_or_was_told_by_an_application_is_told_again,
    an_old_message_that_is_found_makes_no_notice_due,
    a_rebuilt_vault_tells_who_was_not_told_and_nobody_twice,
);

#[test]
fn the_notice_of_the_tests_is_a_valid_policy() {
    let told = recvault::policy::Rules::parse("p", &telling("")).unwrap();
    let first = told.document().consent.messages_first.as_ref().unwrap();
    assert_eq!(first.text, NOTICE);
    assert!(!SHIPPED_POLICY.contains("\n[consent.messages_first]"));
    assert!(Duration::ZERO < told.document().collection.quarantine.unwrap());
}
