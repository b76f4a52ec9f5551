//! The transcript of a recording: one form, whatever system made it.
//!
//! Owns the permitted content of a transcript, its parsing from JSON, and its output as JSON and
//! WebVTT. Refuses to know its author and the meaning of the words.
//!
//! INVARIANT: a [`Transcript`] is within its bounds, and its sentences are ordered by their
//! beginning. Its text is never printed by `Debug` or in an error.

mod join;
mod read;
mod vtt;
mod written;

use std::{collections::BTreeSet, fmt};

use zeroize::ZeroizeOnDrop;

pub use self::read::InvalidTranscript;
use super::name::LegName;
use crate::secret::SecretBuffer;

/// The maximum length in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most sentences.
pub const MAX_SENTENCES: usize = 50_000;
/// Most characters of one sentence.
pub const MAX_CHARS: usize = 20_000;
/// Most words of one sentence.
pub const MAX_WORDS: usize = 5_000;
/// Most characters of one word.
pub const MAX_WORD_CHARS: usize = 200;
/// No sentence ends later: seven days, in milliseconds.
pub const MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// A spoken text. Zeroed when it is dropped.
#[derive(Clone, Default, PartialEq, Eq, ZeroizeOnDrop, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Said(String);

impl Said {
    /// Takes over the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, for authorised use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(…)")
    }
}

/// One word and its time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpokenWord {
    /// The word; at most [`MAX_WORD_CHARS`] characters.
    pub text: Said,
    /// Milliseconds from the beginning of the recording.
    pub start_ms: u64,
    /// Milliseconds, not before `start_ms`.
    pub end_ms: u64,
}

/// An uninterrupted utterance of one party.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    /// The speaker, by their leg of the conversation (`caller`) or their channel (`channel-1`), if
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<LegName>,
    /// Milliseconds from the beginning of the recording.
    pub start_ms: u64,
    /// Milliseconds, not before `start_ms` and at most [`MAX_MS`].
    pub end_ms: u64,
    /// The text; at most [`MAX_CHARS`] characters.
    pub text: Said,
    /// The confidence of the speech recognition, 0 to 1, if it reports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// The same word by word, if available; at most [`MAX_WORDS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<SpokenWord>,
}

/// A whole transcript.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Transcript {
    language: String,
    source: String,
    sentences: Vec<Sentence>,
    #[serde(skip_serializing_if = "is_none")]
    lost: u32,
}

/// The maximum number of missing pieces.
pub const MAX_LOST: u32 = 1_000_000;

const fn is_none(lost: &u32) -> bool {
    *lost == 0
}

impl Transcript {
    /// Reads JSON:
    ///
    /// ```json
    /// { "language": "en-US", "source": "example-1", "sentences": [
    ///     { "leg": "caller", "start_ms": 0, "end_ms": 900, "text": "Hello.", "confidence": 0.9,
    ///       "words": [{ "text": "Hello.", "start_ms": 0, "end_ms": 900 }] } ],
    ///   "lost": 2 }
    /// ```
    ///
    /// `lost` may be omitted: no piece is then known to be missing.
    ///
    /// # Errors
    /// [`InvalidTranscript`] names the position, and never quotes the text.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidTranscript> {
        read::parse(json)
    }

    /// Creates a transcript. `language` is a tag of BCP 47, `source` a short name of the
    /// transcribing system.
    ///
    /// # Errors
    /// [`InvalidTranscript`], as from [`Self::parse`].
    pub fn new(
        language: String,
        source: String,
        mut sentences: Vec<Sentence>,
    ) -> Result<Self, InvalidTranscript> {
        read::check(&language, &source, &sentences)?;
        // Stable: sentences with the same beginning keep their order. WebVTT requires cues in this
        // order.
        sentences.sort_by_key(|sentence| sentence.start_ms);
        Ok(Self {
            language,
            source,
            sentences,
            lost: 0,
        })
    }

    /// Returns the same transcript with this number of missing pieces; at most [`MAX_LOST`].
    #[must_use]
    pub fn with_lost(self, pieces: u32) -> Self {
        Self {
            lost: pieces.min(MAX_LOST),
            ..self
        }
    }

    /// Returns how many pieces are known to be missing: the source numbered them, and they never
    /// arrived. Their positions are unknown.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Returns the sentences, ordered by their beginning.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// The language, as a tag of BCP 47.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Returns the name of the transcribing system.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the same transcript with other texts, for redaction: lengths in characters must not
    /// grow.
    pub fn retold(&self, mut retell: impl FnMut(usize, &Sentence) -> (Said, Vec<Said>)) -> Self {
        let retold = self.sentences.iter().enumerate().map(|(at, sentence)| {
            let (text, words) = retell(at, sentence);
            let words = words
                .into_iter()
                .zip(&sentence.words)
                .map(|(text, word)| SpokenWord { text, ..*word });
            Sentence {
                leg: sentence.leg.clone(),
                text,
                words: words.collect(),
                ..*sentence
            }
        });
        Self {
            language: self.language.clone(),
            source: self.source.clone(),
            sentences: retold.collect(),
            lost: self.lost,
        }
    }

    /// Returns it as JSON; [`Self::parse`] restores the same transcript.
    pub fn to_json(&self) -> SecretBuffer {
        SecretBuffer::json(self).expect("texts and finite numbers have a JSON form")
    }

    /// Returns it as JSON for a reader, with the kinds of content that were redacted in it, if any
    /// were.
    pub fn to_json_redacted(&self, redacted: &BTreeSet<&'static str>) -> SecretBuffer {
        #[derive(serde::Serialize)]
        struct Noted<'a> {
            #[serde(flatten)]
            transcript: &'a Transcript,
            redacted: &'a BTreeSet<&'static str>,
        }
        if redacted.is_empty() {
            return self.to_json();
        }
        SecretBuffer::json(&Noted {
            transcript: self,
            redacted,
        })
        .expect("texts and finite numbers have a JSON form")
    }

    /// Returns it as WebVTT (<https://www.w3.org/TR/webvtt1/>): a cue for each sentence, with the
    /// speaker as its voice, and a note of the kinds of content that were redacted in it.
    pub fn to_vtt(&self, redacted: &BTreeSet<&'static str>) -> SecretBuffer {
        vtt::write(self, redacted)
    }
}

#[cfg(test)]
mod tests;
