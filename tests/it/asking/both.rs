//! Two people in a call: the consent of one is not that of the other.

use bytes::Bytes;
use recvault::demo::conversation::WAV;
use serde_json::json;

use super::{
    ANNA, APP, DESK, TEXT, VOICE, asking,
    line::{Line, sealed, statements, waits},
};
use crate::world::{Database, digits};

const TO_DESK: &str = "consent = { connect_to = \"+49 30 90182-002\" }";

async fn who_is_dialled_is_asked_too_and_the_recording_begins_when_both_have_agreed(
    database: Database,
) {
    let vault = asking(database, TO_DESK).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    assert_eq!(
        (agreed.verbs(), agreed.text("Number")),
        (vec!["Dial".into()], DESK.into()),
        "nothing is recorded yet"
    );
    let whisper = vault
        .process
        .path_of(&agreed.attribute("Number", "url").unwrap());

    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    assert_eq!(
        (asked.verbs()[0].as_str(), asked.text("Say")),
        ("Gather", TEXT.into())
    );
    assert_eq!(vault.stand_in.recordings_of(&line.call.sid), []);
    let joined = desk.presses(&asked, "1").await;
    assert_eq!(
        (joined.verbs(), joined.text("Say")),
        (
            vec!["Say".into()],
            "Thank you. This call is recorded.".into()
        )
    );
    // A repeated delivery does not start a second recording.
    desk.presses(&asked, "1").await;
    let recordings = vault.stand_in.recordings_of(&line.call.sid);
    let [recording] = &recordings[..] else {
        panic!("{recordings:?}")
    };
    let with = vault.stand_in.started_with(recording);
    let has = |name: &str, value: &str| {
        with.iter()
            .any(|(own, given)| own == name && given == value)
    };
    assert!(
        has("RecordingChannels", "dual")
            && has(
                "RecordingStatusCallback",
                &vault.process.public("/twilio/recordings")
            ),
        "{with:?}"
    );
    let events: Vec<&str> = with
        .iter()
        .filter(|(name, _)| name == "RecordingStatusCallbackEvent")
        .map(|(_, event)| event.as_str())
        .collect();
    assert_eq!(
        events,
        ["in-progress", "completed", "absent"],
        "what the specification names: another one may be refused"
    );

    vault
        .stand_in
        .completed_with(recording, Bytes::from_static(WAV));
    assert!(!waits(&vault, sealed(&vault, recording).await).await);
    for number in [ANNA, DESK] {
        let said = statements(&vault, number).await;
        assert!(
            said.iter().any(|said| said["answer"] == "given"),
            "{said:?}"
        );
    }
}

async fn one_of_two_refuses_and_nothing_is_recorded(database: Database) {
    let vault = asking(database, TO_DESK).await;
    // The called party.
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    let whisper = vault
        .process
        .path_of(&agreed.attribute("Number", "url").unwrap());
    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    let declined = desk.presses(&asked, "2").await;
    assert_eq!(
        (declined.verbs(), declined.text("Say")),
        (vec!["Say".into()], "This call is not recorded.".into())
    );
    // Silence is no consent either.
    let mut asked = desk.asks(&whisper).await;
    for _ in 0..2 {
        asked = desk.is_silent(&asked).await;
    }
    assert_eq!(asked, declined);
    assert!(waits(&vault, line.was_recorded().await).await);

    // The caller declines: then the other one is not even asked.
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let declined = line.presses(&asked, "2").await;
    assert_eq!(
        (declined.verbs(), declined.attribute("Number", "url")),
        (vec!["Say".into(), "Dial".into()], None)
    );
    // If they were asked by other TwiML, their yes alone does not suffice.
    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    let joined = desk.presses(&asked, "1").await;
    assert_eq!(joined.text("Say"), "This call is not recorded.");
    assert_eq!(vault.stand_in.recordings_of(&line.call.sid), []);
}

