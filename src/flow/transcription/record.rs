//! Transcriptions of `<Record transcribe="true">`: one text for the whole recording.

use super::{
    Found, QUEUED, Stop,
    filing::rank::supersedes,
    source::TranscriptSource,
    text::{cut, language},
};
use crate::{
    db::transcripts::LeasedTranscript,
    model::{
        sid::TranscriptionSid,
        transcript::{MAX_CHARS, MAX_MS, Sentence, Transcript},
    },
    twilio::{Account, Accounts, RestError},
};

/// The name of the transcriber.
const SOURCE: &str = "twilio-record";
/// The only language that it supports.
const LANGUAGE: &str = "en-US";

impl TranscriptSource {
    pub(super) async fn of_record(
        &self,
        lease: &mut LeasedTranscript,
        accounts: &Accounts,
        account: &Account,
        sid: &TranscriptionSid,
    ) -> Result<Found, Stop> {
        let told = match self.twilio.client.transcription(account, sid).await {
            Err(RestError::NotFound) => return Err(self.missing(sid.as_str()).await?),
            told => told?,
        };
        match told.status.as_str() {
            "completed" => {}
            "failed" => {
                return Err(Stop::Dead(
                    "twilio reports the transcription as `failed`".to_owned(),
                ));
            }
            _ => {
                return Err(Stop::Wait {
                    why: "twilio has not finished the transcription".to_owned(),
                    most: QUEUED,
                });
            }
        }
        // The REST answer takes precedence over the callback.
        let source = told.recording_sid.or_else(|| lease.source.clone());
        let source = source.ok_or_else(|| {
            Stop::Dead("twilio does not name the recording of the transcription".to_owned())
        })?;
        let recording = self.place(lease, accounts, account, &source).await?;
        if supersedes(&self.db, &recording, lease)
            .await
            .map_err(super::Error::from)?
        {
            return Err(Stop::Superseded);
        }
        let seconds = recording
            .duration_s
            .or(told.duration)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or_default();
        let leg = self.legs(&recording).await?.alone();
        let said = told
            .transcription_text
            .iter()
            .filter(|said| !said.expose().trim().is_empty());
        let sentence = said.map(|said| Sentence {
            leg: leg.clone(),
            start_ms: 0,
            end_ms: seconds.saturating_mul(1000).min(MAX_MS),
            text: cut(said, MAX_CHARS),
            confidence: None,
            words: Vec::new(),
        });
        let transcript = Transcript::new(
            language(Some(LANGUAGE.to_owned())),
            SOURCE.to_owned(),
            sentence.collect(),
        );
        let transcript =
            transcript.map_err(|fault| Stop::Dead(format!("it is no transcript: {fault}")))?;
        Ok(Found {
            recording,
            transcript,
            pieces: 0,
        })
    }
}
