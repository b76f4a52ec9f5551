//! Parsing of a transcript: strict, within bounds, and without quoting its text in an error.

use std::fmt;

use super::{
    MAX_BYTES, MAX_CHARS, MAX_LOST, MAX_MS, MAX_SENTENCES, MAX_WORD_CHARS, MAX_WORDS, Said,
    Sentence, Transcript,
};
use crate::model::{json, text::is_prose};

/// Why a text is not a valid transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidTranscript {
    /// More bytes than a transcript may have.
    TooLong,
    /// Not JSON, or not of this form.
    Form {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A value is out of bounds.
    Value {
        /// The position: `sentences[3].end_ms`.
        at: String,
        /// The fault.
        why: &'static str,
    },
}

impl fmt::Display for InvalidTranscript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a transcript has at most {MAX_BYTES} bytes"),
            Self::Form { line, column } => write!(
                f,
                "line {line}, column {column}: not a transcript: send a JSON object with \
                 `language`, `source` and `sentences`, each with `text`, `start_ms`, `end_ms` \
                 and, if known, `leg`, `confidence` and `words`; with `lost` if pieces are \
                 missing; and with no other member"
            ),
            Self::Value { at, why } => write!(f, "`{at}` {why}"),
        }
    }
}

impl std::error::Error for InvalidTranscript {}

/// The parsed form, before its bounds are checked.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    language: String,
    source: String,
    sentences: Vec<Sentence>,
    /// Absent in transcripts that were written before this field existed.
    #[serde(default)]
    lost: u32,
}

pub(super) fn parse(text: &[u8]) -> Result<Transcript, InvalidTranscript> {
    if text.len() > MAX_BYTES {
        return Err(InvalidTranscript::TooLong);
    }
    // The library's own message may quote a value.
    let form: Form = json::read(text).map_err(|fault| InvalidTranscript::Form {
        line: fault.error.line(),
        column: fault.error.column(),
    })?;
    ensure(
        form.lost <= MAX_LOST,
        || "lost".into(),
        "is more than 1000000",
    )?;
    Ok(Transcript::new(form.language, form.source, form.sentences)?.with_lost(form.lost))
}

pub(super) fn check(
    language: &str,
    source: &str,
    sentences: &[Sentence],
) -> Result<(), InvalidTranscript> {
    let is_tag = matches!(language.len(), 2..=35)
        && language.split('-').all(|part| {
            matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    ensure(
        is_tag,
        || "language".into(),
        "must be a language tag, like `en` or `de-CH`",
    )?;
    let is_name = matches!(source.len(), 1..=64)
        && source
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    ensure(
        is_name,
        || "source".into(),
        "must be 1 to 64 ASCII letters, digits, `-`, `_` and `.`",
    )?;
    ensure(
        sentences.len() <= MAX_SENTENCES,
        || "sentences".into(),
        "are more than 50000",
    )?;
    for (at, sentence) in sentences.iter().enumerate() {
        let place = |field: &str| format!("sentences[{at}].{field}");
        text(&sentence.text, MAX_CHARS, || place("text"))?;
        times(sentence.start_ms, sentence.end_ms, || place("end_ms"))?;
        let is_share = sentence
            .confidence
            .is_none_or(|confidence| (0.0..=1.0).contains(&confidence));
        ensure(is_share, || place("confidence"), "must be from 0 to 1")?;
        ensure(
            sentence.words.len() <= MAX_WORDS,
            || place("words"),
            "are more than 5000",
        )?;
        for (nth, word) in sentence.words.iter().enumerate() {
            let place = |field: &str| format!("sentences[{at}].words[{nth}].{field}");
            text(&word.text, MAX_WORD_CHARS, || place("text"))?;
            times(word.start_ms, word.end_ms, || place("end_ms"))?;
        }
    }
    Ok(())
}

fn text(said: &Said, most: usize, at: impl FnOnce() -> String) -> Result<(), InvalidTranscript> {
    let said = said.expose();
    // `nth` and not `count`: an overlong text is not read to its end.
    let fits = said.chars().nth(most).is_none() && said.chars().all(is_prose);
    ensure(
        fits,
        at,
        "is too long (20000 characters a sentence, 200 a word) or holds a control character other than tab and line break",
    )
}

fn times(start: u64, end: u64, at: impl FnOnce() -> String) -> Result<(), InvalidTranscript> {
    ensure(
        start <= end && end <= MAX_MS,
        at,
        "must not be before `start_ms`, nor later than seven days",
    )
}

fn ensure(
    holds: bool,
    at: impl FnOnce() -> String,
    why: &'static str,
) -> Result<(), InvalidTranscript> {
    if holds {
        Ok(())
    } else {
        Err(InvalidTranscript::Value { at: at(), why })
    }
}
