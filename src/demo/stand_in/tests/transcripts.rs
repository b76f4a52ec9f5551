//! Intelligence: transcripts found by their source, read sentence by sentence, and deleted.

use super::{asking::*, *};

/// A redacted transcript of five sentences with two speakers.
fn transcript(asking: &Asking) -> (RecordingSid, String) {
    let recording = asking.record('1', Duration::ZERO);
    let transcript = sid("GT", '1');
    let mut sentences: Vec<_> = (1..=4)
        .map(|at| SentenceFacts::new(1, &format!("{at}.0"), &format!("{at}.8"), "Thank you."))
        .collect();
    let redacted = Some("My number is [REDACTED].".into());
    let confidence = None;
    sentences.push(SentenceFacts {
        redacted,
        confidence,
        ..SentenceFacts::new(2, "6.0", "8.0", "My number is 4711.")
    });
    let participant = |channel, role: &str| TranscriptParticipant {
        channel,
        role: Some(role.into()),
        ..TranscriptParticipant::default()
    };
    let facts = TranscriptFacts {
        sentences,
        redaction: true,
        participants: vec![participant(1, "Agent"), participant(2, "Customer")],
        ..TranscriptFacts::new(transcript.clone(), &recording)
    };
    asking.twilio.add_transcript(&asking.account, facts);
    (recording, transcript)
}

#[tokio::test]
async fn transcripts_are_found_by_their_source_in_pages_with_absolute_links() {
    let asking = Asking::begin().await;
    let (recording, first) = transcript(&asking);
    for digit in ['2', '3'] {
        asking.twilio.add_transcript(
            &asking.account,
            TranscriptFacts::new(sid("GT", digit), &recording),
        );
    }
    asking.twilio.add_transcript(
        &asking.account,
        TranscriptFacts::new(sid("GT", '4'), &recording_sid('4')),
    );
    let list = format!("/v2/Transcripts?SourceSid={recording}&PageSize=2");
    let response = asking.send("GET", &list, &[]).await;
    assert!(
        response.headers().contains_key("x-rate-limit-limit")
            && response.headers().contains_key("x-rate-limit-remaining")
    );
    let page: serde_json::Value = response.json().await.unwrap();
    assert_eq!(
        (&page["meta"]["key"], &page["meta"]["page_size"]),
        (&"transcripts".into(), &2.into())
    );
    let next = page["meta"]["next_page_url"].as_str().unwrap();
    let rest = next.strip_prefix(&asking.twilio.base_url()).unwrap();
    let last = asking.get(rest).await;
    let found = [sids(&page, "transcripts"), sids(&last, "transcripts")].concat();
    assert_eq!(found, [first, sid("GT", '2'), sid("GT", '3')]);
    assert_eq!(last["meta"]["next_page_url"], serde_json::Value::Null);
    let one = &page["transcripts"][0];
    assert_eq!(
        one["channel"]["media_properties"]["source_sid"],
        recording.as_str()
    );
    assert_eq!(one["channel"]["participants"][1]["role"], "Customer");
    assert_eq!(
        (&one["duration"], &one["redaction"]),
        (&27.into(), &true.into())
    );

    asking.twilio.behave(|behaviour| {
        behaviour.intelligence_links = Some("https://intelligence.twilio.com".into())
    });
    let page = asking.get(&list).await;
    assert!(
        page["meta"]["next_page_url"]
            .as_str()
            .unwrap()
            .starts_with("https://intelligence.twilio.com/v2/Transcripts?")
    );
    assert_eq!(
        asking
            .sids("/v2/Transcripts?Status=failed", "transcripts")
            .await
            .len(),
        0
    );
    assert_eq!(asking.sids("/v2/Transcripts", "transcripts").await.len(), 4);
}

