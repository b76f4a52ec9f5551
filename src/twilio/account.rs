//! The Twilio accounts we serve, and how their interface is reached.
//!
//! Owns the `[twilio]` settings and what they resolve to: auth tokens that check signatures, the credential that fetches, the hosts that may be
//! asked. Refuses to know the environment (config fills the settings) and makes no connection.
//!
//! INVARIANT: an [`Account`] has at least one auth token, and no secret in it is empty.

use std::{fmt, fs, path::Path, path::PathBuf, time::Duration};

use url::{Host, Url};

use crate::{model::sid::AccountSid, secret::SecretText};

/// `[twilio]`.
#[derive(Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Root of the REST interface; another region has another host. Plain http only to this machine.
    pub api_base: String,
    /// Host names to which Twilio may send us on for media, besides the host of `api_base`. Credentials are never sent there.
    pub media_redirect_hosts: Vec<String>,
    /// Longest time to connect, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest time without a byte while waiting for or reading an answer, milliseconds.
    pub read_idle_timeout_ms: u64,
    /// The accounts and subaccounts whose callbacks are accepted.
    pub accounts: Vec<AccountSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_base: "https://api.twilio.com".into(),
            media_redirect_hosts: Vec::new(),
            connect_timeout_ms: 10_000,
            read_idle_timeout_ms: 30_000,
            accounts: Vec::new(),
        }
    }
}

/// `[[twilio.accounts]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// `AC…`; a subaccount signs with its own token and needs an entry of its own.
    pub sid: AccountSid,
    /// Auth tokens given directly, for the environment. The first token is the primary one; keep the old one beside it while rotating.
    #[serde(default)]
    pub auth_tokens: Vec<SecretText>,
    /// Files with one auth token each; they come after `auth_tokens`.
    #[serde(default)]
    pub auth_token_files: Vec<PathBuf>,
    /// `SK…`: the API key that fetches. Without one, the account SID and its first auth token do.
    #[serde(default)]
    pub api_key_sid: Option<String>,
    /// The API key's secret given directly, for the environment.
    #[serde(default)]
    pub api_key_secret: Option<SecretText>,
    /// File with the API key's secret.
    #[serde(default)]
    pub api_key_secret_file: Option<PathBuf>,
}

