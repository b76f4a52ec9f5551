//! `recvault epoch`, `rotate` and `move`: renewing and moving keys.

use std::process::ExitCode;

use clap::Subcommand;

use super::{
    failure::{CommandRefusal, Failure, or_no_recording},
    out::{Out, indented},
};
use crate::{
    app::App,
    model::{id::RecordingId, name::Tier, numerals::counted},
    policy::{Permit, action},
    vault::TurnReport,
};

/// Shows and turns the epoch, which is the lifetime of a root key.
#[derive(Subcommand)]
pub(super) enum EpochCommand {
    /// Shows the shredded recordings that an older copy of the key store still opens, and until
    /// when.
    Status,
    /// Takes the turn away from a process that holds it and makes no progress, such as a stopped
    /// process. Later steps of that process have no effect.
    Release {
        /// Only show the process that holds the turn, and until when.
        #[arg(long)]
        dry_run: bool,
    },
    /// Replaces the root key now, so that no older copy of the key store opens a shredded
    /// recording.
    Turn {
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl EpochCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let flow = match self {
            Self::Release { dry_run: false } => app.flow_to_release().await?,
            Self::Status | Self::Release { dry_run: true } => app.flow_to_read().await?,
            Self::Turn { dry_run } => app.flow_for(dry_run).await?,
        };
        let status = flow.epochs.status().await?;
        match self {
            Self::Status => out.facts(&status, || {
                let oldest = status.oldest_waiting.map(|at| format!(", the oldest since {at}")).unwrap_or_default();
                let next = status.next_turn_at.map_or_else(|| "none: no shred waits".to_owned(), |at| at.to_string());
                let snapshot = status.snapshot.as_ref().map_or_else(|| "none".to_owned(), |(name, at)| format!("{name}, verified {at}"));
                let finished = if status.finished { "" } else { "; its turn is not finished" };
                format!(
                    "epoch             {} since {}{finished}\nwaiting shreds    {}{oldest}\nstale pages       {}\nnext turn         {next}\n\
                     deletion horizon  {} h\nsnapshot          {snapshot}\n",
                    status.epoch,
                    status.began_at,
                    status.waiting,
                    status.stale_pages,
                    status.horizon_s / 3600,
                )
            })?,
            Self::Release { dry_run } => {
                let released = match dry_run {
                    true => flow.epochs.turning().await?,
                    false => flow.epochs.release(&Permit::of_operator(action::Keys)).await?,
                };
                out.facts(&released, || match (&released, dry_run) {
                    (None, _) => "No process holds the turn.\n".to_owned(),
                    (Some(held), true) => {
                        format!("Would take the turn away: {held}. Nothing was done.\n")
                    }
                    (Some(held), false) => format!("Took the turn from {}, which held it until {}.\n", held.holder, held.until),
                })?;
            }
            Self::Turn { dry_run: true } => {
                let next = status.epoch + 1;
                let waiting = flow.epochs.waiting().await?;
                let pages = status.stale_pages;
                let facts = serde_json::json!({ "would_begin_epoch": next, "would_cover": waiting, "stale_pages": pages });
                out.facts(&facts, || {
                    format!(
                        "Would begin epoch {next} with a new root key: {} and the pages above get new keys, a snapshot is written \
                         and verified, the root key of epoch {} is destroyed, and {} unrecoverable. Nothing was done.\n{}",
                        counted(pages, "stale page", "stale pages"),
                        status.epoch,
                        counted(waiting.len(), "shred becomes", "shreds become"),
                        indented(&waiting)
                    )
                })?;
            }
            Self::Turn { dry_run: false } => match flow.epochs.turn(&Permit::of_operator(action::Keys)).await? {
                Some(turned) => out.facts(&turned, || told(&turned))?,
                None => {
                    let held = flow.epochs.turning().await?.map(|held| format!(": {held}")).unwrap_or_default();
                    return Err(format!("another process is turning the epoch{held}; `recvault epoch release` takes the turn away from it").into());
                }
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told(turned: &TurnReport) -> String {
    format!(
        "Epoch {} has begun: {} new keys, snapshot {} is verified, the previous root key is \
         destroyed. {} unrecoverable since {}.\n",
        turned.epoch,
        counted(turned.pages, "page has", "pages have"),
        turned.snapshot,
        counted(turned.covered, "shred is", "shreds are"),
        turned.unrecoverable_since
    )
}

/// Replaces the signing key.
pub(super) async fn rotate_signing_key(
    mut app: App,
    dry_run: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    if dry_run {
        #[derive(serde::Serialize)]
        struct Present<'a> {
            signing_key: &'a str,
        }
        let flow = app.flow_to_read().await?;
        let key = flow.vault.signing_key_id().await?;
        let present = Present { signing_key: &key };
        out.facts(&present, || {
            format!("Would replace signing key {key} and turn the epoch. Nothing was done.\n")
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let (flow, _) = app.flow().await?;
    let permit = Permit::of_operator(action::Keys);
    let rotated = flow.epochs.rotate_signing_key(&permit).await?;
    out.facts(&rotated, || {
        let keys = &rotated.keys;
        let turned = told(&rotated.turned);
        format!(
            "Key {} signs from now on. Key {} is retired: what it signed stays valid.\n{turned}",
            keys.key_id, keys.retired
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Renews the keys of a tier, or of all tiers.
pub(super) async fn rotate(
    mut app: App,
    tier: Option<Tier>,
    dry_run: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    let flow = app.flow_for(dry_run).await?;
    let known = |tier: &Tier| {
        flow.rulebook
            .current()
            .document()
            .tiers
            .iter()
            .any(|known| known.name == *tier)
    };
    if let Some(unknown) = tier.as_ref().filter(|tier| !known(tier)) {
        return Err(CommandRefusal::invalid(format!(
            "`--tier {unknown}`: the policy has no such tier; declare it under `[[tiers]]`"
        )));
    }
    let rotated = flow
        .epochs
        .rotate(&Permit::of_operator(action::Keys), tier.as_ref(), dry_run)
        .await?;
    out.facts(&rotated, || match &rotated.turned {
        Some(turned) => told(turned),
        None if dry_run => format!(
            "Would renew the keys of {} and turn the epoch. Nothing was done.\n{}",
            counted(rotated.pages, "page", "pages"),
            indented(&rotated.would_renew)
        ),
        None => format!(
            "{} new keys with the turn that another process has begun, or with the next turn.\n",
            counted(rotated.pages, "page gets", "pages get")
        ),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Moves a recording to another tier.
pub(super) async fn move_to(
    mut app: App,
    id: RecordingId,
    tier: Tier,
    dry_run: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    let flow = app.flow_for(dry_run).await?;
    let moved = flow
        .reclassification
        .move_to(&Permit::of_operator(action::Keys), id, &tier, dry_run)
        .await;
    let (recording, moves) = moved.map_err(or_no_recording(id))?;
    let facts = serde_json::json!({ "recording_id": id, "from": recording.tier, "to": tier, "moved": moves && !dry_run });
    out.facts(&facts, || match (moves, dry_run) {
        (false, _) => format!("{id} is in tier {tier} already.\n"),
        (true, true) => format!(
            "Would move {id} from tier {} to {tier}. Nothing was done.\n",
            recording.tier
        ),
        (true, false) => format!("Moved {id} from tier {} to {tier}.\n", recording.tier),
    })?;
    Ok(ExitCode::SUCCESS)
}
