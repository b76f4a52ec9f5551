//! `recvault snapshot`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{
    failure::{CommandRefusal, Failure},
    out::Out,
};
use crate::{
    app::{App, NewStores},
    db::gaps::Gap,
    model::{id::VaultId, numerals::counted},
    store::RecoveryName,
    vault::{self, Choice, Claim, Plan, VerifiedSnapshot},
};

/// Creates, verifies and restores snapshots of the database.
#[derive(Subcommand)]
pub(super) enum SnapshotCommand {
    /// Writes a snapshot, opens it again and verifies it.
    Create {
        /// Confirm that the store is new: it holds no earlier files, because the former store was
        /// lost or is no longer used.
        #[arg(long)]
        new_store: bool,
    },
    /// Lists the snapshots in the store, oldest first.
    List,
    /// Opens a snapshot with the root key in custody and verifies it. Exit code 1 if it fails.
    Verify {
        /// The snapshot's name, as `list` shows it. Without it: the newest.
        snapshot: Option<RecoveryName>,
    },
    /// Rebuilds the vault in an empty database from a snapshot and the journal. Every tombstone is
    /// in place before the service can answer.
    Restore {
        /// The snapshot's name, as `list` shows it. Without it: the newest whose root key is in
        /// custody.
        #[arg(long)]
        snapshot: Option<RecoveryName>,
        /// Take the root keys away from the database that owns them. A process that still runs on
        /// that database then opens and writes nothing.
        #[arg(long)]
        take_over: bool,
        /// Continue without these audit entries, which are incomplete in the store: `FROM-TO`, or
        /// `TIMELINE/FROM-TO` for a lost timeline, as the restore names them. Repeatable. A shred
        /// among them is undone. Without this option, the command names the gaps and does nothing.
        #[arg(long, value_name = "FROM-TO")]
        accept_gap: Vec<Gap>,
        /// Only show what would be restored.
        #[arg(long)]
        dry_run: bool,
    },
}

impl SnapshotCommand {
    /// Returns which store folders the command may create.
    pub(super) fn new_stores(&self) -> NewStores {
        if let Self::Create { new_store: true } = self {
            NewStores::OfSnapshots
        } else {
            NewStores::None
        }
    }

    pub(super) async fn perform(self, app: App, out: Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { new_store } => {
                let vault = if new_store {
                    app.unlock_over_a_new_store().await?
                } else {
                    app.unlock().await?
                };
                show(&vault.snapshot().await?, out)?;
            }
            Self::List => {
                let all = app.unlock_to_read().await?.snapshots().await?;
                out.none_if(all.is_empty(), "snapshots");
                out.facts(&all, || {
                    all.iter()
                        .map(|kept| {
                            format!(
                                "{}  {}{}\n",
                                kept.snapshot,
                                counted(kept.size, "byte", "bytes"),
                                if kept.verified { ", verified" } else { "" }
                            )
                        })
                        .collect()
                })?;
            }
            Self::Verify { snapshot } => {
                let vault = app.unlock_to_read().await?;
                let newest = async || {
                    vault
                        .snapshots()
                        .await
                        .map(|all| all.last().map(|kept| kept.snapshot))
                };
                let Some(name) = (match snapshot {
                    Some(name) => Some(name),
                    None => newest().await?,
                }) else {
                    return Err(CommandRefusal::not_found(
                        "the store holds no snapshot; `recvault snapshot create` writes one",
                    ));
                };
                show(&vault.verify_snapshot(name).await?, out)?;
            }
            Self::Restore {
                snapshot,
                take_over,
                accept_gap,
                dry_run,
            } => {
                if let Some(vault) = vault::unfinished(&app.db).await? {
                    return go_on(&app, vault, dry_run, out).await;
                }
                let not_before = app.custody.read().await?.and_then(|slot| slot.owner().seen);
                let plan = vault::plan(
                    &app.parts(),
                    Choice {
                        snapshot,
                        accept: accept_gap,
                        not_before,
                    },
                )
                .await?;
                let claim = if take_over {
                    Claim::TakeOver
                } else {
                    Claim::Take
                };
                if dry_run {
                    let checked = vault::check_restore(&app.parts(), &plan, claim).await;
                    out.facts(&plan, || would(&plan, checked.is_ok()))?;
                    checked?;
                    return Ok(ExitCode::SUCCESS);
                }
                let restored = vault::restore(app.parts(), &plan, claim).await?;
                app.unlock().await?.finish_restore().await?;
                out.facts(&restored, || {
                    let gaps: String = restored
                        .gaps
                        .iter()
                        .map(|gap| format!("Audit entries {gap} are missing, as accepted.\n"))
                        .collect();
                    let late = match restored.late_entries {
                        0 => String::new(),
                        late => format!(
                            "{} that a lost database wrote too late: appended to the log.\n",
                            counted(late, "audit entry", "audit entries")
                        ),
                    };
                    let lacking = match restored.lacking {
                        0 => String::new(),
                        lacking => format!(
                            "{} lost content: a pack of the store is missing or altered, or it was \
                             in an accepted gap. The audit log names each.\n",
                            counted(lacking, "recording", "recordings")
                        ),
                    };
                    gaps + &late
                        + &lacking
                        + &format!(
                            "Restored vault {} in epoch {}: {} of {}, {} of {} of the journal, {}. \
                         Everything up to {} is restored.\n",
                            restored.vault,
                            restored.epoch,
                            counted(restored.rows, "row", "rows"),
                            restored.snapshot,
                            counted(restored.states, "state", "states"),
                            counted(restored.pieces, "piece", "pieces"),
                            counted(restored.tombstones, "tombstone", "tombstones"),
                            restored.recovery_point
                        )
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Completes a restore that was interrupted after everything was in the database.
async fn go_on(app: &App, vault: VaultId, dry_run: bool, out: Out) -> Result<ExitCode, Failure> {
    if dry_run {
        app.unlock_to_read().await?;
    } else {
        app.unlock().await?.finish_restore().await?;
    }
    out.facts(&serde_json::json!({ "vault": vault, "settled": !dry_run }), || match dry_run {
        true => format!("Would complete an interrupted restore of vault {vault}: everything is in the database. Nothing was done.\n"),
        false => format!("Completed an interrupted restore of vault {vault}: a snapshot is verified, and all other root keys are destroyed.\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn would(plan: &Plan, restores: bool) -> String {
    let verb = if restores { "restore" } else { "refuse" };
    let mut text = format!(
        "Would {verb} {} and {} of the journal. Nothing was done.\n",
        plan.snapshot,
        counted(plan.journal.len(), "piece", "pieces")
    );
    for gap in &plan.gaps {
        let accepted = if plan.choice.accept.contains(gap) {
            ", accepted"
        } else {
            ""
        };
        text += &format!("Audit entries {gap} are incomplete in the store{accepted}.\n");
    }
    if plan.unreadable > 0 {
        text += &format!(
            "{} not open and would be skipped; the log names every one.\n",
            counted(plan.unreadable, "file does", "files do")
        );
    }
    text
}

fn show(checked: &VerifiedSnapshot, out: Out) -> Result<(), Failure> {
    Ok(out.facts(checked, || {
        format!(
            "{} is verified: {} up to audit entry {}, {} tried, {} in the store.\n",
            checked.snapshot,
            counted(checked.rows, "row", "rows"),
            checked.seq,
            counted(checked.keys, "living key", "living keys"),
            counted(checked.packs, "pack", "packs")
        )
    })?)
}
