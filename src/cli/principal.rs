//! `recvault principal`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{failure::Failure, out::Out};
use crate::{app::App, flow, model::numerals::counted};

/// Lists principals.
#[derive(Subcommand)]
pub(super) enum PrincipalCommand {
    /// Lists persons and services with their number of valid tokens.
    List,
}

impl PrincipalCommand {
    pub(super) async fn perform(self, app: App, out: Out) -> Result<ExitCode, Failure> {
        let Self::List = self;
        app.unlock_to_read().await?;
        let principals = flow::list_principals(&app.db, &app.clock).await?;
        out.none_if(principals.is_empty(), "principals");
        out.facts(&principals, || principals.iter().map(line).collect())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn line(listed: &flow::ListedPrincipal) -> String {
    let flow::ListedPrincipal { row, living_tokens } = listed;
    let tokens = counted(*living_tokens, "token", "tokens");
    format!(
        "{}  {}  {}  {}  {tokens}  {}\n",
        row.id, row.kind, row.issuer, row.subject, row.label
    )
}
