//! `[[twilio.accounts.shared_keys]]`: keys of Twilio's webhook settings that sign callbacks in
//! place of the auth token.
//!
//! Owns the form of the keys. INVARIANT: the algorithm of a key is the one in the settings; a
//! request that names another algorithm is refused.

use std::path::PathBuf;

use super::faults::{ResolvedSecret, SecretSource, TableFaults};
use crate::secret::SecretText;

/// One key in the settings.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedKeySettings {
    /// The key's name at Twilio, as in the header `X-Twilio-Webhooks-Signature-Settings`.
    pub name: String,
    /// The key itself, for the environment.
    #[serde(default)]
    pub secret: Option<SecretText>,
    /// File with the key.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The algorithm of its signatures.
    #[serde(default)]
    pub algorithm: Algorithm,
}

/// The hash algorithm of a signature (HMAC, RFC 2104).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Algorithm {
    /// SHA-1, as for auth tokens.
    #[serde(rename = "HMAC_SHA1")]
    Sha1,
    /// SHA-256.
    #[default]
    #[serde(rename = "HMAC_SHA256")]
    Sha256,
}

/// One key, ready for use.
#[derive(Debug)]
pub(in crate::twilio) struct SharedKey {
    pub(in crate::twilio) name: String,
    pub(in crate::twilio) secret: SecretText,
    pub(in crate::twilio) algorithm: Algorithm,
}

/// The longest name of a key, in bytes.
const MAX_NAME: usize = 128;

/// Resolves the keys of an account; `faults` are the account's.
pub(super) fn resolve(
    settings: &[SharedKeySettings],
    faults: &mut TableFaults<'_>,
) -> Vec<SharedKey> {
    let mut keys: Vec<SharedKey> = Vec::new();
    for (at, key) in settings.iter().enumerate() {
        let mut faults = faults.at(format_args!("shared_keys[{at}]"));
        if !is_name(&key.name) {
            let problem = format!("expected 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`");
            faults.add("name", problem);
        }
        if keys.iter().any(|earlier| earlier.name == key.name) {
            faults.add("name", "listed twice; give a rotated key a new name");
        }
        let source = SecretSource {
            value: key.secret.as_ref(),
            file: key.secret_file.as_deref(),
        };
        match faults.secret("secret", &source) {
            ResolvedSecret::Given(secret) => keys.push(SharedKey {
                name: key.name.clone(),
                secret,
                algorithm: key.algorithm,
            }),
            ResolvedSecret::Absent => faults.add("secret_file", "name the file that holds the key"),
            ResolvedSecret::Invalid => {}
        }
    }
    keys
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
