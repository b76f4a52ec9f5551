//! Whether a credential opens what it is meant to open.

use serde_json::Value;

use super::{Account, Client, RestError};

impl Client {
    /// `Ok` if the account's recordings can be read with its credential. Without that, "there is no such recording" says nothing: the same answer comes
    /// for an account that is not ours.
    ///
    /// It asks for the list itself and not for the Accounts resource, which a standard API key does not open.
    pub async fn opens_recordings(&self, account: &Account) -> Result<(), RestError> {
        let mut url = account.own_url("/Recordings.json");
        url.query_pairs_mut().append_pair("PageSize", "1");
        self.page::<Value>(account, url, "recordings").await.map(drop)
    }
}
