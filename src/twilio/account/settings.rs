//! `[twilio]`, and its conversion into accounts.
//!
//! Owns the keys and every check of them. Refuses to know the environment (`config` fills the
//! settings), and makes no connection.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Account, Accounts, Credentials, Endpoints, SourcePolicy,
    buckets::{self, BucketSettings},
    connect::ConsentSettings,
    encryption_keys::{self, EncryptionKeySettings},
    faults::{ResolvedSecret, SecretSource, SettingFault, SettingFaults, TableFaults},
    network::{base_url, redirect_host, timeout},
    parents,
    products::{ProductBases, ProductSettings},
    reconcile::ReconcileSettings,
    shared_keys::{self, SharedKeySettings},
    transcripts::TranscriptSettings,
};
use crate::{
    model::sid::{AccountSid, ApiKeySid},
    secret::SecretText,
    twilio::rate_limit::ClientLimits,
};

/// `[twilio]`.
#[derive(Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwilioSettings {
    /// Root of the REST interface. Other regions and edges have other hosts. Plain http is only for
    /// this machine.
    pub api_base: String,
    /// Root of Conversational Intelligence, which has its own host.
    pub intelligence_base: String,
    /// The interfaces of Conversations, Proxy and Video.
    pub products: ProductSettings,
    /// Most requests a second to the REST interface, media not counted, 1 to 1000.
    pub requests_per_s: u32,
    /// Host names to which Twilio may redirect media requests, besides the host of `api_base`.
    /// Credentials are never sent there.
    pub media_redirect_hosts: Vec<String>,
    /// Longest time to connect, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest time without a byte while waiting for or reading an answer, milliseconds.
    pub read_idle_timeout_ms: u64,
    /// The comparison between Twilio's lists and the vault.
    pub reconcile: ReconcileSettings,
    /// The continuation of calls after the question of consent.
    pub consent: ConsentSettings,
    /// The retrieval of transcripts.
    pub transcripts: TranscriptSettings,
    /// The accounts and subaccounts whose callbacks are accepted.
    pub accounts: Vec<AccountSettings>,
    /// Private keys of recordings that are encrypted with the customer's own public key.
    pub encryption_keys: Vec<EncryptionKeySettings>,
    /// Buckets in which Twilio stores recordings instead of keeping them.
    pub buckets: Vec<BucketSettings>,
}

impl Default for TwilioSettings {
    fn default() -> Self {
        Self {
            api_base: "https://api.twilio.com".into(),
            intelligence_base: "https://intelligence.twilio.com".into(),
            products: ProductSettings::default(),
            requests_per_s: 100,
            media_redirect_hosts: Vec::new(),
            connect_timeout_ms: 10_000,
            read_idle_timeout_ms: 30_000,
            reconcile: ReconcileSettings::default(),
            consent: ConsentSettings::default(),
            transcripts: TranscriptSettings::default(),
            accounts: Vec::new(),
            encryption_keys: Vec::new(),
            buckets: Vec::new(),
        }
    }
}

/// `[[twilio.accounts]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// `AC…`. A subaccount signs with its own token and needs its own entry.
    pub sid: AccountSid,
    /// The account to which this subaccount belongs. A subaccount without an API key uses that
    /// account's credential for requests.
    #[serde(default)]
    pub parent: Option<AccountSid>,
    /// Auth tokens given directly, for the environment. The first token is the primary one; during
    /// a rotation the old one stays beside it.
    #[serde(default)]
    pub auth_tokens: Vec<SecretText>,
    /// Files with one auth token each, added after `auth_tokens`.
    #[serde(default)]
    pub auth_token_files: Vec<PathBuf>,
    /// Keys that sign callbacks in place of the auth token, as configured in Twilio's webhook
    /// settings. During a rotation, both keys.
    #[serde(default)]
    pub shared_keys: Vec<SharedKeySettings>,
    /// Whether callbacks signed with the auth token are refused: every callback must be signed with
    /// a shared key.
    #[serde(default)]
    pub require_shared_key: bool,
    /// `SK…`: the API key for requests. Without one, the account SID and its first auth token are
    /// used.
    #[serde(default)]
    pub api_key_sid: Option<ApiKeySid>,
    /// The API key's secret given directly, for the environment.
    #[serde(default)]
    pub api_key_secret: Option<SecretText>,
    /// File with the API key's secret.
    #[serde(default)]
    pub api_key_secret_file: Option<PathBuf>,
    /// The root of the REST interface for this account, if it differs.
    #[serde(default)]
    pub api_base: Option<String>,
    /// The root of Conversational Intelligence for this account, if it differs.
    #[serde(default)]
    pub intelligence_base: Option<String>,
    /// The interfaces of Conversations, Proxy and Video for this account, if they differ.
    #[serde(default)]
    pub products: ProductSettings,
    /// A secret that callbacks of this account carry in their path, `/twilio/{secret}/recordings`,
    /// given directly, for the environment.
    #[serde(default)]
    pub callback_secret: Option<SecretText>,
    /// File with the secret of the callbacks' path.
    #[serde(default)]
    pub callback_secret_file: Option<PathBuf>,
    /// Whether the parties of the account's recordings are looked up at Twilio.
    #[serde(default = "yes")]
    pub look_up_parties: bool,
    /// The time at which Twilio's own copies are deleted.
    #[serde(default)]
    pub delete_source: DeleteSource,
    /// Hours after sealing for which a transcript is awaited before Twilio's copies are deleted, 0
    /// to 720. 0: none is awaited.
    #[serde(default)]
    pub await_transcript_h: u32,
    /// Whether the vault searches, after sealing, for transcripts that Twilio made without a
    /// request.
    #[serde(default = "yes")]
    pub fetch_transcripts: bool,
}

