//! The story that the log tells: each audit entry of a unit is one line, once the unit is committed.
//!
//! Owns which entries are lines, their level and what a line carries: the event in words, ids, names
//! of the policy, codes, and the milliseconds that it took. Refuses every other text: an operator's
//! account on the machine is `operator`, and what a line may name is listed here. INVARIANT: a line
//! comes after the commit, so that nothing is told that did not happen.

use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::field::{DisplayValue, display};

use crate::{
    evidence::{AuditEvent, EntryDetails, NewEntry},
    model::actor::Actor,
};

/// What a unit has to tell, should it be committed.
pub(super) struct UnitStory {
    began: Instant,
    before: Duration,
    entries: Vec<NewEntry>,
}

impl UnitStory {
    /// Begins now, with nothing to tell.
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            before: Duration::ZERO,
            entries: Vec::new(),
        }
    }

    /// What the unit completes had taken so long before the unit began.
    pub(super) fn took(&mut self, before: Duration) {
        self.before = before;
    }

    /// These were written.
    pub(super) fn add(&mut self, entries: Vec<NewEntry>) {
        self.entries.extend(entries);
    }

    /// Tells all of it.
    pub(super) fn tell(self) {
        let took = self.before + self.began.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        for entry in &self.entries {
            line(entry, ms);
        }
    }
}

/// Events that come by the thousand, or have a line of their own where they happen.
fn is_aside(event: AuditEvent) -> bool {
    matches!(
        event,
        AuditEvent::AccountsReloaded
            | AuditEvent::ConsentRecorded
            | AuditEvent::EntryLost
            | AuditEvent::GlassBroken
            | AuditEvent::OpeningStarted
            | AuditEvent::ReconcileDone
    )
}

/// One line of the given level.
macro_rules! tell {
    ($level:ident, $entry:expr, $ms:expr) => {{
        let details = $entry.details();
        tracing::$level!(
            target: "recvault::story",
            recording = $entry.recording().map(display),
            grant = fact(details, "grant"),
            receipt = fact(details, "receipt"),
            revocation = fact(details, "revocation"),
            approval = fact(details, "approval"),
            token = fact(details, "token"),
            principal = fact(details, "principal"),
            conversation = fact(details, "conversation"),
            purpose = fact(details, "purpose"),
            action = fact(details, "action"),
            tier = fact(details, "tier"),
            from = fact(details, "from"),
            to = fact(details, "to"),
            epoch = fact(details, "epoch"),
            kept_epoch = fact(details, "kept_epoch"),
            version = fact(details, "version"),
            kind = fact(details, "kind"),
            reason = fact(details, "reason"),
            reasons = fact(details, "reasons"),
            covered = fact(details, "covered"),
            shredded = fact(details, "shredded"),
            closed = fact(details, "closed"),
            held = fact(details, "held"),
            by = who($entry.actor()),
            ms = $ms,
            "{}",
            $entry.event().words()
        );
    }};
}

fn line(entry: &NewEntry, ms: u64) {
    if is_aside(entry.event()) {
        tell!(debug, entry, ms);
    } else {
        tell!(info, entry, ms);
    }
}

/// One of the details, if the entry has it.
fn fact(details: &EntryDetails, name: &str) -> Option<DisplayValue<String>> {
    let text = match details.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(all) => {
            let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            all.join(",")
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => return None,
    };
    Some(display(text))
}

/// Who acted: an id, or a word. What somebody is called on the machine stays in the audit log.
fn who(actor: Actor) -> DisplayValue<String> {
    display(match actor {
        Actor::Operator(_) => "operator".to_owned(),
        Actor::Principal(_) | Actor::Vault => actor.to_string(),
    })
}
