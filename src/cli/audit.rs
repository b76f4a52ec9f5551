//! `recvault audit`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{failure::Failure, moment::moment, out::Out};
use crate::{
    app::App,
    db::audit::{AuditFilter, AuditOrder},
    evidence::{AuditEvent, Entry},
    model::{
        actor::Actor,
        id::{PrincipalId, RecordingId},
        time::Timestamp,
        timeline::LogPoint,
    },
    policy::{Permit, action},
};

/// Prints the audit log.
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Prints entries, oldest first; with `--json` one object per line.
    List(ListAudit),
}

/// Which entries, and how many.
#[derive(Args)]
pub(super) struct ListAudit {
    /// Only entries after this number: higher numbers, or with `--newest` lower ones.
    #[arg(long)]
    after: Option<i64>,
    /// Only entries about this recording.
    #[arg(long)]
    recording: Option<RecordingId>,
    /// Only what this principal did, and entries about them and their tokens.
    #[arg(long, value_name = "ID")]
    principal: Option<PrincipalId>,
    /// Only what this actor did: `prn_…`, `operator:<user>` or `vault`.
    #[arg(long)]
    actor: Option<Actor>,
    /// Only this event, such as `decision.denied`; repeatable.
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<AuditEvent>,
    /// Only from this date or time on.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Option<Timestamp>,
    /// Only before this date or time.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    until: Option<Timestamp>,
    /// Newest first.
    #[arg(long)]
    newest: bool,
    /// Maximum number of entries.
    #[arg(long)]
    limit: Option<u64>,
}

impl AuditCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let Self::List(wanted) = self;
        let flow = app.flow_to_read().await?;
        let permit = Permit::of_operator(action::Audit);
        let mut left = wanted.limit.unwrap_or(u64::MAX);
        let mut filter = wanted.filter();
        let mut is_empty = true;
        while left > 0 {
            let page = flow.catalogue.audit(&permit, filter.clone(), 1000).await?;
            let many = usize::try_from(left).unwrap_or(usize::MAX);
            for entry in page.items.iter().take(many) {
                is_empty = false;
                // A reader that has enough closes the pipe, and the log is long.
                if !out.bytes(line(entry, out)?.as_bytes())? {
                    return Ok(ExitCode::SUCCESS);
                }
                left -= 1;
            }
            filter.after = page.next;
            if filter.after.is_none() {
                break;
            }
        }
        out.none_if(is_empty, "entries");
        Ok(ExitCode::SUCCESS)
    }
}

impl ListAudit {
    fn filter(self) -> AuditFilter {
        AuditFilter {
            recording: self.recording,
            principal: self.principal,
            actor: self.actor,
            events: self.events,
            since: self.since,
            until: self.until,
            order: if self.newest {
                AuditOrder::Newest
            } else {
                AuditOrder::Oldest
            },
            after: self.after,
            ..AuditFilter::default()
        }
    }
}

fn line(entry: &Entry, out: Out) -> Result<String, Failure> {
    if out.json {
        return Ok(serde_json::to_string(entry)? + "\n");
    }
    let recording = entry
        .recording
        .map(|id| format!(" {id}"))
        .unwrap_or_default();
    let told = entry.told.map(|told| {
        let LogPoint { timeline, seq } = told;
        format!(" (told as {seq} in timeline {timeline})")
    });
    Ok(format!(
        "{} {} {} {}{recording} {}{}\n",
        entry.seq,
        entry.at,
        entry.actor,
        entry.event,
        entry.details,
        told.unwrap_or_default()
    ))
}
