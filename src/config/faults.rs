//! The faults of a configuration, each with its place.

use std::fmt;

use toml::{Table, Value};

use super::print::SECRET;

/// One fault: `recvault.toml:12: …` or `RECVAULT__WORK__LEASE_S: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// File and line, or the variable.
    pub place: String,
    /// The fault and its remedy.
    pub reason: String,
}

/// All faults of a configuration.
#[derive(Clone, Debug)]
pub struct ConfigFaults {
    file: String,
    lines: Vec<String>,
    variables: Vec<String>,
    list: Vec<ConfigFault>,
}

impl std::error::Error for ConfigFaults {}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration has faults:")?;
        for fault in &self.list {
            write!(f, "\n  {}: {}", fault.place, fault.reason)?;
        }
        Ok(())
    }
}

impl ConfigFaults {
    /// A single fault of a whole file.
    pub fn one(file: &str, reason: String) -> Self {
        let list = vec![ConfigFault {
            place: file.to_owned(),
            reason,
        }];
        Self {
            file: file.to_owned(),
            lines: Vec::new(),
            variables: Vec::new(),
            list,
        }
    }

    /// The faults, in the order found.
    pub fn list(&self) -> &[ConfigFault] {
        &self.list
    }

    pub(super) fn of(file: &str, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            variables: Vec::new(),
            list: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A file that is not TOML.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let before = self.lines.iter().scan(0, |at, line| {
            *at += line.len() + 1;
            Some(*at)
        });
        let start = error.span().map_or(0, |span| span.start);
        let line = before.take_while(|end| *end <= start).count() + 1;
        self.list.push(ConfigFault {
            place: format!("{}:{line}", self.file),
            reason: error.message().to_owned(),
        });
    }

    /// A fault of a section, or of a key in it.
    pub(super) fn add(&mut self, section: &str, key: Option<&str>, reason: &str) {
        let variable = format!("{}__{}", section, key.unwrap_or_default());
        let by_variable = self
            .variables
            .iter()
            .find(|name| key.is_some() && name.eq_ignore_ascii_case(&variable));
        let place = match by_variable {
            Some(name) => format!("{}{name}", super::PREFIX),
            None => format!("{}:{}", self.file, self.line_of(section, key)),
        };
        let name = key.map_or_else(|| section.to_owned(), |key| format!("{section}.{key}"));
        self.list.push(ConfigFault {
            place,
            reason: format!("`{name}`: {reason}"),
        });
    }

    /// Adds serde's error for a section, without the value; returns the faulty key, if it is known.
    pub(super) fn note_section(
        &mut self,
        section: &str,
        value: &Value,
        error: &toml::de::Error,
    ) -> Option<String> {
        let message = error.message();
        let keys: Vec<&String> = value
            .as_table()
            .map(|table| table.keys().collect())
            .unwrap_or_default();
        let mut named = message.split('`').skip(1).step_by(2);
        // serde quotes an unknown key first. For a fault inside a table, it names the table.
        let key = if message.starts_with("unknown field") {
            named.next().map(str::to_owned)
        } else {
            None
        };
        let text = error.to_string();
        let in_key = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("in `")?.strip_suffix('`'))
            .next();
        // For a fault in a table of the section, the table is the faulty key.
        let key = key
            .filter(|_| in_key.is_none())
            .or_else(|| in_key?.split(['.', '[']).next().map(str::to_owned));
        let key = key.filter(|key| keys.contains(&key));
        self.add(section, key.as_deref(), &without_value(message));
        key
    }

    /// Overrides the file's value with a variable.
    pub(super) fn overlay(&mut self, merged: &mut Table, name: &str, text: String) {
        let path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
        let (section, table, key) = match path.as_slice() {
            [section, key] => (section, None, key),
            [section, table, key] => (section, Some(table), key),
            _ => {
                return self.variable(
                    name,
                    "a variable must name a section and a key, such as `RECVAULT__STORE__URL`",
                );
            }
        };
        self.variables.push(name.to_owned());
        // Parsed as TOML if possible (numbers, lists), otherwise as plain text.
        let value = format!("v = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("v"));
        let mut entry = Some(merged);
        for name in [Some(section), table].into_iter().flatten() {
            entry = entry.and_then(|entry| {
                entry
                    .entry(name.clone())
                    .or_insert_with(|| Value::Table(Table::new()))
                    .as_table_mut()
            });
        }
        let Some(entry) = entry else {
            return self.variable(name, "its section is a single value, not a table of keys; remove the variable, or make the section a table");
        };
        let is_secret = SECRET.contains(&key.as_str());
        let value = match (value, entry.get(key)) {
            // A text in the file is overridden by a text, whatever its form; and so is a PIN of
            // digits.
            (_, Some(Value::String(_))) | (None, _) => Value::String(text),
            (Some(value), _) if is_secret && !value.is_array() => Value::String(text),
            (Some(value), _) => value,
        };
        entry.insert(key.clone(), value);
    }

    /// Adds a fault of a variable that names no key, or is unreadable.
    pub(super) fn variable(&mut self, name: &str, reason: &str) {
        self.list.push(ConfigFault {
            place: format!("{}{name}", super::PREFIX),
            reason: reason.to_owned(),
        });
    }

    /// Returns the line, from 1, that sets a key of a section, or opens the section.
    fn line_of(&self, section: &str, key: Option<&str>) -> usize {
        let opens = |line: &str| {
            line.trim_start_matches('[')
                .split([']', '.'])
                .next()
                .is_some_and(|name| name.trim() == section)
        };
        let mut found = 1;
        let mut inside = false;
        for (at, line) in self.lines.iter().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                let named = line.trim_matches(['[', ']']).split_once('.');
                if key.is_some_and(|key| named == Some((section, key))) {
                    return at + 1;
                }
                inside = opens(line);
                if inside && found == 1 {
                    found = at + 1;
                }
            } else if inside
                && key.is_some_and(|key| {
                    line.split('=')
                        .next()
                        .is_some_and(|name| name.trim() == key)
                })
            {
                return at + 1;
            }
        }
        found
    }
}

/// Returns serde's message about an unexpected type, without the value: it may be a secret in the
/// place of a list or a table of secrets.
fn without_value(message: &str) -> String {
    let found = message.split(['"', '`']).next().filter(|_| {
        message.starts_with("invalid type: ") || message.starts_with("invalid value: ")
    });
    match (found, message.rsplit_once(", expected ")) {
        (Some(found), Some((_, expected))) if found.len() < message.len() => {
            format!("{}, expected {expected}", found.trim_end())
        }
        _ => message.to_owned(),
    }
}
