//! `recvault snapshot`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    app::App,
    store::RecoveryName,
    vault::{self, Checked, Claim},
};

/// Restorable copies of the ledger in the store.
#[derive(Subcommand)]
pub(super) enum Snapshot {
    /// Write a snapshot, open it again and try it.
    Create,
    /// List the snapshots in the store, oldest first.
    List,
    /// Open a snapshot with the root in custody and try it; exit code 1 if it does not hold.
    Verify {
        /// Its name, as `list` shows it. Without it: the newest.
        snapshot: Option<RecoveryName>,
    },
    /// Rebuild the vault in an empty database from a snapshot and the journal. Every fence is in place before anything can be served.
    Restore {
        /// The snapshot, as `list` shows it. Without it: the newest whose root is in custody.
        #[arg(long)]
        snapshot: Option<RecoveryName>,
        /// Take the roots away from the database that has them: whatever still runs on that one opens and writes nothing any more.
        #[arg(long)]
        take_over: bool,
        /// Only say what would be restored.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Snapshot {
    pub(super) async fn perform(self, app: App, out: Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Create => show(&app.unlock().await?.snapshot().await?, out)?,
            Self::List => {
                let all = app.unlock().await?.snapshots().await?;
                out.facts(&all, || {
                    all.iter()
                        .map(|kept| format!("{}  {} bytes{}\n", kept.snapshot, kept.size, if kept.verified { ", verified" } else { "" }))
                        .collect()
                })?;
            }
            Self::Verify { snapshot } => {
                let vault = app.unlock().await?;
                let newest = async || vault.snapshots().await.map(|all| all.last().map(|kept| kept.snapshot));
                let Some(name) = (match snapshot {
                    Some(name) => Some(name),
                    None => newest().await?,
                }) else {
                    return Err("the store holds no snapshot; `recvault snapshot create` makes one".into());
                };
                show(&vault.verify_snapshot(name).await?, out)?;
            }
            Self::Restore { snapshot, take_over, dry_run } => {
                let plan = vault::plan(&app.parts(), snapshot).await?;
                if dry_run {
                    out.facts(&plan, || {
                        format!("Would restore {} and {} pieces of the journal. Nothing was done.\n", plan.snapshot, plan.journal.len())
                    })?;
                    return Ok(ExitCode::SUCCESS);
                }
                let claim = if take_over { Claim::TakeOver } else { Claim::Take };
                let restored = vault::restore(app.parts(), &plan, claim).await?;
                app.unlock().await?.settle().await?;
                out.facts(&restored, || {
                    format!(
                        "Restored vault {} in epoch {}: {} rows of {}, {} states of {} pieces of the journal, {} fences. Everything up to {} is there.\n",
                        restored.vault,
                        restored.epoch,
                        restored.rows,
                        restored.snapshot,
                        restored.states,
                        restored.pieces,
                        restored.fences,
                        restored.recovery_point
                    )
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(checked: &Checked, out: Out) -> Result<(), Failure> {
    Ok(out.facts(checked, || {
        format!(
            "{} holds: {} rows up to audit entry {}, {} living keys tried.\n",
            checked.snapshot, checked.rows, checked.seq, checked.keys
        )
    })?)
}
