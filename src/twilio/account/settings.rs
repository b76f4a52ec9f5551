//! `[twilio]` and what it resolves to.
//!
//! Owns the keys and every check of them. Refuses to know the environment (config fills the
//! settings) and makes no connection.

mod network;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use self::network::{base_url, redirect_host, timeout};
use super::{
    Account, Accounts, Remote,
    buckets::{self, BucketSettings},
    connect::ConsentSettings,
    encryption_keys::{self, EncryptionKeySettings},
    faults::{SettingFault, SettingFaults, filled, one_secret, read},
    parents,
    reconcile::ReconcileSettings,
    shared_keys::{self, SharedKeySettings},
    transcripts::TranscriptSettings,
};
use crate::{model::sid::AccountSid, secret::SecretText, twilio::pace::Pace};

/// `[twilio]`.
#[derive(Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwilioSettings {
    /// Root of the REST interface; another region or edge has another host. Plain http only to this
    /// machine.
    pub api_base: String,
    /// Root of Conversational Intelligence, which has a host of its own.
    pub intelligence_base: String,
    /// Most requests a second to the REST interface, media not counted, 1 to 1000.
    pub requests_per_s: u32,
    /// Host names to which Twilio may send us on for media, besides the host of `api_base`.
    /// Credentials are never sent there.
    pub media_redirect_hosts: Vec<String>,
    /// Longest time to connect, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest time without a byte while waiting for or reading an answer, milliseconds.
    pub read_idle_timeout_ms: u64,
    /// How Twilio's lists are compared with the vault.
    pub reconcile: ReconcileSettings,
    /// Where calls go on after they were asked for consent.
    pub consent: ConsentSettings,
    /// How transcripts are fetched.
    pub transcripts: TranscriptSettings,
    /// The accounts and subaccounts whose callbacks are accepted.
    pub accounts: Vec<AccountSettings>,
    /// Private keys of recordings that are encrypted with your own public key.
    pub encryption_keys: Vec<EncryptionKeySettings>,
    /// Buckets to which Twilio stores recordings instead of keeping them.
    pub buckets: Vec<BucketSettings>,
}

impl Default for TwilioSettings {
    fn default() -> Self {
        Self {
            api_base: "https://api.twilio.com".into(),
            intelligence_base: "https://intelligence.twilio.com".into(),
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
    /// `AC…`; a subaccount signs with its own token and needs an entry of its own.
    pub sid: AccountSid,
    /// The account to which this subaccount belongs. Without an API key of its own, its recordings
    /// are fetched with that account's credential.
    #[serde(default)]
    pub parent: Option<AccountSid>,
    /// Auth tokens given directly, for the environment. The first token is the primary one; keep
    /// the old one beside it while rotating.
    #[serde(default)]
    pub auth_tokens: Vec<SecretText>,
    /// Files with one auth token each; they come after `auth_tokens`.
    #[serde(default)]
    pub auth_token_files: Vec<PathBuf>,
    /// Keys that sign callbacks in place of the auth token, as configured in Twilio's webhook
    /// settings; both while one is rotated.
    #[serde(default)]
    pub shared_keys: Vec<SharedKeySettings>,
    /// Whether callbacks that the auth token signed are refused: every one must be signed by a
    /// shared key.
    #[serde(default)]
    pub require_shared_key: bool,
    /// `SK…`: the API key that fetches. Without one, the account SID and its first auth token do.
    #[serde(default)]
    pub api_key_sid: Option<String>,
    /// The API key's secret given directly, for the environment.
    #[serde(default)]
    pub api_key_secret: Option<SecretText>,
    /// File with the API key's secret.
    #[serde(default)]
    pub api_key_secret_file: Option<PathBuf>,
    /// Another root of the REST interface for this account.
    #[serde(default)]
    pub api_base: Option<String>,
    /// Another root of Conversational Intelligence for this account.
    #[serde(default)]
    pub intelligence_base: Option<String>,
    /// A secret that callbacks of this account carry in their path, `/twilio/{secret}/recordings`,
    /// given directly, for the environment.
    #[serde(default)]
    pub callback_secret: Option<SecretText>,
    /// File with the secret of the callbacks' path.
    #[serde(default)]
    pub callback_secret_file: Option<PathBuf>,
    /// Whether the parties of its recordings are looked up at Twilio.
    #[serde(default = "yes")]
    pub look_up_parties: bool,
    /// When Twilio's own copies are deleted.
    #[serde(default)]
    pub delete_source: DeleteSource,
    /// Hours for which a transcript is waited for before Twilio's copies are deleted after sealing,
    /// 0 to 720. 0: none is waited for.
    #[serde(default)]
    pub await_transcript_h: u32,
    /// Whether transcripts that Twilio made of a recording without being asked are looked for after
    /// it is sealed.
    #[serde(default = "yes")]
    pub fetch_transcripts: bool,
}

/// When the source's own copies of a recording are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteSource {
    /// The vault deletes nothing there, and its receipts say so.
    Never,
    /// With the vault's own.
    #[default]
    AfterShredding,
    /// As soon as the vault has read its own back, and its transcript is in or no longer waited
    /// for; and with the vault's own.
    AfterSealing,
}

const fn yes() -> bool {
    true
}

impl AccountSettings {
    /// An account with these auth tokens and no API key.
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
            callback_secret: None,
            callback_secret_file: None,
            look_up_parties: true,
            delete_source: DeleteSource::default(),
            await_transcript_h: 0,
            fetch_transcripts: true,
        }
    }
}

