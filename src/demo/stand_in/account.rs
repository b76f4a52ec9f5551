//! Accounts, the permissions of their credentials, and the Accounts resource.

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

/// An account at the stand-in. Its secrets are invented, so they may be shown.
#[derive(Clone, Debug)]
pub struct StandInAccount {
    /// `AC…`.
    pub sid: AccountSid,
    /// Signs callbacks, and is the password of the interface, with the SID as user.
    pub auth_token: String,
    /// SID (`SK…`) and secret of an API key for the interface.
    pub api_key: Option<(String, String)>,
    /// The parent account; its credentials give access to this one too.
    pub parent: Option<AccountSid>,
    /// The status in the Accounts resource: `active`, `suspended`, `closed`.
    pub status: String,
}

impl StandInAccount {
    /// Creates an account without an API key and without a parent.
    pub fn new(sid: AccountSid, auth_token: impl Into<String>) -> Self {
        Self {
            sid,
            auth_token: auth_token.into(),
            api_key: None,
            parent: None,
            status: "active".to_owned(),
        }
    }

    /// Creates a subaccount.
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

    /// Changes the status of an account. If it is not `active`, only the Accounts resource is
    /// accessible.
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

    /// Replaces the primary token of an account, as a promotion does: the old one is no longer
    /// valid for requests and signatures.
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

/// The sender of a request.
pub(super) struct Caller {
    /// The account of the credential.
    pub(super) account: AccountSid,
    /// Whether the credential is an API key.
    pub(super) by_key: bool,
}

/// Returns the sender of a request, by its credential.
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

/// Whether this caller has access to an account: its own, or a subaccount.
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
        // Twilio shows it to the account itself; the vault must not read it from here.
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
