//! Callbacks signed by Twilio's own Python library, accepted by the real service.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use recvault::model::sid::RecordingSid;
use serde_json::{Value, json};

use crate::world::{World, digits};

/// A Python with the package `twilio`; prints a line where there is none.
pub(crate) fn python() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one switch of this test")]
    let python = std::env::var("RECVAULT_TEST_TWILIO_PYTHON").ok();
    if python.is_none() {
        println!("skipped: RECVAULT_TEST_TWILIO_PYTHON names no Python");
    }
    python
}

/// Lets the library sign all requests at once.
fn sign(python: &str, requests: &[Value]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/binary/sign.py");
    let mut signer = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = signer.stdin.take().unwrap();
    let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = signer.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let signed: Vec<Value> = String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(signed.len(), requests.len());
    signed
}

/// What a callback may carry besides what we read: everything that encoders disagree about.
const AWKWARD: &[&[(&str, &str)]] = &[
    &[],
    &[("From", "+49 30 1234567"), ("CallerName", "Grüße & 100 % = ☎ 🎧")],
    &[("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ("Tag", "")],
    &[("Empty", ""), (" ", " "), ("  blanks ", "  a  b  ")],
    &[("a+b", "%2B"), ("plus", "+"), ("percent", "%"), ("amp", "&="), ("quotes", "'\"`"), ("line", "a\r\nb\tc")],
    &[("é", "precomposed"), ("e\u{301}", "combining"), ("ｅ", "wide"), ("𝄞", "astral"), ("z", "last in ASCII")],
    &[("Recording", "~-_.!*()"), ("A", "upper"), ("a", "lower"), ("AB", "x"), ("ABC", "y")],
];

/// Queries of our own callback URL.
const QUERIES: &[&str] = &["", "?tier=sensitive", "?tier=sensitive&note=a%20b+c&note=%C3%BC", "?empty=&flag", "?quote=it%27s"];

#[tokio::test(flavor = "multi_thread")]
async fn what_twilios_own_library_signs_is_accepted() {
    let Some(python) = python() else { return };
    let world = World::sqlite().await;
    let service = world.serve().await;
    let mut requests = Vec::new();
    for method in ["POST", "GET"] {
        for params in AWKWARD {
            for query in QUERIES {
                let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
                let mut params: Vec<(String, String)> = params.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                params.splice(0..0, world.stand_in.callback_params(&sid, "in-progress"));
                let url = format!("{}/twilio/recordings{query}", service.client.base);
                requests.push(json!({ "token": world.auth_token, "method": method, "url": url, "params": params, "sid": sid }));
            }
        }
    }
    let signed = sign(&python, &requests);
    for (request, signed) in requests.iter().zip(&signed) {
        let (url, signature) = (signed["url"].as_str().unwrap(), signed["signature"].as_str().unwrap());
        let send = |url: String, body: Option<String>| {
            let client = &service.client.http;
            let call = match body {
                Some(body) => client.post(url).header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8").body(body),
                None => client.get(url),
            };
            async move { call.header("X-Twilio-Signature", signature).send().await.unwrap().status().as_u16() }
        };
        let body = signed["body"].as_str().map(str::to_owned);
        // Changed first: what is refused must leave nothing behind.
        let change = |text: &str| text.replacen("DialVerb", "DialVerc", 1);
        let changed = match &body {
            Some(body) => send(url.to_owned(), Some(change(body))).await,
            None => send(change(url), None).await,
        };
        assert_eq!(changed, 403, "with a changed value: {request}");
        let id = world.id(&request["sid"].as_str().unwrap().parse().unwrap());
        assert_eq!(service.client.state(id).await.unwrap(), None);
        assert_eq!(send(url.to_owned(), body.clone()).await, 204, "as it was signed: {request}");
        assert_eq!(service.client.state(id).await.unwrap().as_deref(), Some("announced"));
        let elsewhere = send(format!("{url}{}more=1", if url.contains('?') { '&' } else { '?' }), body).await;
        assert_eq!(elsewhere, 403, "at another URL: {request}");
    }
}
