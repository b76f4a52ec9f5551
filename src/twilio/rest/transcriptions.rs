//! Transcriptions of `<Record transcribe="true">` (<https://www.twilio.com/docs/voice/api/recording-transcription>).

use serde::Deserialize;

use super::{Account, Client, RestError, Root};
use crate::model::sid::{RecordingSid, TranscriptionSid};

/// A transcription, without what was said.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TranscriptionResource {
    /// Its id.
    pub sid: TranscriptionSid,
    /// `in-progress`, `completed`, `failed`; an open set.
    pub status: String,
}

impl Client {
    /// Every transcription of a recording.
    pub async fn transcriptions_of(&self, account: &Account, recording: &RecordingSid) -> Result<Vec<TranscriptionResource>, RestError> {
        let mut url = account.own_url(&format!("/Recordings/{recording}/Transcriptions.json"));
        url.query_pairs_mut().append_pair("PageSize", "100");
        self.all(account, Root::Api, url, "transcriptions").await
    }

    /// Deletes a transcription.
    pub async fn delete_transcription(&self, account: &Account, sid: &TranscriptionSid) -> Result<(), RestError> {
        self.delete(account, account.own_url(&format!("/Transcriptions/{sid}.json"))).await
    }
}
