//! The log of access: the audit entries about a person's recordings, as one JSON document.
//!
//! A tar header needs the length of the document, which may be long: the document is generated
//! twice, the first time to measure it. The log only grows, so both are identical. Owns that
//! document.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Exports, Plan, ended, tar::TarSink};
use crate::{
    db::audit,
    evidence::{AuditEvent, Entry},
    flow::{error::Error, streams::Ended},
    model::id::RecordingId,
};

/// Entry numbers searched by one query: some ten milliseconds.
const WINDOW: i64 = 20_000;
const HEAD: &[u8] = b"{\"entries\":[\n";
const TAIL: &[u8] = b"\n]}\n";

/// The events of access.
const EVENTS: [AuditEvent; 8] = [
    AuditEvent::DecisionAllowed,
    AuditEvent::DecisionDenied,
    AuditEvent::OpeningStarted,
    AuditEvent::GlassBroken,
    AuditEvent::ApprovalRequested,
    AuditEvent::ApprovalShown,
    AuditEvent::ApprovalDecided,
    AuditEvent::SubjectExported,
];

/// Writes the document, with all entries that are in the log now.
pub(super) async fn write(exports: &Exports, plan: &Plan, out: &mut TarSink) -> Result<(), Ended> {
    let recordings = plan.recordings();
    let to = head(exports).await.map_err(ended)?;
    let mut len = (HEAD.len() + TAIL.len()) as u64;
    let mut log = Log::new(exports, plan, &recordings, to);
    while let Some(piece) = log.next().await.map_err(ended)? {
        len += piece.len() as u64;
    }
    let mut file = out.file("listening.json", len).await?;
    file.write(Bytes::from_static(HEAD)).await?;
    let mut log = Log::new(exports, plan, &recordings, to);
    while let Some(piece) = log.next().await.map_err(ended)? {
        file.write(piece.into()).await?;
    }
    file.write(Bytes::from_static(TAIL)).await?;
    file.end().await
}

async fn head(exports: &Exports) -> Result<i64, Error> {
    Ok(audit::head(&mut exports.db.read().await?).await?)
}

/// One pass through the log.
struct Log<'a> {
    exports: &'a Exports,
    plan: &'a Plan,
    recordings: &'a [RecordingId],
    seq: i64,
    to: i64,
    /// Whether an entry was written.
    begun: bool,
    /// The purposes of grants, by their ids: an opening names only its grant.
    purposes: HashMap<String, Value>,
}

impl<'a> Log<'a> {
    fn new(exports: &'a Exports, plan: &'a Plan, recordings: &'a [RecordingId], to: i64) -> Self {
        Self {
            exports,
            plan,
            recordings,
            seq: 0,
            to,
            begun: false,
            purposes: HashMap::new(),
        }
    }

    /// Returns whether an entry belongs to the document. An earlier export may have covered other
    /// accounts: a caller who is limited to some sees only their own.
    fn is_listed(&self, entry: &Entry) -> bool {
        let principal = &self.plan.principal;
        let is_own = || entry.actor == principal.initiator().actor();
        EVENTS.contains(&entry.event)
            && (entry.event != AuditEvent::SubjectExported
                || principal.accounts.is_empty()
                || is_own())
    }

    /// Returns the lines of the next window; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.seq >= self.to {
            return Ok(None);
        }
        let end = self.to.min(self.seq + WINDOW);
        let mut tx = self.exports.db.read().await?;
        let found =
            audit::about(&mut tx, self.recordings, self.plan.subject, (self.seq, end)).await?;
        drop(tx);
        self.seq = end;
        let mut lines = Vec::new();
        for entry in found {
            if !self.is_listed(&entry) {
                continue;
            }
            if self.begun {
                lines.extend_from_slice(b",\n");
            }
            self.begun = true;
            let line = serde_json::to_vec(&self.line(entry))
                .expect("ids, names and numbers have a JSON form");
            lines.extend_from_slice(&line);
        }
        Ok(Some(lines))
    }

    fn line(&mut self, entry: Entry) -> Value {
        let grant = entry
            .details
            .get("grant")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let own = entry.details.get("purpose").cloned();
        if let (AuditEvent::DecisionAllowed, Some(grant), Some(purpose)) =
            (entry.event, &grant, &own)
        {
            self.purposes.insert(grant.clone(), purpose.clone());
        }
        let purpose = own.or_else(|| self.purposes.get(&grant?).cloned());
        let mut line = json!({
            "recording_id": entry.recording, "at": entry.at, "who": entry.actor, "what": entry.event, "purpose": purpose, "seq": entry.seq,
            "details": entry.details,
        });
        if let (Some(told), Some(fields)) = (entry.told, line.as_object_mut()) {
            fields.insert("told".into(), json!(told));
        }
        line
    }
}