async fn who_is_dialled_by_the_application_is_a_party_whatever_they_say(database: Database) {
    let vault = asking(database, APP).await;
    for (key, is_open) in [(None, false), (Some("2"), false), (Some("1"), true)] {
        let line = Line::from(&vault, ANNA);
        let asked = line.asks(VOICE).await;
        assert_eq!(line.presses(&asked, "1").await.verbs()[0], "Start");
        let desk = line.dials(DESK);
        let asked = desk.asks(&format!("{VOICE}?leg=callee")).await;
        if let Some(key) = key {
            // Twilio has not started a recording, so no text claims it.
            let says: &[&str] = if is_open { &[] } else { &["Say"] };
            assert_eq!(desk.presses(&asked, key).await.verbs(), says);
        }
        assert_eq!(
            waits(&vault, line.was_recorded().await).await,
            !is_open,
            "{key:?}"
        );
        assert_eq!(
            vault.stand_in.recordings_of(&line.call.sid).len(),
            1,
            "nothing begins beside it"
        );
    }
}

async fn the_vault_is_told_to_wait_for_both_and_the_first_said_nothing(database: Database) {
    let vault = asking(database, APP).await;
    let line = Line::from(&vault, ANNA);
    let path = format!("{VOICE}?record=both");
    let asked = line.asks(&path).await;
    assert_eq!(
        line.presses(&asked, "1").await.verbs(),
        ["Redirect"],
        "not yet"
    );
    let silent = Line::from(&vault, ANNA);
    silent.asks(&path).await;
    for (line, begins) in [(&silent, false), (&line, true)] {
        let desk = line.dials(DESK);
        let asked = desk.asks(&format!("{VOICE}?leg=callee&record=both")).await;
        desk.presses(&asked, "1").await;
        assert_eq!(
            vault.stand_in.recordings_of(&line.call.sid).len(),
            usize::from(begins)
        );
    }
}

on_both_databases!(
    who_is_dialled_is_asked_too_and_the_recording_begins_when_both_have_agreed,
    one_of_two_refuses_and_nothing_is_recorded,
    who_is_dialled_by_the_application_is_a_party_whatever_they_say,
    the_vault_is_told_to_wait_for_both_and_the_first_said_nothing,
);

#[tokio::test]
async fn who_is_dialled_has_agreed_otherwise_and_is_not_asked() {
    let twilio = "consent = { connect_to = \"+493090182002\", ask_callee = false }";
    let vault = asking(Database::Sqlite, twilio).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    assert_eq!(
        (agreed.verbs(), agreed.attribute("Number", "url")),
        (vec!["Start".into(), "Say".into(), "Dial".into()], None)
    );
    let recorded = line.was_recorded().await;
    assert!(
        waits(&vault, recorded).await,
        "the vault dials them, and knows of nobody's yes but the caller's"
    );
    let contract = json!({ "subject": DESK, "answer": "given", "method": "contract", "purposes": ["recording"] });
    assert_eq!(
        vault
            .asks("privacy-officer")
            .post("/v1/consents", contract)
            .await
            .status,
        201
    );
    assert!(!waits(&vault, recorded).await);
}

#[tokio::test]
async fn who_is_dialled_hears_that_the_call_is_recorded_where_it_is() {
    let vault = asking(Database::Sqlite, APP).await;
    for is_recorded in [true, false] {
        let line = Line::from(&vault, ANNA);
        if is_recorded {
            vault.stand_in.begin_recording(
                &vault.account,
                format!("RE{}", digits()).parse().unwrap(),
                line.call.sid.clone(),
            );
        }
        let desk = line.dials(DESK);
        let asked = desk.asks(&format!("{VOICE}?leg=callee")).await;
        let joined = desk.presses(&asked, "1").await;
        assert_eq!(
            joined.verbs(),
            if is_recorded { vec!["Say"] } else { vec![] }
        );
        if is_recorded {
            assert_eq!(joined.text("Say"), "Thank you. This call is recorded.");
        }
    }
}

#[tokio::test]
async fn twilio_does_not_begin_the_recording_and_nobody_is_told_that_it_did() {
    let vault = asking(Database::Sqlite, TO_DESK).await;
    let line = Line::from(&vault, ANNA);
    let asked = line.asks(VOICE).await;
    let agreed = line.presses(&asked, "1").await;
    let whisper = vault
        .process
        .path_of(&agreed.attribute("Number", "url").unwrap());
    let desk = line.dials(DESK);
    let asked = desk.asks(&whisper).await;
    vault.stand_in.set_call_status(&line.call.sid, "completed");
    let joined = desk.presses(&asked, "1").await;
    assert_eq!(
        (joined.verbs(), joined.text("Say")),
        (vec!["Say".into()], "This call is not recorded.".into())
    );
}
