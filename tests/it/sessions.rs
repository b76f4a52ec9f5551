//! Sessions of Proxy: a text is sealed before the answer, both people are its parties and the mask
//! is nobody; the recording of a call finds its session.

mod calls;
pub(crate) mod linked;
mod order;

use recvault::{
    demo::stand_in::{Call, InteractionFacts, MessageFacts},
    flow::Reconciling,
    model::{
        id::RecordingId,
        media::SourceRef,
        sid::{InteractionSid, MessageSid, ProxyParticipantSid, ProxySessionSid},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    restoring::rebuilt,
    threads::keeping,
    transcribing::work,
    viewing::policy,
    world::{Answer, Database, Recipe, TestVault, digits, send},
};

const ANNA: &str = "+493090182001";
const BEN: &str = "+493090182002";
/// The line to which Anna writes, and the one to which Ben writes.
const MASKS: [&str; 2] = ["+493090182091", "+493090182092"];
const TEXT: &str = "The parcel is at the neighbours, Geranienweg 12";

async fn vault_on(database: Database) -> TestVault {
    Recipe {
        policy: keeping(&policy()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

/// A session between Anna and Ben at Twilio.
struct Session {
    sid: ProxySessionSid,
    anna: ProxyParticipantSid,
    ben: ProxyParticipantSid,
}

/// A text through the session.
struct Sent {
    sid: InteractionSid,
    id: RecordingId,
    legs: [MessageSid; 2],
}

impl TestVault {
    fn begun(&self) -> Session {
        let service = format!("KS{}", digits()).parse().unwrap();
        let sid = self.stand_in.add_proxy_session(&self.account, &service);
        let add = |person, mask| self.stand_in.add_proxy_participant(&sid, person, mask);
        let anna = add(ANNA, MASKS[0]);
        let ben = add(BEN, MASKS[1]);
        Session { sid, anna, ben }
    }

    /// Adds a text through the session at Twilio, with the two messages behind it.
    fn wrote_in(&self, session: &Session, is_annas: bool, text: &str) -> Sent {
        let [from, to] = [
            (&session.anna, ANNA, MASKS[0]),
            (&session.ben, BEN, MASKS[1]),
        ];
        let (from, to) = if is_annas { (from, to) } else { (to, from) };
        let came = MessageFacts::inbound(from.1, from.2, text);
        let went = MessageFacts::outbound(to.2, to.1, text);
        let legs = [came, went].map(|facts| self.stand_in.add_message(&self.account, facts));
        let facts = InteractionFacts {
            kind: "Message".to_owned(),
            data: json!({ "body": text }),
            inbound: (from.0.clone(), legs[0].to_string()),
            outbound: (to.0.clone(), legs[1].to_string()),
        };
        let sid = self.stand_in.add_interaction(&session.sid, facts);
        let source = SourceRef::parse(self.account.clone(), sid.as_str()).unwrap();
        let id = source.recording_id(self.made.vault);
        Sent { sid, id, legs }
    }

    /// Posts the callback of an interaction.
    async fn tells_of(&self, session: &Session, sid: &InteractionSid) -> Answer {
        let path = "/twilio/proxy";
        let url = self.process.public(path);
        let callback = self.stand_in.interaction_callback(&session.sid, sid, &url);
        let api = &self.process.api;
        api.form(path, &callback.body, &[&callback.signature]).await
    }

    /// Adds a text and posts its callback.
    async fn keeps(&self, session: &Session, is_annas: bool, text: &str) -> Sent {
        let sent = self.wrote_in(session, is_annas, text);
        let answer = self.tells_of(session, &sent.sid).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        sent
    }

    /// Returns the ids of the recordings of a person.
    async fn of_person(&self, number: &str) -> Vec<String> {
        let body = json!({ "subject": number, "sort": "announced_at" });
        let officer = self.asks("privacy-officer");
        let found = officer.post("/v1/recordings/search", body).await;
        assert_eq!(found.status, 200, "{found:?}");
        let items = found.json()["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Asserts that the masks are nobody: no party, in no index, in no export.
    async fn knows_no_mask(&self) {
        for mask in MASKS {
            assert!(self.of_person(mask).await.is_empty(), "{mask}");
            let subject = self.process.flow.vault.subject(&mask.parse().unwrap());
            let sql = format!("SELECT COUNT(*) FROM parties WHERE subject = '{subject}'");
            assert_eq!(self.ground().integer(&sql).await, Some(0), "{mask}");
        }
        let wish = json!({ "subject": ANNA, "purpose": "subject-request", "justification": "she asked", "ticket": "DSAR-9" });
        let archive = self.asks("privacy-officer").post("/v1/exports", wish).await;
        assert_eq!(archive.status, 200, "{archive:?}");
        let is_in = |text: &str| {
            let bytes = &archive.body;
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(is_in(ANNA) && !MASKS.iter().any(|mask| is_in(mask)));
    }
}

fn members(details: &Value) -> Value {
    json!([
        details["state"],
        details["kind"],
        details["author"],
        details["session_sid"]
    ])
}

async fn a_text_is_sealed_before_the_answer_and_both_people_are_its_parties(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let sent = vault.keeps(&session, true, TEXT).await;
    // Nothing was asked at Twilio yet.
    assert_eq!(vault.stand_in.requests(Call::ProxyServiceList), 0);
    let details = vault.details(sent.id).await;
    let author = session.anna.as_str().to_ascii_lowercase();
    assert_eq!(
        members(&details),
        json!(["sealed", "message", author, session.sid])
    );
    assert!(vault.of_person(ANNA).await.is_empty());

    work(&vault).await;
    let id = sent.id.to_string();
    assert_eq!(vault.of_person(ANNA).await, std::slice::from_ref(&id));
    assert_eq!(vault.of_person(BEN).await, [id]);
    assert_eq!(vault.reads(sent.id).await, TEXT);
    vault.knows_no_mask().await;

    // Again, and once more with the other side's answer.
    assert_eq!(vault.tells_of(&session, &sent.sid).await.status, 204);
    let answer = vault.keeps(&session, false, "thanks").await;
    work(&vault).await;
    assert_eq!(vault.messages().await.len(), 2);
    assert_eq!(vault.of_person(BEN).await.len(), 2);
    assert_eq!(vault.count("recording.sealed").await, 2);
    assert_ne!(
        vault.details(answer.id).await["author"],
        vault.details(sent.id).await["author"]
    );
}

async fn a_revocation_takes_what_one_wrote(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let hers = vault.keeps(&session, true, TEXT).await;
    let his = vault.keeps(&session, false, "thanks").await;
    work(&vault).await;
    // Nobody knows yet who wrote this one.
    let other = vault.begun();
    let late = vault.keeps(&other, true, "and one more").await;
    vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(vault.state(hers.id).await, "shredded");
    assert_eq!(vault.state(his.id).await, "sealed");
    assert_eq!(vault.state(late.id).await, "sealed");
    work(&vault).await;
    vault.process.flow.revocations.continue_all().await.unwrap();
    assert_eq!(vault.state(late.id).await, "shredded");
}

async fn everything_behind_a_text_is_deleted_and_the_session_when_it_is_over(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let first = vault.keeps(&session, true, TEXT).await;
    let second = vault.keeps(&session, false, "thanks").await;
    work(&vault).await;
    vault.clock.advance(std::time::Duration::from_secs(3600));
    vault.shred(first.id).await;
    work(&vault).await;
    let left = |sent: &Sent| {
        let legs = sent.legs.iter();
        legs.filter(|leg| vault.stand_in.remaining_message(leg).entry)
            .count()
    };
    let remaining = || vault.stand_in.remaining_session(&session.sid);
    assert_eq!(left(&first), 0);
    assert_eq!(remaining(), Some(vec![second.sid.clone()]));
    let source = vault.details(first.id).await["at_source"].clone();
    assert_eq!(source["state"], "deleted", "{source}");
    let kinds = |source: &Value| {
        let copies = source["copies"].as_array().unwrap().iter();
        let mut kinds: Vec<_> = copies.map(|copy| copy["kind"].clone()).collect();
        kinds.sort_by_key(Value::to_string);
        kinds
    };
    assert_eq!(kinds(&source), ["interaction", "message", "message"]);

    // The last one takes the session with it, because it is over.
    vault.stand_in.set_session_status(&session.sid, "closed");
    vault.shred(second.id).await;
    work(&vault).await;
    assert_eq!((left(&second), remaining()), (0, None));
    let source = vault.details(second.id).await["at_source"].clone();
    assert_eq!(
        kinds(&source),
        ["interaction", "message", "message", "session"]
    );
    assert_eq!(source["state"], "deleted", "{source}");
}

async fn a_message_behind_a_text_that_is_held_stays_for_it(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    // The message came by its own webhook before the text.
    let sent = vault.wrote_in(&session, true, TEXT);
    let path = "/twilio/messages";
    let url = vault.process.public(path);
    let told = vault.stand_in.message_callback(&sent.legs[0], &url);
    let api = &vault.process.api;
    let answer = api.form(path, &told.body, &[&told.signature]).await;
    assert_eq!(answer.status, 200);
    let source = SourceRef::parse(vault.account.clone(), sent.legs[0].as_str()).unwrap();
    let own = source.recording_id(vault.made.vault);
    assert_eq!(vault.tells_of(&session, &sent.sid).await.status, 204);
    work(&vault).await;
    assert_eq!(vault.state(own).await, "sealed");
    vault.clock.advance(std::time::Duration::from_secs(3600));
    // Both are one text, and would be shredded together.
    let hold = json!({ "purpose": "legal-request", "reason": "lawsuit", "authority": "Landgericht Berlin", "review_at": "2099-01-01T00:00:00Z" });
    let path = format!("/v1/recordings/{own}/holds/case-1");
    let officer = vault.asks("privacy-officer");
    let placed = send(officer.request(Method::PUT, &path).json(&hold)).await;
    assert!(placed.status < 300, "{placed:?}");
    vault.shred(sent.id).await;
    work(&vault).await;
    let is_there = |leg: &MessageSid| vault.stand_in.remaining_message(leg).entry;
    assert!(is_there(&sent.legs[0]) && !is_there(&sent.legs[1]));
    let states = async || {
        let source = vault.details(sent.id).await["at_source"].clone();
        let copies = source["copies"].as_array().unwrap().iter();
        let mut states: Vec<_> = copies.map(|copy| copy["state"].to_string()).collect();
        states.sort();
        (states.join(" "), source["state"].clone())
    };
    let expected = r#""confirmed" "confirmed" "kept""#.to_owned();
    assert_eq!(states().await, (expected, json!("left")));
    assert_eq!(vault.state(own).await, "sealed");

    let lifted = send(officer.request(Method::DELETE, &path)).await;
    assert!(lifted.status < 300, "{lifted:?}");
    work(&vault).await;
    assert_eq!(vault.state(own).await, "shredded");
    assert!(!is_there(&sent.legs[0]));
    let expected = r#""confirmed" "confirmed" "confirmed""#.to_owned();
    assert_eq!(states().await, (expected, json!("deleted")));
}

async fn a_session_that_goes_on_stays(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let only = vault.keeps(&session, true, TEXT).await;
    vault.clock.advance(std::time::Duration::from_secs(3600));
    vault.shred(only.id).await;
    work(&vault).await;
    let remaining = vault.stand_in.remaining_session(&session.sid);
    assert_eq!(remaining, Some(Vec::new()));
    assert_eq!(
        vault.details(only.id).await["at_source"]["state"],
        "deleted"
    );
}

async fn texts_that_no_callback_told_of_are_found_by_comparison(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let told = vault.keeps(&session, true, TEXT).await;
    let lost = vault.wrote_in(&session, false, "thanks");
    vault
        .clock
        .advance(std::time::Duration::from_secs(2 * 3600));
    for _ in 0..2 {
        let reconciliation = &vault.process.flow.reconciliation;
        let reconciling = Reconciling::default();
        let compared = reconciliation.reconcile(&reconciling).await.unwrap();
        assert!(
            compared.iter().all(|account| account.fault.is_none()),
            "{compared:?}"
        );
        work(&vault).await;
    }
    // The messages behind them are no recordings of their own.
    let mut found: Vec<Value> = vault.messages().await;
    found.sort_by_key(|message| message["recording_sid"].to_string());
    let mut expected = [told.sid.to_string(), lost.sid.to_string()];
    expected.sort();
    let sids: Vec<_> = found
        .iter()
        .map(|message| &message["recording_sid"])
        .collect();
    assert_eq!(sids, expected.each_ref());
    assert_eq!(vault.reads(lost.id).await, "thanks");
    let mut both = [told.id.to_string(), lost.id.to_string()];
    both.sort();
    let mut anna = vault.of_person(ANNA).await;
    anna.sort();
    assert_eq!(anna, both);
    vault.knows_no_mask().await;
}

async fn store_and_custody_alone_rebuild_a_text_and_its_copies(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let sent = vault.keeps(&session, true, TEXT).await;
    vault.process.flow.vault.make_durable().await.unwrap();
    let (_, process, _ground) = rebuilt(&vault, database).await;
    process.flow.worker.work_off().await.unwrap();
    let copies = process
        .flow
        .catalogue
        .show(
            &recvault::policy::Permit::of_operator(recvault::policy::action::Catalogue),
            sent.id,
        )
        .await
        .unwrap()
        .source
        .copies;
    assert_eq!(copies.len(), 3, "{copies:?}");
    // The participants are read by the new process.
    assert!(vault.stand_in.requests(Call::ProxyParticipantList) > 0);
}

on_both_databases!(
    a_text_is_sealed_before_the_answer_and_both_people_are_its_parties,
    a_revocation_takes_what_one_wrote,
    everything_behind_a_text_is_deleted_and_the_session_when_it_is_over,
    a_message_behind_a_text_that_is_held_stays_for_it,
    a_session_that_goes_on_stays,
    texts_that_no_callback_told_of_are_found_by_comparison,
    store_and_custody_alone_rebuild_a_text_and_its_copies,
);
