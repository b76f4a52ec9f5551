//! The fields of a statement of consent as texts, from any format.
//!
//! Owns their names, formats and limits. Refuses to know the policy. INVARIANT: no fault repeats
//! the content of a field. In a shifted column it may be a phone number.

use std::collections::BTreeSet;

use serde_json::Value;

use super::statement::{About, Faulty, FieldFault, NewStatement};
use crate::model::{
    name::{LegName, Purpose},
    subject::{Conversation, InvalidAddress},
    text::{PolicyVersion, Reference},
    time::Timestamp,
};

/// The longest disclosure, in bytes.
const MAX_DISCLOSURE: usize = 32 * 1024;

/// The names of all fields.
pub(super) const FIELDS: [&str; 12] = [
    "subject",
    "call",
    "conference",
    "leg",
    "purposes",
    "answer",
    "method",
    "evidence",
    "disclosure",
    "disclosure_sha256",
    "policy_version",
    "at",
];

/// The texts of one statement, in the order of [`FIELDS`]. An empty text counts as absent.
#[derive(Default)]
pub(super) struct Fields([String; FIELDS.len()]);

impl Fields {
    /// Sets the text of a field.
    pub(super) fn set(&mut self, field: usize, text: &str) {
        if let Some(place) = self.0.get_mut(field) {
            text.clone_into(place);
        }
    }

    fn get(&self, field: &str) -> Option<&str> {
        let at = FIELDS.iter().position(|known| *known == field)?;
        self.0
            .get(at)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// Returns the text without trimming, because a digest is of the exact text.
    fn exact(&self, field: &str) -> Option<&str> {
        let at = FIELDS.iter().position(|known| *known == field)?;
        self.0
            .get(at)
            .map(String::as_str)
            .filter(|text| !text.trim().is_empty())
    }

    /// Converts the fields to a statement, or returns every fault.
    pub(super) fn read(&self) -> Result<NewStatement, Vec<FieldFault>> {
        let mut faults = Faulty::default();
        let about = self.about(&mut faults);
        let purposes = self.purposes(&mut faults);
        let answer = self.needed("answer", &mut faults);
        let method = self.needed("method", &mut faults);
        let evidence = self.get("evidence").and_then(|text| {
            let read = text.parse::<Reference>();
            read.map_or_else(
                |why| {
                    faults.add(
                        "evidence",
                        format!("{why}: give a reference to the evidence, not the evidence"),
                    )
                },
                Some,
            )
        });
        let disclosure = self.disclosure(&mut faults);
        let policy_version = self.get("policy_version").and_then(|text| {
            let read = text.parse::<PolicyVersion>();
            read.map_or_else(
                |why| faults.add("policy_version", why.to_string()),
                |version| Some(version.as_str().to_owned()),
            )
        });
        let at = self.get("at").map(|text| {
            let at = Timestamp::parse_rfc3339(text);
            at.or_else(|| {
                faults.add(
                    "at",
                    "not a time: expected RFC 3339, like `2026-01-31T15:04:05Z`",
                )
            })
        });
        match (about, purposes, answer, method, at) {
            (Some(about), Some(purposes), Some(answer), Some(method), at)
                if faults.0.is_empty() =>
            {
                Ok(NewStatement {
                    about,
                    purposes,
                    answer,
                    method,
                    evidence,
                    disclosure,
                    policy_version,
                    at: at.flatten(),
                    once: None,
                })
            }
            _ => Err(faults.0),
        }
    }

    fn about(&self, faults: &mut Faulty) -> Option<About> {
        let conversation = |field: &'static str, prefix: &str, faults: &mut Faulty| {
            let text = self.get(field)?;
            let sid: Option<Conversation> = text.parse().ok().filter(|_| text.starts_with(prefix));
            sid.or_else(|| {
                faults.add(
                    field,
                    format!("not the id of one: expected `{prefix}` and 32 hex digits"),
                )
            })
        };
        let leg = self.get("leg").map(|text| {
            text.parse::<LegName>().ok().or_else(|| {
                let why = "not a place in a conversation: expected 1 to 64 lower-case letters, digits, `-` and `_`, starting with a letter";
                faults.add("leg", why)
            })
        });
        match (self.get("subject"), self.get("call"), self.get("conference")) {
            (Some(text), None, None) => {
                if leg.is_some() {
                    return faults.add("leg", "requires `call` or `conference`, not `subject`");
                }
                match text.parse() {
                    Ok(address) => Some(About::Person(address)),
                    Err(error) => {
                        let error: InvalidAddress = error;
                        faults.add("subject", error.to_string())
                    }
                }
            }
            (None, Some(_), None) => Some(About::Place(conversation("call", "CA", faults)?, leg.unwrap_or_default())),
            (None, None, Some(_)) => Some(About::Place(conversation("conference", "CF", faults)?, leg.unwrap_or_default())),
            (None, None, None) => {
                faults.add("subject", "missing: give a number or address, or `call` (or `conference`) with or without `leg`")
            }
            _ => faults.add("subject", "give one of `subject`, `call` and `conference`"),
        }
    }

