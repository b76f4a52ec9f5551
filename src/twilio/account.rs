//! The configured Twilio accounts, and access to their interface.
//!
//! Owns the parts of an account: the auth tokens that check signatures, the credential for
//! requests, the permitted hosts, and the handling of its recordings at Twilio. INVARIANT: an
//! [`Account`] has at least one auth token, and no secret in it is empty.

mod buckets;
mod connect;
mod encryption_keys;
mod faults;
mod network;
mod parents;
mod products;
mod reconcile;
mod settings;
mod shared_keys;
mod transcripts;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use url::{Host, Url};

pub use self::{
    buckets::BucketSettings,
    connect::{Connect, ConsentSettings},
    encryption_keys::EncryptionKeySettings,
    faults::SettingFault,
    products::ProductSettings,
    reconcile::{ReconcilePlan, ReconcileSettings},
    settings::{AccountSettings, DeleteSource, TwilioSettings},
    shared_keys::{Algorithm, SharedKeySettings},
    transcripts::TranscriptSettings,
};
pub(super) use self::{products::ProductBases, shared_keys::SharedKey};
use super::{bucket::Bucket, encryption::EncryptionKeys, rate_limit::ClientLimits};
use crate::{
    model::sid::{AccountSid, ApiKeySid},
    secret::SecretText,
};

/// All accounts, ready for use, and the limits of requests.
#[derive(Debug)]
pub struct Accounts {
    accounts: Vec<Account>,
    connect: Option<Connect>,
    pub(super) limits: ClientLimits,
    transcripts: TranscriptSettings,
    reconcile: ReconcilePlan,
    encryption_keys: EncryptionKeys,
}

impl Accounts {
    /// Returns the account with this SID, if it is configured.
    pub fn get(&self, sid: &AccountSid) -> Option<&Account> {
        self.accounts.iter().find(|account| account.sid == *sid)
    }

    /// Whether sentences are fetched in their redacted form.
    pub fn fetch_redacted(&self) -> bool {
        self.transcripts.redacted
    }

    /// Returns the time for which a transcript waits for its recording.
    pub fn transcripts_wait(&self) -> Duration {
        Duration::from_secs(u64::from(self.transcripts.wait_h) * 3600)
    }

    /// The private keys of encrypted recordings.
    pub fn encryption_keys(&self) -> &EncryptionKeys {
        &self.encryption_keys
    }

    /// The private keys, for opening those that are in tokens.
    pub fn encryption_keys_mut(&mut self) -> &mut EncryptionKeys {
        &mut self.encryption_keys
    }

    /// Returns the continuation of a call after the question of consent, if one is configured.
    pub fn connect(&self) -> Option<&Connect> {
        self.connect.as_ref()
    }

    /// Every account, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// Returns the plan of the comparison between Twilio's lists and the vault.
    pub fn reconcile(&self) -> &ReconcilePlan {
        &self.reconcile
    }
}

/// The current accounts, which can be replaced while the service runs.
#[derive(Debug)]
pub struct CurrentAccounts(RwLock<Arc<Accounts>>);

impl CurrentAccounts {
    /// Starts with these accounts.
    pub fn new(accounts: Accounts) -> Self {
        Self(RwLock::new(Arc::new(accounts)))
    }

    /// Returns the accounts of this moment. A replacement does not affect the returned value.
    pub fn get(&self) -> Arc<Accounts> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the accounts. Running requests end with the former ones. The time-outs and the rate
    /// limit stay those of the start.
    pub fn replace(&self, accounts: Accounts) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
    }
}

/// One account or subaccount with its secrets.
#[derive(Debug)]
pub struct Account {
    sid: AccountSid,
    parent: Option<AccountSid>,
    credentials: Credentials,
    pub(super) shared_keys: Vec<SharedKey>,
    pub(super) require_shared_key: bool,
    callback_secret: Option<SecretText>,
    source: SourcePolicy,
    pub(super) endpoints: Endpoints,
}

/// The credentials of an account.
#[derive(Debug)]
struct Credentials {
    auth_tokens: Vec<SecretText>,
    api_key: Option<(ApiKeySid, SecretText)>,
    /// The parent's credential, for a subaccount without an API key.
    parent: Option<ParentCredential>,
}

/// A credential that a parent lends to its subaccount.
#[derive(Debug)]
enum ParentCredential {
    ApiKey(ApiKeySid, SecretText),
    AuthToken(AccountSid, SecretText),
}

/// The handling of an account's recordings at Twilio.
#[derive(Debug)]
struct SourcePolicy {
    delete_source: DeleteSource,
    await_transcript: Duration,
    fetch_transcripts: bool,
    look_up_parties: bool,
}

