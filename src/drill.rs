//! The drill: a rehearsal with real retained copies.
//!
//! ```text
//! forgetting   every old copy there is, and the vault's present root → the closure over all of it reaches nothing that is shredded
//! recovery     an empty database, the store and custody             → a vault that knows every tombstone and opens what lives
//! ```
//! Owns both halves. Refuses to change anything of the living vault: it reads the database, the
//! recovery store and the objects, asks custody, and writes into its sandbox only, ciphertext and
//! sealed pages. It takes what a service that runs meanwhile may do (shred, turn, remove old files)
//! for what it is. What it may see of a vault is `Vault::drill_view`, and nothing else.

mod attacker;
mod canary;
mod census;
mod forget;
mod old;
mod rebuild;
mod sandbox;

use std::path::PathBuf;

pub use self::{attacker::ExaminedCopy, old::ExaminedKind, sandbox::Sandbox};
use crate::{
    custody::Role,
    evidence::drill::{Forgetting, Recovery},
    model::id::RecordingId,
    vault::{Error, Vault},
};

/// Old copies that somebody kept.
#[derive(Clone, Debug, Default)]
pub struct Old {
    /// Databases: `postgres://…`, `sqlite:PATH`, or the path of a SQLite file.
    pub dbs: Vec<String>,
    /// Folders that snapshots and pieces of the journal are in, at any depth and under any names.
    pub stores: Vec<PathBuf>,
    /// Single snapshots or pieces of the journal.
    pub files: Vec<PathBuf>,
}

impl Old {
    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.dbs.is_empty() && self.stores.is_empty() && self.files.is_empty()
    }
}

/// Where a drill says how far it is.
pub type DrillProgress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The first half, as it came out.
#[derive(Clone, Debug)]
pub struct ForgettingReport {
    /// The numbers.
    pub forgetting: Forgetting,
    /// Everything that was looked at.
    pub artefacts: Vec<ExaminedCopy>,
    /// Shredded recordings that were reached.
    pub reached: Vec<RecordingId>,
    /// What went wrong, for people.
    pub failures: Vec<String>,
}

/// The second half, as it came out.
#[derive(Clone, Debug)]
pub struct RecoveryReport {
    /// The numbers.
    pub recovery: Recovery,
    /// What went wrong, for people.
    pub failures: Vec<String>,
}

/// Rehearses that nothing shredded is in reach: of these old copies, and where there are none, of
/// copies of a small vault of its own.
///
/// # Errors
/// Of the live database, the recovery store, custody or the sandbox. What is wrong with an old copy
/// is part of the result.
pub async fn forgetting(
    vault: &Vault,
    old: &Old,
    sandbox: &Sandbox,
    say: DrillProgress<'_>,
) -> Result<ForgettingReport, Error> {
    let live = vault.drill_view();
    let attack = forget::forget(live, old, None, sandbox, say).await?;
    for item in live
        .custody_contents()
        .await?
        .iter()
        .filter(|item| item.role == Role::Unexamined)
    {
        say(&format!(
            "not examined, in the place of custody: {}",
            item.name
        ));
    }
    let mut failures = attack.failures();
    let mut canary = None;
    if old.is_empty() {
        say("no old copy was given: creating a small vault to copy, shred and turn");
        let (numbers, more) = canary::run(live.clock(), sandbox, say).await?;
        failures.extend(more);
        canary = Some(numbers);
    }
    Ok(ForgettingReport {
        forgetting: attack.evidence(canary),
        reached: attack.shredded_reached.clone(),
        artefacts: attack.looked,
        failures,
    })
}

/// Rehearses that the store and custody alone rebuild the vault, and tries up to `sample`
/// recordings in it. Times are the caller's to add.
///
/// # Errors
/// Of the live database or the sandbox. A vault that cannot be rebuilt is part of the result.
pub async fn recovery(
    vault: &Vault,
    sample: usize,
    sandbox: &Sandbox,
    say: DrillProgress<'_>,
) -> Result<RecoveryReport, Error> {
    rebuild::rebuild(vault.drill_view(), sample, sandbox, say).await
}
