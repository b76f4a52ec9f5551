//! Results of add-ons: data that other companies derived from a recording
//! (<https://www.twilio.com/docs/voice/api/recording-addonresult-resource>).

use serde::Deserialize;

use super::{Account, RestError, TwilioClient, deletion::Deletion, lenient::text, page::List};
use crate::model::sid::{AddOnResultSid, RecordingSid};

/// The result of an add-on, without its payloads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AddOnResource {
    /// Its id.
    pub sid: AddOnResultSid,
    /// `init`, `processing`, `completed`, `failed`...; an open set.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
}

impl TwilioClient {
    /// Returns every add-on result of a recording.
    pub async fn add_ons_of(
        &self,
        account: &Account,
        recording: &RecordingSid,
    ) -> Result<List<AddOnResource>, RestError> {
        let url = account
            .account_url(&format!("/Recordings/{recording}/AddOnResults.json"))
            .with("PageSize", "100");
        self.all(account, url, "add_on_results").await
    }

    /// Deletes an add-on result. Twilio does not document explicitly that its payloads are deleted
    /// with it; they only have addresses below it.
    pub async fn delete_add_on(
        &self,
        account: &Account,
        recording: &RecordingSid,
        sid: &AddOnResultSid,
    ) -> Result<Deletion, RestError> {
        self.remove(
            account,
            account.account_url(&format!("/Recordings/{recording}/AddOnResults/{sid}.json")),
        )
        .await
    }
}
