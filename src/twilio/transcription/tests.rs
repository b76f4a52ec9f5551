//! Twilio's callbacks about transcripts, as it sends them and malformed.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    model::time::Timestamp,
    secret::SecretText,
    twilio::{
        CallbackError, Rejection,
        account::{AccountSettings, TwilioSettings},
        signature::{self, Delivery, SignedRequest, Verified},
    },
};

const PUBLIC: &str = "https://vault.example.com";
const FORM: &str = "application/x-www-form-urlencoded";

fn sid(prefix: &str, digit: &str) -> String {
    format!("{prefix}{}", digit.repeat(32))
}

fn token() -> SecretText {
    SecretText::new("12345".into())
}

fn verify(request: &SignedRequest<'_>) -> Result<Verified, Rejection> {
    let account = |digit: &str, token: SecretText| {
        AccountSettings::new(sid("AC", digit).parse().unwrap(), vec![token])
    };
    let accounts = vec![
        account("0", token()),
        account("9", SecretText::new("another".into())),
    ];
    let accounts = TwilioSettings {
        accounts,
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap();
    signature::verify(&accounts, &PUBLIC.parse().unwrap(), request)
}

fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn encoded(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish()
}

fn form(params: &[(String, String)]) -> Verified {
    let signature = signature::sign(&token(), &format!("{PUBLIC}/t"), params);
    let body = encoded(params);
    let delivery = Delivery::Body {
        content_type: Some(FORM),
        bytes: body.as_bytes(),
    };
    verify(&SignedRequest {
        path_and_query: "/t",
        signature: Some(&signature),
        settings: None,
        delivery,
    })
    .unwrap()
}

fn json(body: &str) -> Verified {
    let digest = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        body.as_bytes(),
    ));
    let path = format!("/t?bodySHA256={digest}");
    let signature = signature::sign(&token(), &format!("{PUBLIC}{path}"), &[]);
    let delivery = Delivery::Body {
        content_type: Some("application/json"),
        bytes: body.as_bytes(),
    };
    verify(&SignedRequest {
        path_and_query: &path,
        signature: Some(&signature),
        settings: None,
        delivery,
    })
    .unwrap()
}

fn available() -> Vec<(String, String)> {
    params(&[
        ("account_sid", &sid("AC", "0")),
        ("service_sid", &sid("GA", "1")),
        ("transcript_sid", &sid("GT", "2")),
        ("customer_key", "Zebediah Quuxington"),
        ("event_type", "voice_intelligence_transcript_available"),
    ])
}

