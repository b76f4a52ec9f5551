//! Accounts, who may ask for what is theirs, and the Accounts resource.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    StandIn, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    page::{self, FormPairs},
};
use crate::model::sid::AccountSid;

/// An account at the stand-in. Its secrets are made up, so they may be seen.
#[derive(Clone, Debug)]
pub struct StandInAccount {
    /// `AC…`.
    pub sid: AccountSid,
    /// Signs callbacks, and opens the interface with the SID as user.
    pub auth_token: String,
    /// SID (`SK…`) and secret of a key that opens the interface as well.
    pub api_key: Option<(String, String)>,
    /// The account that this one is a subaccount of; its credentials open this one too.
    pub parent: Option<AccountSid>,
    /// As the Accounts resource says: `active`, `suspended`, `closed`.
    pub status: String,
}

impl StandInAccount {
    /// An account without an API key and without a parent.
    pub fn new(sid: AccountSid, auth_token: impl Into<String>) -> Self {
        Self {
            sid,
            auth_token: auth_token.into(),
            api_key: None,
            parent: None,
            status: "active".to_owned(),
        }
    }

    /// A subaccount.
    pub fn below(parent: &AccountSid, sid: AccountSid, auth_token: impl Into<String>) -> Self {
        Self {
            parent: Some(parent.clone()),
            ..Self::new(sid, auth_token)
        }
    }
}

impl StandIn {
    /// Adds an account while the stand-in runs.
    pub fn add_account(&self, account: StandInAccount) {
        self.world.accounts().push(account);
    }

    /// Gives an account another status: of one that is not `active`, nothing but the Accounts
    /// resource can be had.
    pub fn set_account_status(&self, account: &AccountSid, status: &str) {
        if let Some(account) = self
            .world
            .accounts()
            .iter_mut()
            .find(|held| held.sid == *account)
        {
            status.clone_into(&mut account.status);
        }
    }

    /// Puts another primary token in the place of an account's, as a promotion does: the old one
    /// opens and signs nothing any more.
    pub fn promote_token(&self, account: &AccountSid, token: impl Into<String>) {
        if let Some(account) = self
            .world
            .accounts()
            .iter_mut()
            .find(|held| held.sid == *account)
        {
            account.auth_token = token.into();
        }
    }
}

/// Who asks.
pub(super) struct Caller {
    /// The account that the credential is of.
    pub(super) account: AccountSid,
    /// Whether it is an API key.
    pub(super) by_key: bool,
}

/// Whose credential a request carries.
pub(super) fn caller(world: &World, headers: &HeaderMap) -> Option<Caller> {
    let given = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes)?;
    let is = |user: &str, password: &str| {
        given == format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).as_bytes()
    };
    world.accounts().iter().find_map(|account| {
        let by_key = account
            .api_key
            .as_ref()
            .is_some_and(|(sid, secret)| is(sid, secret));
        (by_key || is(account.sid.as_str(), &account.auth_token)).then(|| Caller {
            account: account.sid.clone(),
            by_key,
        })
    })
}

/// Whether this caller may ask for what is this account's: its own, or a subaccount's.
pub(super) fn may_open(world: &World, caller: &Caller, account: &str) -> bool {
    world.account(account).is_some_and(|account| {
        account.sid == caller.account || account.parent.as_ref() == Some(&caller.account)
    })
}

/// `GET /2010-04-01/Accounts/{AC}.json`.
pub(super) fn one(world: &World, account: &AccountSid) -> Result<StandInAnswer, Refused> {
    let account = world
        .account(account.as_str())
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(resource(world, &account)))
}

/// `GET /2010-04-01/Accounts.json`: the account itself and its subaccounts.
pub(super) fn list(
    world: &World,
    caller: &AccountSid,
    path: &str,
    query: &FormPairs,
) -> Result<StandInAnswer, Refused> {
    let accounts: Vec<StandInAccount> = world.accounts().clone();
    let status = query.get("Status");
    let items = accounts
        .into_iter()
        .filter(|account| account.sid == *caller || account.parent.as_ref() == Some(caller))
        .filter(|account| status.is_none_or(|status| account.status == status))
        .map(|account| (account.sid.to_string(), account))
        .collect();
    page::of_2010(items, "accounts", path, query, |account| {
        resource(world, account)
    })
}

fn resource(world: &World, account: &StandInAccount) -> Value {
    let uri = format!("/2010-04-01/Accounts/{}", account.sid);
    json!({
        // Twilio shows it to the account itself; nobody should read it from here.
        "auth_token": null,
        "date_created": rfc2822(world.hours.at_first()),
        "date_updated": rfc2822(world.hours.at_first()),
        "friendly_name": format!("Account {}", account.sid),
        "owner_account_sid": account.parent.as_ref().unwrap_or(&account.sid),
        "sid": account.sid,
        "status": account.status,
        "subresource_uris": {
            "calls": format!("{uri}/Calls.json"),
            "conferences": format!("{uri}/Conferences.json"),
            "incoming_phone_numbers": format!("{uri}/IncomingPhoneNumbers.json"),
            "recordings": format!("{uri}/Recordings.json"),
            "transcriptions": format!("{uri}/Transcriptions.json"),
        },
        "type": "Full",
        "uri": format!("{uri}.json"),
    })
}
