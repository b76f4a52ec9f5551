//! Accounts, their subaccounts and their numbers (<https://www.twilio.com/docs/iam/api/account>).

use serde::Deserialize;

use super::{
    Account, RestApi, RestError, TwilioClient,
    lenient::{readable, text},
};
use crate::model::sid::AccountSid;

/// An account or subaccount at Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccountResource {
    /// The account.
    pub sid: AccountSid,
    /// `active`, `suspended`, `closed`; an open set.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
    /// The owning account; that of a main account is the account itself.
    #[serde(default, deserialize_with = "readable")]
    pub owner_account_sid: Option<AccountSid>,
}

/// A number of an account, with the URL that incoming calls request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IncomingNumber {
    /// `PN…`.
    #[serde(default, deserialize_with = "text")]
    pub sid: String,
    /// The URL that a call requests; empty or absent: none.
    #[serde(default, deserialize_with = "readable")]
    pub voice_url: Option<String>,
}

impl TwilioClient {
    /// Returns the account's resource. A standard API key may not read it.
    pub async fn account(&self, account: &Account) -> Result<AccountResource, RestError> {
        let resource: AccountResource = self.get(account, account.account_url(".json")).await?;
        if resource.sid != *account.sid() {
            return Err(RestError::Shape("the answer is about another account"));
        }
        Ok(resource)
    }

    /// Returns the subaccounts of a main account, without closed ones. A standard API key may not
    /// list them.
    pub async fn subaccounts(&self, account: &Account) -> Result<Vec<AccountResource>, RestError> {
        let url = account
            .url(RestApi::Api, "/2010-04-01/Accounts.json")
            .with("PageSize", "1000");
        let all: Vec<AccountResource> = self.all(account, url, "accounts").await?.items;
        // The owner is not always reported; a resource with another owner is left out.
        let is_its = |resource: &AccountResource| {
            resource
                .owner_account_sid
                .as_ref()
                .is_none_or(|owner| owner == account.sid())
        };
        let is_sub = |resource: &AccountResource| {
            resource.sid != *account.sid() && is_its(resource) && resource.status != "closed"
        };
        Ok(all.into_iter().filter(is_sub).collect())
    }

    /// Returns the numbers of an account.
    pub async fn incoming_numbers(
        &self,
        account: &Account,
    ) -> Result<Vec<IncomingNumber>, RestError> {
        let url = account
            .account_url("/IncomingPhoneNumbers.json")
            .with("PageSize", "1000");
        Ok(self
            .all(account, url, "incoming_phone_numbers")
            .await?
            .items)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::{Router, http::StatusCode, routing::get};
    use serde_json::json;
    use tokio::task::JoinSet;

    use super::*;
    use crate::{
        model::sid::RecordingSid,
        secret::SecretText,
        twilio::account::{AccountSettings, Accounts, TwilioSettings},
    };

    fn sid(digit: char) -> AccountSid {
        format!("AC{}", String::from(digit).repeat(32))
            .parse()
            .unwrap()
    }

    /// Starts a server with these routes, and returns a client and an account for it.
    async fn asking(routes: Router) -> (TwilioClient, Accounts, JoinSet<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_base = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let accounts = vec![AccountSettings::new(
            sid('1'),
            vec![SecretText::new("token".into())],
        )];
        let accounts = TwilioSettings {
            api_base,
            accounts,
            requests_per_s: 1000,
            ..TwilioSettings::default()
        }
        .resolve(Path::new("/"))
        .unwrap();
        (TwilioClient::new(&accounts).unwrap(), accounts, serving)
    }

    #[tokio::test]
    async fn an_account_is_the_one_that_was_asked_for() {
        let resource = |of: char| json!({ "sid": sid(of), "status": "active", "owner_account_sid": sid('1'), "friendly_name": "x", "type": "Full" });
        for (of, known) in [('1', true), ('2', false)] {
            let answer = resource(of).to_string();
            let routes = Router::new().route(
                &format!("/2010-04-01/Accounts/{}.json", sid('1')),
                get(move || async move { answer }),
            );
            let (client, accounts, _serving) = asking(routes).await;
            let asked = client.account(accounts.get(&sid('1')).unwrap()).await;
            assert_eq!(asked.is_ok(), known, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn subaccounts_are_those_that_belong_to_it_and_are_not_closed() {
        let one = |of: char, owner: char, status: &str| json!({ "sid": sid(of), "status": status, "owner_account_sid": sid(owner) });
        let all = json!({
            "accounts": [one('1', '1', "active"), one('2', '1', "active"), one('3', '1', "suspended"), one('4', '1', "closed"), one('5', '4', "active")],
            "next_page_uri": null,
        });
        let (client, accounts, _serving) = asking(Router::new().route(
            "/2010-04-01/Accounts.json",
            get(move || async move { all.to_string() }),
        ))
        .await;
        let found = client
            .subaccounts(accounts.get(&sid('1')).unwrap())
            .await
            .unwrap();
        assert_eq!(
            found.iter().map(|sub| &sub.sid).collect::<Vec<_>>(),
            [&sid('2'), &sid('3')]
        );
    }

    #[tokio::test]
    async fn a_stranger_is_turned_away_or_not() {
        let recording: RecordingSid = format!("RE{}", "1".repeat(32)).parse().unwrap();
        let path = format!(
            "/2010-04-01/Accounts/{}/Recordings/{recording}.wav",
            sid('1')
        );
        for (status, protected) in [
            (401, Some(true)),
            (403, Some(true)),
            (200, Some(false)),
            (302, Some(false)),
            (404, None),
            (500, None),
        ] {
            let answer = move |headers: axum::http::HeaderMap| async move {
                assert!(
                    !headers.contains_key("authorization"),
                    "a stranger has no credential"
                );
                StatusCode::from_u16(status).unwrap()
            };
            let (client, accounts, _serving) =
                asking(Router::new().route(&path, get(answer))).await;
            assert_eq!(
                client
                    .media_is_protected(accounts.get(&sid('1')).unwrap(), &recording)
                    .await
                    .ok(),
                protected,
                "{status}"
            );
        }
    }
}
