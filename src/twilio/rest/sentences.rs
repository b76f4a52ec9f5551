//! Sentences of a transcript of Conversational Intelligence
//! (<https://www.twilio.com/docs/conversational-intelligence/api/transcript-sentence-resource>).
//!
//! INVARIANT: `Debug` shows no words.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Account, RestApi, RestError, TwilioClient, lenient::list, page::List};
use crate::{
    model::{sid::TranscriptSid, transcript::Said},
    twilio::transcription::confidence,
};

/// A sentence. Describing fields are absent if they are unreadable; an item whose text is `null` is
/// no sentence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SentenceResource {
    /// The speaker's channel, from 1.
    #[serde(default, deserialize_with = "channel")]
    pub media_channel: Option<u8>,
    /// Milliseconds from the beginning; Twilio sends seconds as a string, or nothing.
    #[serde(default, deserialize_with = "millis", rename = "start_time")]
    pub start_ms: Option<u64>,
    /// As `start_ms`.
    #[serde(default, deserialize_with = "millis", rename = "end_time")]
    pub end_ms: Option<u64>,
    /// The text.
    pub transcript: Said,
    /// 0 to 1.
    #[serde(default, deserialize_with = "share")]
    pub confidence: Option<f32>,
    /// The words with their times, if they were requested and are known. Unreadable words are left
    /// out.
    #[serde(default, deserialize_with = "list")]
    pub words: Vec<WordResource>,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct WordResource {
    /// The word.
    pub word: Said,
    /// As in the sentence.
    #[serde(default, deserialize_with = "millis", rename = "start_time")]
    pub start_ms: Option<u64>,
    /// As in the sentence.
    #[serde(default, deserialize_with = "millis", rename = "end_time")]
    pub end_ms: Option<u64>,
}

impl TwilioClient {
    /// Returns every sentence of a transcript with its words, in Twilio's order. `redacted`: with
    /// the redactions of the transcript's service, if redaction is on; otherwise the original text.
    pub async fn sentences(
        &self,
        account: &Account,
        sid: &TranscriptSid,
        redacted: bool,
    ) -> Result<List<SentenceResource>, RestError> {
        let url = account
            .url(
                RestApi::Intelligence,
                &format!("/v2/Transcripts/{sid}/Sentences"),
            )
            .with("PageSize", "1000")
            .with("WordTimestamps", "true")
            .with("Redacted", if redacted { "true" } else { "false" });
        self.all(account, url, "sentences").await
    }
}

/// Reads seconds, as a text or a number, rounded to the nearest millisecond. Anything else counts
/// as absent.
fn millis<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let seconds = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok());
    let time = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    Ok(time.and_then(|time| u64::try_from((time + Duration::from_micros(500)).as_millis()).ok()))
}

fn channel<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    Ok(number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|channel| *channel > 0))
}

fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
    Ok(confidence(Value::deserialize(deserializer)?))
}

#[cfg(test)]
mod tests;
