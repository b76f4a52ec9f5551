//! An incoming call is asked for consent to recording: yes, no, or no answer.

mod both;
mod line;
mod not_asked;

use std::time::Duration;

use bytes::Bytes;
use recvault::{
    demo::{
        conversation::WAV,
        stand_in::{GatherAnswer, RecordingFacts},
    },
    model::{id::RecordingId, sid::RecordingSid},
};
use serde_json::json;

use self::line::{Line, Told, evidence, statements, told, waits};
use crate::{
    consenting::consent_policy,
    world::{Database, Recipe, TestVault, digits, send, that_keeps_everything},
};

const ANNA: &str = "+493090182001";
const DESK: &str = "+493090182002";
const OURS: &str = "+493090182009";
const VOICE: &str = "/twilio/consent/voice";
const APP: &str = "consent = { connect_url = \"https://app.example.com/voice?line=1&from=vault\" }";
const TEXT: &str = "May we record this call? <Twilio> carries & records it. Press 1 or say yes; press 2 or say no.";

/// A policy that asks for consent in calls.
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

/// Creates a vault that asks, with an application that connects callers to the desk, whose staff
/// have agreed by contract.
async fn answering(database: Database) -> TestVault {
    let vault = asking(database, APP).await;
    let contract = json!({ "subject": DESK, "answer": "given", "method": "contract" });
    assert_eq!(
        vault
            .asks("privacy-officer")
            .post("/v1/consents", contract)
            .await
            .status,
        201
    );
    vault
}

