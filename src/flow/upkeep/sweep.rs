//! The sweep: ciphertext that no recording owns, uploads that nobody finished, grants that ended
//! long ago, answers that nobody asks for again, counts of past days, addresses of parties that no recording took over, words of calls
//! that found no recording; recordings for which no consent arrived, and those that are kept no
//! longer.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::litter::{Litter, Swept};
use crate::flow::{
    erasure::{quarantine::Quarantine, retention::RetentionEnforcement},
    error::Error,
    patience::WorkSettings,
};

/// Sweeps, by the hour or when somebody asks.
pub struct Sweeper {
    settings: WorkSettings,
    litter: Arc<Litter>,
    quarantine: Arc<Quarantine>,
    retention: Arc<RetentionEnforcement>,
}

impl Sweeper {
    pub(in crate::flow) fn new(
        settings: WorkSettings,
        litter: Arc<Litter>,
        quarantine: Arc<Quarantine>,
        retention: Arc<RetentionEnforcement>,
    ) -> Self {
        Self {
            settings,
            litter,
            quarantine,
            retention,
        }
    }

    /// Sweeps litter that is older than `age`, as [`Litter::sweep`]; shreds recordings for
    /// which no consent arrived, and those that are kept no longer.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not believed; the store's or the database's. What was
    /// removed stays removed.
    pub async fn sweep(&self, age: Duration) -> Result<Swept, Error> {
        let litter = self.litter.sweep(age).await?;
        let unconsented = self.quarantine.sweep().await?.shredded;
        Ok(Swept {
            unconsented,
            retired: self.retention.sweep(false).await?.shredded,
            ..litter
        })
    }

    /// Sweeps once an hour.
    pub async fn hourly(self: Arc<Self>, stop: CancellationToken) {
        let age = Duration::from_secs(u64::from(self.settings.orphans_h.max(1)) * 3600);
        while !stop.is_cancelled() {
            match self.sweep(age).await {
                Ok(Swept {
                    orphans,
                    uploads,
                    grants,
                    unconsented,
                    retired,
                }) => {
                    tracing::info!(orphans, uploads, grants, unconsented, retired, "swept");
                }
                Err(error) => tracing::warn!(%error, "the sweep is incomplete"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
            }
        }
    }
}