impl TwilioSettings {
    /// Reads the secret files, relative to `base`, and checks everything. Every fault is reported,
    /// not only the first.
    pub fn resolve(self, base: &Path) -> Result<Accounts, Vec<SettingFault>> {
        let mut faults = SettingFaults(Vec::new());
        let remote = Remote {
            api_base: base_url("twilio.api_base", &self.api_base, &mut faults),
            intelligence_base: base_url(
                "twilio.intelligence_base",
                &self.intelligence_base,
                &mut faults,
            ),
            redirect_hosts: self
                .media_redirect_hosts
                .iter()
                .enumerate()
                .filter_map(|(at, host)| redirect_host(host, at, &mut faults))
                .collect(),
            buckets: Arc::default(),
        };
        if !matches!(self.requests_per_s, 1..=1000) {
            faults.add("twilio.requests_per_s", "expected 1 to 1000");
        }
        let pace = Pace {
            requests_per_s: self.requests_per_s,
            connect_timeout: timeout(
                "twilio.connect_timeout_ms",
                self.connect_timeout_ms,
                &mut faults,
            ),
            read_idle_timeout: timeout(
                "twilio.read_idle_timeout_ms",
                self.read_idle_timeout_ms,
                &mut faults,
            ),
        };
        if !matches!(self.transcripts.wait_h, 1..=720) {
            faults.add("twilio.transcripts.wait_h", "expected 1 to 720 hours");
        }
        let reconcile = self
            .reconcile
            .resolve(|key, problem| faults.add(key, problem));
        let encryption_keys = encryption_keys::resolve(self.encryption_keys, base, &mut faults);
        let remote = Remote {
            buckets: buckets::resolve(self.buckets, &pace, base, &mut faults).into(),
            ..remote
        };
        let mut accounts: Vec<Account> = Vec::with_capacity(self.accounts.len());
        for (at, settings) in self.accounts.into_iter().enumerate() {
            let key = format!("twilio.accounts[{at}]");
            if accounts.iter().any(|earlier| earlier.sid == settings.sid) {
                faults.add(
                    format!("{key}.sid"),
                    format!(
                        "`{}` is listed twice; put all its tokens into one entry",
                        settings.sid
                    ),
                );
            }
            accounts.push(account(settings, &remote, &key, base, &mut faults));
        }
        parents::join(&mut accounts, |at, problem| {
            faults.add(format!("twilio.accounts[{at}].parent"), problem)
        });
        let connect = self.consent.resolve(&mut faults);
        let accounts = Accounts {
            accounts,
            connect,
            pace,
            reconcile,
            transcripts: self.transcripts,
            encryption_keys,
        };
        if faults.0.is_empty() {
            Ok(accounts)
        } else {
            Err(faults.0)
        }
    }
}