/// Creates a vault that asks, with recording based on consent.
async fn asking(database: Database, twilio: &'static str) -> TestVault {
    let policy = that_keeps_everything(&format!("{}{ASKS}", consent_policy()));
    Recipe {
        policy,
        twilio,
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

async fn a_caller_agrees_by_key_and_only_then_the_recording_begins(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    assert_eq!(asked.verbs(), ["Gather", "Redirect"]);
    assert_eq!(
        (asked.text("Say"), asked.attribute("Say", "voice")),
        (TEXT.into(), Some("Polly.Joanna-Neural".into()))
    );
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
    assert_eq!(
        agreed.text("Redirect"),
        "https://app.example.com/voice?line=1&from=vault"
    );
    let recording = |name| agreed.attribute("Recording", name);
    assert_eq!(
        recording("recordingStatusCallback"),
        Some(vault.process.public("/twilio/recordings"))
    );
    assert_eq!(
        recording("recordingStatusCallbackEvent").as_deref(),
        Some("in-progress completed absent")
    );
    assert_eq!(recording("channels").as_deref(), Some("dual"));

    let said = statements(&vault, ANNA).await;
    let [said] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(
        (&said["answer"], &said["method"], &said["policy_version"]),
        (&json!("given"), &json!("keypad"), &json!("1"))
    );
    assert_eq!(said["purposes"], json!(["recording", "training"]));
    assert_eq!(
        (&said["conversation"], &said["leg"], &said["recorded_by"]),
        (&json!(line.call.sid), &json!("caller"), &json!("vault"))
    );
    assert_eq!(
        said["disclosure_sha256"],
        json!(hex::encode(<sha2::Sha256 as sha2::Digest>::digest(TEXT)))
    );
    assert_eq!(
        evidence(&vault, ANNA).await,
        [format!(
            "Twilio call {}, attempt 1 in en-US: key 1",
            line.call.sid
        )]
    );

    let recorded = line.was_recorded().await;
    assert!(!waits(&vault, recorded).await);
    let grant = vault.grant("reviewer", recorded, "training").await;
    assert_eq!(grant.status, 201, "{grant:?}");
}

async fn a_caller_agrees_in_words(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let again = line.says(&asked, "Yes.", "0.31").await;
    assert_eq!(
        (again.verbs()[0].as_str(), told(&vault).await),
        ("Gather", 0),
        "recognition was not sure"
    );
    let agreed = line.says(&again, "Yes, please.", "0.94").await;
    assert_eq!(agreed.verbs()[0], "Start");
    let said = statements(&vault, ANNA).await;
    assert_eq!((said.len(), &said[0]["method"]), (1, &json!("speech")));
    let heard = format!(
        "Twilio call {}, attempt 2 in en-US: “Yes, please.”, confidence 0.94",
        line.call.sid
    );
    assert_eq!(evidence(&vault, ANNA).await, [heard]);
    assert!(!waits(&vault, line.was_recorded().await).await);
}

async fn a_caller_agrees_and_is_connected_to_somebody_who_has_not(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
    // Twilio reports the party that the application dialled.
    let recorded = line.was_recorded().await;
    assert!(waits(&vault, recorded).await);
    let told = json!({ "call": line.call.sid, "leg": "callee", "answer": "given", "method": "contract", "purposes": ["recording"] });
    assert_eq!(
        vault
            .asks("privacy-officer")
            .post("/v1/consents", told)
            .await
            .status,
        201
    );
    assert!(!waits(&vault, recorded).await);
    // A call to a machine has one participant.
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    line.presses(&asked, "1").await;
    assert!(!waits(&vault, line.was_recorded_alone().await).await);
}

async fn a_caller_refuses_and_the_call_goes_on_without_a_recording(database: Database) {
    let vault = answering(database).await;
    for by_key in [true, false] {
        let line = Line::from(&vault, ANNA);
        let asked = line.asks(VOICE).await;
        let declined = if by_key {
            line.presses(&asked, "2").await
        } else {
            line.says(&asked, "No!", "0.8").await
        };
        assert_eq!(declined.verbs(), ["Say", "Redirect"]);
        assert_eq!(declined.text("Say"), "This call is not recorded.");
        // If another application records it nevertheless, it is closed.
        assert!(waits(&vault, line.was_recorded().await).await);
    }
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM consents WHERE answer = 'declined'")
            .await,
        Some(2)
    );
}

async fn whoever_says_nothing_has_said_nothing(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let again = line.is_silent(&asked).await;
    assert_eq!(
        (again.verbs()[0].as_str(), again.text("Say")),
        ("Gather", TEXT.into())
    );
    let over = line.is_silent(&again).await;
    assert_eq!(
        (over.verbs(), over.text("Say")),
        (
            vec!["Say".into(), "Redirect".into()],
            "This call is not recorded.".into()
        )
    );
    // An answer that is neither yes nor no counts as silence, and so does an empty one.
    for answers in [["7", "11"], ["", ""]] {
        let asked = line.asks(VOICE).await;
        let again = line.presses(&asked, answers[0]).await;
        assert_eq!(line.presses(&again, answers[1]).await, over);
    }
    assert_eq!(told(&vault).await, 0);
    assert!(waits(&vault, line.was_recorded().await).await);
}

async fn an_answer_that_comes_again_is_the_same_answer(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let unclear = line.presses(&asked, "5").await;
    let agreed = line.presses(&unclear, "1").await;
    assert_eq!(agreed.verbs()[0], "Start");
    vault.clock.advance(Duration::from_secs(3));
    assert_eq!(line.presses(&unclear, "1").await, agreed);
    assert_eq!(told(&vault).await, 1);
    // Keys that Twilio repeats after a redirect are no answer to the question.
    let path = vault.process.path_of(&asked.text("Redirect"));
    let asked_again = line
        .answers_at(&path, &GatherAnswer::Digits("1".into()))
        .await;
    assert_eq!(
        (asked_again.verbs()[0].as_str(), told(&vault).await),
        ("Gather", 1)
    );
    // They said no later, and the old yes is delivered again.
    vault.clock.advance(Duration::from_secs(3));
    let asked = line.asks(VOICE).await;
    line.presses(&asked, "2").await;
    line.presses(&unclear, "1").await;
    assert_eq!(told(&vault).await, 2);
    assert!(
        waits(&vault, line.was_recorded().await).await,
        "the no came last"
    );
}

async fn an_answer_counts_for_the_text_that_was_said(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let path = vault
        .process
        .path_of(&asked.attribute("Gather", "action").unwrap());
    let (before, after) = path.split_once("policy=").unwrap();
    let other = format!("{before}policy={}", "0".repeat(after.len()));
    let again = line
        .answers_at(&other, &GatherAnswer::Digits("1".into()))
        .await;
    assert_eq!(
        (again.verbs()[0].as_str(), told(&vault).await),
        ("Gather", 0)
    );
    assert_eq!(line.presses(&again, "1").await.verbs()[0], "Start");
}

async fn the_database_is_away_and_the_call_goes_on_unrecorded(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    vault.ground().refuse_rows_of("consents").await;
    for key in ["1", "2"] {
        let on = line.presses(&asked, key).await;
        assert_eq!(
            (on.verbs(), on.text("Say")),
            (
                vec!["Say".into(), "Redirect".into()],
                "This call is not recorded.".into()
            )
        );
    }
    assert_eq!(told(&vault).await, 0);
    vault.ground().take_rows_of("consents").await;
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
}

async fn somebody_who_withholds_their_number_can_agree(database: Database) {
    let vault = answering(database).await;
    let line = Line::from(&vault, "anonymous");
    let asked = line.asks(VOICE).await;
    assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM parties WHERE subject IS NULL AND leg = 'caller'")
            .await,
        Some(1)
    );
    assert!(!waits(&vault, line.was_recorded().await).await);
}

