//! Statements of consent as they are reported, and their checks against the policy and the clock.
//!
//! Owns the reported data, and its JSON form. Refuses to know files, and permissions. INVARIANT: no
//! fault repeats the content that it is about.

use std::{collections::BTreeSet, fmt};

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

/// How far the clock of a caller may be ahead of ours.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(300);

/// The subject of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A person, by one of their addresses.
    Person(Address),
    /// The party of this leg of a conversation; without a leg, every party of it.
    Place(Conversation, Option<LegName>),
}

/// A reported statement of consent.
#[derive(Clone, PartialEq, Eq)]
pub struct NewStatement {
    /// The subject.
    pub about: About,
    /// The purposes; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// The answer.
    pub answer: Answer,
    /// The method by which it was given.
    pub method: Method,
    /// A reference to the evidence in the caller's words, at most 1000 characters. Stored sealed.
    pub evidence: Option<Reference>,
    /// SHA-256 of the text that was disclosed, lower-case hex.
    pub disclosure: Option<String>,
    /// The version of the policy under which it was made.
    pub policy_version: Option<String>,
    /// When it was made; `None` means now.
    pub at: Option<Timestamp>,
    /// A key that identifies the statement together with its answer, for idempotent delivery;
    /// `None` if its whole content identifies it.
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

/// A fault of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The name of the field; empty for the whole statement.
    pub field: &'static str,
    /// The fault, and what is expected.
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

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faulty(pub(super) Vec<FieldFault>);

impl Faulty {
    /// Adds a fault and returns `None`, for callers that have no value.
    pub(super) fn add<T>(&mut self, field: &'static str, why: impl Into<String>) -> Option<T> {
        self.note(field, why);
        None
    }

    pub(super) fn note(&mut self, field: &'static str, why: impl Into<String>) {
        self.0.push(FieldFault {
            field,
            why: why.into(),
        });
    }
}

impl NewStatement {
    /// Returns the faults by the policy and the clock.
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
                    "item {} in alphabetical order is a purpose that no version of the policy \
                     declares; the current version declares `{RECORDING}`, `{}`",
                    at + 1,
                    known.join("`, `")
                );
                faults.note("purposes", why);
            }
        }
        let said_at = self.at.unwrap_or(now).min(now);
        if let Some(version) = &self.policy_version
            && !rulebook.was_in_force(version, said_at)
        {
            let why = "no version of that name was in force when it was said; `GET /v1/policies` lists all; without it, and without `at`, the one in force counts";
            faults.note("policy_version", why);
        }
        match self.at {
            Some(at) if at > now.after(AHEAD) => faults.note("at", "in the future"),
            None if told_later || self.method == Method::Import => {
                faults.note("at", "missing: give the time of the statement")
            }
            _ => {}
        }
        faults.0
    }
}
