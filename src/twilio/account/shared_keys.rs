//! `[[twilio.accounts.shared_keys]]`: keys of Twilio's webhook settings that sign callbacks in
//! place of the auth token.
//!
//! Owns their form. INVARIANT: the algorithm of a key is the one in the settings; what a request
//! says of it can only agree.

use std::path::{Path, PathBuf};

use super::faults::{SettingFaults, one_secret};
use crate::secret::SecretText;

/// One key, as the settings give it.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedKeySettings {
    /// Its name at Twilio, as in the header `X-Twilio-Webhooks-Signature-Settings`.
    pub name: String,
    /// The key itself, for the environment.
    #[serde(default)]
    pub secret: Option<SecretText>,
    /// File with the key.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// What it signs with.
    #[serde(default)]
    pub algorithm: Algorithm,
}

/// The hash of a signature (HMAC, RFC 2104).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Algorithm {
    /// SHA-1, as auth tokens sign.
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

pub(super) fn resolve(
    settings: Vec<SharedKeySettings>,
    account: &str,
    base: &Path,
    faults: &mut SettingFaults,
) -> Vec<SharedKey> {
    let mut keys: Vec<SharedKey> = Vec::new();
    for (at, key) in settings.into_iter().enumerate() {
        let place = format!("{account}.shared_keys[{at}]");
        let fits = !key.name.is_empty()
            && key.name.len() <= 128
            && key
                .name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !fits {
            faults.add(
                format!("{place}.name"),
                "expected 1 to 128 letters, digits, `-`, `_` and `.`",
            );
        }
        if keys.iter().any(|earlier| earlier.name == key.name) {
            faults.add(
                format!("{place}.name"),
                "listed twice; give a rotated key a new name",
            );
        }
        match one_secret(key.secret, key.secret_file, &place, "secret", base, faults) {
            Some(secret) => keys.extend(secret.map(|secret| SharedKey {
                name: key.name,
                secret,
                algorithm: key.algorithm,
            })),
            None => faults.add(
                format!("{place}.secret_file"),
                "name the file that holds the key, and no inline secret",
            ),
        }
    }
    keys
}
