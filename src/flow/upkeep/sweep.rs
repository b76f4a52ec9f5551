//! The sweep removes orphaned ciphertext, unfinished uploads, expired grants, answers of idempotent
//! requests after a day, counts of past days, pending addresses of parties, and pieces of
//! transcriptions without a recording. It shreds recordings without evidence of consent, those whose
//! retention has ended, and those of which another recording of the same message is shredded.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::garbage::{GarbageCollection, Swept};
use crate::flow::{
    erasure::{quarantine::Quarantine, retention::RetentionEnforcement, shredding::Shredding},
    error::Error,
    patience::WorkSettings,
};

/// Sweeps hourly or on request.
pub struct Sweeper {
    settings: WorkSettings,
    garbage: Arc<GarbageCollection>,
    quarantine: Arc<Quarantine>,
    retention: Arc<RetentionEnforcement>,
    shredding: Arc<Shredding>,
}

impl Sweeper {
    pub(in crate::flow) fn new(
        settings: WorkSettings,
        garbage: Arc<GarbageCollection>,
        quarantine: Arc<Quarantine>,
        retention: Arc<RetentionEnforcement>,
        shredding: Arc<Shredding>,
    ) -> Self {
        Self {
            settings,
            garbage,
            quarantine,
            retention,
            shredding,
        }
    }

    /// Sweeps data that is older than `age`, like [`GarbageCollection::sweep`]; shreds recordings without
    /// evidence of consent, those whose retention has ended, and those that are the same as a shredded
    /// one.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not trusted; errors of the store or the database.
    /// Removed data stays removed.
    pub async fn sweep(&self, age: Duration) -> Result<Swept, Error> {
        let garbage = self.garbage.sweep(age).await?;
        let unconsented = self.quarantine.sweep().await?.shredded;
        let retired = self.retention.sweep(false).await?.shredded;
        self.shredding.shred_left(None).await?;
        // Last: nothing that must be deleted waits for a list that a store may not have.
        let unrecorded = self.garbage.sweep_unrecorded(age).await?;
        Ok(Swept {
            unconsented,
            retired,
            uploads: garbage.uploads + unrecorded.aborted,
            uploads_hidden: unrecorded.refused,
            ..garbage
        })
    }

    /// Sweeps once an hour.
    pub async fn hourly(self: Arc<Self>, stop: CancellationToken) {
        let age = Duration::from_secs(u64::from(self.settings.orphans_h.max(1)) * 3600);
        let mut is_told = false;
        while !stop.is_cancelled() {
            match self.sweep(age).await {
                Ok(Swept {
                    orphans,
                    uploads,
                    uploads_hidden,
                    grants,
                    unconsented,
                    retired,
                }) => {
                    tracing::info!(orphans, uploads, grants, unconsented, retired, "swept");
                    // Once: the rights of a store seldom change.
                    if uploads_hidden && !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            "the store does not let its unfinished uploads be listed \
                             (s3:ListBucketMultipartUploads): one whose process died before it \
                             was recorded stays"
                        );
                    }
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