impl AccountSettings {
    /// An account with these auth tokens and no API key.
    pub fn new(sid: AccountSid, auth_tokens: Vec<SecretText>) -> Self {
        Self { sid, auth_tokens, auth_token_files: Vec::new(), api_key_sid: None, api_key_secret: None, api_key_secret_file: None }
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct Fault {
    /// The full name of the key, such as `twilio.accounts[0].sid`.
    pub key: String,
    /// What is wrong and the way out; never a secret.
    pub problem: String,
}

/// Every account, ready for use, and the interface they are reached at.
#[derive(Debug)]
pub struct Accounts {
    accounts: Vec<Account>,
    pub(super) remote: Remote,
}

impl Accounts {
    /// The account of this SID, if it is ours.
    pub fn get(&self, sid: &AccountSid) -> Option<&Account> {
        self.accounts.iter().find(|account| account.sid == *sid)
    }

    /// Every account, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }
}

/// One account or subaccount with its secrets.
#[derive(Debug)]
pub struct Account {
    sid: AccountSid,
    auth_tokens: Vec<SecretText>,
    api_key: Option<(String, SecretText)>,
}

impl Account {
    /// Whose secrets these are.
    pub fn sid(&self) -> &AccountSid {
        &self.sid
    }

    /// The tokens that may have signed a request; never empty.
    pub fn auth_tokens(&self) -> &[SecretText] {
        &self.auth_tokens
    }

    /// User and password for HTTP Basic: the API key if there is one, otherwise the account itself.
    pub fn credential(&self) -> (&str, &SecretText) {
        match (&self.api_key, self.auth_tokens.as_slice()) {
            (Some((sid, secret)), _) => (sid, secret),
            (None, [first, ..]) => (self.sid.as_str(), first),
            (None, []) => unreachable!("an account without a token is refused by `Settings::resolve`"),
        }
    }
}

/// Where and how the interface is reached; every part checked.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) api_base: Url,
    pub(super) redirect_hosts: Vec<String>,
    pub(super) connect_timeout: Duration,
    pub(super) read_idle_timeout: Duration,
}

impl Settings {
    /// Reads the secret files, relative to `base`, and checks everything. Every fault is reported, not only the first.
    pub fn resolve(self, base: &Path) -> Result<Accounts, Vec<Fault>> {
        let mut faults = Faults(Vec::new());
        let remote = Remote {
            api_base: api_base(&self.api_base, &mut faults),
            redirect_hosts: self
                .media_redirect_hosts
                .iter()
                .enumerate()
                .filter_map(|(at, host)| redirect_host(host, at, &mut faults))
                .collect(),
            connect_timeout: timeout("twilio.connect_timeout_ms", self.connect_timeout_ms, &mut faults),
            read_idle_timeout: timeout("twilio.read_idle_timeout_ms", self.read_idle_timeout_ms, &mut faults),
        };
        let mut accounts: Vec<Account> = Vec::with_capacity(self.accounts.len());
        for (at, settings) in self.accounts.into_iter().enumerate() {
            let key = format!("twilio.accounts[{at}]");
            if accounts.iter().any(|earlier| earlier.sid == settings.sid) {
                faults.add(format!("{key}.sid"), format!("`{}` is listed twice; put all its tokens into one entry", settings.sid));
            }
            accounts.push(account(settings, &key, base, &mut faults));
        }
        if faults.0.is_empty() { Ok(Accounts { accounts, remote }) } else { Err(faults.0) }
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, key: impl Into<String>, problem: impl fmt::Display) {
        self.0.push(Fault { key: key.into(), problem: problem.to_string() });
    }
}

fn account(settings: AccountSettings, key: &str, base: &Path, faults: &mut Faults) -> Account {
    let mut auth_tokens = Vec::new();
    let before = faults.0.len();
    for (at, token) in settings.auth_tokens.into_iter().enumerate() {
        auth_tokens.extend(filled(token, format!("{key}.auth_tokens[{at}]"), faults));
    }
    for (at, file) in settings.auth_token_files.iter().enumerate() {
        auth_tokens.extend(read(base, file, format!("{key}.auth_token_files[{at}]"), faults));
    }
    if auth_tokens.is_empty() && faults.0.len() == before {
        faults.add(format!("{key}.auth_token_files"), "no auth token; name a file here, or give `auth_tokens` in the environment");
    }
    let secret = match (settings.api_key_secret, settings.api_key_secret_file) {
        (Some(_), Some(_)) => {
            faults.add(format!("{key}.api_key_secret_file"), "given beside `api_key_secret`; keep one of them");
            None
        }
        (Some(secret), None) => Some(filled(secret, format!("{key}.api_key_secret"), faults)),
        (None, Some(file)) => Some(read(base, &file, format!("{key}.api_key_secret_file"), faults)),
        (None, None) => None,
    };
    let api_key = match (settings.api_key_sid, secret) {
        (Some(sid), secret) => {
            if !is_key_sid(&sid) {
                faults.add(format!("{key}.api_key_sid"), "expected `SK` and 32 hex digits");
            }
            if secret.is_none() && !faults.0.iter().any(|fault| fault.key == format!("{key}.api_key_secret_file")) {
                faults.add(format!("{key}.api_key_secret_file"), "missing beside `api_key_sid`; name the file that holds the key's secret");
            }
            secret.flatten().map(|secret| (sid, secret))
        }
        (None, Some(_)) => {
            faults.add(format!("{key}.api_key_sid"), "missing beside the API key's secret; give the key's `SK…`");
            None
        }
        (None, None) => None,
    };
    Account { sid: settings.sid, auth_tokens, api_key }
}

fn read(base: &Path, file: &Path, key: String, faults: &mut Faults) -> Option<SecretText> {
    let path = base.join(file);
    match fs::read_to_string(&path) {
        Ok(mut text) => {
            // Editors and `echo` end a file with one newline; it is not part of the secret.
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            filled(SecretText::new(text), key, faults)
        }
        Err(error) => {
            faults.add(key, format_args!("cannot read `{}`: {}", path.display(), error.kind()));
            None
        }
    }
}

fn filled(secret: SecretText, key: String, faults: &mut Faults) -> Option<SecretText> {
    if secret.expose().is_empty() {
        // An empty key would let anybody sign.
        faults.add(key, "the secret is empty");
        return None;
    }
    if secret.expose().contains(char::is_whitespace) {
        faults.add(key, "the secret holds blanks or more than one line; keep only the secret itself");
        return None;
    }
    Some(secret)
}

fn is_key_sid(text: &str) -> bool {
    text.strip_prefix("SK").is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn api_base(text: &str, faults: &mut Faults) -> Url {
    let parsed = Url::parse(text).ok().filter(|url| {
        is_confidential(url)
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    parsed.unwrap_or_else(|| {
        faults.add("twilio.api_base", "expected scheme and host only, https (http is for this machine), such as `https://api.twilio.com`");
        // Never used: a fault refuses the settings as a whole.
        Url::parse("https://invalid.invalid").expect("a constant URL parses")
    })
}

fn redirect_host(text: &str, at: usize, faults: &mut Faults) -> Option<String> {
    match Host::parse(text) {
        Ok(host) => Some(host.to_string()),
        Err(_) => {
            faults.add(format!("twilio.media_redirect_hosts[{at}]"), "expected a host name alone, without scheme, port or path");
            None
        }
    }
}

fn timeout(key: &str, millis: u64, faults: &mut Faults) -> Duration {
    if !matches!(millis, 1..=3_600_000) {
        faults.add(key, "expected 1 to 3600000 milliseconds");
    }
    Duration::from_millis(millis)
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
