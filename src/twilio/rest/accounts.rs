//! Accounts, their subaccounts and their numbers (<https://www.twilio.com/docs/iam/api/account>).

use serde::Deserialize;

use super::{Account, Client, RestError, Root};
use crate::model::sid::AccountSid;

/// An account or subaccount as Twilio tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccountResource {
    /// The account.
    pub sid: AccountSid,
    /// `active`, `suspended`, `closed`; an open set.
    pub status: String,
    /// The account to which it belongs: of a main account, itself.
    pub owner_account_sid: AccountSid,
}

/// A number of an account, as far as it says who is asked when somebody calls it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IncomingNumber {
    /// `PN…`.
    pub sid: String,
    /// Where a call asks what to do; empty or absent: nowhere.
    #[serde(default)]
    pub voice_url: Option<String>,
}

impl Client {
    /// The account itself. A standard API key may not read it, though it may everything else.
    pub async fn account(&self, account: &Account) -> Result<AccountResource, RestError> {
        let resource: AccountResource = self.get(account, account.own_url(".json")).await?;
        if resource.sid != *account.sid() {
            return Err(RestError::Shape("the account is another one"));
        }
        Ok(resource)
    }

    /// The subaccounts of a main account, closed ones left out. A standard API key may not list them.
    pub async fn subaccounts(&self, account: &Account) -> Result<Vec<AccountResource>, RestError> {
        let mut url = account.url(Root::Api, "/2010-04-01/Accounts.json");
        url.query_pairs_mut().append_pair("PageSize", "1000");
        let all: Vec<AccountResource> = self.all(account, Root::Api, url, "accounts").await?;
        let is_sub = |resource: &AccountResource| {
            resource.sid != *account.sid() && resource.owner_account_sid == *account.sid() && resource.status != "closed"
        };
        Ok(all.into_iter().filter(is_sub).collect())
    }

    /// The numbers of an account.
    pub async fn incoming_numbers(&self, account: &Account) -> Result<Vec<IncomingNumber>, RestError> {
        let mut url = account.own_url("/IncomingPhoneNumbers.json");
        url.query_pairs_mut().append_pair("PageSize", "1000");
        self.all(account, Root::Api, url, "incoming_phone_numbers").await
    }
}
