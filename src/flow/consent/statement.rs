//! Statements of consent as they are told, and what the policy and the time have against them.
//!
//! Owns what is told, and its JSON form. Refuses to know files, and who may say so.
//! INVARIANT: no fault repeats what it is about.

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

/// Faults as they are found.
#[derive(Default)]
pub(super) struct Faulty(pub(super) Vec<FieldFault>);

impl Faulty {
    /// Adds a fault and gives nothing, for who has nothing to give.
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
