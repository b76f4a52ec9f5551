//! The sum of every module's settings: a TOML file, overridden by the environment.
//!
//! Owns the names of the sections, the layering, and the reporting of all faults together with file
//! and line. Refuses to know the meaning of a setting. The only place that reads the environment.

mod faults;
mod print;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::Table;

pub use faults::{ConfigFault, ConfigFaults};

use crate::{api, custody, db, flow, store, telemetry, twilio};

/// Variables `RECVAULT__SECTION__KEY` override the file.
const PREFIX: &str = "RECVAULT__";

/// The shipped configuration, with an explanation of every key; `recvault init` writes it.
pub const SHIPPED: &str = include_str!("../config/recvault.toml");
/// The shipped privacy policy; `recvault init` writes it.
pub const SHIPPED_POLICY: &str = include_str!("../config/privacy-policy.toml");

/// A text value for a key of the shipped configuration.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The section, such as `store`.
    pub section: &'static str,
    /// The key, such as `url`; in the shipped file it may be in a comment.
    pub key: &'static str,
    /// The new value.
    pub value: String,
}

/// Returns the shipped configuration with other values in their places, and all its explanations.
pub fn shipped_with(settings: &[Setting]) -> String {
    let mut section = "";
    let mut lines = Vec::new();
    for line in SHIPPED.lines() {
        if let Some(begun) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = begun;
        }
        let key = line.strip_prefix("# ").unwrap_or(line).split_once(" = ");
        let changed = settings.iter().find(|setting| {
            setting.section == section && key.is_some_and(|(key, _)| key == setting.key)
        });
        lines.push(match changed {
            Some(Setting { key, value, .. }) => {
                format!("{key} = {}", toml::Value::String(value.clone()))
            }
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// `[policy]`: the policy in force.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// The policy file, relative to the configuration file.
    pub file: PathBuf,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            file: "privacy-policy.toml".into(),
        }
    }
}

/// All settings.
#[derive(Debug)]
pub struct Config {
    /// The configuration file, if it was read from one.
    pub file: Option<PathBuf>,
    /// The folder of the configuration file; relative paths start here.
    pub base: PathBuf,
    /// `[server]`.
    pub server: api::ServerSettings,
    /// `[database]`.
    pub database: db::DatabaseSettings,
    /// `[store]`.
    pub store: store::StoreSettings,
    /// `[custody]`.
    pub custody: custody::CustodySettings,
    /// `[policy]`.
    pub policy: PolicySettings,
    /// `[epoch]`.
    pub epoch: flow::EpochSettings,
    /// `[recovery]`.
    pub recovery: flow::RecoverySettings,
    /// `[twilio]`.
    pub twilio: twilio::account::TwilioSettings,
    /// `[work]`.
    pub work: flow::WorkSettings,
    /// `[telemetry]`.
    pub telemetry: telemetry::TelemetrySettings,
    /// The layered values, for [`Config::shown`].
    merged: Table,
}

