//! Callbacks: their subscribers, contents and forms.

use serde_json::Value;

use super::{asking::*, *};

/// A subscription URL at an address without a server.
const URL: &str = "http://127.0.0.1:9/twilio/recordings";

fn value<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params
        .iter()
        .find(|(held, _)| held == name)
        .map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn only_what_is_subscribed_to_is_told() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    assert!(!asking.twilio.announce(&recording, "completed"));
    asking.twilio.subscribe(&asking.account, URL, "");
    assert!(
        asking.twilio.announce(&recording, "completed")
            && !asking.twilio.announce(&recording, "absent")
    );
    asking
        .twilio
        .subscribe(&asking.account, URL, "in-progress  completed absent failed");
    assert!(
        asking.twilio.announce(&recording, "absent")
            && asking.twilio.announce(&recording, "failed")
    );
    let trunk = recording_sid('2');
    asking.twilio.add_recording_of(
        &asking.account,
        trunk.clone(),
        RecordingFacts::of_trunk(&trunk, Bytes::from_static(WAV)),
    );
    assert!(!asking.twilio.announce(&trunk, "completed"));
    let pending = asking.twilio.take_pending();
    assert_eq!(
        pending
            .iter()
            .map(|callback| callback.status.as_str())
            .collect::<Vec<_>>(),
        ["completed", "absent", "failed"]
    );
    assert!(asking.twilio.pending().is_empty());
    assert_ne!(pending[0].token, pending[1].token);
}

#[tokio::test]
async fn a_pending_callback_can_be_posted_twice_and_is_signed() {
    let asking = Asking::begin().await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let listener = server::start(|_| {
        axum::Router::new().fallback(
            async move |uri: axum::http::Uri, headers: axum::http::HeaderMap, body: Bytes| {
                sender.send((uri.to_string(), headers, body)).unwrap();
                axum::http::StatusCode::NO_CONTENT
            },
        )
    })
    .await
    .unwrap();
    asking.twilio.subscribe(
        &asking.account,
        &format!("{}/twilio/recordings#rc=3", listener.base_url()),
        "in-progress completed",
    );
    let recording = recording_sid('1');
    asking.twilio.begin_recording(
        &asking.account,
        recording.clone(),
        sid("CA", '1').parse().unwrap(),
    );
    asking.twilio.completed(&recording);
    let pending = asking.twilio.take_pending();
    for callback in [&pending[1], &pending[0], &pending[1]] {
        assert_eq!(callback.post(&asking.http).await.unwrap().status(), 204);
    }
    assert!(
        asking
            .twilio
            .deliver(&asking.http, &recording, "absent")
            .await
            .is_none()
    );
    assert_eq!(
        asking
            .twilio
            .deliver(&asking.http, &recording, "completed")
            .await
            .unwrap()
            .unwrap()
            .status(),
        204
    );
    let accounts = asking.twilio.settings().resolve(Path::new("/")).unwrap();
    let mut tokens = Vec::new();
    for status in ["completed", "in-progress", "completed", "completed"] {
        let (uri, headers, body) = received.recv().await.unwrap();
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let delivery = Delivery::Body {
            content_type: text("content-type"),
            bytes: &body,
        };
        let request = SignedRequest {
            path_and_query: &uri,
            signature: text(signature::HEADER),
            settings: None,
            delivery,
        };
        let verified =
            signature::verify(&accounts, &listener.base_url().parse().unwrap(), &request).unwrap();
        assert_eq!(
            RecordingCallback::parse(&verified).unwrap().status.as_str(),
            status
        );
        tokens.push(text("i-twilio-idempotency-token").unwrap().to_owned());
    }
    assert!(tokens[0] == tokens[2] && tokens[0] != tokens[1] && tokens[0] != tokens[3]);
}

#[tokio::test]
async fn a_conference_recording_names_its_conference_and_no_call() {
    let asking = Asking::begin().await;
    let recording = recording_sid('1');
    let facts = RecordingFacts::of_conference(
        &recording,
        sid("CF", '1').parse().unwrap(),
        Bytes::from_static(WAV),
    );
    asking
        .twilio
        .add_recording_of(&asking.account, recording.clone(), facts);
    let params = asking.twilio.callback_params(&recording, "completed");
    assert_eq!(
        (value(&params, "CallSid"), value(&params, "ConferenceSid")),
        (None, Some(sid("CF", '1').as_str()))
    );
    assert_eq!(
        (
            value(&params, "RecordingSource"),
            value(&params, "EncryptionDetails")
        ),
        (Some("Conference"), None)
    );
}

#[tokio::test]
async fn a_transcript_is_told_as_a_form_and_as_signed_json() {
    let asking = Asking::begin().await;
    let facts = TranscriptFacts {
        customer_key: Some("ticket-7".into()),
        ..TranscriptFacts::new(sid("GT", '1'), &recording_sid('1'))
    };
    asking.twilio.add_transcript(&asking.account, facts);
    let event = asking.twilio.transcript_event(&sid("GT", '1')).unwrap();
    assert_eq!(
        value(&event, "event_type"),
        Some("voice_intelligence_transcript_available")
    );
    assert_eq!(
        (
            value(&event, "customer_key"),
            value(&event, "transcript_sid")
        ),
        (Some("ticket-7"), Some(sid("GT", '1').as_str()))
    );
    assert!(asking.twilio.transcript_event("GT").is_none());
    let document = Value::Object(
        event
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect(),
    );
    let signed = asking.twilio.json_callback(
        &asking.account,
        "https://vault.example/twilio/transcript?a=b",
        &document,
    );
    let digest = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        signed.body.as_bytes(),
    ));
    assert_eq!(
        signed.url,
        format!("https://vault.example/twilio/transcript?a=b&bodySHA256={digest}")
    );
    let token = SecretText::new(TOKEN.into());
    assert_eq!(signed.signature, signature::sign(&token, &signed.url, &[]));
}