    fn purposes(&self, faults: &mut Faulty) -> Option<BTreeSet<Purpose>> {
        let Some(text) = self.get("purposes") else {
            return Some(BTreeSet::new());
        };
        let mut purposes = BTreeSet::new();
        for (at, name) in text.split(';').map(str::trim).enumerate() {
            match name.parse() {
                Ok(purpose) => {
                    purposes.insert(purpose);
                }
                // An empty item must not select every purpose.
                Err(_) => {
                    return faults.add(
                        "purposes",
                        format!("item {} is not the name of a purpose", at + 1),
                    );
                }
            }
        }
        Some(purposes)
    }

    fn needed<T: std::str::FromStr<Err = crate::model::word::UnknownWord>>(
        &self,
        field: &'static str,
        faults: &mut Faulty,
    ) -> Option<T> {
        match self.get(field).map(str::parse) {
            Some(Ok(value)) => Some(value),
            Some(Err(error)) => faults.add(field, error.to_string()),
            None => faults.add(field, "missing"),
        }
    }

    fn disclosure(&self, faults: &mut Faulty) -> Option<String> {
        match (self.exact("disclosure"), self.get("disclosure_sha256")) {
            (None, None) => None,
            (Some(_), Some(_)) => faults.add(
                "disclosure_sha256",
                "give the text in `disclosure` or its digest here, not both",
            ),
            (Some(text), None) if text.len() > MAX_DISCLOSURE => faults.add(
                "disclosure",
                "longer than 32 KiB: give its SHA-256 in `disclosure_sha256`",
            ),
            (Some(text), None) => Some(super::disclosed(text)),
            (None, Some(text))
                if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Some(text.to_ascii_lowercase())
            }
            (None, Some(_)) => {
                faults.add("disclosure_sha256", "not a SHA-256: expected 64 hex digits")
            }
        }
    }
}

impl NewStatement {
    /// Reads a JSON object with the fields `subject`, or `call` or `conference` with or without
    /// `leg`; `purposes` (an array), `answer`, `method`, `evidence`, `disclosure` or
    /// `disclosure_sha256`, `policy_version`, `at`.
    ///
    /// # Errors
    /// Every fault with its field. No fault repeats the content.
    pub fn from_json(value: &Value) -> Result<Self, Vec<FieldFault>> {
        let whole = |why: &str| {
            vec![FieldFault {
                field: "",
                why: why.to_owned(),
            }]
        };
        let Value::Object(members) = value else {
            return Err(whole("expected a JSON object"));
        };
        let mut fields = Fields::default();
        let mut faults = Faulty::default();
        for (name, value) in members {
            let Some(at) = FIELDS.iter().position(|known| *known == name) else {
                faults.0.extend(whole(&format!(
                    "it has an unknown member; use `{}`",
                    FIELDS.join("`, `")
                )));
                continue;
            };
            let field = FIELDS.get(at).copied().unwrap_or_default();
            match value {
                Value::Null => {}
                Value::String(_) if field == "purposes" => {
                    faults.note(field, "expected an array of names")
                }
                // In a file, an empty cell is an absent field; JSON has null for that. Free text
                // may be empty.
                Value::String(text)
                    if text.trim().is_empty() && !matches!(field, "evidence" | "disclosure") =>
                {
                    faults.note(field, "empty: leave it out")
                }
                Value::String(text) => fields.set(at, text),
                Value::Array(items) if field == "purposes" => {
                    match items.iter().map(purpose).collect::<Option<Vec<_>>>() {
                        Some(names) => fields.set(at, &names.join(";")),
                        None => faults.note(field, "expected an array of names of purposes"),
                    }
                }
                _ => faults.note(field, "expected a text"),
            }
        }
        match fields.read() {
            Ok(statement) if faults.0.is_empty() => Ok(statement),
            Ok(_) => Err(faults.0),
            Err(more) => {
                // A field with a wrong format is not reported as missing, too.
                let told: BTreeSet<&str> = faults.0.iter().map(|fault| fault.field).collect();
                faults
                    .0
                    .extend(more.into_iter().filter(|fault| !told.contains(fault.field)));
                Err(faults.0)
            }
        }
    }
}

/// Returns the name of a purpose, unless it could be read as several.
fn purpose(item: &Value) -> Option<&str> {
    item.as_str()
        .filter(|name| !name.trim().is_empty() && !name.contains(';'))
}