#[tokio::test]
async fn sentences_are_redacted_unless_asked_and_have_words_only_if_asked() {
    let asking = Asking::begin().await;
    let (_, transcript) = transcript(&asking);
    let sentences = async |query: &str| {
        asking
            .get(&format!("/v2/Transcripts/{transcript}/Sentences{query}"))
            .await["sentences"]
            .clone()
    };
    let shown = sentences("").await;
    assert_eq!(
        (&shown[4]["transcript"], &shown[4]["words"]),
        (&"My number is [REDACTED].".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        (
            &shown[4]["confidence"],
            &shown[4]["media_channel"],
            &shown[4]["sentence_index"]
        ),
        (&serde_json::Value::Null, &2.into(), &4.into())
    );
    assert_eq!(
        (
            &shown[0]["confidence"],
            &shown[0]["start_time"],
            &shown[0]["end_time"]
        ),
        (&"0.95".into(), &"1.0".into(), &"1.8".into())
    );
    let words = sentences("?WordTimestamps=true").await;
    assert_eq!(
        words[0]["words"][1],
        serde_json::json!({ "word": "you.", "start_time": "1.40", "end_time": "1.80" })
    );
    assert_eq!(words[4]["words"], serde_json::json!([]));
    let all = sentences("?WordTimestamps=true&Redacted=false").await;
    assert_eq!(
        (&all[4]["transcript"], &all[4]["words"][3]["word"]),
        (&"My number is 4711.".into(), &"4711.".into())
    );

    let first = asking
        .get(&format!(
            "/v2/Transcripts/{transcript}/Sentences?PageSize=3&Redacted=false"
        ))
        .await;
    let next = first["meta"]["next_page_url"].as_str().unwrap();
    assert!(next.contains("Redacted=false"));
    let last = asking
        .get(next.strip_prefix(&asking.twilio.base_url()).unwrap())
        .await;
    assert_eq!(
        (
            sids(&first, "sentences").len(),
            sids(&last, "sentences").len()
        ),
        (3, 2)
    );
    assert_eq!(last["sentences"][1]["transcript"], "My number is 4711.");
    asking
        .twilio
        .set_transcript_status(&transcript, "in-progress");
    assert_eq!(sentences("").await, serde_json::json!([]));
}

#[tokio::test]
async fn a_deleted_transcript_is_gone_and_a_strangers_is_not_there() {
    let asking = Asking::begin().await;
    let (recording, transcript) = transcript(&asking);
    let own = format!("/v2/Transcripts/{transcript}");
    let child: AccountSid = sid("AC", '1').parse().unwrap();
    asking.twilio.add_account(StandInAccount::below(
        &asking.account,
        child.clone(),
        "child",
    ));
    asking
        .twilio
        .add_transcript(&child, TranscriptFacts::new(sid("GT", '9'), &recording));
    // These paths name no account: a parent's credential means the parent's own transcripts.
    assert_eq!(
        asking
            .status("GET", &format!("/v2/Transcripts/{}", sid("GT", '9')))
            .await,
        404
    );
    assert_eq!(asking.status("DELETE", &own).await, 204);
    assert_eq!(
        (
            asking.status("GET", &own).await,
            asking.status("DELETE", &own).await
        ),
        (404, 404)
    );
    assert_eq!(asking.status("GET", &format!("{own}/Sentences")).await, 404);
    assert_eq!(asking.twilio.kept(&recording).transcripts, [sid("GT", '9')]);
    let refused = asking
        .http
        .get(asking.url("/v2/Transcripts"))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
}

#[tokio::test]
async fn where_everything_is_transcribed_a_recording_has_a_transcript_nobody_asked_for() {
    let asking = Asking::begin().await;
    let recording = recording_sid('1');
    asking
        .twilio
        .behave(|behaviour| behaviour.auto_transcribe = Some(sid("GA", '5')));
    asking.twilio.begin_recording(
        &asking.account,
        recording.clone(),
        sid("CA", '1').parse().unwrap(),
    );
    assert!(asking.twilio.kept(&recording).transcripts.is_empty());
    asking.twilio.completed(&recording);
    let found = asking
        .get(&format!(
            "/v2/Transcripts?SourceSid={recording}&ServiceSid={}",
            sid("GA", '5')
        ))
        .await;
    assert_eq!(
        sids(&found, "transcripts"),
        asking.twilio.kept(&recording).transcripts
    );
    assert_eq!(sids(&found, "transcripts").len(), 1);
}