/// The time at which the source's own copies of a recording are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteSource {
    /// The vault deletes nothing at the source, and its receipts state that.
    Never,
    /// When the vault shreds its own copy.
    #[default]
    AfterShredding,
    /// As soon as the vault has verified its own copy, and the transcript is filed or no longer
    /// awaited. Also when the vault shreds its own copy.
    AfterSealing,
}

const fn yes() -> bool {
    true
}

impl AccountSettings {
    /// Creates an account with these auth tokens and without an API key.
    pub fn new(sid: AccountSid, auth_tokens: Vec<SecretText>) -> Self {
        Self {
            sid,
            parent: None,
            auth_tokens,
            auth_token_files: Vec::new(),
            shared_keys: Vec::new(),
            require_shared_key: false,
            api_key_sid: None,
            api_key_secret: None,
            api_key_secret_file: None,
            api_base: None,
            intelligence_base: None,
            products: ProductSettings::default(),
            callback_secret: None,
            callback_secret_file: None,
            look_up_parties: true,
            delete_source: DeleteSource::default(),
            await_transcript_h: 0,
            fetch_transcripts: true,
        }
    }
}

/// Requests a second to the REST interface.
const REQUESTS_PER_S: RangeInclusive<u32> = 1..=1000;
/// Hours for which a transcript is awaited before Twilio's copies are deleted.
const AWAIT_TRANSCRIPT_H: RangeInclusive<u32> = 0..=720;
/// Characters of the secret in the path of callbacks.
const PATH_SECRET: RangeInclusive<usize> = 16..=128;

impl TwilioSettings {
    /// Reads the secret files, relative to `base`, and checks everything. Every fault is reported,
    /// not only the first.
    pub fn resolve(&self, base: &Path) -> Result<Accounts, Vec<SettingFault>> {
        let mut all = SettingFaults::new(base);
        let mut faults = all.at("twilio");
        let limits = self.limits(&mut faults);
        let endpoints = self.endpoints(&limits, &mut faults);
        self.transcripts.check(&mut faults.at("transcripts"));
        let accounts = Accounts {
            accounts: self.accounts(&endpoints, &mut faults),
            connect: self.consent.resolve(&mut faults.at("consent")),
            reconcile: self.reconcile.resolve(&mut faults.at("reconcile")),
            encryption_keys: encryption_keys::resolve(&self.encryption_keys, &mut faults),
            transcripts: self.transcripts,
            limits,
        };
        all.or(accounts)
    }

    fn limits(&self, faults: &mut TableFaults<'_>) -> ClientLimits {
        faults.check_range("requests_per_s", &self.requests_per_s, &REQUESTS_PER_S, "");
        let connect_timeout = timeout("connect_timeout_ms", self.connect_timeout_ms, faults);
        let idle_timeout = timeout("read_idle_timeout_ms", self.read_idle_timeout_ms, faults);
        ClientLimits {
            requests_per_s: self.requests_per_s,
            connect_timeout,
            read_idle_timeout: idle_timeout,
        }
    }

    fn endpoints(&self, limits: &ClientLimits, faults: &mut TableFaults<'_>) -> Endpoints {
        Endpoints {
            api_base: base_url("api_base", &self.api_base, faults),
            intelligence_base: base_url("intelligence_base", &self.intelligence_base, faults),
            products: self
                .products
                .resolve(&ProductBases::default(), &mut faults.at("products")),
            redirect_hosts: self
                .media_redirect_hosts
                .iter()
                .enumerate()
                .filter_map(|(at, host)| redirect_host(host, at, faults))
                .collect(),
            buckets: buckets::resolve(&self.buckets, limits, faults).into(),
        }
    }

