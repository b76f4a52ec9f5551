//! Results of add-ons: what other companies made of a recording (<https://www.twilio.com/docs/voice/api/recording-addonresult-resource>).

use serde::Deserialize;

use super::{Account, Client, RestError, Root};
use crate::model::sid::{AddOnResultSid, RecordingSid};

/// The result of an add-on, without what it says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AddOnResource {
    /// Its id.
    pub sid: AddOnResultSid,
    /// `init`, `processing`, `completed`, `failed`...; an open set.
    pub status: String,
}

impl Client {
    /// Every add-on result of a recording.
    pub async fn add_ons_of(&self, account: &Account, recording: &RecordingSid) -> Result<Vec<AddOnResource>, RestError> {
        let mut url = account.own_url(&format!("/Recordings/{recording}/AddOnResults.json"));
        url.query_pairs_mut().append_pair("PageSize", "100");
        self.all(account, Root::Api, url, "add_on_results").await
    }

    /// Deletes an add-on result. That its payloads go with it is not documented in so many words; they have no address but below it.
    pub async fn delete_add_on(&self, account: &Account, recording: &RecordingSid, sid: &AddOnResultSid) -> Result<(), RestError> {
        self.delete(account, account.own_url(&format!("/Recordings/{recording}/AddOnResults/{sid}.json"))).await
    }
}
