//! What is wrong with the settings, gathered while they are resolved.
//!
//! Owns the faults and the ways in which a secret is read, which all parts of the settings share.
//! INVARIANT: a fault names a key and never holds a secret.

use std::{
    fmt,
    ops::RangeInclusive,
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

/// All faults that were found so far, and the folder where relative paths start.
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

    /// The faults of one table of the settings; `key` is its full name.
    pub(super) fn at(&mut self, key: impl Into<String>) -> TableFaults<'_> {
        TableFaults {
            key: key.into(),
            all: self,
        }
    }

    /// Returns the value if nothing is wrong, otherwise all faults.
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
    /// A fault of a key of this table.
    pub(super) fn add(&mut self, name: impl fmt::Display, problem: impl fmt::Display) {
        self.all.list.push(SettingFault {
            key: format!("{}.{name}", self.key),
            problem: problem.to_string(),
        });
    }

    /// A fault of the table itself.
    pub(super) fn add_here(&mut self, problem: impl fmt::Display) {
        self.all.list.push(SettingFault {
            key: self.key.clone(),
            problem: problem.to_string(),
        });
    }

    /// The faults of a table in this table.
    pub(super) fn at(&mut self, name: impl fmt::Display) -> TableFaults<'_> {
        self.all.at(format!("{}.{name}", self.key))
    }

    /// The number of all faults so far.
    pub(super) fn count(&self) -> usize {
        self.all.list.len()
    }

    /// A path of the settings, relative to the folder of the configuration.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.all.base.join(path)
    }

    /// Refuses a number out of range.
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

    /// Resolves the secret `name`, which is given directly or in the file of `{name}_file`.
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

    /// Returns the secret in a file; `None` for one that cannot be used, with a fault.
    pub(super) fn read(&mut self, name: &str, file: &Path) -> Option<SecretText> {
        match SecretText::read(&self.path(file)) {
            Ok(secret) => self.filled(name, secret),
            Err(problem) => {
                self.add(name, problem);
                None
            }
        }
    }

    /// Returns the secret, if it is one and nothing else; otherwise `None`, with a fault.
    pub(super) fn filled(&mut self, name: &str, secret: SecretText) -> Option<SecretText> {
        if secret.expose().is_empty() {
            // An empty key would let anybody sign.
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

/// Where a secret of the settings may be.
pub(super) struct SecretSource<'a> {
    /// Given directly.
    pub(super) value: Option<&'a SecretText>,
    /// A file that holds it.
    pub(super) file: Option<&'a Path>,
}

/// A secret of the settings.
pub(super) enum ResolvedSecret {
    /// The settings do not name one.
    Absent,
    /// It cannot be used; the faults state why.
    Invalid,
    /// It can be used.
    Given(SecretText),
}

impl ResolvedSecret {
    /// Returns the secret, if it can be used.
    pub(super) fn given(self) -> Option<SecretText> {
        match self {
            Self::Given(secret) => Some(secret),
            Self::Absent | Self::Invalid => None,
        }
    }
}
