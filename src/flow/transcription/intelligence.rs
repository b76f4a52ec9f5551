//! Transcripts of Conversational Intelligence: fetched with all their sentences, and converted to
//! the vault's format.

use super::{
    Found, QUEUED, Stop,
    filing::rank::supersedes,
    legs::Legs,
    place::standing,
    real_time::best,
    source::TranscriptSource,
    text::{cut, language},
};
use crate::{
    db::transcripts::LeasedTranscript,
    model::{
        recording::Recording,
        sid::{CallSid, RecordingSid, TranscriptSid},
        transcript::{
            MAX_CHARS, MAX_MS, MAX_WORD_CHARS, MAX_WORDS, Sentence, SpokenWord, Transcript,
        },
    },
    twilio::{Account, Accounts, RestError, SentenceResource, rest::TranscriptResource},
};

/// The name of the transcriber.
const SOURCE: &str = "twilio-intelligence";

impl TranscriptSource {
    pub(super) async fn of_intelligence(
        &self,
        lease: &mut LeasedTranscript,
        accounts: &Accounts,
        account: &Account,
        sid: &TranscriptSid,
    ) -> Result<Found, Stop> {
        let told = match self.twilio.client.transcript(account, sid).await {
            // The webhook may arrive before the transcript can be read.
            Err(RestError::NotFound) => return Err(self.missing(sid.as_str()).await?),
            told => told?,
        };
        is_ready(&told)?;
        let (recording, shift_ms) = self.source_of(lease, accounts, account, &told).await?;
        if supersedes(&self.db, &recording, lease)
            .await
            .map_err(super::Error::from)?
        {
            return Err(Stop::Superseded);
        }
        let sentences = self
            .twilio
            .client
            .sentences(account, sid, accounts.fetch_redacted())
            .await?;
        let legs = self.legs(&recording).await?;
        // Unreadable sentences are only counted.
        let lost = u32::try_from(sentences.unreadable).unwrap_or(u32::MAX);
        let sentences = sentences_of(sentences.items, &legs, shift_ms);
        let transcript =
            Transcript::new(language(told.language_code), SOURCE.to_owned(), sentences);
        let transcript = transcript
            .map(|transcript| transcript.with_lost(lost))
            .map_err(|fault| Stop::Dead(format!("it is no transcript: {fault}")))?;
        Ok(Found {
            recording,
            transcript,
            pieces: 0,
        })
    }

    /// Returns the source recording, and by how many milliseconds the transcript's times must be
    /// shifted.
    async fn source_of(
        &self,
        lease: &mut LeasedTranscript,
        accounts: &Accounts,
        account: &Account,
        told: &TranscriptResource,
    ) -> Result<(Recording, i64), Stop> {
        let made_from = &told.channel.media_properties;
        let sid = match (
            &made_from.source_sid,
            made_from.source.as_deref(),
            &lease.source,
        ) {
            (Some(sid), ..) => sid,
            // It was found in the list of this recording's transcripts.
            (None, None | Some("Recording"), Some(listed)) => listed.as_str(),
            // These kinds have a SID, which may be reported later.
            (None, None | Some("Recording" | "Call"), _) => {
                return Err(Stop::Wait {
                    why: "twilio does not name the source of the transcript".to_owned(),
                    most: QUEUED,
                });
            }
            (None, Some(_), _) => "",
        };
        if let Ok(source) = sid.parse::<RecordingSid>() {
            return Ok((self.place(lease, accounts, account, &source).await?, 0));
        }
        if let Ok(call) = sid.parse::<CallSid>() {
            let all = self.of_call(accounts, account, &call).await?;
            let began = told.media_start_time;
            let recording = best(all, began.map(|began| (began, began)))
                .ok_or_else(|| super::wait(accounts, "its call has no recording"))?;
            lease.source = recording.source_ref.recording_sid().ok();
            let recording = standing(recording, accounts)?;
            // Its times count from its own beginning; those of a stored transcript count from the
            // beginning of the recording.
            let shift = began
                .zip(recording.started_at)
                .map(|(began, started)| began.as_millis().saturating_sub(started.as_millis()));
            return Ok((recording, shift.unwrap_or_default()));
        }
        // The URL of an external recording may contain personal data; the kind does not.
        Err(Stop::Dead(
            "its source is not a recording of this account".to_owned(),
        ))
    }
}

fn is_ready(told: &TranscriptResource) -> Result<(), Stop> {
    if told.encryption_credential_sid.is_some() {
        return Err(Stop::Dead(
            "its sentences are encrypted with a credential of the account \
             (`encryption_credential_sid`), in an undocumented format; file it through `PUT \
             /v1/recordings/{id}/transcript`"
                .to_owned(),
        ));
    }
    match told.status.as_str() {
        "completed" => Ok(()),
        word @ ("failed" | "canceled" | "error") => Err(Stop::Dead(format!(
            "twilio reports the transcript as `{word}`"
        ))),
        // `queued`, `in-progress`, `new`, and unknown statuses.
        _ => Err(Stop::Wait {
            why: "twilio has not finished the transcript".to_owned(),
            most: QUEUED,
        }),
    }
}

/// Converts sentences to the vault's format. A missing time is taken from the previous one; an end
/// is not before its beginning; words that are too many or too long are cut.
pub(super) fn sentences_of(
    told: Vec<SentenceResource>,
    legs: &Legs,
    shift_ms: i64,
) -> Vec<Sentence> {
    let mut before = 0;
    let moved = |ms: u64| ms.saturating_add_signed(shift_ms).min(MAX_MS);
    told.into_iter()
        .map(|told| {
            let start_ms = told.start_ms.map_or(before, moved);
            let end_ms = told.end_ms.map_or(start_ms, moved).max(start_ms);
            before = end_ms;
            let mut word_before = start_ms;
            let words = told.words.into_iter().take(MAX_WORDS).map(|word| {
                let start_ms = word.start_ms.map_or(word_before, moved);
                let end_ms = word.end_ms.map_or(start_ms, moved).max(start_ms);
                word_before = end_ms;
                SpokenWord {
                    text: cut(&word.word, MAX_WORD_CHARS),
                    start_ms,
                    end_ms,
                }
            });
            Sentence {
                leg: told.media_channel.map(|channel| legs.on_channel(channel)),
                start_ms,
                end_ms,
                words: words.collect(),
                text: cut(&told.transcript, MAX_CHARS),
                confidence: told.confidence,
            }
        })
        .collect()
}