/// The vector of the reference documentation: token `12345`.
#[tokio::test]
async fn a_get_and_a_json_document_are_signed_as_in_the_vectors() {
    let account = account_sid();
    let twilio = StandIn::start(vec![StandInAccount::new(account.clone(), "12345")])
        .await
        .unwrap();
    let recording = recording_sid('2');
    let params = [
        ("RecordingSid".to_owned(), recording.to_string()),
        ("RecordingStatus".to_owned(), "completed".to_owned()),
    ];
    let signed = twilio.get_callback(
        &account,
        "https://vault.example.com/twilio/recording",
        &params,
    );
    assert_eq!(
        signed.url,
        format!(
            "https://vault.example.com/twilio/recording?RecordingSid={recording}&RecordingStatus=completed"
        )
    );
    assert_eq!(signed.signature, "XegGTArco/Q6oBweb6kbT+LIsCs=");
}

#[tokio::test]
async fn a_transcription_is_told_with_its_text_if_it_has_one() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    let facts = TranscriptionFacts::new(sid("TR", '1'), recording.clone(), "Hello there.");
    asking
        .twilio
        .add_transcription(&asking.account, facts.clone());
    let params = asking
        .twilio
        .transcription_callback_params(&facts.sid)
        .unwrap();
    assert_eq!(
        (
            value(&params, "TranscriptionText"),
            value(&params, "TranscriptionStatus")
        ),
        (Some("Hello there."), Some("completed"))
    );
    assert_eq!(
        (value(&params, "RecordingSid"), value(&params, "CallSid")),
        (Some(recording.as_str()), Some(sid("CA", '1').as_str()))
    );
    asking.twilio.add_transcription(
        &asking.account,
        TranscriptionFacts {
            status: "failed".into(),
            ..facts
        },
    );
    let params = asking
        .twilio
        .transcription_callback_params(&sid("TR", '1'))
        .unwrap();
    assert_eq!(
        (
            value(&params, "TranscriptionText"),
            value(&params, "TranscriptionStatus")
        ),
        (None, Some("failed"))
    );
}

#[tokio::test]
async fn a_real_time_transcription_numbers_its_events() {
    let asking = Asking::begin().await;
    let mut live = asking
        .twilio
        .real_time(&asking.account, &sid("CA", '1').parse().unwrap());
    let mut events = vec![
        live.started(),
        live.partial("inbound_track", "Hel", "0.5"),
        live.said("inbound_track", "Hello.", 0.9),
    ];
    live.lose_one();
    events.extend([
        live.said("outbound_track", "Good day.", 0.8),
        live.failed(32653),
        live.stopped(),
    ]);
    let numbers: Vec<_> = events
        .iter()
        .map(|event| value(event, "SequenceId").unwrap())
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "5", "6", "7"]);
    let kinds: Vec<_> = events
        .iter()
        .map(|event| value(event, "TranscriptionEvent").unwrap())
        .collect();
    assert_eq!(
        (kinds[0], kinds[1], kinds[4], kinds[5]),
        (
            "transcription-started",
            "transcription-content",
            "transcription-error",
            "transcription-stopped"
        )
    );
    assert!(
        events
            .iter()
            .all(|event| value(event, "TranscriptionSid") == Some(live.sid()))
    );
    assert_eq!(
        (value(&events[1], "Final"), value(&events[1], "Stability")),
        (Some("false"), Some("0.5"))
    );
    let said: Value =
        serde_json::from_str(value(&events[2], "TranscriptionData").unwrap()).unwrap();
    assert_eq!(
        (
            &said["transcript"],
            &said["confidence"],
            value(&events[2], "Final")
        ),
        (&"Hello.".into(), &0.9.into(), Some("true"))
    );
}

#[tokio::test]
async fn calls_answers_and_messages_come_in() {
    let asking = Asking::begin().await;
    let call = CallFacts {
        status: "ringing".into(),
        ..CallFacts::new(
            sid("CA", '1').parse().unwrap(),
            "+4930123456",
            "+4989654321",
        )
    };
    let asked = asking.twilio.voice_params(&asking.account, &call);
    assert_eq!(
        (
            value(&asked, "From"),
            value(&asked, "CallStatus"),
            value(&asked, "Digits")
        ),
        (Some("+4930123456"), Some("ringing"), None)
    );
    let keys =
        asking
            .twilio
            .gather_params(&asking.account, &call, &GatherAnswer::Digits("1".into()));
    assert_eq!(
        (value(&keys, "Digits"), value(&keys, "SpeechResult")),
        (Some("1"), None)
    );
    let speech = GatherAnswer::Speech {
        said: "Yes.".into(),
        confidence: "0.93".into(),
    };
    let speech = asking.twilio.gather_params(&asking.account, &call, &speech);
    assert_eq!(
        (
            value(&speech, "SpeechResult"),
            value(&speech, "Confidence"),
            value(&speech, "Digits")
        ),
        (Some("Yes."), Some("0.93"), None)
    );
    let message = |kind| {
        asking
            .twilio
            .message_params(&asking.account, "+4930123456", "+4989654321", "Stop", kind)
    };
    assert_eq!(
        (
            value(&message(None), "OptOutType"),
            value(&message(None), "Body")
        ),
        (None, Some("Stop"))
    );
    assert_eq!(value(&message(Some("STOP")), "OptOutType"), Some("STOP"));
    assert_ne!(
        value(&message(None), "MessageSid"),
        value(&message(None), "MessageSid")
    );
}
