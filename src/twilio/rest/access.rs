//! Checks that a credential gives access to its account.
//!
//! Without this check, "not found" proves nothing: a request for another account, or for a product
//! that the account lacks, has the same answer.

use serde_json::Value;

use super::{
    Account, RestApi, RestError, TwilioClient, page::Pages, transcripts::TranscriptResource,
};

impl TwilioClient {
    /// Returns `Ok` if the account's recordings can be read with its credential.
    ///
    /// Requests the list itself and not the Accounts resource, which a standard API key may not
    /// read.
    pub async fn opens_recordings(&self, account: &Account) -> Result<(), RestError> {
        let list = account
            .account_url("/Recordings.json")
            .with("PageSize", "1");
        Pages::<Value>::new(list, "recordings")
            .next(self, account)
            .await
            .map(drop)
    }

    /// Returns `Ok` if the account's messages can be read with its credential.
    pub async fn opens_messages(&self, account: &Account) -> Result<(), RestError> {
        let list = account.account_url("/Messages.json").with("PageSize", "1");
        Pages::<Value>::new(list, "messages")
            .next(self, account)
            .await
            .map(drop)
    }

    /// Returns `Ok` if the account's transcripts of Conversational Intelligence can be read with
    /// its own credential.
    pub async fn opens_transcripts(&self, account: &Account) -> Result<(), RestError> {
        let list = account
            .url(RestApi::Intelligence, "/v2/Transcripts")
            .with("PageSize", "1");
        let page = Pages::<TranscriptResource>::new(list, "transcripts")
            .next(self, account)
            .await?;
        if page.is_some_and(|page| {
            page.items
                .iter()
                .any(|transcript| !transcript.is_of(account))
        }) {
            return Err(RestError::Shape("the transcripts are of another account"));
        }
        Ok(())
    }
}
