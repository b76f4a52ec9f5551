//! `recvault approval`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{app::App, db::approvals::Stage, flow};

/// Look after requests for the approval of a second person.
#[derive(Subcommand)]
pub(super) enum ApprovalCommand {
    /// List requests by their ids. What was said for them only those see who may approve.
    List {
        /// Only `requested`, `approved` or `refused`; of those that wait, only the ones that count
        /// still.
        #[arg(long)]
        state: Option<Stage>,
    },
}

impl ApprovalCommand {
    pub(super) async fn perform(self, app: App, out: Out) -> Result<ExitCode, Failure> {
        let Self::List { state } = self;
        app.unlock_to_read().await?;
        let found = flow::list_approvals(&app.db, state, app.clock.now()).await?;
        let facts: Vec<_> = found
            .iter()
            .map(|(row, tier)| {
                serde_json::json!({
                    "id": row.id, "recording_id": row.recording, "tier": tier, "purpose": row.purpose, "requested_by": row.requested_by,
                    "state": row.stage, "requested_at": row.requested_at, "expires_at": row.expires_at, "decided_at": row.decided_at,
                    "decided_by": row.decided_by,
                })
            })
            .collect();
        out.facts(&facts, || {
            let line =
                |(row, tier): &(crate::db::approvals::ApprovalRow, crate::model::name::Tier)| {
                    let decided = row
                        .decided_by
                        .map(|by| format!(" by {by}"))
                        .unwrap_or_default();
                    format!(
                        "{}  {}{decided}  until {}  {} for {} of {tier}, asked by {} at {}\n",
                        row.id,
                        row.stage,
                        row.expires_at,
                        row.recording,
                        row.purpose,
                        row.requested_by,
                        row.requested_at
                    )
                };
            found.iter().map(line).collect()
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
