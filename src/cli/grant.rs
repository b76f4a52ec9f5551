//! `recvault grant`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{
    failure::{Failure, or_missing},
    out::Out,
};
use crate::{
    app::App,
    model::id::GrantId,
    policy::{Permit, action},
};

/// Ends grants to listen.
#[derive(Subcommand)]
pub(super) enum GrantCommand {
    /// Ends a grant early. Its streams end within seconds, in every process.
    End {
        /// The grant's id, `grt_…`.
        id: GrantId,
    },
}

impl GrantCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let Self::End { id } = self;
        let (flow, ..) = app.flow().await?;
        let permit = Permit::of_operator(action::Revoke);
        flow.playback.end(&permit, id).await.map_err(|error| {
            or_missing(error, || {
                format!("there is no grant `{id}`, or it ended long ago")
            })
        })?;
        out.facts(&serde_json::json!({ "grant": id, "ended": true }), || {
            format!("Ended {id}.\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
