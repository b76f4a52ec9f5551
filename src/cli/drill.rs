//! `recvault drill`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    failure::Failure,
    out::{self, Out},
};
use crate::{
    app::App,
    drill::Old,
    evidence::drill::{Forgetting, Recovery},
    flow::{CompletedDrill, DrillOptions},
    model::numerals::counted,
    policy::{Permit, action},
};

/// Copies, sandbox and sample of a drill.
#[derive(Args)]
pub(super) struct DrillArgs {
    /// An old copy of the database: `postgres://…`, or the path of a SQLite file, which is copied
    /// before it is opened. Repeatable.
    #[arg(long, value_name = "URL_OR_PATH")]
    old_database: Vec<String>,
    /// A folder with old snapshots and pieces of the journal, at any depth and under any names.
    /// Repeatable.
    #[arg(long, value_name = "FOLDER")]
    old_store: Vec<PathBuf>,
    /// An old snapshot or piece of the journal. Repeatable.
    #[arg(long, value_name = "FILE")]
    old_file: Vec<PathBuf>,
    /// The folder for the work, which must be empty or not exist; it is kept. Without it: a folder
    /// that is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    sandbox: Option<PathBuf>,
    /// Maximum number of living, and of shredded, recordings to try in the rebuilt vault.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
}

impl DrillArgs {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let (flow, _committer) = app.flow().await?;
        let old = Old {
            dbs: self.old_database,
            stores: self.old_store,
            files: self.old_file,
        };
        let options = DrillOptions {
            old,
            sandbox: self.sandbox,
            sample: usize::try_from(self.sample).unwrap_or(usize::MAX),
        };
        let say = |line: &str| out::progress("drill", line);
        let held = flow
            .drills
            .hold(&Permit::of_operator(action::Keys), options, &say)
            .await?;
        out.facts(&held, || told(&held))?;
        Ok(if held.holds() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn told(held: &CompletedDrill) -> String {
    let drill = &held.drill;
    let verdict = |holds| if holds { "holds" } else { "FAILS" };
    let mut text = format!(
        "Drill of vault {} in epoch {} at {} ({}, custody {}).\n\nforgetting {}\n{}\nrecovery {}\n{}",
        drill.vault,
        drill.epoch,
        drill.at,
        drill.program,
        drill.custody,
        verdict(drill.forgets()),
        forgetting(&drill.forgetting),
        verdict(drill.recovers()),
        recovery(&drill.recovery),
    );
    for failure in &held.failures {
        text += &format!("\nfailed: {failure}");
    }
    text + &format!("\nEvidence:\n\n{}\n", held.evidence)
}

fn forgetting(half: &Forgetting) -> String {
    let mut text = format!(
        "  looked at       {} among databases, snapshots and pieces of the journal; {} could not be read\n\
         \x20 key pages       {}, {} opened; {} reached\n\
         \x20 shredded        {} of {} reached\n\
         \x20 waiting         {} of {} reached; the next turn puts them out of reach\n\
         \x20 living          {} of {} reached\n",
        counted(half.artefacts, "copy", "copies"),
        half.unreadable,
        counted(half.page_versions, "version", "versions"),
        half.page_versions_opened,
        counted(half.keys_reached, "record key", "record keys"),
        half.shredded_reached,
        half.shredded,
        half.waiting_reached,
        half.waiting,
        half.living_reached,
        half.living,
    );
    if let Some(canary) = &half.canary {
        text += &format!(
            "  own old copies  none was given: in a small vault, {} of {} that are shredded and {} of {} that live were reached; with its old root, {}\n",
            canary.shredded_reached,
            canary.shredded,
            canary.living_reached,
            canary.living,
            if canary.closure_bites {
                "all the shredded ones, too"
            } else {
                "not all the shredded ones"
            },
        );
    }
    text
}

fn recovery(half: &Recovery) -> String {
    let Some((snapshot, point)) = half.snapshot.as_ref().zip(half.recovery_point) else {
        return "  nothing was rebuilt\n".to_owned();
    };
    let since = half
        .gap_since
        .map(|at| format!(", sealed since {at}"))
        .unwrap_or_default();
    let oldest = half
        .oldest_waiting
        .map(|at| format!(" since {at}"))
        .unwrap_or_default();
    format!(
        "  rebuilt from    {snapshot} and {} of the journal, in {} ms\n\
         \x20 tombstones          {} of {} missing\n\
         \x20 gap             {} of {}{since}; {} for the journal{oldest}\n\
         \x20 living          {} tried, {} found, {} authentic\n\
         \x20 shredded        {} tried, {} opened\n\
         \x20 recovery point  {point}; a loss of the database would have lost what changed in the last {} s\n\
         \x20 horizon         {} s between a shred and its turn, at most\n",
        counted(half.pieces, "piece", "pieces"),
        half.recovery_time_ms,
        half.tombstones_missing,
        half.tombstones,
        half.gap,
        counted(half.living, "living recording", "living recordings"),
        counted(half.waiting, "change waited", "changes waited"),
        half.sampled,
        counted(half.sample_keys, "key", "keys"),
        counted(half.sample_authentic, "ciphertext", "ciphertexts"),
        half.shredded_sampled,
        half.shredded_opened,
        half.recovery_point_lag_s,
        half.horizon_s,
    )
}
