//! Transcriptions of `<Record transcribe="true">`
//! (<https://www.twilio.com/docs/voice/api/recording-transcription>).

use serde::Deserialize;

use super::{
    Account, RestError, TwilioClient,
    deletion::Deletion,
    lenient::{number, or_default, readable, text},
    page::List,
};
use crate::model::{
    sid::{RecordingSid, TranscriptionSid},
    transcript::Said,
};

/// A transcription.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TranscriptionResource {
    /// Its id.
    pub sid: TranscriptionSid,
    /// `in-progress`, `completed`, `failed`; an open set.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
    /// The transcribed recording.
    #[serde(default, deserialize_with = "readable")]
    pub recording_sid: Option<RecordingSid>,
    /// Whole seconds that were transcribed.
    #[serde(default, deserialize_with = "number")]
    pub duration: Option<i64>,
    /// The whole text; absent until it is completed.
    #[serde(default, deserialize_with = "or_default")]
    pub transcription_text: Option<Said>,
}

impl TwilioClient {
    /// Returns every transcription of a recording.
    pub async fn transcriptions_of(
        &self,
        account: &Account,
        recording: &RecordingSid,
    ) -> Result<List<TranscriptionResource>, RestError> {
        let url = account
            .account_url(&format!("/Recordings/{recording}/Transcriptions.json"))
            .with("PageSize", "100");
        self.all(account, url, "transcriptions").await
    }

    /// Returns one transcription.
    pub async fn transcription(
        &self,
        account: &Account,
        sid: &TranscriptionSid,
    ) -> Result<TranscriptionResource, RestError> {
        let found: TranscriptionResource = self
            .get(
                account,
                account.account_url(&format!("/Transcriptions/{sid}.json")),
            )
            .await?;
        if found.sid == *sid {
            Ok(found)
        } else {
            Err(RestError::Shape(
                "the answer is about another transcription",
            ))
        }
    }

    /// Deletes a transcription.
    pub async fn delete_transcription(
        &self,
        account: &Account,
        sid: &TranscriptionSid,
    ) -> Result<Deletion, RestError> {
        self.remove(
            account,
            account.account_url(&format!("/Transcriptions/{sid}.json")),
        )
        .await
    }
}
