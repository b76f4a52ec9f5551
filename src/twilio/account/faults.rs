//! Faults of the settings, collected while they are resolved.
//!
//! Owns the faults and the reading of secrets, which all parts of the settings share.
//! INVARIANT: a fault names a key and never holds a secret.

use std::{
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use crate::secret::SecretText;

/// One fault of the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct SettingFault {
    /// The full name of the key, such as `twilio.accounts[0].sid`.
    pub key: String,
    /// The fault and its remedy; never a secret.
    pub problem: String,
}

/// All faults so far, and the base folder of relative paths.
#[derive(Default)]
pub(super) struct SettingFaults {
    base: PathBuf,
    list: Vec<SettingFault>,
}

impl SettingFaults {
    pub(super) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            list: Vec::new(),
        }
    }

    /// Returns the faults of one table of the settings; `key` is its full name.
    pub(super) fn at(&mut self, key: impl Into<String>) -> TableFaults<'_> {
        TableFaults {
            key: key.into(),
            all: self,
        }
    }

    /// Returns the value if there is no fault, otherwise all faults.
    pub(super) fn or<T>(self, value: T) -> Result<T, Vec<SettingFault>> {
        if self.list.is_empty() {
            Ok(value)
        } else {
            Err(self.list)
        }
    }
}

/// The faults of one table of the settings.
pub(super) struct TableFaults<'a> {
    key: String,
    all: &'a mut SettingFaults,
}

impl TableFaults<'_> {
    /// Adds a fault of a key in this table.
    pub(super) fn add(&mut self, name: impl fmt::Display, problem: impl fmt::Display) {
        self.all.list.push(SettingFault {
            key: format!("{}.{name}", self.key),
            problem: problem.to_string(),
        });
    }

    /// Adds a fault of the table itself.
    pub(super) fn add_here(&mut self, problem: impl fmt::Display) {
        self.all.list.push(SettingFault {
            key: self.key.clone(),
            problem: problem.to_string(),
        });
    }

    /// Returns the faults of a table in this table.
    pub(super) fn at(&mut self, name: impl fmt::Display) -> TableFaults<'_> {
        self.all.at(format!("{}.{name}", self.key))
    }

    /// Returns the number of all faults so far.
    pub(super) fn count(&self) -> usize {
        self.all.list.len()
    }

    /// Resolves a path against the folder of the configuration.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.all.base.join(path)
    }

    /// Adds a fault for a number out of range.
    pub(super) fn check_range<T: PartialOrd + fmt::Display>(
        &mut self,
        name: &str,
        value: &T,
        range: &RangeInclusive<T>,
        unit: &str,
    ) {
        if !range.contains(value) {
            let (least, most) = (range.start(), range.end());
            let problem = format!("expected {least} to {most} {unit}");
            self.add(name, problem.trim_end());
        }
    }

    /// Resolves the secret `name`, given directly or in the file of `{name}_file`.
    pub(super) fn secret(&mut self, name: &str, source: &SecretSource<'_>) -> ResolvedSecret {
        let file_key = format!("{name}_file");
        let found = match (source.value, source.file) {
            (None, None) => return ResolvedSecret::Absent,
            (Some(_), Some(_)) => {
                let problem = format!("given beside `{name}`; keep one of them");
                self.add(file_key, problem);
                None
            }
            (Some(secret), None) => self.filled(name, secret.duplicate()),
            (None, Some(file)) => self.read(&file_key, file),
        };
        found.map_or(ResolvedSecret::Invalid, ResolvedSecret::Given)
    }

    /// Returns the secret in a file. If it is unusable, adds a fault and returns `None`.
    pub(super) fn read(&mut self, name: &str, file: &Path) -> Option<SecretText> {
        match SecretText::read(&self.path(file)) {
            Ok(secret) => self.filled(name, secret),
            Err(problem) => {
                self.add(name, problem);
                None
            }
        }
    }

    /// Returns the secret if it is neither empty nor holds white space. Otherwise adds a fault and
    /// returns `None`.
    pub(super) fn filled(&mut self, name: &str, secret: SecretText) -> Option<SecretText> {
        if secret.expose().is_empty() {
            // An empty key would let anyone sign.
            self.add(name, "the secret is empty");
            return None;
        }
        if secret.expose().contains(char::is_whitespace) {
            let problem =
                "the secret holds blanks or more than one line; keep only the secret itself";
            self.add(name, problem);
            return None;
        }
        Some(secret)
    }
}

/// The two possible places of a secret in the settings.
pub(super) struct SecretSource<'a> {
    /// Given directly.
    pub(super) value: Option<&'a SecretText>,
    /// A file that holds it.
    pub(super) file: Option<&'a Path>,
}

/// A secret of the settings.
pub(super) enum ResolvedSecret {
    /// The settings hold no such secret.
    Absent,
    /// The secret is unusable; the faults state the reason.
    Invalid,
    /// The secret is usable.
    Given(SecretText),
}

impl ResolvedSecret {
    /// Returns the secret, if it is usable.
    pub(super) fn given(self) -> Option<SecretText> {
        match self {
            Self::Given(secret) => Some(secret),
            Self::Absent | Self::Invalid => None,
        }
    }
}
