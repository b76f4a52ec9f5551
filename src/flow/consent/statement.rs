//! Statements of consent as they are told: fields that are texts, from a file or a request, become a [`NewStatement`].
//!
//! Owns the fields and their limits. Refuses to know files, and who may say so.
//! INVARIANT: no fault repeats what stood in a field. A shifted column may hold anybody's number where a word is expected.

use std::{collections::BTreeSet, fmt};

use aws_lc_rs::digest;
use serde_json::Value;

use crate::{
    model::{
        consent::{Answer, Method, RECORDING},
        name::{LegName, Purpose},
        subject::{Address, Conversation, InvalidAddress},
        time::Timestamp,
    },
    policy::Rulebook,
};

/// The longest reference to evidence, in characters.
const MAX_EVIDENCE: usize = 1000;
/// The longest disclosure, in bytes.
const MAX_DISCLOSURE: usize = 32 * 1024;
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
    pub evidence: Option<String>,
    /// SHA-256 of the text that was disclosed, lower-case hex.
    pub disclosure: Option<String>,
    /// The version of the policy that it was said under.
    pub policy_version: Option<String>,
    /// When it was said; `None`: now.
    pub at: Option<Timestamp>,
}

impl fmt::Debug for NewStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewStatement").field("answer", &self.answer).field("method", &self.method).finish_non_exhaustive()
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
        if self.field.is_empty() { f.write_str(&self.why) } else { write!(f, "`{}`: {}", self.field, self.why) }
    }
}

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

/// The texts of one statement, in the order of [`FIELDS`]. A text that is empty is as good as none.
#[derive(Default)]
pub(super) struct Fields([String; FIELDS.len()]);

impl Fields {
    /// Puts a text into a field.
    pub(super) fn set(&mut self, field: usize, text: &str) {
        if let Some(place) = self.0.get_mut(field) {
            text.clone_into(place);
        }
    }

    fn get(&self, field: &str) -> Option<&str> {
        let at = FIELDS.iter().position(|known| *known == field)?;
        self.0.get(at).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// As it stands there, with white space at its ends: a digest is of the exact text.
    fn exact(&self, field: &str) -> Option<&str> {
        let at = FIELDS.iter().position(|known| *known == field)?;
        self.0.get(at).map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    /// The statement that they make, or every fault.
    pub(super) fn read(&self) -> Result<NewStatement, Vec<FieldFault>> {
        let mut faults = Faulty::default();
        let about = self.about(&mut faults);
        let purposes = self.purposes(&mut faults);
        let answer = self.needed("answer", &mut faults);
        let method = self.needed("method", &mut faults);
        let evidence = self.get("evidence").map(str::to_owned);
        if evidence.as_ref().is_some_and(|text| text.chars().nth(MAX_EVIDENCE).is_some()) {
            faults.note("evidence", format!("longer than {MAX_EVIDENCE} characters: give a reference to the evidence, not the evidence"));
        }
        let disclosure = self.disclosure(&mut faults);
        let policy_version = self.get("policy_version").map(str::to_owned);
        let plain = |text: &String| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if policy_version.as_ref().is_some_and(|version| !plain(version)) {
            faults.note("policy_version", "not the name of a version: expected 1 to 64 of ASCII letters, digits, `.`, `-` and `_`");
        }
        let at = self.get("at").map(|text| {
            let at = Timestamp::parse_rfc3339(text);
            at.or_else(|| faults.add("at", "not a time: expected RFC 3339, like `2026-01-31T15:04:05Z`"))
        });
        match (about, purposes, answer, method, at) {
            (Some(about), Some(purposes), Some(answer), Some(method), at) if faults.0.is_empty() => {
                Ok(NewStatement { about, purposes, answer, method, evidence, disclosure, policy_version, at: at.flatten() })
            }
            _ => Err(faults.0),
        }
    }

    fn about(&self, faults: &mut Faulty) -> Option<About> {
        let conversation = |field: &'static str, prefix: &str, faults: &mut Faulty| {
            let text = self.get(field)?;
            let sid: Option<Conversation> = text.parse().ok().filter(|_| text.starts_with(prefix));
            sid.or_else(|| faults.add(field, format!("not the id of one: expected `{prefix}` and 32 hex digits")))
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
                    return faults.add("leg", "goes with `call` or `conference`; `subject` is a person wherever they are");
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
        let Some(text) = self.get("purposes") else { return Some(BTreeSet::new()) };
        let mut purposes = BTreeSet::new();
        for (at, name) in text.split(';').map(str::trim).enumerate() {
            match name.parse() {
                Ok(purpose) => {
                    purposes.insert(purpose);
                }
                // Nothing between two separators must not become every purpose.
                Err(_) => return faults.add("purposes", format!("number {} is not the name of a purpose", at + 1)),
            }
        }
        Some(purposes)
    }

    fn needed<T: std::str::FromStr<Err = crate::model::consent::UnknownWord>>(
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
            (Some(_), Some(_)) => faults.add("disclosure_sha256", "give the text in `disclosure` or its digest here, not both"),
            (Some(text), None) if text.len() > MAX_DISCLOSURE => {
                faults.add("disclosure", "longer than 32 KiB: give its SHA-256 in `disclosure_sha256`")
            }
            (Some(text), None) => Some(hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))),
            (None, Some(text)) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => Some(text.to_ascii_lowercase()),
            (None, Some(_)) => faults.add("disclosure_sha256", "not a SHA-256: expected 64 hex digits"),
        }
    }
}

