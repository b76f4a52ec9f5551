//! Transcripts of Conversational Intelligence
//! (<https://www.twilio.com/docs/conversational-intelligence/api/transcript-resource>).

use serde::Deserialize;

use super::{
    Account, RestApi, RestError, TwilioClient,
    deletion::Deletion,
    lenient::{or_default, readable, rfc3339, text},
    page::List,
};
use crate::model::{
    sid::{AccountSid, CallSid, RecordingSid, TranscriptSid},
    time::Timestamp,
};

/// A transcript, without its text.
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
    /// The source of the transcript.
    #[serde(default, deserialize_with = "or_default")]
    pub channel: Channel,
    /// `en-US`…
    #[serde(default, deserialize_with = "readable")]
    pub language_code: Option<String>,
    /// The beginning of the conversation, if the requester stated it.
    #[serde(default, deserialize_with = "rfc3339")]
    pub media_start_time: Option<Timestamp>,
    /// `CR…`: its sentences are encrypted with the customer's key, in an undocumented form.
    #[serde(default, deserialize_with = "readable")]
    pub encryption_credential_sid: Option<String>,
}

/// The source of a transcript. Its participants are not read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Channel {
    /// The location of the audio.
    #[serde(default, deserialize_with = "or_default")]
    pub media_properties: MediaProperties,
}

/// The location of a transcript's audio.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct MediaProperties {
    /// `Recording`, `ExternalRecording`, `Call`, `Conversation`, `ConversationRelay`; an open set.
    #[serde(default, deserialize_with = "readable")]
    pub source: Option<String>,
    /// `RE…` or `CA…`, depending on the source.
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
    /// Returns every transcript of a recording, whoever requested it: a service may transcribe each
    /// recording of the account automatically.
    pub async fn transcripts_of(
        &self,
        account: &Account,
        recording: &RecordingSid,
    ) -> Result<List<TranscriptResource>, RestError> {
        self.transcripts_from(account, recording.as_str()).await
    }

    /// Returns every transcript of a call, such as one that was made during the call.
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

    /// Returns one transcript.
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
    ) -> Result<Deletion, RestError> {
        self.remove(
            account,
            account.url(RestApi::Intelligence, &format!("/v2/Transcripts/{sid}")),
        )
        .await
    }
}
