//! Twilio's own Python library as a client of the stand-in: its results show that the stand-in
//! behaves like Twilio.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::{KeySize, PrivateDecryptingKey},
};
use bytes::Bytes;
use recvault::{
    demo::{
        conversation::WAV,
        stand_in::{
            AddOnFacts, Call, CallFacts, ConferenceFacts, NumberFacts, ParticipantFacts,
            RecordingFacts, SentenceFacts, Spelling, StandIn, StandInAccount, TranscriptFacts,
            TranscriptParticipant, TranscriptionFacts,
        },
    },
    model::sid::{AccountSid, CallSid, RecordingSid},
};
use serde_json::{Value, json};

use crate::needs;

/// A SID of 32 equal digits.
fn sid(prefix: &str, digit: char) -> String {
    format!("{prefix}{}", String::from(digit).repeat(32))
}

fn recording(digit: char) -> RecordingSid {
    sid("RE", digit).parse().unwrap()
}

fn call(digit: char) -> CallSid {
    sid("CA", digit).parse().unwrap()
}

/// Returns a Twilio with one object of each kind, and five recordings an hour apart, newest first.
async fn populated(account: &AccountSid, subaccount: &AccountSid) -> StandIn {
    let twilio = StandIn::start(vec![
        StandInAccount::new(account.clone(), "token"),
        StandInAccount::below(account, subaccount.clone(), "other"),
    ])
    .await
    .unwrap();
    for (digit, hours) in ('1'..='5').zip(1..) {
        let created = Some(twilio.now().before(Duration::from_hours(hours)));
        let facts = RecordingFacts {
            created,
            ..RecordingFacts::new(&recording(digit), Bytes::from_static(WAV))
        };
        twilio.add_recording_of(account, recording(digit), facts);
    }
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key()).unwrap();
    twilio.add_encrypted_recording(
        account,
        recording('6'),
        WAV,
        &sid("CR", '1'),
        public.as_ref(),
        Spelling::Page,
    );
    twilio.add_recording(subaccount, recording('7'), Bytes::from_static(WAV));

    let caller_name = Some("EXAMPLE CALLER".to_owned());
    twilio.add_call(
        account,
        CallFacts {
            caller_name,
            ..CallFacts::new(call('1'), "+4930123456", "+4989654321")
        },
    );
    twilio.add_call(
        account,
        CallFacts::dialled(call('1'), call('2'), "+4930123456", "client:agent"),
    );
    twilio.add_call(
        account,
        CallFacts {
            status: "in-progress".into(),
            ..CallFacts::new(call('3'), "anonymous", "+4989654321")
        },
    );
    let conference: recvault::model::sid::ConferenceSid = sid("CF", '1').parse().unwrap();
    twilio.add_conference(account, ConferenceFacts::new(conference.clone(), "room"));
    for (digit, label) in [('1', Some("caller")), ('2', None)] {
        twilio.add_participant(
            &conference,
            ParticipantFacts {
                label: label.map(str::to_owned),
                ..ParticipantFacts::new(call(digit))
            },
        );
    }
    twilio.add_number(
        account,
        NumberFacts::new("+4989654321", "https://vault.example/twilio/consent/voice"),
    );
    twilio.add_transcription(
        account,
        TranscriptionFacts::new(sid("TR", '1'), recording('1'), "Hello."),
    );
    twilio.add_transcription(
        account,
        TranscriptionFacts::new(sid("TR", '2'), recording('2'), "Good bye."),
    );
    twilio.add_add_on(account, AddOnFacts::new(sid("XR", '1'), recording('1')));
    let redacted = Some("I am [REDACTED].".to_owned());
    let sentences = vec![
        SentenceFacts::new(1, "0.40", "1.60", "Who is calling?"),
        SentenceFacts {
            redacted,
            ..SentenceFacts::new(2, "2.00", "3.00", "I am Jane.")
        },
        SentenceFacts {
            start: None,
            end: None,
            confidence: None,
            words: Vec::new(),
            ..SentenceFacts::new(1, "", "", "Thanks.")
        },
    ];
    let participants = vec![TranscriptParticipant {
        channel: 1,
        role: Some("Agent".into()),
        ..TranscriptParticipant::default()
    }];
    let facts = TranscriptFacts {
        sentences,
        participants,
        redaction: true,
        ..TranscriptFacts::new(sid("GT", '1'), &recording('1'))
    };
    twilio.add_transcript(
        account,
        TranscriptFacts {
            media_start_time: Some(twilio.now()),
            ..facts
        },
    );
    twilio.add_transcript(
        account,
        TranscriptFacts::new(sid("GT", '2'), &recording('1')),
    );
    twilio.add_transcript(
        account,
        TranscriptFacts::new(sid("GT", '3'), &recording('2')),
    );
    // As at Twilio, whose links name its own host.
    twilio.behave(|behaviour| {
        behaviour.intelligence_links = Some("https://intelligence.twilio.com".into())
    });
    twilio
}

