//! Messages by Event Streams: delivered or announced, in any order, however often.

use std::time::Duration;

use recvault::{
    demo::stand_in::{Behaviour, Call, MessageFacts, SignedJson},
    flow::Reconciling,
    model::sid::MessageSid,
    twilio::SIGNATURE_HEADER,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ANNA, BEN, LINE, TEXT, id_of, keeping, picture, vault_on};
use crate::{
    consenting::consent_policy,
    transcribing::work,
    viewing::{granted, token_of},
    world::{Answer, Database, Recipe, TestVault, send, that_keeps_everything},
};

const EVENTS: &str = "/twilio/events";

impl TestVault {
    pub(crate) fn signed_events(&self, events: &Value) -> SignedJson {
        // A batch may be about several accounts.
        let path = format!("{EVENTS}?AccountSid={}", self.account);
        let url = self.process.public(&path);
        self.stand_in.json_callback(&self.account, &url, events)
    }

    pub(crate) async fn posts_events(&self, signed: SignedJson) -> Answer {
        let path = self.process.path_of(&signed.url);
        let request = self.anybody().request(Method::POST, &path);
        let request = request
            .header(SIGNATURE_HEADER, &signed.signature)
            .header("content-type", "application/json");
        send(request.body(signed.body)).await
    }

    /// Delivers a batch of events.
    pub(crate) async fn streams(&self, events: &Value) {
        let answer = self.posts_events(self.signed_events(events)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    fn adds(&self, facts: MessageFacts) -> MessageSid {
        self.stand_in.add_message(&self.account, facts)
    }

    /// Returns the texts of all messages, sorted.
    async fn read_all(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for message in self.messages().await {
            assert_eq!(message["state"], "sealed", "{message}");
            texts.push(self.reads(id_of(&message)).await);
        }
        texts.sort();
        texts
    }
}

async fn events_bring_messages_once_in_any_order(database: Database) {
    let vault = vault_on(database).await;
    let came = vault.adds(MessageFacts::inbound(ANNA, LINE, TEXT));
    let went = vault.adds(MessageFacts::outbound(LINE, ANNA, "It is there"));
    let event = |sid, status| vault.stand_in.message_event(sid, status);
    let batch = json!([
        event(&went, "delivered"),
        event(&came, "received"),
        event(&went, "sent"),
        event(&went, "queued"),
    ]);
    vault.streams(&batch).await;
    // Sealed before the answer, and nothing is asked of Twilio.
    assert_eq!(vault.read_all().await, ["It is there", TEXT]);
    work(&vault).await;
    assert_eq!(vault.stand_in.requests(Call::MessageFetch), 0);
    let shown = vault.messages().await;
    assert_eq!(shown[0]["thread_id"], shown[1]["thread_id"]);
    let status = shown
        .iter()
        .find(|shown| shown["author"] == "line")
        .unwrap();
    assert_eq!(status["source_status"], "delivered");

    // The same batch, its parts, and the callbacks of the same messages change nothing.
    vault.streams(&batch).await;
    vault.streams(&json!([event(&went, "delivered")])).await;
    let webhook = vault.stand_in.incoming_message_params(&came);
    assert_eq!(vault.told_message(&webhook).await.status, 200);
    work(&vault).await;
    assert_eq!(vault.messages().await.len(), 2);
    assert_eq!(vault.count("recording.sealed").await, 2);
}

async fn an_event_without_the_text_leaves_it_to_the_webhook_or_the_comparison(database: Database) {
    let vault = vault_on(database).await;
    vault.stand_in.behave(|behaviour: &mut Behaviour| {
        behaviour.message_texts_are_redacted = true;
    });
    let two_hours = Duration::from_secs(2 * 3600);
    let both = [BEN, ANNA].map(|from| vault.adds(MessageFacts::inbound(from, LINE, TEXT)));
    for sid in &both {
        vault
            .streams(&json!([vault.stand_in.message_event(sid, "received")]))
            .await;
    }
    let compare = async || {
        let flow = &vault.process.flow;
        let wanted = Reconciling::default();
        let compared = flow.reconciliation.reconcile(&wanted).await.unwrap();
        assert_eq!(compared[0].fault, None);
        work(&vault).await;
    };
    compare().await;
    let shown = vault.messages().await;
    let states: Vec<&Value> = shown.iter().map(|shown| &shown["state"]).collect();
    assert_eq!(states, ["announced", "announced"], "the webhook may come");

    let webhook = vault.stand_in.incoming_message_params(&both[0]);
    assert_eq!(vault.told_message(&webhook).await.status, 200);
    vault.stand_in.behave(|behaviour: &mut Behaviour| {
        behaviour.message_texts_are_redacted = false;
    });
    vault.clock.advance(two_hours);
    compare().await;
    assert_eq!(vault.read_all().await, [TEXT, TEXT]);
}

async fn a_picture_is_fetched_for_an_event_that_names_only_its_number(database: Database) {
    let vault = vault_on(database).await;
    let sid = vault.adds(MessageFacts {
        media: vec![picture(b"\xff\xd8one"), picture(b"\xff\xd8two")],
        ..MessageFacts::inbound(ANNA, LINE, "look")
    });
    vault
        .streams(&json!([vault.stand_in.message_event(&sid, "received")]))
        .await;
    // Of an outgoing one the event does not tell the number: it is fetched whole.
    let went = vault.adds(MessageFacts {
        media: vec![picture(b"\xff\xd8three")],
        ..MessageFacts::outbound(LINE, ANNA, "see")
    });
    vault
        .streams(&json!([vault.stand_in.message_event(&went, "sent")]))
        .await;
    work(&vault).await;
    assert_eq!(vault.read_all().await, ["look", "see"]);
    assert_eq!(vault.count("file.sealed").await, 3);
}

async fn an_event_that_cannot_be_read_costs_no_other_one(database: Database) {
    let vault = vault_on(database).await;
    let sid = vault.adds(MessageFacts::inbound(ANNA, LINE, TEXT));
    let good = vault.stand_in.message_event(&sid, "received");
    let with = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        event
    };
    let account = &vault.unknown_account;
    let batch = json!([
        with("id", json!("a b")),
        with(
            "type",
            json!("com.twilio.voice.insights.call-summary.complete")
        ),
        with("data", json!({ "messageSid": "SM1" })),
        7,
        with("data", json!({ "accountSid": account, "messageSid": sid })),
        good,
    ]);
    vault.streams(&batch).await;
    assert_eq!(vault.read_all().await, [TEXT]);

    // What is too large, or not signed, is refused.
    let mut forged = vault.signed_events(&batch);
    forged.body = forged.body.replace("parcel", "packet");
    vault
        .posts_events(forged)
        .await
        .problem(403, "bad-signature");
    let large = with("padding", json!("x".repeat(1024 * 1024)));
    let refused = vault.posts_events(vault.signed_events(&json!([large])));
    refused.await.problem(413, "too-large");
}

async fn what_a_person_says_by_event_counts_as_by_webhook(database: Database) {
    let vault = Recipe {
        policy: format!(
            "{}\n[[consent.messages]]\nwords = [\"stop recording\"]\nanswer = \"withdrawn\"\n",
            that_keeps_everything(&keeping(&consent_policy()))
        ),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let before = vault.kept(ANNA, TEXT).await;
    let other = vault.kept(BEN, TEXT).await;
    let sid = vault.adds(MessageFacts::inbound(ANNA, LINE, "Stop recording!"));
    let batch = json!([vault.stand_in.message_event(&sid, "received")]);
    vault.streams(&batch).await;
    vault.streams(&batch).await;
    assert_eq!(vault.state(before).await, "shredded");
    assert_eq!(vault.state(other).await, "sealed");
    assert_eq!(vault.count("consent.recorded").await, 1);
}

async fn everybody_in_a_group_is_a_party_of_its_messages(database: Database) {
    let group = |body: &str| MessageFacts {
        recipients: vec![LINE.to_owned(), BEN.to_owned()],
        ..MessageFacts::inbound(ANNA, LINE, body)
    };
    for by_webhook_first in [false, true] {
        let vault = vault_on(database).await;
        let sid = vault.adds(group(TEXT));
        if by_webhook_first {
            let webhook = vault.stand_in.incoming_message_params(&sid);
            assert_eq!(vault.told_message(&webhook).await.status, 200);
        }
        let other = vault.adds(MessageFacts {
            from: BEN.to_owned(),
            recipients: vec![ANNA.to_owned(), LINE.to_owned()],
            ..group("And I")
        });
        let event = |sid| vault.stand_in.message_event(sid, "received");
        vault.streams(&json!([event(&sid), event(&other)])).await;
        vault.streams(&json!([event(&sid)])).await;
        let shown = vault.messages().await;
        let [first, second] = &shown[..] else {
            panic!("{shown:?}")
        };
        assert_eq!(first["thread_id"], second["thread_id"]);
        assert_ne!(first["author"], second["author"]);
        let grant = granted(&vault, id_of(first), "hear").await;
        let path = format!("/v1/media/{}/parties.json", token_of(&grant));
        let parties = vault.anybody().get(&path).await.json();
        let mut numbers: Vec<&Value> = parties["parties"]
            .as_array()
            .unwrap()
            .iter()
            .map(|party| &party["address"])
            .collect();
        numbers.sort_by_key(|number| number.to_string());
        assert_eq!(numbers, [ANNA, BEN]);

        // Each lets go of what they wrote.
        let text = vault.reads(id_of(first)).await;
        let (own, others) = if text == TEXT {
            (first, second)
        } else {
            (second, first)
        };
        vault.revoked(json!({ "subject": ANNA })).await;
        assert_eq!(vault.state(id_of(own)).await, "shredded");
        assert_eq!(vault.reads(id_of(others)).await, "And I");
    }
}

on_both_databases!(
    everybody_in_a_group_is_a_party_of_its_messages,
    events_bring_messages_once_in_any_order,
    an_event_without_the_text_leaves_it_to_the_webhook_or_the_comparison,
    a_picture_is_fetched_for_an_event_that_names_only_its_number,
    an_event_that_cannot_be_read_costs_no_other_one,
    what_a_person_says_by_event_counts_as_by_webhook,
);