fn account(
    settings: AccountSettings,
    remote: &Remote,
    key: &str,
    base: &Path,
    faults: &mut SettingFaults,
) -> Account {
    let mut auth_tokens = Vec::new();
    let before = faults.0.len();
    for (at, token) in settings.auth_tokens.into_iter().enumerate() {
        auth_tokens.extend(filled(token, format!("{key}.auth_tokens[{at}]"), faults));
    }
    for (at, file) in settings.auth_token_files.iter().enumerate() {
        auth_tokens.extend(read(
            base,
            file,
            format!("{key}.auth_token_files[{at}]"),
            faults,
        ));
    }
    if auth_tokens.is_empty() && faults.0.len() == before {
        faults.add(
            format!("{key}.auth_token_files"),
            "no auth token; name a file here, or give `auth_tokens` in the environment",
        );
    }
    let shared_keys = shared_keys::resolve(settings.shared_keys, key, base, faults);
    if settings.require_shared_key && shared_keys.is_empty() {
        faults.add(
            format!("{key}.require_shared_key"),
            "no key in `shared_keys`: every callback would be refused",
        );
    }
    let secret = one_secret(
        settings.api_key_secret,
        settings.api_key_secret_file,
        key,
        "api_key_secret",
        base,
        faults,
    );
    let api_key = match (settings.api_key_sid, secret) {
        (Some(sid), secret) => {
            if !is_key_sid(&sid) {
                faults.add(
                    format!("{key}.api_key_sid"),
                    "expected `SK` and 32 hex digits",
                );
            }
            if secret.is_none()
                && !faults
                    .0
                    .iter()
                    .any(|fault| fault.key == format!("{key}.api_key_secret_file"))
            {
                faults.add(
                    format!("{key}.api_key_secret_file"),
                    "missing beside `api_key_sid`; name the file that holds the key's secret",
                );
            }
            secret.flatten().map(|secret| (sid, secret))
        }
        (None, Some(_)) => {
            faults.add(
                format!("{key}.api_key_sid"),
                "missing beside the API key's secret; give the key's `SK…`",
            );
            None
        }
        (None, None) => None,
    };
    let callback_secret = one_secret(
        settings.callback_secret,
        settings.callback_secret_file,
        key,
        "callback_secret",
        base,
        faults,
    )
    .flatten();
    if callback_secret
        .as_ref()
        .is_some_and(|secret| !is_path_secret(secret.expose()))
    {
        faults.add(
            format!("{key}.callback_secret_file"),
            "expected 16 to 128 letters, digits, `-` and `_`, because it is part of a path",
        );
    }
    if settings.await_transcript_h > 720 {
        faults.add(
            format!("{key}.await_transcript_h"),
            "expected 0 to 720 hours",
        );
    }
    let mut remote = remote.clone();
    if let Some(base) = settings.api_base {
        remote.api_base = base_url(&format!("{key}.api_base"), &base, faults);
    }
    if let Some(base) = settings.intelligence_base {
        remote.intelligence_base = base_url(&format!("{key}.intelligence_base"), &base, faults);
    }
    Account {
        sid: settings.sid,
        parent: settings.parent,
        auth_tokens,
        shared_keys,
        require_shared_key: settings.require_shared_key,
        api_key,
        borrowed: None,
        remote,
        callback_secret,
        look_up_parties: settings.look_up_parties,
        delete_source: settings.delete_source,
        await_transcript: Duration::from_secs(u64::from(settings.await_transcript_h) * 3600),
        fetch_transcripts: settings.fetch_transcripts,
    }
}

fn is_path_secret(text: &str) -> bool {
    matches!(text.len(), 16..=128)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_key_sid(text: &str) -> bool {
    text.strip_prefix("SK")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
