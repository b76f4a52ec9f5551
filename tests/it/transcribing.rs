//! Twilio announces a transcript, and the vault fetches it and files it with its recording.

mod failing;
mod placing;
mod real_time;

use std::time::Duration;

use recvault::{
    demo::stand_in::{Call, SentenceFacts, TranscriptFacts, TranscriptionFacts, WordFacts},
    model::{id::RecordingId, sid::RecordingSid},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    viewing::{file, filed, granted, media, transcript, vault_on},
    world::{Answer, Database, TestVault, digits, send},
};

pub(crate) const INTELLIGENCE: &str = "/twilio/intelligence";
const SIGNATURE: &str = "x-twilio-signature";

pub(crate) fn gt() -> String {
    format!("GT{}", digits())
}

/// Adds a transcript at Twilio with these sentences, one per second.
pub(crate) fn made(vault: &TestVault, of: &RecordingSid, said: &[&str]) -> TranscriptFacts {
    let sentence = |(at, text): (usize, &&str)| {
        SentenceFacts::new(1, &at.to_string(), &format!("{at}.9"), text)
    };
    let facts = TranscriptFacts {
        sentences: said.iter().enumerate().map(sentence).collect(),
        ..TranscriptFacts::new(gt(), of)
    };
    vault.stand_in.add_transcript(&vault.account, facts.clone());
    facts
}

/// Posts the webhook of a transcript.
pub(crate) async fn told(vault: &TestVault, transcript: &str) {
    let params = vault.stand_in.transcript_event(transcript).unwrap();
    assert_eq!(
        vault
            .post_callback(&vault.account, INTELLIGENCE, &params)
            .await
            .status,
        204
    );
}

/// Adds a transcription of `<Record>`, and posts its callback.
pub(crate) async fn transcribed(vault: &TestVault, of: &RecordingSid, said: &str) -> String {
    let sid = format!("TR{}", digits());
    vault.stand_in.add_transcription(
        &vault.account,
        TranscriptionFacts::new(sid.clone(), of.clone(), said),
    );
    let params = vault.stand_in.transcription_callback_params(&sid).unwrap();
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/transcriptions", &params)
            .await
            .status,
        204
    );
    sid
}

pub(crate) async fn work(vault: &TestVault) {
    vault.process.flow.worker.work_off().await.unwrap();
}

/// Returns the transcript under a new grant, if there is one.
pub(crate) async fn reads(vault: &TestVault, id: RecordingId) -> Option<Value> {
    let grant = granted(vault, id, "see").await;
    if grant["transcript_url"].is_null() {
        return None;
    }
    let answer = media(vault, &grant, "transcript.json").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(answer.json())
}

