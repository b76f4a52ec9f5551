//! Transcripts of Conversational Intelligence (<https://www.twilio.com/docs/conversational-intelligence/api/transcript-resource>).

use serde::Deserialize;

use super::{Account, Client, RestError, Root};
use crate::model::sid::{CallSid, RecordingSid, TranscriptSid};

/// A transcript, without what was said.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TranscriptResource {
    /// Its id.
    pub sid: TranscriptSid,
    /// `queued`, `in-progress`, `completed`, `new`, `failed`, `canceled`, `error`; an open set.
    pub status: String,
}

impl Client {
    /// Every transcript of a recording, whoever asked for it: a service may transcribe each recording of the account by itself.
    pub async fn transcripts_of(&self, account: &Account, recording: &RecordingSid) -> Result<Vec<TranscriptResource>, RestError> {
        self.transcripts_from(account, recording.as_str()).await
    }

    /// Every transcript of a call, such as one that was made while it lasted.
    pub async fn transcripts_of_call(&self, account: &Account, call: &CallSid) -> Result<Vec<TranscriptResource>, RestError> {
        self.transcripts_from(account, call.as_str()).await
    }

    async fn transcripts_from(&self, account: &Account, source: &str) -> Result<Vec<TranscriptResource>, RestError> {
        let mut url = account.url(Root::Intelligence, "/v2/Transcripts");
        url.query_pairs_mut().append_pair("SourceSid", source).append_pair("PageSize", "100");
        self.all(account, Root::Intelligence, url, "transcripts").await
    }

    /// Deletes a transcript with its sentences and operator results.
    pub async fn delete_transcript(&self, account: &Account, sid: &TranscriptSid) -> Result<(), RestError> {
        self.delete(account, account.url(Root::Intelligence, &format!("/v2/Transcripts/{sid}"))).await
    }
}
