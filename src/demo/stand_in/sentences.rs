//! The list of the sentences of a transcript, in Intelligence v2.

use serde_json::{Value, json};

use super::{
    World,
    answer::{Refused, StandInAnswer},
    page,
    request::AuthenticatedRequest,
    sentence::SentenceFacts,
    transcripts::{find, origin},
};

/// Larger page sizes are reduced to this.
const MAX_SIZE: usize = 5000;

/// `GET /v2/Transcripts/{GT}/Sentences`. With redaction, the original text is only returned for
/// `Redacted=false`.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let owned = find(&state, asked)?;
    let redacted = owned.facts.redaction && asked.query.flag("Redacted").unwrap_or(true);
    let with_words = asked.query.flag("WordTimestamps").unwrap_or_default();
    let said: &[SentenceFacts] = if owned.facts.status == "completed" {
        &owned.facts.sentences
    } else {
        &[]
    };
    let items = said
        .iter()
        .enumerate()
        .map(|(at, sentence)| (format!("{at:010}"), (at, sentence)))
        .collect();
    let url = format!(
        "{}/v2/Transcripts/{}/Sentences",
        origin(&state, asked),
        owned.facts.sid
    );
    let sid = &owned.facts.sid;
    page::of_v2(
        items,
        "sentences",
        &url,
        &asked.query,
        MAX_SIZE,
        |(at, sentence)| resource(sid, *at, sentence, redacted, with_words),
    )
}

fn resource(
    transcript: &str,
    at: usize,
    sentence: &SentenceFacts,
    redacted: bool,
    with_words: bool,
) -> Value {
    let instead = sentence.redacted.as_ref().filter(|_| redacted);
    // The words would reveal the redacted text.
    let words = sentence.words.iter().filter(|_| instead.is_none());
    let words = words
        .map(|word| json!({ "word": word.word, "start_time": word.start, "end_time": word.end }));
    json!({
        "media_channel": sentence.channel,
        "sentence_index": at,
        "start_time": sentence.start,
        "end_time": sentence.end,
        "transcript": instead.unwrap_or(&sentence.text),
        "sid": format!("GX{:0>8x}{}", at, transcript.get(10..).unwrap_or_default()),
        "confidence": sentence.confidence,
        "words": with_words.then(|| words.collect::<Vec<_>>()),
    })
}