fn object(params: &[(String, String)]) -> serde_json::Value {
    params
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Sets one of the parameters, replacing an earlier value.
fn with(mut params: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    params.retain(|(own, _)| own != name);
    params.push((name.into(), value.into()));
    params
}

#[test]
fn a_transcript_is_told_of_in_three_forms() {
    let event = IntelligenceEvent {
        account: sid("AC", "0").parse().unwrap(),
        transcript: sid("GT", "2").parse().unwrap(),
    };
    assert_eq!(
        IntelligenceEvent::parse(&form(&available())),
        Ok(Some(event.clone()))
    );
    assert_eq!(
        IntelligenceEvent::parse(&json(&object(&available()).to_string())),
        Ok(Some(event.clone()))
    );
    let path = format!("/t?{}", encoded(&available()));
    let signature = signature::sign(&token(), &format!("{PUBLIC}{path}"), &[]);
    let got = verify(&SignedRequest {
        path_and_query: &path,
        signature: Some(&signature),
        settings: None,
        delivery: Delivery::Query,
    })
    .unwrap();
    assert_eq!(IntelligenceEvent::parse(&got), Ok(Some(event)));
}

#[test]
fn the_account_of_a_transcript_is_the_one_that_signed() {
    // Signed for another account than the one that the newer name states.
    let both = with(available(), "AccountSid", &sid("AC", "0"));
    assert!(IntelligenceEvent::parse(&form(&both)).is_ok());
    let other = with(both, "account_sid", &sid("AC", "9"));
    assert!(matches!(
        IntelligenceEvent::parse(&form(&other)),
        Err(CallbackError::Malformed {
            field: "account_sid",
            ..
        })
    ));
    // The token of one account does not sign for another.
    let forged = with(available(), "account_sid", &sid("AC", "9"));
    let signature = signature::sign(&token(), &format!("{PUBLIC}/t"), &forged);
    let body = encoded(&forged);
    let delivery = Delivery::Body {
        content_type: Some(FORM),
        bytes: body.as_bytes(),
    };
    assert!(
        verify(&SignedRequest {
            path_and_query: "/t",
            signature: Some(&signature),
            settings: None,
            delivery
        })
        .is_err()
    );
}

#[test]
fn other_events_are_nothing_to_us_and_half_ones_are_refused() {
    for kind in ["voice_intelligence_operator_available", "x"] {
        assert_eq!(
            IntelligenceEvent::parse(&form(&with(available(), "event_type", kind))),
            Ok(None)
        );
    }
    for (name, bad) in [("transcript_sid", "TR1"), ("account_sid", "")] {
        let params = with(with(available(), "AccountSid", &sid("AC", "0")), name, bad);
        let told = IntelligenceEvent::parse(&form(&params));
        assert_eq!(told.is_ok(), name == "account_sid", "{name}");
    }
    for name in ["event_type", "transcript_sid"] {
        for told in [
            form(&with(available(), name, "")),
            json(&object(&with(available(), name, "")).to_string()),
        ] {
            assert_eq!(
                IntelligenceEvent::parse(&told),
                Err(CallbackError::Missing { field: name })
            );
        }
        let mut odd = object(&available());
        odd[name] = json!(["x"]);
        let fault = IntelligenceEvent::parse(&json(&odd.to_string())).unwrap_err();
        assert!(matches!(fault, CallbackError::Malformed { field, .. } if field == name));
    }
}

#[test]
fn of_a_transcription_only_the_ids_are_read() {
    let told = params(&[
        ("AccountSid", &sid("AC", "0")),
        ("TranscriptionSid", &sid("TR", "1")),
        ("TranscriptionText", "my card number is four seven one one"),
        ("TranscriptionStatus", "completed"),
        ("RecordingSid", &sid("RE", "2")),
        ("From", "+14158675309"),
    ]);
    let callback = TranscriptionCallback::parse(&form(&told)).unwrap();
    assert_eq!(callback.transcription.as_str(), sid("TR", "1"));
    assert_eq!(callback.recording.as_str(), sid("RE", "2"));
    let shown = format!("{callback:?}");
    assert!(!shown.contains("card") && !shown.contains("4158675309"));
    assert!(
        !IntelligenceEvent::is_one(&form(&told)) && IntelligenceEvent::is_one(&form(&available()))
    );
    for name in ["TranscriptionSid", "RecordingSid"] {
        let fault =
            TranscriptionCallback::parse(&form(&with(told.clone(), name, "GT1"))).unwrap_err();
        assert!(matches!(fault, CallbackError::Malformed { field, .. } if field == name));
        assert_eq!(
            TranscriptionCallback::parse(&form(&with(told.clone(), name, ""))),
            Err(CallbackError::Missing { field: name })
        );
    }
}

fn content(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let base = params(&[
        ("AccountSid", &sid("AC", "0")),
        ("CallSid", &sid("CA", "1")),
        ("TranscriptionSid", &sid("GT", "2")),
        ("TranscriptionEvent", "transcription-content"),
        ("Timestamp", "2026-03-01T10:00:05.250Z"),
        ("SequenceId", "7"),
        ("LanguageCode", "en-US"),
        ("Track", "inbound_track"),
        ("Final", "true"),
        (
            "TranscriptionData",
            r#"{"transcript": "It is \"fine\".", "confidence": 0.9956335}"#,
        ),
        // As in the documentation: not JSON.
        (
            "TranscriptionProviderData",
            r#"{"resultEndTime": '4.5s', words: [}"#,
        ),
    ]);
    more.iter()
        .fold(base, |params, (name, value)| with(params, name, value))
}

fn heard(more: &[(&str, &str)]) -> Result<RealTimeEvent, CallbackError> {
    RealTimeEvent::parse(&form(&content(more)))
}

#[test]
fn what_is_said_is_read_and_never_shown() {
    let event = heard(&[]).unwrap();
    assert_eq!(
        (event.sequence, event.at),
        (Some(7), Timestamp::parse_rfc3339("2026-03-01T10:00:05.25Z"))
    );
    assert_eq!(
        (event.call.as_str(), event.transcription.as_str()),
        (sid("CA", "1").as_str(), sid("GT", "2").as_str())
    );
    let RealTimeEventKind::Said(piece) = &event.kind else {
        panic!("{event:?}")
    };
    assert_eq!(
        (piece.track, piece.said.expose(), piece.language.as_deref()),
        (Track::Inbound, "It is \"fine\".", Some("en-US"))
    );
    assert!(
        piece
            .confidence
            .is_some_and(|confidence| (0.99..1.0).contains(&confidence))
    );
    assert!(!format!("{event:?}").contains("fine"));
}

#[test]
fn guesses_hold_no_words_and_texts_stand_for_numbers() {
    let guess = heard(&[
        ("Final", "false"),
        ("Stability", "0.8"),
        ("Track", "outbound_track"),
    ])
    .unwrap();
    assert_eq!(guess.kind, RealTimeEventKind::Partial(Track::Outbound));
    for (data, confidence) in [
        (r#"{"transcript": "a", "confidence": "0.5"}"#, Some(0.5)),
        (r#"{"transcript": "a", "confidence": null}"#, None),
        (r#"{"transcript": "a", "confidence": "high"}"#, None),
        (r#"{"transcript": "a", "confidence": 17}"#, None),
        (r#"{"transcript": "a", "more": []}"#, None),
    ] {
        let RealTimeEventKind::Said(piece) = heard(&[("TranscriptionData", data)]).unwrap().kind
        else {
            panic!("{data}")
        };
        assert_eq!(piece.confidence, confidence, "{data}");
    }
    let long = json!({ "transcript": "ä\u{0}".repeat(30_000) }).to_string();
    let RealTimeEventKind::Said(piece) = heard(&[("TranscriptionData", &long)]).unwrap().kind
    else {
        panic!()
    };
    assert_eq!(piece.said.expose(), "ä".repeat(20_000));
}

#[test]
fn each_event_is_known_and_others_do_no_harm() {
    let kind = |event: &str| {
        heard(&[
            ("TranscriptionEvent", event),
            ("TranscriptionErrorCode", "32650"),
        ])
        .unwrap()
        .kind
    };
    assert_eq!(kind("transcription-started"), RealTimeEventKind::Started);
    assert_eq!(kind("transcription-stopped"), RealTimeEventKind::Stopped);
    assert_eq!(
        kind("transcription-error"),
        RealTimeEventKind::Failed(Some(32650))
    );
    assert_eq!(kind("transcription-paused"), RealTimeEventKind::Other);
    assert_eq!(
        heard(&[
            ("TranscriptionEvent", "transcription-stopped"),
            ("SequenceId", ""),
            ("Timestamp", "now")
        ])
        .unwrap()
        .at,
        None
    );
}

#[test]
fn half_events_are_refused_by_name_and_without_words() {
    for (name, bad) in [
        ("TranscriptionEvent", ""),
        ("CallSid", "CA1"),
        ("CallSid", ""),
        ("TranscriptionSid", "TR1"),
        ("SequenceId", ""),
        ("SequenceId", "-1"),
        ("SequenceId", "seven"),
        ("Track", "both_tracks"),
        ("Track", ""),
        ("Final", ""),
        ("Final", "perhaps"),
        ("TranscriptionData", "fine"),
        ("TranscriptionData", r#"{"fine": "fine"}"#),
        ("TranscriptionData", ""),
    ] {
        let fault = heard(&[(name, bad)]).unwrap_err();
        let field = match fault {
            CallbackError::Missing { field }
            | CallbackError::Malformed { field, .. }
            | CallbackError::Misdirected { field, .. }
            | CallbackError::Ambiguous { field } => field,
        };
        assert_eq!(field, name, "{bad}");
        assert!(!fault.to_string().contains("fine"), "{fault}");
    }
}

fn any_params() -> impl Strategy<Value = Vec<(String, String)>> {
    const NAMES: [&str; 14] = [
        "account_sid",
        "transcript_sid",
        "event_type",
        "CallSid",
        "TranscriptionSid",
        "RecordingSid",
        "TranscriptionEvent",
        "Timestamp",
        "SequenceId",
        "LanguageCode",
        "Track",
        "Final",
        "TranscriptionData",
        "Other",
    ];
    let value = prop_oneof![
        any::<String>(),
        Just(sid("GT", "2")),
        Just(sid("TR", "2")),
        Just(sid("RE", "2")),
        Just(sid("CA", "2")),
        Just("voice_intelligence_transcript_available".to_owned()),
        Just("transcription-content".to_owned()),
        Just("inbound_track".to_owned()),
        Just("true".to_owned()),
        "[0-9]{1,25}",
        any::<String>()
            .prop_map(|text| json!({ "transcript": text, "confidence": text }).to_string()),
    ];
    prop::collection::vec(
        (
            prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
            value,
        ),
        0..16,
    )
}

proptest! {
    #[test]
    fn any_verified_form_is_read_or_refused(mut told in any_params()) {
        told.push(("AccountSid".into(), sid("AC", "0")));
        let verified = form(&told);
        let _ = TranscriptionCallback::parse(&verified);
        let _ = IntelligenceEvent::parse(&verified);
        if let Ok(event) = RealTimeEvent::parse(&verified)
            && let RealTimeEventKind::Said(piece) = event.kind
        {
            prop_assert!(piece.said.expose().chars().count() <= 20_000 && !piece.said.expose().contains('\0'));
            prop_assert!(piece.confidence.is_none_or(|confidence| (0.0..=1.0).contains(&confidence)));
        }
    }

    #[test]
    fn any_verified_json_is_read_or_refused(told in any_params(), text in any::<String>()) {
        let mut told = object(&told);
        told["account_sid"] = json!(sid("AC", "0"));
        told["nested"] = json!([text]);
        if let Ok(Some(event)) = IntelligenceEvent::parse(&json(&told.to_string())) {
            prop_assert_eq!(event.account.as_str(), sid("AC", "0"));
        }
    }
}
