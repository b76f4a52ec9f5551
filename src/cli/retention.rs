//! `recvault retention`: kept recordings with the reason, and recordings due for a shred.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Subcommand;

use super::{
    failure::Failure,
    out::{Out, indented},
};
use crate::{
    app::App,
    flow::{Conflict, RetentionReport, RetentionSweep},
    model::{media::MediaKind, numerals::counted},
    policy::{Permit, action},
};

/// Reports which recordings are kept and why, and shreds recordings whose retention has ended.
#[derive(Subcommand)]
pub(super) enum RetentionCommand {
    /// Reports the kept recordings by tier and policy version, their due dates, and the holds.
    Report,
    /// Shreds recordings whose retention has ended. The service does so every hour.
    Sweep {
        /// Only show which recordings would be shredded.
        #[arg(long)]
        dry_run: bool,
    },
}

impl RetentionCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let only_reads = matches!(self, Self::Report | Self::Sweep { dry_run: true });
        let flow = app.flow_for(only_reads).await?;
        match self {
            Self::Report => {
                let report = flow
                    .retention
                    .report(&Permit::of_operator(action::Catalogue))
                    .await?;
                out.facts(&report, || reported(&report))?;
            }
            Self::Sweep { dry_run } => {
                let swept = flow.retention.sweep(dry_run).await?;
                out.facts(&swept, || told(&swept))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn reported(report: &RetentionReport) -> String {
    let mut text = format!("Kept recordings, as of {}\n\n", report.at);
    for group in &report.groups {
        let version = group.policy_version.as_deref().unwrap_or("unknown");
        text += &format!(
            "tier {}, version {version}: {}{}, the oldest collected {}\n",
            group.tier,
            counted(group.recordings, "recording", "recordings"),
            by_kind(&group.kinds),
            group.oldest_collected_at
        );
        text += &match (group.next_due_at, &group.clause) {
            (Some(due), Some(clause)) => format!("  next due {due}: {clause}\n"),
            _ => "  no version sets a limit\n".to_owned(),
        };
    }
    if report.groups.is_empty() {
        text += "None.\n";
    }
    let ends = report
        .quarantine_ends
        .map(|at| format!(", the first until {at}"))
        .unwrap_or_default();
    text += &format!(
        "\nin quarantine {}{ends}\nheld {}, of these revoked {}\n",
        report.quarantined, report.held, report.revoked_but_held
    );
    for hold in report.holds.iter().flatten() {
        text += &format!(
            "  hold {}: {}, to be reviewed by {}\n",
            hold.name,
            counted(hold.recordings, "recording", "recordings"),
            hold.review_at
        );
    }
    text + &conflicts(&report.conflicts)
}

/// ` (3 call, 2 message)`; nothing where all are calls.
fn by_kind(kinds: &BTreeMap<MediaKind, i64>) -> String {
    if kinds.keys().all(|kind| *kind == MediaKind::CallAudio) {
        return String::new();
    }
    let parts = kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
    format!(" ({})", parts.collect::<Vec<_>>().join(", "))
}

fn told(swept: &RetentionSweep) -> String {
    let (verb, end) = if swept.dry_run {
        ("Would shred", " Nothing was done.")
    } else {
        ("Shredded", "")
    };
    let mut text = format!(
        "{verb} {} whose retention has ended.{end}\n",
        counted(swept.shredded, "recording", "recordings")
    );
    for group in &swept.groups {
        text += &format!(
            "  tier {}: {}, by {}\n",
            group.tier, group.recordings, group.clause
        );
        text += &indented(&group.due);
    }
    text + &conflicts(&swept.conflicts)
}

fn conflicts(conflicts: &[Conflict]) -> String {
    let line = |conflict: &Conflict| {
        let holds = conflict.holds.iter().flatten();
        let holds: Vec<&str> = holds.map(|hold| hold.as_str()).collect();
        format!(
            "  {} was due on {} ({}), held by {}\n",
            conflict.recording_id,
            conflict.since,
            conflict.why,
            holds.join(", ")
        )
    };
    match conflicts {
        [] => String::new(),
        some => format!(
            "\nkept by a hold beyond the due date\n{}",
            some.iter().map(line).collect::<String>()
        ),
    }
}
