//! Transcripts of Conversational Intelligence
//! (<https://www.twilio.com/docs/conversational-intelligence/api/transcript-resource>).

use serde::Deserialize;

use super::{
    Account, RestApi, RestError, TwilioClient,
    lenient::{or_default, readable, rfc3339, text},
    page::List,
};
use crate::model::{
    sid::{AccountSid, CallSid, RecordingSid, TranscriptSid},
    time::Timestamp,
};

/// A transcript, without what was said.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TranscriptResource {
    /// Its id.
    pub sid: TranscriptSid,
    /// `queued`, `in-progress`, `completed`, `new`, `failed`, `canceled`, `error`; an open set.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
    /// The account or subaccount.
    #[serde(default, deserialize_with = "readable")]
    pub account_sid: Option<AccountSid>,
    /// What it was made from.
    #[serde(default, deserialize_with = "or_default")]
    pub channel: Channel,
    /// `en-US`…
    #[serde(default, deserialize_with = "readable")]
    pub language_code: Option<String>,
    /// When the conversation began, where whoever asked for it said so.
    #[serde(default, deserialize_with = "rfc3339")]
    pub media_start_time: Option<Timestamp>,
    /// `CR…`: its sentences are encrypted with the customer's key, in a form that is not
    /// documented.
    #[serde(default, deserialize_with = "readable")]
    pub encryption_credential_sid: Option<String>,
}

/// What a transcript was made from. Who took part is not read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Channel {
    /// Where the sound was.
    #[serde(default, deserialize_with = "or_default")]
    pub media_properties: MediaProperties,
}

/// Where the sound of a transcript was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct MediaProperties {
    /// `Recording`, `ExternalRecording`, `Call`, `Conversation`, `ConversationRelay`; an open set.
    #[serde(default, deserialize_with = "readable")]
    pub source: Option<String>,
    /// `RE…` or `CA…`, by the source.
    #[serde(default, deserialize_with = "readable")]
    pub source_sid: Option<String>,
}

impl TranscriptResource {
    pub(super) fn is_of(&self, account: &Account) -> bool {
        self.account_sid
            .as_ref()
            .is_none_or(|of| of == account.sid())
    }
}

impl TwilioClient {
    /// Every transcript of a recording, whoever asked for it: a service may transcribe each
    /// recording of the account by itself.
    pub async fn transcripts_of(
        &self,
        account: &Account,
        recording: &RecordingSid,
    ) -> Result<List<TranscriptResource>, RestError> {
        self.transcripts_from(account, recording.as_str()).await
    }

    /// Every transcript of a call, such as one that was made while it lasted.
    pub async fn transcripts_of_call(
        &self,
        account: &Account,
        call: &CallSid,
    ) -> Result<List<TranscriptResource>, RestError> {
        self.transcripts_from(account, call.as_str()).await
    }

    async fn transcripts_from(
        &self,
        account: &Account,
        source: &str,
    ) -> Result<List<TranscriptResource>, RestError> {
        let url = account
            .url(RestApi::Intelligence, "/v2/Transcripts")
            .with("SourceSid", source)
            .with("PageSize", "100");
        let found: List<TranscriptResource> = self.all(account, url, "transcripts").await?;
        if found
            .items
            .iter()
            .all(|transcript| transcript.is_of(account))
        {
            Ok(found)
        } else {
            // The credential is another account's, so an empty list does not prove that this account
            // has no transcripts.
            Err(RestError::Shape("a transcript is of another account"))
        }
    }

    /// One transcript.
    pub async fn transcript(
        &self,
        account: &Account,
        sid: &TranscriptSid,
    ) -> Result<TranscriptResource, RestError> {
        let found: TranscriptResource = self
            .get(
                account,
                account.url(RestApi::Intelligence, &format!("/v2/Transcripts/{sid}")),
            )
            .await?;
        if found.sid == *sid && found.is_of(account) {
            Ok(found)
        } else {
            Err(RestError::Shape("the answer is about another transcript"))
        }
    }

    /// Deletes a transcript with its sentences and operator results.
    pub async fn delete_transcript(
        &self,
        account: &Account,
        sid: &TranscriptSid,
    ) -> Result<(), RestError> {
        self.delete(
            account,
            account.url(RestApi::Intelligence, &format!("/v2/Transcripts/{sid}")),
        )
        .await
    }
}
