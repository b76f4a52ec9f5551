//! The sentences of a transcript of Intelligence v2.

use serde_json::{Value, json};

use super::{
    World,
    answer::{Refused, StandInAnswer},
    page,
    rest::AuthenticatedRequest,
    transcripts::{find, origin},
};

/// Above it, page sizes are taken to be this.
const MAX_SIZE: usize = 5000;

/// Something that somebody said.
#[derive(Clone, Debug)]
pub struct SentenceFacts {
    /// 1 or 2.
    pub channel: u32,
    /// Seconds from the beginning, as text; Twilio may not know.
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
    /// What was said.
    pub text: String,
    /// What is shown instead where redaction is on; without it the text is harmless.
    pub redacted: Option<String>,
    /// 0 to 1, as text; Twilio may not know.
    pub confidence: Option<String>,
    /// The same word by word.
    pub words: Vec<WordFacts>,
}

/// A word.
#[derive(Clone, Debug)]
pub struct WordFacts {
    /// The word.
    pub word: String,
    /// Seconds from the beginning, as text.
    pub start: String,
    /// As `start`.
    pub end: String,
}

impl SentenceFacts {
    /// A sentence whose words share its time evenly, or have none if the times are no numbers.
    pub fn new(channel: u32, start: &str, end: &str, text: &str) -> Self {
        Self {
            channel,
            start: Some(start.to_owned()),
            end: Some(end.to_owned()),
            text: text.to_owned(),
            redacted: None,
            confidence: Some("0.95".to_owned()),
            words: words(start, end, text).unwrap_or_default(),
        }
    }
}

fn words(start: &str, end: &str, text: &str) -> Option<Vec<WordFacts>> {
    let (start, end): (f64, f64) = (start.parse().ok()?, end.parse().ok()?);
    let each = (end - start) / f64::from(u32::try_from(text.split_whitespace().count()).ok()?);
    let starts = (0_u32..).map(|at| each.mul_add(f64::from(at), start));
    let word = |(word, start): (&str, f64)| WordFacts {
        word: word.to_owned(),
        start: format!("{start:.2}"),
        end: format!("{:.2}", start + each),
    };
    Some(text.split_whitespace().zip(starts).map(word).collect())
}

/// `GET /v2/Transcripts/{GT}/Sentences`. Where redaction is on, what was really said comes only if
/// `Redacted=false` asks for it.
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
    // Words would tell what was hidden.
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
