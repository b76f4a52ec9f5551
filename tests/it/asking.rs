//! Somebody calls, is asked whether the call may be recorded, and says yes, no, or nothing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use recvault::{
    config::SHIPPED_POLICY,
    demo::{
        conversation::WAV,
        stand_in::{CallFacts, GatherAnswer, RecordingFacts},
    },
    ledger::consents::ConsentRow,
    model::{
        id::RecordingId,
        sid::{CallSid, RecordingSid},
    },
    policy::{Action, Permit},
};
use roxmltree::Document;
use serde_json::{Value, json};

use crate::{
    consenting::consent_policy,
    world::{Answer, Database, Recipe, TestVault, digits, send, that_keeps_everything},
};

const ANNA: &str = "+493090182001";
const DESK: &str = "+493090182002";
const OURS: &str = "+493090182009";
const VOICE: &str = "/twilio/consent/voice";
const APP: &str = "consent = { connect_url = \"https://app.example.com/voice?line=1&from=vault\" }";
const TO_DESK: &str = "consent = { connect_to = \"+49 30 90182-002\" }";
const TEXT: &str = "May we record this call? <Twilio> carries & records it. Press 1 or say yes; press 2 or say no.";

/// What a policy says that asks.
pub(crate) const ASKS: &str = r#"
[consent.voice]
purposes = ["recording", "training"]

[[consent.voice.languages]]
language = "en-US"
voice = "Polly.Joanna-Neural"
text = "May we record this call? <Twilio> carries & records it. Press 1 or say yes; press 2 or say no."
agreed = "Thank you. This call is recorded."
declined = "This call is not recorded."
yes = { digit = "1", words = ["yes", "yes please"] }
no = { digit = "2", words = ["no"] }

[[consent.voice.languages]]
language = "de-DE"
text = "Dürfen wir dieses Gespräch aufzeichnen? Twilio überträgt es und zeichnet es auf. Ja: 1, nein: 2."
agreed = "Danke. Das Gespräch wird aufgezeichnet."
declined = "Das Gespräch wird nicht aufgezeichnet."
yes = { digit = "1", words = ["ja"] }
no = { digit = "2", words = ["nein"] }
"#;

/// A vault that asks, and to which recording rests on consent.
async fn asking(database: Database, twilio: &'static str) -> TestVault {
    let policy = that_keeps_everything(&format!("{}{ASKS}", consent_policy()));
    Recipe { policy, twilio, ..Recipe::on(database) }.by_hand().await
}

/// A call, and whoever is on the line.
struct Line<'a> {
    vault: &'a TestVault,
    call: CallFacts,
}

/// What a call is told: TwiML.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told(String);

impl Told {
    fn of(answer: &Answer) -> Self {
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/xml; charset=utf-8"), "{answer:?}");
        Self(answer.text())
    }

    /// The verbs, in their order.
    fn verbs(&self) -> Vec<String> {
        let read = Document::parse(&self.0).unwrap();
        read.root_element().children().map(|node| node.tag_name().name().to_owned()).collect()
    }

    fn attribute(&self, element: &str, name: &str) -> Option<String> {
        let read = Document::parse(&self.0).unwrap();
        let found = read.descendants().find(|node| node.has_tag_name(element)).unwrap_or_else(|| panic!("no {element}: {self:?}"));
        found.attribute(name).map(str::to_owned)
    }

    fn text(&self, element: &str) -> String {
        let read = Document::parse(&self.0).unwrap();
        let found = read.descendants().find(|node| node.has_tag_name(element)).unwrap_or_else(|| panic!("no {element}: {self:?}"));
        found.text().unwrap_or_default().to_owned()
    }
}

impl<'a> Line<'a> {
    fn from(vault: &'a TestVault, number: &str) -> Self {
        let sid: CallSid = format!("CA{}", digits()).parse().unwrap();
        let call = CallFacts { status: "in-progress".into(), ..CallFacts::new(sid, number, OURS) };
        vault.stand_in.add_call(&vault.account, call.clone());
        Self { vault, call }
    }

