//! `recvault retention`: what is kept and why, and what is kept no longer.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    app::App,
    flow::{Conflict, RetentionReport, RetentionSweep},
    policy::{Permit, action},
};

/// Say what is kept and why, and shred what is kept no longer.
#[derive(Subcommand)]
pub(super) enum RetentionCommand {
    /// Say what is kept of each tier and policy version, when it is due, and what a hold keeps.
    Report,
    /// Shred what is kept no longer. The service does it every hour.
    Sweep {
        /// Only say what would be shredded.
        #[arg(long)]
        dry_run: bool,
    },
}

impl RetentionCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let flow = match self {
            Self::Report | Self::Sweep { dry_run: true } => app.flow_to_read().await?,
            Self::Sweep { dry_run: false } => app.flow().await?.0,
        };
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
    let mut text = format!("What is kept, as of {}\n\n", report.at);
    for group in &report.groups {
        let version = group
            .policy_version
            .as_deref()
            .unwrap_or("that is not known here");
        text += &format!(
            "tier {}, version {version}: {} recordings, the oldest of {}\n",
            group.tier, group.recordings, group.oldest_collected_at
        );
        text += &match (group.next_due_at, &group.clause) {
            (Some(due), Some(clause)) => format!("  next due {due}: {clause}\n"),
            _ => "  no version sets a limit\n".to_owned(),
        };
    }
    if report.groups.is_empty() {
        text += "Nothing.\n";
    }
    let ends = report
        .quarantine_ends
        .map(|at| format!(", the first until {at}"))
        .unwrap_or_default();
    text += &format!(
        "\nin quarantine {}{ends}\nheld {}, of which {} were revoked\n",
        report.quarantined, report.held, report.revoked_but_held
    );
    for hold in &report.holds {
        text += &format!(
            "  hold {}: {} recordings, to be reviewed by {}\n",
            hold.name, hold.recordings, hold.review_at
        );
    }
    text + &conflicts(&report.conflicts)
}

fn told(swept: &RetentionSweep) -> String {
    let (verb, end) = if swept.dry_run {
        ("Would shred", " Nothing was done.")
    } else {
        ("Shredded", "")
    };
    let mut text = format!(
        "{verb} {} recordings that are kept no longer.{end}\n",
        swept.shredded
    );
    for group in &swept.groups {
        text += &format!(
            "  tier {}: {}, by {}\n",
            group.tier, group.recordings, group.clause
        );
    }
    text + &conflicts(&swept.conflicts)
}

fn conflicts(conflicts: &[Conflict]) -> String {
    let line = |conflict: &Conflict| {
        let holds: Vec<&str> = conflict.holds.iter().map(|hold| hold.as_str()).collect();
        format!(
            "  {} should be gone since {} ({}), held by {}\n",
            conflict.recording_id,
            conflict.since,
            conflict.why,
            holds.join(", ")
        )
    };
    match conflicts {
        [] => String::new(),
        some => format!(
            "\nkept by a hold although it should be gone\n{}",
            some.iter().map(line).collect::<String>()
        ),
    }
}
