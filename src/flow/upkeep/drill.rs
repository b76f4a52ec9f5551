//! A drill: the vault shows that it forgets and that it recovers, and signs what came of it.
//!
//! Owns the order of the halves, their times and the audit entry. Refuses to know how either is
//! done; `drill` does.

use std::path::PathBuf;

use serde::Serialize;

use super::epoch::EpochSettings;
use crate::{
    db::Db,
    drill::{self, DrillProgress, ExaminedCopy, Old, Sandbox},
    evidence::{self, NewEntry},
    flow::{error::Error, units::unit_with_keys},
    model::{id::RecordingId, time::Clock},
    policy::{Permit, action},
    vault::Vault,
};

/// What a drill is held with.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// Old copies that somebody kept.
    pub old: Old,
    /// The folder to work in, which must not exist or be empty. `None`: one that is removed at the
    /// end.
    pub sandbox: Option<PathBuf>,
    /// Living and shredded recordings that are tried in the rebuilt vault, at most; at least one of
    /// each.
    pub sample: usize,
}

/// A drill that was held.
#[derive(Clone, Debug, Serialize)]
pub struct CompletedDrill {
    /// What is signed.
    #[serde(flatten)]
    pub drill: evidence::DrillReport,
    /// Everything that was looked at; its digest is signed.
    pub artefacts: Vec<ExaminedCopy>,
    /// Shredded recordings that were reached.
    pub reached: Vec<RecordingId>,
    /// What went wrong, for people.
    pub failures: Vec<String>,
    /// The signed form, a JWS.
    pub evidence: String,
}

impl CompletedDrill {
    /// Whether both halves went as they must.
    pub fn holds(&self) -> bool {
        self.drill.forgets() && self.drill.recovers()
    }
}

/// Holds drills.
pub struct Drills {
    vault: Vault,
    db: Db,
    clock: Clock,
    epochs: EpochSettings,
}

impl Drills {
    pub(in crate::flow) fn new(vault: Vault, db: Db, clock: Clock, epochs: EpochSettings) -> Self {
        Self {
            vault,
            db,
            clock,
            epochs,
        }
    }

    /// Holds a drill. Beyond its audit entry, nothing of the vault is changed.
    ///
    /// # Errors
    /// Whatever keeps the drill from being held.
    /// One that was held and failed is no error.
    pub async fn hold(
        &self,
        permit: &Permit<action::Keys>,
        options: DrillOptions,
        say: DrillProgress<'_>,
    ) -> Result<CompletedDrill, Error> {
        let vault = &self.vault;
        let sandbox = Sandbox::make(options.sandbox.as_deref())?;
        let forgot = drill::forgetting(vault, &options.old, &sandbox, say).await?;
        let recovered = drill::recovery(vault, options.sample.max(1), &sandbox, say).await?;
        drop(sandbox);
        vault.follow_epoch().await?;
        let mut recovery = recovered.recovery;
        recovery.horizon_s = self.epochs.turn_every().as_secs();
        let drill = evidence::DrillReport {
            vault: vault.id(),
            epoch: vault.epoch(),
            at: self.clock.now(),
            program: concat!("recvault ", env!("CARGO_PKG_VERSION")).to_owned(),
            custody: vault.custody_kind().to_owned(),
            forgetting: forgot.forgetting,
            recovery,
        };
        let evidence = unit_with_keys(&self.db, vault, "drill.held", async |mut unit| {
            unit.audit(NewEntry::drill_held(
                drill.at,
                permit.initiator(),
                drill.recovers(),
                drill.forgets(),
            ));
            Ok::<_, Error>(vault.sign_drill(&mut unit, &drill).await?)
        })
        .await?;
        let failures = forgot
            .failures
            .into_iter()
            .chain(recovered.failures)
            .collect();
        Ok(CompletedDrill {
            drill,
            artefacts: forgot.artefacts,
            reached: forgot.reached,
            failures,
            evidence,
        })
    }
}