fn ask(python: &str, given: &Value) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/binary/rest.py");
    let mut client = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    client
        .stdin
        .take()
        .unwrap()
        .write_all(given.to_string().as_bytes())
        .unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python with the `twilio` package: run `tests/run`"]
async fn twilios_own_library_finds_a_twilio() {
    let python = needs::required("RECVAULT_TEST_TWILIO_PYTHON");
    let [account, subaccount]: [AccountSid; 2] =
        ['0', '1'].map(|digit| sid("AC", digit).parse().unwrap());
    let twilio = populated(&account, &subaccount).await;
    let since = twilio
        .now()
        .before(Duration::from_secs(2 * 3600 + 1800))
        .as_millis()
        / 1000;
    let given = json!({
        "base": twilio.base_url(), "account": account, "token": "token", "subaccount": subaccount, "since": since,
        "recording": recording('1'), "encrypted": recording('6'), "call": call('1'), "live": call('3'),
        "conference": sid("CF", '1'), "transcript": sid("GT", '1'),
    });
    let told = tokio::task::spawn_blocking(move || ask(&python, &given))
        .await
        .unwrap();
    let is = |name: &str, expected: Value| assert_eq!(told[name], expected, "{name}");
    let part = |name: &str, expected: Value| {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(told[name][field], *value, "{name}.{field}");
        }
    };

    part(
        "account",
        json!({ "sid": account, "status": "active", "owner_account_sid": account, "type": "Full" }),
    );
    is("accounts", json!([account, subaccount]));
    is("of_subaccount", json!([recording('7')]));

    let all: Vec<RecordingSid> = ['6', '1', '2', '3', '4', '5'].map(recording).to_vec();
    is("recordings", json!(all));
    is("limited", json!(all[..3]));
    is("recent", json!(all[..3]));
    is("earlier", json!(all[3..]));
    is("of_call", json!([recording('1')]));
    is("page_alone", json!(400));
    let began = (twilio.now().before(Duration::from_hours(1)).as_millis() / 1000) as f64;
    part(
        "recording",
        json!({
            "sid": recording('1'), "account_sid": account, "call_sid": call('1'), "conference_sid": null, "duration": "27", "channels": 2,
            "status": "completed", "source": "DialVerb", "error_code": null, "price": null, "price_unit": "USD",
            "media_url": format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{}", recording('1')),
        }),
    );
    assert!((told["recording"]["start_time"].as_f64().unwrap() - began).abs() < 600.0);
    assert_eq!(
        told["encryption"]["encryption_public_key_sid"],
        sid("CR", '1')
    );

    part(
        "call",
        json!({ "sid": call('1'), "_from": "+4930123456", "to": "+4989654321", "direction": "inbound", "status": "completed" }),
    );
    part(
        "call",
        json!({ "caller_name": "EXAMPLE CALLER", "parent_call_sid": null, "duration": "27" }),
    );
    assert_eq!(
        told["call"]["end_time"].as_f64().unwrap() - told["call"]["start_time"].as_f64().unwrap(),
        27.0
    );
    is(
        "legs",
        json!([{ "sid": call('2'), "to": "client:agent", "parent_call_sid": call('1') }]),
    );
    is(
        "conference",
        json!({ "sid": sid("CF", '1'), "friendly_name": "room", "status": "in-progress" }),
    );
    let participant = |digit, label: Option<&str>| {
        json!({ "call_sid": call(digit), "label": label, "conference_sid": sid("CF", '1'), "status": "connected",
                "start_conference_on_enter": true, "muted": false })
    };
    is(
        "participants",
        json!([participant('1', Some("caller")), participant('2', None)]),
    );
    let number = json!({ "phone_number": "+4989654321", "voice_url": "https://vault.example/twilio/consent/voice", "status": "in-use" });
    is("numbers", json!([number]));

    part(
        "begun",
        json!({ "status": "in-progress", "channels": 2, "track": "both", "source": "StartCallRecordingAPI", "duration": null }),
    );
    is("paused", json!("paused"));
    is("stopped", json!("processing"));
    part(
        "undeletable",
        json!({ "status": 400, "code": 20009, "method": "DELETE" }),
    );
    part(
        "stopped_twice",
        json!({ "status": 400, "code": 21220, "method": "POST" }),
    );
    let begun: RecordingSid = told["begun"]["sid"].as_str().unwrap().parse().unwrap();
    let events: Vec<_> = twilio
        .started_with(&begun)
        .into_iter()
        .filter(|(name, _)| name == "RecordingStatusCallbackEvent")
        .collect();
    assert_eq!(events.len(), 2);

    let transcription = json!({ "sid": sid("TR", '1'), "status": "completed", "transcription_text": "Hello.", "recording_sid": recording('1'), "type": "fast" });
    is("transcriptions", json!([transcription]));
    is(
        "all_transcriptions",
        json!([sid("TR", '1'), sid("TR", '2')]),
    );
    is("transcriptions_deleted", json!([true, true]));
    is(
        "add_ons",
        json!([{ "sid": sid("XR", '1'), "status": "completed", "reference_sid": recording('1') }]),
    );
    is("add_on", json!("completed"));
    is("add_on_deleted", json!(true));

    is("transcripts", json!([sid("GT", '1'), sid("GT", '2')]));
    part(
        "transcript",
        json!({ "status": "completed", "duration": 27, "language_code": "en-US", "redaction": true, "customer_key": null }),
    );
    assert_eq!(
        told["transcript"]["channel"]["media_properties"]["source_sid"],
        recording('1').as_str()
    );
    assert_eq!(
        told["transcript"]["channel"]["participants"][0]["channel_participant"],
        1
    );
    assert!(told["transcript"]["media_start_time"].is_f64());
    let said = &told["sentences"];
    assert_eq!(
        (&said[1]["transcript"], &said[1]["words"][2]["word"]),
        (&"I am Jane.".into(), &"Jane.".into())
    );
    assert_eq!(
        (
            &said[0]["start_time"],
            &said[0]["confidence"],
            &said[0]["media_channel"]
        ),
        (&"0.40".into(), &"0.95".into(), &1.into())
    );
    assert_eq!(
        (
            &said[2]["start_time"],
            &said[2]["confidence"],
            &said[2]["sentence_index"]
        ),
        (&Value::Null, &Value::Null, &2.into())
    );
    is(
        "redacted",
        json!(["Who is calling?", "I am [REDACTED].", "Thanks."]),
    );
    is("transcript_deleted", json!(true));
    part("transcript_gone", json!({ "status": 404, "code": 20404 }));

    is("deleted", json!(true));
    part("deleted_twice", json!({ "status": 404, "code": 20404 }));
    part("gone", json!({ "status": 404, "code": 20404 }));
    is(
        "left",
        json!({ "sid": recording('1'), "status": "deleted", "duration": "27" }),
    );
    let with_deleted: Vec<_> = [
        vec![begun.to_string()],
        all.iter().map(ToString::to_string).collect(),
    ]
    .concat();
    is("with_deleted", json!(with_deleted));
    part("wrong_token", json!({ "status": 401, "code": 20003 }));

    let kept = twilio.kept(&recording('1'));
    assert_eq!(
        (kept.media, kept.transcripts, kept.status.as_deref()),
        (false, vec![sid("GT", '2')], Some("deleted"))
    );
    assert_eq!(
        (
            twilio.requests(Call::RecordingDelete),
            twilio.requests(Call::TranscriptSentences)
        ),
        (3, 3)
    );
    assert_eq!(twilio.unauthorised_requests(), 1);
}
