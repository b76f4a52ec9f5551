//! The Twilio accounts we serve, and how their interface is reached.
//!
//! Owns what an account has: auth tokens that check signatures, the credential that fetches, the
//! hosts that may be asked, and what becomes of its recordings at Twilio. INVARIANT: an [`Account`]
//! has at least one auth token, and no secret in it is empty.

mod buckets;
mod connect;
mod encryption_keys;
mod faults;
mod parents;
mod reconcile;
mod settings;
mod shared_keys;
mod transcripts;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use url::{Host, Url};

pub(super) use self::shared_keys::SharedKey;
pub use self::{
    buckets::BucketSettings,
    connect::{Connect, ConsentSettings},
    encryption_keys::EncryptionKeySettings,
    faults::SettingFault,
    reconcile::{ReconcilePlan, ReconcileSettings},
    settings::{AccountSettings, DeleteSource, TwilioSettings},
    shared_keys::{Algorithm, SharedKeySettings},
    transcripts::TranscriptSettings,
};
use super::{bucket::Bucket, encryption::EncryptionKeys, rate_limit::ClientLimits};
use crate::{
    model::sid::{AccountSid, ApiKeySid},
    secret::SecretText,
};

/// Every account, ready for use, and the limits of requests.
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
    /// The account of this SID, if it is ours.
    pub fn get(&self, sid: &AccountSid) -> Option<&Account> {
        self.accounts.iter().find(|account| account.sid == *sid)
    }

    /// Whether sentences are fetched with what is sensitive hidden.
    pub fn fetch_redacted(&self) -> bool {
        self.transcripts.redacted
    }

    /// For how long a transcript waits for its recording.
    pub fn transcripts_wait(&self) -> Duration {
        Duration::from_secs(u64::from(self.transcripts.wait_h) * 3600)
    }

    /// The private keys of recordings that are encrypted.
    pub fn encryption_keys(&self) -> &EncryptionKeys {
        &self.encryption_keys
    }

    /// The same, for who opens those that are in tokens.
    pub fn encryption_keys_mut(&mut self) -> &mut EncryptionKeys {
        &mut self.encryption_keys
    }

    /// Where a call goes on after it was asked for consent, if that is configured.
    pub fn connect(&self) -> Option<&Connect> {
        self.connect.as_ref()
    }

    /// Every account, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// How Twilio's lists are compared with the vault.
    pub fn reconcile(&self) -> &ReconcilePlan {
        &self.reconcile
    }
}

/// The accounts as they are now: others can take their place while the service runs.
#[derive(Debug)]
pub struct CurrentAccounts(RwLock<Arc<Accounts>>);

impl CurrentAccounts {
    /// These, until others take their place.
    pub fn new(accounts: Accounts) -> Self {
        Self(RwLock::new(Arc::new(accounts)))
    }

    /// Those of this moment; who holds them keeps them.
    pub fn get(&self) -> Arc<Accounts> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the accounts. Running requests end with the former ones. Time-outs and rate limit
    /// stay those of the start.
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

/// The credentials with which an account is asked.
#[derive(Debug)]
struct Credentials {
    auth_tokens: Vec<SecretText>,
    api_key: Option<(ApiKeySid, SecretText)>,
    /// The parent's credential, of a subaccount without an API key.
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
    /// Whose secrets these are.
    pub fn sid(&self) -> &AccountSid {
        &self.sid
    }

    /// The account to which this subaccount belongs.
    pub fn parent(&self) -> Option<&AccountSid> {
        self.parent.as_ref()
    }

    /// Whether its requests use an API key, its own or its parent's.
    pub fn uses_api_key(&self) -> bool {
        match (&self.credentials.api_key, &self.credentials.parent) {
            (Some(_), _) => true,
            (None, Some(parent)) => matches!(parent, ParentCredential::ApiKey(..)),
            (None, None) => false,
        }
    }

    /// The tokens that may have signed a request; never empty.
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

    /// The same without a parent's credential: for an interface whose addresses name no account, so
    /// that the credential alone says whose resources are meant.
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

    /// What the path of its callbacks must hold, if anything.
    pub fn callback_secret(&self) -> Option<&SecretText> {
        self.callback_secret.as_ref()
    }

    /// Whether the parties of its recordings are looked up.
    pub fn looks_up_parties(&self) -> bool {
        self.source.look_up_parties
    }

    /// When Twilio's copies are deleted.
    pub fn delete_source(&self) -> DeleteSource {
        self.source.delete_source
    }

    /// For how long after sealing a transcript is waited for before Twilio's copies are deleted.
    pub fn await_transcript(&self) -> Duration {
        self.source.await_transcript
    }

    /// Whether transcripts that nobody asked for are looked for.
    pub fn fetches_transcripts(&self) -> bool {
        self.source.fetch_transcripts
    }

    /// Whether an address is one of Twilio's own: the interface's host, or Twilio's domain. The
    /// samples in its documentation have another scheme.
    pub(super) fn is_twilio_host(&self, address: &Url) -> bool {
        let interface = &self.endpoints.api_base;
        let is_interface = address.host() == interface.host() && address.port() == interface.port();
        is_interface
            || address
                .host_str()
                .is_some_and(|host| host == "twilio.com" || host.ends_with(".twilio.com"))
    }
}

/// The addresses of an account's interfaces; every part checked.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    pub(super) api_base: Url,
    pub(super) intelligence_base: Url,
    pub(super) redirect_hosts: Vec<String>,
    /// Where recordings are that Twilio stored elsewhere; the same for every account.
    pub(super) buckets: Arc<[Bucket]>,
}

/// Whether what is sent to this URL stays between the two ends: TLS, or no network at all.
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