    /// The leg to somebody whom this call dials.
    fn dials(&self, to: &str) -> Self {
        let sid: CallSid = format!("CA{}", digits()).parse().unwrap();
        let call = CallFacts { status: "in-progress".into(), ..CallFacts::dialled(self.call.sid.clone(), sid, &*self.call.from, to) };
        Self { vault: self.vault, call }
    }

    /// Twilio asks what to do.
    async fn asks(&self, path: &str) -> Told {
        let params = self.vault.stand_in.voice_params(&self.vault.account, &self.call);
        Told::of(&self.vault.post_callback(&self.vault.account, path, &params).await)
    }

    /// Twilio brings an answer to where it was told to.
    async fn answers(&self, told: &Told, answer: &GatherAnswer) -> Told {
        let path = self.vault.process.path_of(&told.attribute("Gather", "action").unwrap());
        self.answers_at(&path, answer).await
    }

    async fn answers_at(&self, path: &str, answer: &GatherAnswer) -> Told {
        let params = self.vault.stand_in.gather_params(&self.vault.account, &self.call, answer);
        Told::of(&self.vault.post_callback(&self.vault.account, path, &params).await)
    }

    async fn presses(&self, told: &Told, key: &str) -> Told {
        self.answers(told, &GatherAnswer::Digits(key.into())).await
    }

    async fn says(&self, told: &Told, words: &str, confidence: &str) -> Told {
        self.answers(told, &GatherAnswer::Speech { said: words.into(), confidence: confidence.into() }).await
    }

    /// Nothing is answered: Twilio goes on in the document.
    async fn is_silent(&self, told: &Told) -> Told {
        self.asks(&self.vault.process.path_of(&told.text("Redirect"))).await
    }

    /// The call was recorded all the same, or for having agreed.
    async fn was_recorded(&self) -> RecordingId {
        let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
        let facts = RecordingFacts { call: Some(self.call.sid.clone()), ..RecordingFacts::new(&sid, Bytes::from_static(WAV)) };
        self.vault.stand_in.add_recording_of(&self.vault.account, sid.clone(), facts);
        sealed(self.vault, &sid).await
    }
}

async fn sealed(vault: &TestVault, sid: &RecordingSid) -> RecordingId {
    let params = vault.stand_in.callback_params(sid, "completed");
    assert_eq!(vault.post_callback(&vault.account, "/twilio/recordings", &params).await.status, 204);
    vault.process.flow.work_off().await.unwrap();
    let id = RecordingId::of_source(vault.made.vault, vault.account.as_str(), sid.as_str());
    assert_eq!(vault.state(id).await, "sealed");
    id
}

async fn waits(vault: &TestVault, id: RecordingId) -> bool {
    !vault.details(id).await["quarantine_ends"].is_null()
}

/// Where the evidence of what somebody said is, as who keeps the vault reads it.
async fn evidence(vault: &TestVault, number: &str) -> Vec<String> {
    let permit = Permit::of_operator(Action::Consent);
    let flow = &vault.process.flow;
    let page = flow.consents_of(&permit, &number.parse().unwrap(), None, 100).await.unwrap();
    let open = |row: &ConsentRow| flow.vault().open_evidence(row.statement.id, &row.evidence).unwrap().as_str().to_owned();
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap()["evidence"].as_str().unwrap().to_owned();
    page.items.iter().map(open).map(read).collect()
}