    fn accounts(&self, endpoints: &Endpoints, faults: &mut TableFaults<'_>) -> Vec<Account> {
        let mut accounts: Vec<Account> = Vec::with_capacity(self.accounts.len());
        for (at, settings) in self.accounts.iter().enumerate() {
            let mut faults = faults.at(format_args!("accounts[{at}]"));
            if accounts.iter().any(|earlier| earlier.sid == settings.sid) {
                let sid = &settings.sid;
                let problem = format!("`{sid}` is listed twice; put all its tokens into one entry");
                faults.add("sid", problem);
            }
            accounts.push(settings.resolve(endpoints, &mut faults));
        }
        parents::join(&mut accounts, |at, problem| {
            faults.add(format_args!("accounts[{at}].parent"), problem);
        });
        accounts
    }
}

impl AccountSettings {
    fn resolve(&self, endpoints: &Endpoints, faults: &mut TableFaults<'_>) -> Account {
        let auth_tokens = self.auth_tokens(faults);
        let shared_keys = shared_keys::resolve(&self.shared_keys, faults);
        if self.require_shared_key && shared_keys.is_empty() {
            let problem = "no key in `shared_keys`: every callback would be refused";
            faults.add("require_shared_key", problem);
        }
        Account {
            sid: self.sid.clone(),
            parent: self.parent.clone(),
            credentials: Credentials {
                auth_tokens,
                api_key: self.api_key(faults),
                parent: None,
            },
            shared_keys,
            require_shared_key: self.require_shared_key,
            callback_secret: self.callback_secret(faults),
            source: self.source_policy(faults),
            endpoints: self.endpoints(endpoints, faults),
        }
    }

    fn auth_tokens(&self, faults: &mut TableFaults<'_>) -> Vec<SecretText> {
        let before = faults.count();
        let mut tokens = Vec::new();
        for (at, token) in self.auth_tokens.iter().enumerate() {
            tokens.extend(faults.filled(&format!("auth_tokens[{at}]"), token.duplicate()));
        }
        for (at, file) in self.auth_token_files.iter().enumerate() {
            tokens.extend(faults.read(&format!("auth_token_files[{at}]"), file));
        }
        if tokens.is_empty() && faults.count() == before {
            let problem =
                "no auth token; name a file here, or give `auth_tokens` in the environment";
            faults.add("auth_token_files", problem);
        }
        tokens
    }

    fn api_key(&self, faults: &mut TableFaults<'_>) -> Option<(ApiKeySid, SecretText)> {
        let source = SecretSource {
            value: self.api_key_secret.as_ref(),
            file: self.api_key_secret_file.as_deref(),
        };
        match (&self.api_key_sid, faults.secret("api_key_secret", &source)) {
            (Some(sid), ResolvedSecret::Given(secret)) => Some((sid.clone(), secret)),
            (Some(_), ResolvedSecret::Absent) => {
                let problem =
                    "missing beside `api_key_sid`; name the file that holds the key's secret";
                faults.add("api_key_secret_file", problem);
                None
            }
            (None, ResolvedSecret::Given(_) | ResolvedSecret::Invalid) => {
                let problem = "missing beside the API key's secret; give the key's `SK…`";
                faults.add("api_key_sid", problem);
                None
            }
            (Some(_), ResolvedSecret::Invalid) | (None, ResolvedSecret::Absent) => None,
        }
    }

    fn callback_secret(&self, faults: &mut TableFaults<'_>) -> Option<SecretText> {
        let source = SecretSource {
            value: self.callback_secret.as_ref(),
            file: self.callback_secret_file.as_deref(),
        };
        let secret = faults.secret("callback_secret", &source).given()?;
        if !is_path_secret(secret.expose()) {
            let (least, most) = (PATH_SECRET.start(), PATH_SECRET.end());
            let problem = format!(
                "expected {least} to {most} letters, digits, `-` and `_`, because it is part of a path"
            );
            faults.add("callback_secret_file", problem);
        }
        Some(secret)
    }

    fn source_policy(&self, faults: &mut TableFaults<'_>) -> SourcePolicy {
        let hours = self.await_transcript_h;
        faults.check_range("await_transcript_h", &hours, &AWAIT_TRANSCRIPT_H, "hours");
        SourcePolicy {
            delete_source: self.delete_source,
            await_transcript: Duration::from_secs(u64::from(hours) * 3600),
            fetch_transcripts: self.fetch_transcripts,
            look_up_parties: self.look_up_parties,
        }
    }

    /// Returns the common endpoints, with the account's own ones in their place.
    fn endpoints(&self, common: &Endpoints, faults: &mut TableFaults<'_>) -> Endpoints {
        let mut endpoints = common.clone();
        if let Some(base) = &self.api_base {
            endpoints.api_base = base_url("api_base", base, faults);
        }
        if let Some(base) = &self.intelligence_base {
            endpoints.intelligence_base = base_url("intelligence_base", base, faults);
        }
        endpoints.products = self
            .products
            .resolve(&common.products, &mut faults.at("products"));
        endpoints
    }
}

fn is_path_secret(text: &str) -> bool {
    PATH_SECRET.contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