#[derive(Default)]
struct Faulty(Vec<FieldFault>);

impl Faulty {
    /// Adds a fault and gives nothing, for who has nothing to give.
    fn add<T>(&mut self, field: &'static str, why: impl Into<String>) -> Option<T> {
        self.note(field, why);
        None
    }

    fn note(&mut self, field: &'static str, why: impl Into<String>) {
        self.0.push(FieldFault { field, why: why.into() });
    }
}

impl NewStatement {
    /// Reads a JSON object with the fields `subject`, or `call` or `conference` with or without `leg`; `purposes` (an array), `answer`, `method`,
    /// `evidence`, `disclosure` or `disclosure_sha256`, `policy_version`, `at`.
    ///
    /// # Errors
    /// Every fault, each with its field. None repeats what stood there.
    pub fn from_json(value: &Value) -> Result<Self, Vec<FieldFault>> {
        let whole = |why: &str| vec![FieldFault { field: "", why: why.to_owned() }];
        let Value::Object(members) = value else { return Err(whole("expected a JSON object")) };
        let (mut fields, mut faults) = (Fields::default(), Faulty::default());
        for (name, value) in members {
            let Some(at) = FIELDS.iter().position(|known| *known == name) else {
                faults.0.extend(whole(&format!("it has a member that is none of `{}`", FIELDS.join("`, `"))));
                continue;
            };
            let field = FIELDS.get(at).copied().unwrap_or_default();
            match value {
                Value::Null => {}
                Value::String(_) if field == "purposes" => faults.note(field, "expected an array of names"),
                Value::String(text) => fields.set(at, text),
                Value::Array(items) if field == "purposes" => match items.iter().map(purpose).collect::<Option<Vec<_>>>() {
                    Some(names) => fields.set(at, &names.join(";")),
                    None => faults.note(field, "expected an array of names of purposes"),
                },
                _ => faults.note(field, "expected a text"),
            }
        }
        match fields.read() {
            Ok(statement) if faults.0.is_empty() => Ok(statement),
            Ok(_) => Err(faults.0),
            Err(more) => {
                // A field whose form is wrong is not missing, too.
                let told: BTreeSet<&str> = faults.0.iter().map(|fault| fault.field).collect();
                faults.0.extend(more.into_iter().filter(|fault| !told.contains(fault.field)));
                Err(faults.0)
            }
        }
    }

    /// What the policy and the time have against it.
    pub(super) fn check(&self, rulebook: &Rulebook, now: Timestamp, told_later: bool) -> Vec<FieldFault> {
        let mut faults = Faulty::default();
        let is_named = |purpose: &Purpose| {
            purpose.as_str() == RECORDING
                || rulebook.versions().any(|rules| rules.document().purposes.iter().any(|rule| rule.name == *purpose))
        };
        for (at, purpose) in self.purposes.iter().enumerate() {
            if !is_named(purpose) {
                let known: Vec<&str> = rulebook.current().document().purposes.iter().map(|rule| rule.name.as_str()).collect();
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
            None if told_later || self.method == Method::Import => faults.note("at", "missing: when was it said?"),
            _ => {}
        }
        faults.0
    }
}

/// The name of a purpose, as one that cannot be taken for several.
fn purpose(item: &Value) -> Option<&str> {
    item.as_str().filter(|name| !name.trim().is_empty() && !name.contains(';'))
}
