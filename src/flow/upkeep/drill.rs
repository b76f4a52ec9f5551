//! Drills: the vault proves that it forgets and that it recovers, and signs the result.
//!
//! Owns the order of the two halves, their times and the audit entry. Refuses to know how each is
//! done; `drill` does.

use std::path::PathBuf;

use serde::Serialize;

use super::epoch::EpochSettings;
use crate::{
    db::Db,
    drill::{self, DrillProgress, Looked, Old, Sandbox},
    evidence::{self, NewEntry},
    flow::{error::Error, units::unit_with_keys},
    model::{id::RecordingId, time::Clock},
    policy::{Permit, action},
    vault::Vault,
};

/// The parameters of a drill.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// Old copies of the key store.
    pub old: Old,
    /// The working folder, which must not exist or be empty. `None` uses a temporary one that is
    /// removed at the end.
    pub sandbox: Option<PathBuf>,
    /// The most living and shredded recordings that are tried in the rebuilt vault; at least one of
    /// each.
    pub sample: usize,
}

/// The result of a drill.
#[derive(Clone, Debug, Serialize)]
pub struct CompletedDrill {
    /// The signed report.
    #[serde(flatten)]
    pub drill: evidence::DrillReport,
    /// Everything that was examined; its digest is signed.
    pub artefacts: Vec<Looked>,
    /// Shredded recordings that could be opened.
    pub reached: Vec<RecordingId>,
    /// The failures, as text.
    pub failures: Vec<String>,
    /// The signed report as a JWS.
    pub evidence: String,
}

impl CompletedDrill {
    /// Returns whether both halves succeeded.
    pub fn holds(&self) -> bool {
        self.drill.forgets() && self.drill.recovers()
    }
}

/// Runs drills.
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

    /// Runs a drill. Except for its audit entry, the vault is not changed.
    ///
    /// # Errors
    /// The error that prevented the drill. A drill that ran and failed is no error.
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
