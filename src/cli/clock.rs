//! `recvault clock`: the state of the clock.

use std::process::ExitCode;

use clap::Subcommand;

use super::{failure::Failure, out::Out};
use crate::{
    app::App,
    flow::ClockStatus,
    policy::{Permit, action},
};

/// Shows and accepts the clock that decides destruction by date.
#[derive(Subcommand)]
pub(super) enum ClockCommand {
    /// Shows the times of this machine, the database and the audit log, and whether the clock is
    /// believed. Exit code 1 if it is not.
    Status,
    /// Confirms the clock of this machine: destruction by date resumes.
    Accept {
        /// Only show the time that would be accepted.
        #[arg(long)]
        dry_run: bool,
    },
}

impl ClockCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let (flow, _committer) = app.flow_about_the_clock().await?;
        let permit = Permit::of_operator(action::Keys);
        let (status, end) = match self {
            Self::Status => (flow.clock.status().await?, ""),
            Self::Accept { dry_run: true } => (
                flow.clock.accept(&permit, true).await?,
                "\nWould accept the time of this machine: the next sweep destroys every recording due by it. `recvault retention sweep --dry-run` lists them. \
                 Nothing was done.\n",
            ),
            Self::Accept { dry_run: false } => (
                flow.clock.accept(&permit, false).await?,
                "\nAccepted the time of this machine.\n",
            ),
        };
        out.facts(&status, || told(&status) + end)?;
        let is_refused = status.refused.is_some() && end.is_empty();
        Ok(if is_refused {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn told(status: &ClockStatus) -> String {
    let known = |at: Option<crate::model::time::Timestamp>| {
        at.map_or_else(|| "none".to_owned(), |at| at.to_string())
    };
    let verdict = status.refused.as_ref().map_or_else(
        || "believed".to_owned(),
        |why| format!("NOT BELIEVED: nothing is destroyed by date; {why}"),
    );
    format!(
        "this machine   {}\ndatabase       {}\nbelieved last  {}\nnewest entry   {}\nthe clock is   {verdict}\n",
        status.now,
        status.database,
        known(status.believed),
        known(status.newest_entry)
    )
}
