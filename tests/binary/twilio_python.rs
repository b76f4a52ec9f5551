//! Twilio's own Python library and the real service: its signatures are accepted, and our TwiML
//! equals its output.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use recvault::{
    demo::stand_in::{CallFacts, GatherAnswer},
    model::sid::RecordingSid,
};
use serde_json::{Value, json};

use crate::{
    needs,
    world::{World, digits},
};

/// Signs all requests with the library in one run.
fn sign(python: &str, requests: &[Value]) -> Vec<Value> {
    asked(
        python,
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/binary/sign.py"),
        requests,
    )
}

/// Returns a script's answers to lines of JSON, one for each.
fn asked(python: &str, script: &str, requests: &[Value]) -> Vec<Value> {
    let mut signer = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = signer.stdin.take().unwrap();
    let lines: String = requests
        .iter()
        .map(|request| format!("{request}\n"))
        .collect();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = signer.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let signed: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(signed.len(), requests.len());
    signed
}

/// Additional parameters of a callback: every case in which encoders differ.
const AWKWARD: &[&[(&str, &str)]] = &[
    &[],
    &[
        ("From", "+49 30 1234567"),
        ("CallerName", "Grüße & 100 % = ☎ 🎧"),
    ],
    &[("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ("Tag", "")],
    &[("Empty", ""), ("b ", " "), ("c  blanks ", "  a  b  ")],
    &[
        ("a+b", "%2B"),
        ("plus", "+"),
        ("percent", "%"),
        ("amp", "&="),
        ("quotes", "'\"`"),
        ("line", "a\r\nb\tc"),
    ],
    &[
        ("é", "precomposed"),
        ("e\u{301}", "combining"),
        ("ｅ", "wide"),
        ("𝄞", "astral"),
        ("z", "last in ASCII"),
    ],
    &[
        ("Recording", "~-_.!*()"),
        ("B", "upper"),
        ("b", "lower"),
        ("BB", "x"),
        ("BBC", "y"),
    ],
];

/// Queries of our own callback URL.
const QUERIES: &[&str] = &[
    "",
    "?tier=sensitive",
    "?tier=sensitive&note=a%20b+c&note=%C3%BC",
    "?empty=&flag",
    "?quote=it%27s",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python with the `twilio` package: run `tests/run`"]
async fn what_twilios_own_library_signs_is_accepted() {
    let python = needs::required("RECVAULT_TEST_TWILIO_PYTHON");
    let world = World::sqlite().await;
    world.configure("failures_per_m = 60", "failures_per_m = 0");
    let service = world.serve().await;
    let mut requests = Vec::new();
    for method in ["POST", "GET"] {
        for params in AWKWARD {
            for query in QUERIES {
                let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
                let mut params: Vec<(String, String)> = params
                    .iter()
                    .map(|(name, value)| ((*name).into(), (*value).into()))
                    .collect();
                params.splice(0..0, world.stand_in.callback_params(&sid, "in-progress"));
                let url = format!("{}/twilio/recordings{query}", service.client.base);
                requests.push(json!({ "token": world.auth_token, "method": method, "url": url, "params": params, "sid": sid }));
            }
        }
    }
    let signed = sign(&python, &requests);
    for (request, signed) in requests.iter().zip(&signed) {
        let url = signed["url"].as_str().unwrap();
        let signature = signed["signature"].as_str().unwrap();
        let send = |url: String, body: Option<String>| {
            let client = &service.client.http;
            let call = match body {
                Some(body) => client
                    .post(url)
                    .header(
                        "Content-Type",
                        "application/x-www-form-urlencoded; charset=UTF-8",
                    )
                    .body(body),
                None => client.get(url),
            };
            async move {
                call.header("X-Twilio-Signature", signature)
                    .send()
                    .await
                    .unwrap()
                    .status()
                    .as_u16()
            }
        };
        let body = signed["body"].as_str().map(str::to_owned);
        // The altered request first: a refused one must have no effect.
        let change = |text: &str| text.replacen("DialVerb", "DialVerc", 1);
        let changed = match &body {
            Some(body) => send(url.to_owned(), Some(change(body))).await,
            None => send(change(url), None).await,
        };
        assert_eq!(changed, 403, "with a changed value: {request}");
        let id = world.id(&request["sid"].as_str().unwrap().parse().unwrap());
        assert_eq!(service.client.state(id).await.unwrap(), None);
        assert_eq!(
            send(url.to_owned(), body.clone()).await,
            204,
            "as it was signed: {request}"
        );
        assert_eq!(
            service.client.state(id).await.unwrap().as_deref(),
            Some("announced")
        );
        let elsewhere = send(
            format!("{url}{}more=1", if url.contains('?') { '&' } else { '?' }),
            body,
        )
        .await;
        assert_eq!(elsewhere, 403, "at another URL: {request}");
    }
}

/// A policy whose texts contain everything that XML must escape.
const ASKS: &str = r#"
[consent.voice]
purposes = ["recording"]

[[consent.voice.languages]]
language = "en-US"
voice = "Polly.Joanna-Neural"
text = "May we record? Twilio carries & records <this> call, \"so to say\", and it's yours. ☎"
agreed = "It's recorded & kept."
declined = "Not recorded."
yes = { digit = "1", words = ["yes", "it's fine"] }
no = { digit = "2", words = ["no"] }

[[consent.voice.languages]]
language = "de-DE"
text = "Dürfen wir aufzeichnen? Twilio überträgt das Gespräch. Ja: 1. Nein: 2."
agreed = "Danke."
declined = "Ohne Aufzeichnung."
yes = { digit = "1" }
no = { digit = "2" }

[[consent.messages]]
words = ["help with recordings"]
reply = "Write \"STOP\" & <wait>\nfor our reply."
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python with the `twilio` package: run `tests/run`"]
async fn our_twiml_is_what_twilios_own_library_would_write() {
    let python = needs::required("RECVAULT_TEST_TWILIO_PYTHON");
    let world = World::sqlite().await;
    let policy = world.path("privacy-policy.toml");
    let text = std::fs::read_to_string(&policy)
        .unwrap()
        .replace("version = \"1\"", "version = \"2\"");
    std::fs::write(&policy, format!("{text}{ASKS}")).unwrap();
    world.configure("[twilio.consent]\n", "[twilio.consent]\nconnect_to = \"sip:desk@example.com;transport=tls\"\nask_callee = true\n");
    let service = world.serve().await;
    let call = CallFacts {
        status: "in-progress".into(),
        ..CallFacts::new(
            format!("CA{}", digits()).parse().unwrap(),
            "+493090182001",
            "+493090182009",
        )
    };
    let post = async |url: &str, params: &[(String, String)]| {
        let answer = world
            .stand_in
            .callback(&world.account, url, params)
            .post(&service.client.http, url)
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer.text().await.unwrap()
    };
    let base = format!("{}/twilio", service.client.base);
    let press = |key: &str| {
        world
            .stand_in
            .gather_params(&world.account, &call, &GatherAnswer::Digits(key.into()))
    };
    let voice = world.stand_in.voice_params(&world.account, &call);
    let first = post(&format!("{base}/consent/voice"), &voice).await;
    let action = |attempt: u8, language: &str| {
        let policy = first.split_once("policy=").unwrap().1.get(..16).unwrap();
        format!(
            "{base}/consent/voice?step=answer&attempt={attempt}&language={language}&policy={policy}"
        )
    };
    let next = |attempt: u8, language: &str| {
        format!("{base}/consent/voice?step=ask&attempt={attempt}&language={language}")
    };
    let say = |text: &str| json!(["Say", { "language": "en-US", "voice": "Polly.Joanna-Neural" }, text, []]);
    let asked_in_english =
        "May we record? Twilio carries & records <this> call, \"so to say\", and it's yours. ☎";
    let german = post(&format!("{base}/consent/voice?language=de-DE"), &voice).await;
    let no = post(&action(1, "en-US"), &press("2")).await;
    let yes = post(&action(1, "en-US"), &press("1")).await;
    let whisper = format!("{base}/consent/voice?leg=callee&record=both&language=en-US");
    let message = world.stand_in.message_params(
        &world.account,
        "+493090182001",
        "+493090182009",
        "Help with recordings?",
        None,
    );
    let message = post(&format!("{base}/messages"), &message).await;
    let nothing = world.stand_in.message_params(
        &world.account,
        "+493090182001",
        "+493090182009",
        "hello",
        None,
    );
    let nothing = post(&format!("{base}/messages"), &nothing).await;
    let cases = [
        json!({ "ours": first, "theirs": [
            ["Gather", {
                "input": "dtmf speech", "num_digits": 1, "timeout": 5, "action": action(1, "en-US"), "method": "POST", "barge_in": false,
                "language": "en-US", "speech_timeout": "auto", "hints": "yes,it's fine,no",
            }, null, [say(asked_in_english)]],
            ["Redirect", { "method": "POST" }, next(2, "en-US"), []],
        ] }),
        json!({ "ours": german, "theirs": [
            ["Gather", {
                "input": "dtmf", "num_digits": 1, "timeout": 5, "action": action(1, "de-DE"), "method": "POST", "barge_in": false,
            }, null, [["Say", { "language": "de-DE" }, "Dürfen wir aufzeichnen? Twilio überträgt das Gespräch. Ja: 1. Nein: 2.", []]]],
            ["Redirect", { "method": "POST" }, next(2, "de-DE"), []],
        ] }),
        json!({ "ours": no, "theirs": [say("Not recorded."), ["Dial", {}, null, [["Sip", {}, "sip:desk@example.com;transport=tls", []]]]] }),
        // Nothing about a recording is said before the callee was asked, too.
        json!({ "ours": yes, "theirs": [
            ["Dial", {}, null, [["Sip", { "url": whisper, "method": "POST" }, "sip:desk@example.com;transport=tls", []]]],
        ] }),
        json!({ "ours": message, "theirs": [["Message", {}, "Write \"STOP\" & <wait>\nfor our reply.", []]] }),
        json!({ "ours": nothing, "theirs": [] }),
    ];
    for answer in asked(
        &python,
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/binary/twiml.py"),
        &cases,
    ) {
        assert_eq!(
            (&answer["same"], &answer["ours"]),
            (&json!(true), &answer["theirs"])
        );
    }
}
