//! Statements of consent as they are told, and what the policy and the time have against them.
//!
//! Owns what is told, and its JSON form. Refuses to know files, and who may say so.
//! INVARIANT: no fault repeats what it is about.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::fields::{FIELDS, Faulty, Fields};
use crate::{
    model::{
        consent::{Answer, Method, RECORDING},
        name::{LegName, Purpose},
        subject::{Address, Conversation},
        text::Reference,
        time::Timestamp,
    },
    policy::Rulebook,
};

/// How far a clock that tells a time may be ahead of ours.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(300);

/// About whom a statement is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A person, by an address of theirs.
    Person(Address),
    /// Whoever has this place in a conversation; without a place, everybody in it.
    Place(Conversation, Option<LegName>),
}

/// A statement of consent that is told to the vault.
#[derive(Clone, PartialEq, Eq)]
pub struct NewStatement {
    /// About whom.
    pub about: About,
    /// For which purposes; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// What was said.
    pub answer: Answer,
    /// How.
    pub method: Method,
    /// Where the evidence is, in the teller's words; at most 1000 characters. Kept sealed.
    pub evidence: Option<Reference>,
    /// SHA-256 of the text that was disclosed, lower-case hex.
    pub disclosure: Option<String>,
    /// The version of the policy that it was said under.
    pub policy_version: Option<String>,
    /// When it was said; `None`: now.
    pub at: Option<Timestamp>,
    /// What makes it one and the same, with its answer, however often and whenever it is told;
    /// `None`: all the rest of it.
    pub once: Option<String>,
}

impl fmt::Debug for NewStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewStatement")
            .field("answer", &self.answer)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// Its name; empty for the whole statement.
    pub field: &'static str,
    /// What is wrong, and what is expected.
    pub why: String,
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "`{}`: {}", self.field, self.why)
        }
    }
}

impl NewStatement {
    /// Reads a JSON object with the fields `subject`, or `call` or `conference` with or without
    /// `leg`; `purposes` (an array), `answer`, `method`, `evidence`, `disclosure` or
    /// `disclosure_sha256`, `policy_version`, `at`.
    ///
    /// # Errors
    /// Every fault, each with its field. None repeats what stood there.
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
                    "it has a member that is none of `{}`",
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
                // A field whose form is wrong is not missing, too.
                let told: BTreeSet<&str> = faults.0.iter().map(|fault| fault.field).collect();
                faults
                    .0
                    .extend(more.into_iter().filter(|fault| !told.contains(fault.field)));
                Err(faults.0)
            }
        }
    }

    /// What the policy and the time have against it.
    pub(super) fn check(
        &self,
        rulebook: &Rulebook,
        now: Timestamp,
        told_later: bool,
    ) -> Vec<FieldFault> {
        let mut faults = Faulty::default();
        let is_named = |purpose: &Purpose| {
            purpose.as_str() == RECORDING
                || rulebook.versions().any(|rules| {
                    rules
                        .document()
                        .purposes
                        .iter()
                        .any(|rule| rule.name == *purpose)
                })
        };
        for (at, purpose) in self.purposes.iter().enumerate() {
            if !is_named(purpose) {
                let known: Vec<&str> = rulebook
                    .current()
                    .document()
                    .purposes
                    .iter()
                    .map(|rule| rule.name.as_str())
                    .collect();
                let why = format!(
                    "number {} in alphabetical order is a purpose that no version of the policy names; the current one names `{RECORDING}`, `{}`",
                    at + 1,
                    known.join("`, `")
                );
                faults.note("purposes", why);
            }
        }
        match self.at {
            Some(at) if at > now.after(AHEAD) => faults.note("at", "in the future"),
            None if told_later || self.method == Method::Import => {
                faults.note("at", "missing: when was it said?")
            }
            _ => {}
        }
        faults.0
    }
}

/// The name of a purpose, as one that cannot be taken for several.
fn purpose(item: &Value) -> Option<&str> {
    item.as_str()
        .filter(|name| !name.trim().is_empty() && !name.contains(';'))
}