on_both_databases!(
    a_caller_agrees_by_key_and_only_then_the_recording_begins,
    a_caller_agrees_in_words,
    a_caller_agrees_and_is_connected_to_somebody_who_has_not,
    a_caller_refuses_and_the_call_goes_on_without_a_recording,
    whoever_says_nothing_has_said_nothing,
    an_answer_that_comes_again_is_the_same_answer,
    an_answer_counts_for_the_text_that_was_said,
    the_database_is_away_and_the_call_goes_on_unrecorded,
    somebody_who_withholds_their_number_can_agree,
);

#[tokio::test]
async fn a_caller_is_asked_in_their_language() {
    let vault = answering(Database::Sqlite).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(&format!("{VOICE}?language=de-DE")).await;
    assert_eq!(
        asked.attribute("Gather", "language").as_deref(),
        Some("de-DE")
    );
    let agreed = line.says(&asked, "Ja.", "0.9").await;
    assert_eq!(
        (agreed.text("Say"), agreed.attribute("Say", "voice")),
        ("Danke. Das Gespräch wird aufgezeichnet.".into(), None)
    );
    assert!(evidence(&vault, ANNA).await[0].contains("in de-DE"));
    // After silence the language stays the same; an unknown language means the first one.
    assert_eq!(
        line.is_silent(&asked)
            .await
            .attribute("Gather", "language")
            .as_deref(),
        Some("de-DE")
    );
    assert_eq!(
        line.asks(&format!("{VOICE}?language=fr-FR"))
            .await
            .text("Say"),
        TEXT
    );
}

#[tokio::test]
async fn what_the_policy_looks_at_goes_on_with_the_call_to_its_recording() {
    let vault = answering(Database::Sqlite).await;
    let line = Line::from(&vault, ANNA);
    let asked = line
        .asks(&format!("{VOICE}?queue=claims&tier=restricted&other=x"))
        .await;
    let asked = line.presses(&asked, "9").await;
    let agreed = line.presses(&asked, "1").await;
    let callback = agreed
        .attribute("Recording", "recordingStatusCallback")
        .unwrap();
    assert_eq!(
        callback,
        vault
            .process
            .public("/twilio/recordings?queue=claims&tier=restricted")
    );
    let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
    let facts = RecordingFacts {
        call: Some(line.call.sid.clone()),
        ..RecordingFacts::new(&sid, Bytes::from_static(WAV))
    };
    vault
        .stand_in
        .add_recording_of(&vault.account, sid.clone(), facts);
    let params = vault.stand_in.callback_params(&sid, "completed");
    assert_eq!(
        vault
            .post_callback(&vault.account, &vault.process.path_of(&callback), &params)
            .await
            .status,
        204
    );
    let id = RecordingId::of_source(vault.made.vault, vault.account.as_str(), sid.as_str());
    assert_eq!(vault.details(id).await["tier"], "restricted");
}

#[tokio::test]
async fn a_call_is_told_by_get_what_it_is_told_by_post() {
    let vault = answering(Database::Sqlite).await;
    let line = Line::from(&vault, ANNA);
    let ask = async |path: &str, params: &[(String, String)]| {
        let signed =
            vault
                .stand_in
                .get_callback(&vault.account, &vault.process.public(path), params);
        let request = vault
            .anybody()
            .request(reqwest::Method::GET, &vault.process.path_of(&signed.url));
        Told::of(&send(request.header("X-Twilio-Signature", &signed.signature)).await)
    };
    let asked = ask(
        VOICE,
        &vault.stand_in.voice_params(&vault.account, &line.call),
    )
    .await;
    assert_eq!(asked, line.asks(VOICE).await);
    let path = vault
        .process
        .path_of(&asked.attribute("Gather", "action").unwrap());
    let params = vault.stand_in.gather_params(
        &vault.account,
        &line.call,
        &GatherAnswer::Digits("1".into()),
    );
    assert_eq!(ask(&path, &params).await.verbs()[0], "Start");
}
