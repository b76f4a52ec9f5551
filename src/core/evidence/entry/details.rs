//! The details of an event besides its own columns.
//!
//! Owns its text form. Refuses to know which event has which members.

use std::{fmt, str::FromStr};

use serde_json::{Map, Value};

/// Further details of an event: a flat JSON object of ids, names, codes, numbers and digests. Text
/// form: compact JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct EntryDetails(pub(super) Map<String, Value>);

impl EntryDetails {
    /// Returns one value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }
}

impl fmt::Display for EntryDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// The text is no JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the details of an audit entry are not a JSON object")]
pub struct InvalidDetails;

/// Reads stored details; a new entry cannot be made of them.
impl FromStr for EntryDetails {
    type Err = InvalidDetails;

    fn from_str(text: &str) -> Result<Self, InvalidDetails> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|_| InvalidDetails)
    }
}