/// What the privacy officer sees of somebody.
async fn statements(vault: &TestVault, number: &str) -> Vec<Value> {
    let answer = vault.asks("privacy-officer").post("/v1/consents/search", json!({ "subject": number })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

async fn told(vault: &TestVault) -> i64 {
    vault.ground().integer("SELECT COUNT(*) FROM consents").await.unwrap()
}

async fn a_caller_agrees_by_key_and_only_then_the_recording_begins(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    assert_eq!(asked.verbs(), ["Gather", "Redirect"]);
    assert_eq!((asked.text("Say"), asked.attribute("Say", "voice")), (TEXT.into(), Some("Polly.Joanna-Neural".into())));
    for (name, value) in [
        ("input", "dtmf speech"),
        ("numDigits", "1"),
        ("language", "en-US"),
        ("hints", "yes,yes please,no"),
        ("bargeIn", "false"),
        ("method", "POST"),
    ] {
        assert_eq!(asked.attribute("Gather", name).as_deref(), Some(value));
    }
    assert_eq!(told(&vault).await, 0);

    let agreed = line.presses(&asked, "1").await;
    assert_eq!(agreed.verbs(), ["Start", "Say", "Redirect"]);
    assert_eq!(agreed.text("Say"), "Thank you. This call is recorded.");
    assert_eq!(agreed.text("Redirect"), "https://app.example.com/voice?line=1&from=vault");
    let recording = |name| agreed.attribute("Recording", name);
    assert_eq!(recording("recordingStatusCallback"), Some(vault.process.public("/twilio/recordings")));
    assert_eq!(recording("recordingStatusCallbackEvent").as_deref(), Some("in-progress completed absent failed"));
    assert_eq!(recording("channels").as_deref(), Some("dual"));

    let said = statements(&vault, ANNA).await;
    let [said] = &said[..] else { panic!("{said:?}") };
    assert_eq!((&said["answer"], &said["method"], &said["policy_version"]), (&json!("given"), &json!("keypad"), &json!("1")));
    assert_eq!(said["purposes"], json!(["recording", "training"]));
    assert_eq!((&said["conversation"], &said["leg"], &said["recorded_by"]), (&json!(line.call.sid), &json!("caller"), &json!("vault")));
    assert_eq!(said["disclosure_sha256"], json!(hex::encode(<sha2::Sha256 as sha2::Digest>::digest(TEXT))));
    assert_eq!(evidence(&vault, ANNA).await, [format!("Twilio call {}, attempt 1 in en-US: key 1", line.call.sid)]);

    let recorded = line.was_recorded().await;
    assert!(!waits(&vault, recorded).await);
    let grant = vault.grant("reviewer", recorded, "training").await;
    assert_eq!(grant.status, 201, "{grant:?}");
}

async fn a_caller_agrees_in_words(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let again = line.says(&asked, "Yes.", "0.31").await;
    assert_eq!((again.verbs()[0].as_str(), told(&vault).await), ("Gather", 0), "recognition was not sure");
    let agreed = line.says(&again, "Yes, please.", "0.94").await;
    assert_eq!(agreed.verbs()[0], "Start");
    let said = statements(&vault, ANNA).await;
    assert_eq!((said.len(), &said[0]["method"]), (1, &json!("speech")));
    let heard = format!("Twilio call {}, attempt 2 in en-US: “Yes, please.”, confidence 0.94", line.call.sid);
    assert_eq!(evidence(&vault, ANNA).await, [heard]);
    assert!(!waits(&vault, line.was_recorded().await).await);
}

async fn a_caller_refuses_and_the_call_goes_on_without_a_recording(database: Database) {
    let vault = asking(database, APP).await;
    for by_key in [true, false] {
        let line = Line::from(&vault, ANNA);
        let asked = line.asks(VOICE).await;
        let declined = if by_key { line.presses(&asked, "2").await } else { line.says(&asked, "No!", "0.8").await };
        assert_eq!(declined.verbs(), ["Say", "Redirect"]);
        assert_eq!(declined.text("Say"), "This call is not recorded.");
        // Should somebody else record it, it is closed.
        assert!(waits(&vault, line.was_recorded().await).await);
    }
    assert_eq!(vault.ground().integer("SELECT COUNT(*) FROM consents WHERE answer = 'declined'").await, Some(2));
}

async fn whoever_says_nothing_has_said_nothing(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let again = line.is_silent(&asked).await;
    assert_eq!((again.verbs()[0].as_str(), again.text("Say")), ("Gather", TEXT.into()));
    let over = line.is_silent(&again).await;
    assert_eq!((over.verbs(), over.text("Say")), (vec!["Say".into(), "Redirect".into()], "This call is not recorded.".into()));
    // What is neither yes nor no is as good as silence, and an empty answer, too.
    for answers in [["7", "11"], ["", ""]] {
        let asked = line.asks(VOICE).await;
        let again = line.presses(&asked, answers[0]).await;
        assert_eq!(line.presses(&again, answers[1]).await, over);
    }
    assert_eq!(told(&vault).await, 0);
    assert!(waits(&vault, line.was_recorded().await).await);
}

async fn an_answer_that_comes_again_is_the_same_answer(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let unclear = line.presses(&asked, "5").await;
    let agreed = line.presses(&unclear, "1").await;
    assert_eq!(agreed.verbs()[0], "Start");
    vault.clock.advance(Duration::from_secs(3));
    assert_eq!(line.presses(&unclear, "1").await, agreed);
    assert_eq!(told(&vault).await, 1);
    // A question is not answered by the keys that Twilio sends again when it is sent on.
    let path = vault.process.path_of(&asked.text("Redirect"));
    let asked_again = line.answers_at(&path, &GatherAnswer::Digits("1".into())).await;
    assert_eq!((asked_again.verbs()[0].as_str(), told(&vault).await), ("Gather", 1));
    // They said no later, and the old yes is brought once more.
    vault.clock.advance(Duration::from_secs(3));
    let asked = line.asks(VOICE).await;
    line.presses(&asked, "2").await;
    line.presses(&unclear, "1").await;
    assert_eq!(told(&vault).await, 2);
    assert!(waits(&vault, line.was_recorded().await).await, "the no came last");
}

async fn an_answer_counts_for_the_text_that_was_said(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let path = vault.process.path_of(&asked.attribute("Gather", "action").unwrap());
    let (before, after) = path.split_once("policy=").unwrap();
    let other = format!("{before}policy={}", "0".repeat(after.len()));
    let again = line.answers_at(&other, &GatherAnswer::Digits("1".into())).await;
    assert_eq!((again.verbs()[0].as_str(), told(&vault).await), ("Gather", 0));
    assert_eq!(line.presses(&again, "1").await.verbs()[0], "Start");
}

async fn the_ledger_is_away_and_the_call_goes_on_unrecorded(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    vault.ground().refuse_rows_of("consents").await;
    for key in ["1", "2"] {
        let on = line.presses(&asked, key).await;
        assert_eq!((on.verbs(), on.text("Say")), (vec!["Say".into(), "Redirect".into()], "This call is not recorded.".into()));
    }
    assert_eq!(told(&vault).await, 0);
    vault.ground().take_rows_of("consents").await;
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
}

async fn somebody_who_withholds_their_number_can_agree(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, "anonymous");
    let asked = line.asks(VOICE).await;
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
    assert_eq!(vault.ground().integer("SELECT COUNT(*) FROM parties WHERE subject IS NULL AND leg = 'caller'").await, Some(1));
    assert!(!waits(&vault, line.was_recorded().await).await);
}

async fn who_is_dialled_is_asked_too_and_the_recording_begins_when_both_have_agreed(database: Database) {
    let vault = asking(database, TO_DESK).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    assert_eq!((agreed.verbs(), agreed.text("Number")), (vec!["Say".into(), "Dial".into()], DESK.into()));
    let whisper = vault.process.path_of(&agreed.attribute("Number", "url").unwrap());

    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    assert_eq!((asked.verbs()[0].as_str(), asked.text("Say")), ("Gather", TEXT.into()));
    assert_eq!(vault.stand_in.recordings_of(&line.call.sid), []);
    let joined = desk.presses(&asked, "1").await;
    assert_eq!((joined.verbs(), joined.text("Say")), (vec!["Say".into()], "Thank you. This call is recorded.".into()));
    // Brought again, it does not begin a second one.
    desk.presses(&asked, "1").await;
    let recordings = vault.stand_in.recordings_of(&line.call.sid);
    let [recording] = &recordings[..] else { panic!("{recordings:?}") };
    let with = vault.stand_in.started_with(recording);
    let has = |name: &str, value: &str| with.iter().any(|(own, given)| own == name && given == value);
    assert!(has("RecordingChannels", "dual") && has("RecordingStatusCallback", &vault.process.public("/twilio/recordings")), "{with:?}");
    assert!(["in-progress", "completed", "absent", "failed"].iter().all(|event| has("RecordingStatusCallbackEvent", event)), "{with:?}");

    vault.stand_in.completed_with(recording, Bytes::from_static(WAV));
    assert!(!waits(&vault, sealed(&vault, recording).await).await);
    for number in [ANNA, DESK] {
        let said = statements(&vault, number).await;
        assert!(said.iter().any(|said| said["answer"] == "given"), "{said:?}");
    }
}

async fn one_of_two_refuses_and_nothing_is_recorded(database: Database) {
    let vault = asking(database, TO_DESK).await;
    // Who was called.
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    let whisper = vault.process.path_of(&agreed.attribute("Number", "url").unwrap());
    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    let declined = desk.presses(&asked, "2").await;
    assert_eq!((declined.verbs(), declined.text("Say")), (vec!["Say".into()], "This call is not recorded.".into()));
    // Who says nothing, neither.
    let mut asked = desk.asks(&whisper).await;
    for _ in 0..2 {
        asked = desk.is_silent(&asked).await;
    }
    assert_eq!(asked, declined);
    assert!(waits(&vault, line.was_recorded().await).await);

    // Who called: then the other is not even asked.
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let declined = line.presses(&asked, "2").await;
    assert_eq!((declined.verbs(), declined.attribute("Number", "url")), (vec!["Say".into(), "Dial".into()], None));
    // And if they were asked by somebody's own TwiML, their yes is not enough.
    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    let joined = desk.presses(&asked, "1").await;
    assert_eq!(joined.text("Say"), "This call is not recorded.");
    assert_eq!(vault.stand_in.recordings_of(&line.call.sid), []);
}

on_both_databases!(
    a_caller_agrees_by_key_and_only_then_the_recording_begins,
    a_caller_agrees_in_words,
    a_caller_refuses_and_the_call_goes_on_without_a_recording,
    whoever_says_nothing_has_said_nothing,
    an_answer_that_comes_again_is_the_same_answer,
    an_answer_counts_for_the_text_that_was_said,
    the_ledger_is_away_and_the_call_goes_on_unrecorded,
    somebody_who_withholds_their_number_can_agree,
    who_is_dialled_is_asked_too_and_the_recording_begins_when_both_have_agreed,
    one_of_two_refuses_and_nothing_is_recorded,
);

#[tokio::test]
async fn a_caller_is_asked_in_their_language() {
    let vault = asking(Database::Sqlite, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(&format!("{VOICE}?language=de-DE")).await;
    assert_eq!(asked.attribute("Gather", "language").as_deref(), Some("de-DE"));
    let agreed = line.says(&asked, "Ja.", "0.9").await;
    assert_eq!((agreed.text("Say"), agreed.attribute("Say", "voice")), ("Danke. Das Gespräch wird aufgezeichnet.".into(), None));
    assert!(evidence(&vault, ANNA).await[0].contains("in de-DE"));
    // Silence goes on in the same language, and one that is not there is the first.
    assert_eq!(line.is_silent(&asked).await.attribute("Gather", "language").as_deref(), Some("de-DE"));
    assert_eq!(line.asks(&format!("{VOICE}?language=fr-FR")).await.text("Say"), TEXT);
}

#[tokio::test]
async fn a_stranger_cannot_agree_for_a_caller() {
    let vault = asking(Database::Sqlite, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let url = asked.attribute("Gather", "action").unwrap();
    let params = vault.stand_in.gather_params(&vault.account, &line.call, &GatherAnswer::Digits("1".into()));
    let signed = vault.stand_in.callback(&vault.account, &url, &params);
    let path = vault.process.path_of(&url);
    let other = path.replace("attempt=1", "attempt=2");
    let changed = signed.body.replace("Digits=1", "Digits=2");
    for (path, body) in [(&other, &signed.body), (&path, &changed)] {
        vault.anybody().form(path, body, &[&signed.signature]).await.problem(403, "bad-signature");
    }
    vault.anybody().form(&path, &signed.body, &[]).await.problem(403, "bad-signature");
    assert_eq!(told(&vault).await, 0);
    let params: Vec<_> = params.into_iter().filter(|(name, _)| name != "CallSid").collect();
    vault.post_callback(&vault.account, &path, &params).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_call_is_told_by_get_what_it_is_told_by_post() {
    let vault = asking(Database::Sqlite, APP).await;
    let line = Line::from(&vault, ANNA);
    let ask = async |path: &str, params: &[(String, String)]| {
        let signed = vault.stand_in.get_callback(&vault.account, &vault.process.public(path), params);
        let request = vault.anybody().request(reqwest::Method::GET, &vault.process.path_of(&signed.url));
        Told::of(&send(request.header("X-Twilio-Signature", &signed.signature)).await)
    };
    let asked = ask(VOICE, &vault.stand_in.voice_params(&vault.account, &line.call)).await;
    assert_eq!(asked, line.asks(VOICE).await);
    let path = vault.process.path_of(&asked.attribute("Gather", "action").unwrap());
    let params = vault.stand_in.gather_params(&vault.account, &line.call, &GatherAnswer::Digits("1".into()));
    assert_eq!(ask(&path, &params).await.verbs()[0], "Start");
}

#[tokio::test]
async fn a_call_is_not_asked_where_the_policy_asks_nothing() {
    let vault = Recipe { twilio: APP, ..Recipe::default() }.by_hand().await;
    let line = Line::from(&vault, ANNA);
    assert_eq!(line.asks(VOICE).await.verbs(), ["Redirect"]);
    // Nor before the policy's day.
    let policy = format!("{}{ASKS}", SHIPPED_POLICY.replacen("effective = 2026-01-01", "effective = 2126-01-01", 1));
    let vault = Recipe { policy, twilio: APP, ..Recipe::default() }.by_hand().await;
    let line = Line::from(&vault, ANNA);
    assert_eq!(line.asks(VOICE).await.verbs(), ["Redirect"]);
}

#[tokio::test]
async fn a_call_that_has_nowhere_to_go_on_is_not_asked() {
    let vault = asking(Database::Sqlite, "").await;
    let line = Line::from(&vault, ANNA);
    let over = line.asks(VOICE).await;
    assert_eq!((over.verbs(), over.text("Say")), (vec!["Say".into(), "Hangup".into()], "This call is not recorded.".into()));
    // Before two calls are joined there is no need to know where this one goes on.
    let desk = line.dials(DESK);
    assert_eq!(desk.asks(&format!("{VOICE}?leg=callee")).await.verbs()[0], "Gather");
}

#[tokio::test]
async fn who_is_dialled_has_agreed_otherwise_and_is_not_asked() {
    let twilio = "consent = { connect_to = \"+493090182002\", ask_callee = false }";
    let vault = asking(Database::Sqlite, twilio).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    assert_eq!((agreed.verbs(), agreed.attribute("Number", "url")), (vec!["Start".into(), "Say".into(), "Dial".into()], None));
    let recorded = line.was_recorded().await;
    assert!(waits(&vault, recorded).await, "the vault dials them, and knows of nobody's yes but the caller's");
    let contract = json!({ "subject": DESK, "answer": "given", "method": "contract", "purposes": ["recording"] });
    assert_eq!(vault.asks("privacy-officer").post("/v1/consents", contract).await.status, 201);
    assert!(!waits(&vault, recorded).await);
}

#[tokio::test]
async fn twilio_does_not_begin_the_recording_and_nobody_is_told_that_it_did() {
    let vault = asking(Database::Sqlite, TO_DESK).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    let whisper = vault.process.path_of(&agreed.attribute("Number", "url").unwrap());
    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    vault.stand_in.set_call_status(&line.call.sid, "completed");
    let joined = desk.presses(&asked, "1").await;
    assert_eq!((joined.verbs(), joined.text("Say")), (vec!["Say".into()], "This call is not recorded.".into()));
}

#[tokio::test]
async fn somebody_holds_the_database_and_the_call_does_not_wait_for_it() {
    let vault = asking(Database::Sqlite, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let mut other = vault.ground().sqlite().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let began = Instant::now();
    let on = line.presses(&asked, "1").await;
    assert!(began.elapsed() < Duration::from_secs(14));
    assert_eq!((on.verbs(), on.text("Say")), (vec!["Say".into(), "Redirect".into()], "This call is not recorded.".into()));
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
}
