//! `recvault audit`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    app::App,
    db::audit::AuditFilter,
    model::timeline::LogPoint,
    policy::{Permit, action},
};

/// Prints the audit log.
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Prints entries, oldest first; with `--json` one object per line.
    List {
        /// Only entries with a higher number.
        #[arg(long, default_value_t = 0)]
        after: i64,
        /// Maximum number of entries.
        #[arg(long)]
        limit: Option<u64>,
    },
}

impl AuditCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let Self::List { after, limit } = self;
        let flow = app.flow_to_read().await?;
        let permit = Permit::of_operator(action::Audit);
        let mut next = Some(after);
        let mut left = limit.unwrap_or(u64::MAX);
        while let Some(after) = next.filter(|_| left > 0) {
            let filter = AuditFilter::after(after);
            let page = flow.catalogue.audit(&permit, filter, 1000).await?;
            for entry in page
                .items
                .iter()
                .take(usize::try_from(left).unwrap_or(usize::MAX))
            {
                if out.json {
                    out.text(&(serde_json::to_string(entry)? + "\n"))?;
                } else {
                    let recording = entry
                        .recording
                        .map(|id| format!(" {id}"))
                        .unwrap_or_default();
                    let told = entry.told.map(|told| {
                        let LogPoint { timeline, seq } = told;
                        format!(" (told as {seq} in timeline {timeline})")
                    });
                    out.text(&format!(
                        "{} {} {} {}{recording} {}{}\n",
                        entry.seq,
                        entry.at,
                        entry.actor,
                        entry.event,
                        entry.details,
                        told.unwrap_or_default()
                    ))?;
                }
                left -= 1;
            }
            next = page.next;
        }
        Ok(ExitCode::SUCCESS)
    }
}