impl Account {
    /// The account's SID.
    pub fn sid(&self) -> &AccountSid {
        &self.sid
    }

    /// The account to which this subaccount belongs.
    pub fn parent(&self) -> Option<&AccountSid> {
        self.parent.as_ref()
    }

    /// Whether requests use an API key, the account's own or its parent's.
    pub fn uses_api_key(&self) -> bool {
        match (&self.credentials.api_key, &self.credentials.parent) {
            (Some(_), _) => true,
            (None, Some(parent)) => matches!(parent, ParentCredential::ApiKey(..)),
            (None, None) => false,
        }
    }

    /// The tokens that may have signed a request. Never empty.
    pub fn auth_tokens(&self) -> &[SecretText] {
        &self.credentials.auth_tokens
    }

    /// User and password for HTTP Basic: the API key if there is one, otherwise the parent's
    /// credential, otherwise the account itself.
    pub fn credential(&self) -> (&str, &SecretText) {
        match (&self.credentials.api_key, &self.credentials.parent) {
            (None, Some(ParentCredential::ApiKey(sid, secret))) => (sid.as_str(), secret),
            (None, Some(ParentCredential::AuthToken(sid, token))) => (sid.as_str(), token),
            _ => self.own_credential(),
        }
    }

    /// Returns the credential without regard to the parent's: for an interface whose addresses name
    /// no account, so that the credential alone selects the account.
    pub fn own_credential(&self) -> (&str, &SecretText) {
        let Credentials {
            api_key,
            auth_tokens,
            ..
        } = &self.credentials;
        match (api_key, auth_tokens.as_slice()) {
            (Some((sid, secret)), _) => (sid.as_str(), secret),
            (None, [first, ..]) => (self.sid.as_str(), first),
            (None, []) => {
                unreachable!("an account without a token is refused by `TwilioSettings::resolve`")
            }
        }
    }

    /// Returns the credential for a subaccount without an API key.
    fn lend(&self) -> Option<ParentCredential> {
        match (
            &self.credentials.api_key,
            self.credentials.auth_tokens.first(),
        ) {
            (Some((sid, secret)), _) => {
                Some(ParentCredential::ApiKey(sid.clone(), secret.duplicate()))
            }
            (None, Some(token)) => Some(ParentCredential::AuthToken(
                self.sid.clone(),
                token.duplicate(),
            )),
            (None, None) => None,
        }
    }

    /// The secret that the path of the account's callbacks must contain, if any.
    pub fn callback_secret(&self) -> Option<&SecretText> {
        self.callback_secret.as_ref()
    }

    /// Whether the parties of the account's recordings are looked up at Twilio.
    pub fn looks_up_parties(&self) -> bool {
        self.source.look_up_parties
    }

    /// When Twilio's copies are deleted.
    pub fn delete_source(&self) -> DeleteSource {
        self.source.delete_source
    }

    /// Returns the time after sealing for which a transcript is awaited before Twilio's copies are
    /// deleted.
    pub fn await_transcript(&self) -> Duration {
        self.source.await_transcript
    }

    /// Whether the vault searches for transcripts that Twilio made without a request.
    pub fn fetches_transcripts(&self) -> bool {
        self.source.fetch_transcripts
    }

    /// Returns whether an address of media is a customer's bucket and not Twilio. Twilio's own
    /// addresses may have another scheme or region.
    pub fn is_elsewhere(&self, address: &str) -> bool {
        Url::parse(address).is_ok_and(|address| !self.is_twilio_host(&address))
    }

    /// Whether buckets are configured in which Twilio may have stored media.
    pub fn has_buckets(&self) -> bool {
        !self.endpoints.buckets.is_empty()
    }

    /// Whether an address is one of Twilio's own: the interface's host, or Twilio's domain. The
    /// scheme is not compared: the examples in Twilio's documentation use another scheme.
    pub(super) fn is_twilio_host(&self, address: &Url) -> bool {
        let interface = &self.endpoints.api_base;
        let is_interface = address.host() == interface.host() && address.port() == interface.port();
        is_interface
            || address
                .host_str()
                .is_some_and(|host| host == "twilio.com" || host.ends_with(".twilio.com"))
    }
}

/// The addresses of an account's interfaces, all of them checked.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    pub(super) api_base: Url,
    pub(super) intelligence_base: Url,
    pub(super) products: ProductBases,
    pub(super) redirect_hosts: Vec<String>,
    /// The buckets of recordings that Twilio stored elsewhere. The same for every account.
    pub(super) buckets: Arc<[Bucket]>,
}

/// Whether data sent to this URL stays confidential: TLS, or a loopback address.
pub(super) fn is_confidential(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