/// Returns the sentences under a new grant.
pub(crate) async fn words(vault: &TestVault, id: RecordingId) -> Vec<String> {
    let read = reads(vault, id).await.unwrap_or(json!({ "sentences": [] }));
    let text = |sentence: &Value| sentence["text"].as_str().unwrap().to_owned();
    read["sentences"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect()
}

/// Returns the dead transcripts: the id of each, and the reason.
pub(crate) async fn dead(vault: &TestVault) -> Vec<(String, String)> {
    let status = vault.process.flow.monitoring.status().await.unwrap();
    status
        .dead
        .into_iter()
        .filter(|dead| dead.kind == "transcript")
        .map(|dead| {
            let sid = dead.subject.rsplit('/').next().unwrap().to_owned();
            (sid, dead.last_error.unwrap())
        })
        .collect()
}

async fn each_form_of_the_webhook_is_heard(database: Database) {
    let vault = vault_on(database).await;
    let mut recorded = Vec::new();
    for _ in 0..3 {
        recorded.push(vault.sealed().await);
    }
    let transcripts: Vec<_> = recorded
        .iter()
        .map(|one| made(&vault, &one.sid, &["Hello."]))
        .collect();
    let event = |at: usize| {
        vault
            .stand_in
            .transcript_event(&transcripts[at].sid)
            .unwrap()
    };
    assert_eq!(
        vault
            .post_callback(&vault.account, INTELLIGENCE, &event(0))
            .await
            .status,
        204
    );
    let url = vault.process.public(INTELLIGENCE);
    let document: Value = event(1)
        .into_iter()
        .map(|(name, value)| (name, json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let posted = vault
        .stand_in
        .json_callback(&vault.account, &url, &document);
    let request = vault
        .anybody()
        .request(Method::POST, &vault.process.path_of(&posted.url));
    let request = request
        .header(SIGNATURE, &posted.signature)
        .header("content-type", "application/json")
        .body(posted.body);
    assert_eq!(send(request).await.status, 204);
    let got = vault.stand_in.get_callback(&vault.account, &url, &event(2));
    assert_eq!(
        vault
            .anybody()
            .with(
                Method::GET,
                &vault.process.path_of(&got.url),
                &[(SIGNATURE, &got.signature)]
            )
            .await
            .status,
        204
    );
    // Announced twice, once at the other address: filed once.
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/transcriptions", &event(0))
            .await
            .status,
        204
    );
    work(&vault).await;
    told(&vault, &transcripts[0].sid).await;
    work(&vault).await;
    for one in &recorded {
        assert_eq!(words(&vault, one.id).await, ["Hello."]);
    }
    assert_eq!(vault.count("transcript.sealed").await, 3);
    assert_eq!(vault.stand_in.requests(Call::TranscriptSentences), 3);
}

async fn nobody_else_tells_of_transcripts(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let facts = made(&vault, &recorded.sid, &["Hello."]);
    let params = vault.stand_in.transcript_event(&facts.sid).unwrap();
    let signed = |account, params: &_| {
        vault
            .stand_in
            .callback(account, &vault.process.public(INTELLIGENCE), params)
    };
    let honest = signed(&vault.account, &params);
    let post = async |path: &str, body: &str, signatures: &[&str]| {
        vault.anybody().form(path, body, signatures).await
    };
    for (body, signatures) in [
        (honest.body.as_str(), &[][..]),
        (
            &honest.body,
            &[signed(&vault.other_account, &params).signature.as_str()],
        ),
        (
            &honest.body.replace(&facts.sid, &gt()),
            &[&honest.signature],
        ),
        (&honest.body, &[&honest.signature, &honest.signature]),
    ] {
        post(INTELLIGENCE, body, signatures)
            .await
            .problem(403, "bad-signature");
    }
    for path in ["/twilio/transcriptions", "/twilio/realtime"] {
        post(path, &honest.body, &[&honest.signature])
            .await
            .problem(403, "bad-signature");
    }
    let document = json!({ "account_sid": vault.account, "transcript_sid": facts.sid, "event_type": "voice_intelligence_transcript_available" });
    let posted = vault.stand_in.json_callback(
        &vault.account,
        &vault.process.public(INTELLIGENCE),
        &document,
    );
    let json = async |path: &str, body: String| {
        let request = vault
            .anybody()
            .request(Method::POST, path)
            .header("content-type", "application/json");
        send(request.header(SIGNATURE, &posted.signature).body(body)).await
    };
    json(INTELLIGENCE, posted.body.clone())
        .await
        .problem(403, "bad-signature");
    let path = vault.process.path_of(&posted.url);
    json(&path, posted.body.replace(&facts.sid, &gt()))
        .await
        .problem(403, "bad-signature");

    let other: Vec<_> = params
        .iter()
        .map(|(name, value)| {
            (
                name.clone(),
                value.replace("transcript_available", "operator_available"),
            )
        })
        .collect();
    assert_eq!(
        vault
            .post_callback(&vault.account, INTELLIGENCE, &other)
            .await
            .status,
        204
    );
    let broken: Vec<_> = params
        .iter()
        .map(|(name, value)| (name.clone(), value.replace("GT", "XX")))
        .collect();
    let answer: Answer = vault
        .post_callback(&vault.account, INTELLIGENCE, &broken)
        .await;
    assert!(
        answer.problem(400, "bad-request")["detail"]
            .as_str()
            .unwrap()
            .contains("`transcript_sid`")
    );
    work(&vault).await;
    assert_eq!(
        (
            reads(&vault, recorded.id).await,
            vault.stand_in.requests(Call::TranscriptFetch)
        ),
        (None, 0)
    );
}

async fn long_transcripts_come_in_pages_with_channels_words_and_gaps(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let mut facts = made(&vault, &recorded.sid, &[]);
    facts.sentences = (0..2_500)
        .map(|at| {
            SentenceFacts::new(
                1 + at % 2,
                &format!("{at}.25"),
                &format!("{at}.75"),
                &format!("Said {at}."),
            )
        })
        .collect();
    facts.sentences[3] = SentenceFacts {
        start: None,
        end: None,
        confidence: None,
        words: Vec::new(),
        ..facts.sentences[3].clone()
    };
    facts.sentences[4].words = vec![WordFacts {
        word: "Said".into(),
        start: "4.2504".into(),
        end: "4.5".into(),
    }];
    facts.redaction = true;
    facts.sentences[5].redacted = Some("[PII]".into());
    vault.stand_in.add_transcript(&vault.account, facts.clone());
    told(&vault, &facts.sid).await;
    work(&vault).await;
    assert_eq!(vault.stand_in.requests(Call::TranscriptSentences), 3);
    let read = reads(&vault, recorded.id).await.unwrap();
    assert_eq!(
        (&read["language"], &read["source"]),
        (&json!("en-US"), &json!("twilio-intelligence"))
    );
    let sentences = read["sentences"].as_array().unwrap();
    assert_eq!(sentences.len(), 2_500);
    let first = json!({ "leg": "channel-1", "start_ms": 250, "end_ms": 750, "text": "Said 0.", "confidence": 0.95,
        "words": [{ "text": "Said", "start_ms": 250, "end_ms": 500 }, { "text": "0.", "start_ms": 500, "end_ms": 750 }] });
    assert_eq!(rounded(&sentences[0]), first);
    assert_eq!(sentences[1]["leg"], "channel-2");
    assert_eq!(
        rounded(&sentences[3]),
        json!({ "leg": "channel-2", "start_ms": 2750, "end_ms": 2750, "text": "Said 3." })
    );
    assert_eq!(
        sentences[4]["words"],
        json!([{ "text": "Said", "start_ms": 4250, "end_ms": 4500 }])
    );
    assert_eq!(
        sentences[5]["text"], "Said 5.",
        "the vault hides by its own rules"
    );
    assert_eq!(sentences[2_499]["text"], "Said 2499.");
}

/// Returns a sentence with its confidence rounded.
fn rounded(sentence: &Value) -> Value {
    let mut sentence = sentence.clone();
    if let Some(confidence) = sentence["confidence"].as_f64() {
        sentence["confidence"] = json!((confidence * 1000.0).round() / 1000.0);
    }
    sentence
}

async fn what_twilio_transcribed_raises_the_tier(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let facts = made(&vault, &recorded.sid, &["It is 4111 1111 1111 1111."]);
    told(&vault, &facts.sid).await;
    work(&vault).await;
    assert_eq!(vault.details(recorded.id).await["tier"], "restricted");
    let order: Vec<_> = vault
        .events()
        .await
        .into_iter()
        .filter(|event| event.contains("reclassified") || event == "transcript.sealed")
        .collect();
    assert_eq!(order, ["recording.reclassified", "transcript.sealed"]);
    let entry = vault
        .entries()
        .await
        .into_iter()
        .find(|entry| entry["event"] == "transcript.sealed")
        .unwrap();
    assert_eq!(
        (&entry["actor"], &entry["recording"]),
        (&json!("vault"), &json!(recorded.id))
    );
}

async fn the_better_transcript_stays_and_the_applications_own_before_all(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    transcribed(&vault, &recorded.sid, "By Record.").await;
    work(&vault).await;
    let read = reads(&vault, recorded.id).await.unwrap();
    let sentence = json!({ "start_ms": 0, "end_ms": 27_000, "text": "By Record." });
    assert_eq!(
        read,
        json!({ "language": "en-US", "source": "twilio-record", "sentences": [sentence] })
    );
    let [first, second] = [
        made(&vault, &recorded.sid, &["First."]),
        made(&vault, &recorded.sid, &["Second."]),
    ];
    vault.clock.advance(Duration::from_secs(1));
    told(&vault, &first.sid).await;
    work(&vault).await;
    assert_eq!(words(&vault, recorded.id).await, ["First."]);
    transcribed(&vault, &recorded.sid, "By Record again.").await;
    work(&vault).await;
    assert_eq!(
        words(&vault, recorded.id).await,
        ["First."],
        "a worse one does not replace it"
    );
    vault.clock.advance(Duration::from_secs(1));
    told(&vault, &second.sid).await;
    work(&vault).await;
    assert_eq!(words(&vault, recorded.id).await, ["Second."]);
    filed(&vault, recorded.id, &["The application's."]).await;
    for facts in [&first, &second, &made(&vault, &recorded.sid, &["Third."])] {
        told(&vault, &facts.sid).await;
        work(&vault).await;
        assert_eq!(words(&vault, recorded.id).await, ["The application's."]);
    }
    assert_eq!(
        file(
            &vault,
            "privacy-officer",
            recorded.id,
            transcript(&["Another."]).to_string()
        )
        .await
        .status,
        200
    );
    assert_eq!(
        (
            words(&vault, recorded.id).await,
            vault.objects().await.len()
        ),
        (vec!["Another.".to_owned()], 2)
    );
    assert_eq!(dead(&vault).await, []);
}

on_both_databases!(
    each_form_of_the_webhook_is_heard,
    nobody_else_tells_of_transcripts,
    long_transcripts_come_in_pages_with_channels_words_and_gaps,
    what_twilio_transcribed_raises_the_tier,
    the_better_transcript_stays_and_the_applications_own_before_all,
);