impl Config {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// Every fault found, each with its place.
    pub fn read(file: &Path) -> Result<Self, ConfigFaults> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| {
            ConfigFaults::one(&name, format!("cannot be read: {error}; `recvault init` creates a vault folder, `--config` names another file"))
        })?;
        let base = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let config = Self::of_text(&name, &text, base)?;
        Ok(Self {
            file: Some(file.to_owned()),
            ..config
        })
    }

    /// Reads a configuration that may be in no file yet, overridden by the environment.
    ///
    /// # Errors
    /// Every fault found, each with its place.
    pub fn of_text(name: &str, text: &str, base: &Path) -> Result<Self, ConfigFaults> {
        Self::layered(name, text, base, environment())
    }

    /// Merges a configuration text with overriding variables (without their prefix). A variable
    /// that is not UTF-8 is a fault.
    ///
    /// # Errors
    /// Every fault found, each with its place.
    pub fn layered(
        name: &str,
        text: &str,
        base: &Path,
        variables: Vec<(String, OsString)>,
    ) -> Result<Self, ConfigFaults> {
        let mut faults = ConfigFaults::of(name, text);
        let mut merged = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                faults.syntax(&error);
                return Err(faults);
            }
        };
        for (key, value) in variables {
            match value.into_string() {
                Ok(text) => faults.overlay(&mut merged, &key, text),
                Err(_) => faults.variable(&key, "its value is not UTF-8: set it in UTF-8"),
            }
        }
        let whole = merged.clone();
        let config = Self {
            file: None,
            base: base.to_owned(),
            server: section(&mut merged, "server", &mut faults),
            database: section(&mut merged, "database", &mut faults),
            store: section(&mut merged, "store", &mut faults),
            custody: section(&mut merged, "custody", &mut faults),
            policy: section(&mut merged, "policy", &mut faults),
            epoch: section(&mut merged, "epoch", &mut faults),
            recovery: section(&mut merged, "recovery", &mut faults),
            twilio: section(&mut merged, "twilio", &mut faults),
            work: section(&mut merged, "work", &mut faults),
            telemetry: section(&mut merged, "telemetry", &mut faults),
            merged: whole,
        };
        for unknown in merged.keys() {
            faults.add(
                unknown,
                None,
                "unknown section; `recvault config print` shows the known ones",
            );
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    /// Returns the files and folders that only the service needs to read, each with the key that
    /// names it: secrets, the database, the root key, the stores, the configuration file.
    pub fn private_paths(&self) -> Vec<(String, PathBuf)> {
        let mut found = Vec::new();
        print::secret_files(&self.merged, "", &mut found);
        found.push(("custody.root_file".into(), self.custody.root_file.clone()));
        if let Some(file) = &self.custody.passphrase_file {
            found.push(("custody.passphrase_file".into(), file.clone()));
        }
        let mut paths: Vec<_> = found
            .into_iter()
            .map(|(key, path)| (key, self.base.join(path)))
            .collect();
        if let Some(file) = self.database.file(&self.base) {
            for ending in ["", "-wal", "-shm"] {
                let mut name = file.clone().into_os_string();
                name.push(ending);
                paths.push(("database.url".to_owned(), name.into()));
            }
        }
        let stores = [
            ("store.url", Some(&self.store)),
            ("recovery.store.url", self.recovery.store.as_ref()),
        ];
        for (key, store) in stores {
            let folder = store.and_then(|store| store.folder(&self.base));
            paths.extend(folder.map(|folder| (key.to_owned(), folder)));
        }
        paths.extend(self.file.clone().map(|file| ("--config".to_owned(), file)));
        paths.sort_unstable();
        paths.dedup_by(|one, other| one.1 == other.1);
        paths
    }

    /// The layered configuration, secrets redacted.
    pub fn shown(&self) -> Table {
        print::redacted(&self.merged)
    }
}

/// Returns the point at which a test kills this process; see `model::crash`. Only debug builds use
/// it.
pub fn crash_point() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "config.rs reads the environment")]
    std::env::var("RECVAULT_CRASH_AT").ok()
}

/// Returns the variables with our prefix, without it. Others may contain any bytes and are ignored.
fn environment() -> Vec<(String, OsString)> {
    #[expect(clippy::disallowed_methods, reason = "config.rs reads the environment")]
    let variables = std::env::vars_os();
    ours(variables)
}

fn ours(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, OsString)> {
    variables
        .filter_map(|(key, value)| {
            // A variable with our prefix and other invalid bytes is refused as an unknown key.
            let key = key.to_string_lossy();
            Some((key.strip_prefix(PREFIX)?.to_owned(), value))
        })
        .collect()
}

/// Removes a section from the table and parses it. After a fault, the faulty key is removed and the
/// rest is parsed again, so that all faults are found.
fn section<T: DeserializeOwned + Default>(
    merged: &mut Table,
    name: &str,
    faults: &mut ConfigFaults,
) -> T {
    let Some(mut value) = merged.remove(name) else {
        return T::default();
    };
    for _ in 0..64 {
        let error = match T::deserialize(value.clone()) {
            Ok(settings) => return settings,
            Err(error) => error,
        };
        let Some(key) = faults.note_section(name, &value, &error) else {
            return T::default();
        };
        if value
            .as_table_mut()
            .and_then(|table| table.remove(&key))
            .is_none()
        {
            return T::default();
        }
    }
    T::default()
}

#[cfg(test)]
mod tests;
