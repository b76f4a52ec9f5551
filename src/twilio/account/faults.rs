//! What is wrong with the settings, gathered while they are resolved.
//!
//! Owns the faults and the ways in which a secret is read, which all parts of the settings share.
//! INVARIANT: a fault names a key and never holds a secret.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::secret::SecretText;

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct SettingFault {
    /// The full name of the key, such as `twilio.accounts[0].sid`.
    pub key: String,
    /// What is wrong and the way out; never a secret.
    pub problem: String,
}

/// Everything that was found wrong so far.
#[derive(Default)]
pub(super) struct SettingFaults(pub(super) Vec<SettingFault>);

impl SettingFaults {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, key: impl Into<String>, problem: impl fmt::Display) {
        self.0.push(SettingFault {
            key: key.into(),
            problem: problem.to_string(),
        });
    }
}

/// A secret that is given directly or in a file. The inner `None` stands for one that cannot be
/// used, with a fault.
pub(super) fn one_secret(
    given: Option<SecretText>,
    file: Option<PathBuf>,
    key: &str,
    name: &str,
    base: &Path,
    faults: &mut SettingFaults,
) -> Option<Option<SecretText>> {
    match (given, file) {
        (Some(_), Some(_)) => {
            faults.add(
                format!("{key}.{name}_file"),
                format_args!("given beside `{name}`; keep one of them"),
            );
            None
        }
        (Some(secret), None) => Some(filled(secret, format!("{key}.{name}"), faults)),
        (None, Some(file)) => Some(read(base, &file, format!("{key}.{name}_file"), faults)),
        (None, None) => None,
    }
}

/// The secret in a file; `None` for one that cannot be used, with a fault.
pub(super) fn read(
    base: &Path,
    file: &Path,
    key: String,
    faults: &mut SettingFaults,
) -> Option<SecretText> {
    match SecretText::read(&base.join(file)) {
        Ok(secret) => filled(secret, key, faults),
        Err(problem) => {
            faults.add(key, problem);
            None
        }
    }
}

/// The secret, if it is one and nothing else; otherwise `None`, with a fault.
pub(super) fn filled(
    secret: SecretText,
    key: String,
    faults: &mut SettingFaults,
) -> Option<SecretText> {
    if secret.expose().is_empty() {
        // An empty key would let anybody sign.
        faults.add(key, "the secret is empty");
        return None;
    }
    if secret.expose().contains(char::is_whitespace) {
        faults.add(
            key,
            "the secret holds blanks or more than one line; keep only the secret itself",
        );
        return None;
    }
    Some(secret)
}
