//! `recvault approval`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{failure::Failure, out::Out};
use crate::{app::App, db::approvals::ApprovalState, flow};

/// Lists requests for the approval of a second person.
#[derive(Subcommand)]
pub(super) enum ApprovalCommand {
    /// Lists requests by their ids. Only principals who may approve see the justification.
    List {
        /// Restrict to `requested`, `approved` or `refused`; waiting requests only while they are
        /// valid.
        #[arg(long)]
        state: Option<ApprovalState>,
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
        out.none_if(facts.is_empty(), "requests for an approval");
        out.facts(&facts, || {
            let line =
                |(row, tier): &(crate::db::approvals::ApprovalRow, crate::model::name::Tier)| {
                    let decided = row
                        .decided_by
                        .map(|by| format!(" by {by}"))
                        .unwrap_or_default();
                    format!(
                        "{}  {}{decided}  until {}  {} for {} of {tier}, requested by {} at {}\n",
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
