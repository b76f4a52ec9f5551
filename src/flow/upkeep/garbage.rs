//! Removal of orphaned and expired data.
//!
//! Owns what counts as such. Refuses to delete anything while the database may lack changes,
//! because valid data would look orphaned.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;

use crate::{
    db::{
        self, Db, budgets, grants, idempotency, outbox::OutboxKind, recordings, utterances, waiting,
    },
    flow::{
        clock::TrustedClock, error::Error, idempotency::KEPT as ANSWERS_KEPT, queue::WorkQueue,
        twilio_access::TwilioAccess,
    },
    model::id::ObjectId,
    store::{Store, UnrecordedSwept},
    vault::Vault,
};

/// Expired grants are deleted after this time; until then a response can report that they ended.
const GRANTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long addresses of parties wait for a recording of their conversation.
const WAITING_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long an upload stays open that nobody recorded: much longer than any upload takes, and with
/// room for a store whose clock differs.
const UNRECORDED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    /// Finished objects without a recording.
    pub orphans: u64,
    /// Uploads that were never finished.
    pub uploads: u64,
    /// Whether a store refused to list its uploads, so that those that nobody recorded stay.
    pub uploads_hidden: bool,
    /// Expired grants.
    pub grants: u64,
    /// Recordings that were shredded because their retention had ended.
    pub retired: u64,
    /// Recordings shredded because no evidence of consent arrived in time.
    pub unconsented: u64,
}

/// Removes orphaned and expired data.
pub struct GarbageCollection {
    vault: Vault,
    db: Db,
    store: Store,
    clock: Arc<TrustedClock>,
    twilio: Arc<TwilioAccess>,
    queue: Arc<WorkQueue>,
}

impl GarbageCollection {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        store: Store,
        clock: Arc<TrustedClock>,
        twilio: Arc<TwilioAccess>,
        queue: Arc<WorkQueue>,
    ) -> Self {
        Self {
            vault,
            db,
            store,
            clock,
            twilio,
            queue,
        }
    }

    /// Returns the objects that [`Self::sweep`] would remove now.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub async fn list(&self, age: Duration) -> Result<Vec<ObjectId>, Error> {
        self.vault.check_before_destroying().await?;
        self.vault.check_alone().await?;
        let mut found = Vec::new();
        let mut objects = std::pin::pin!(self.store.list(self.clock.now().before(age)));
        while let Some(listed) = objects.try_next().await? {
            if !recordings::has_object(&mut self.db.read().await?, listed.id).await? {
                found.push(listed.id);
            }
        }
        Ok(found)
    }

    /// Aborts uploads that nobody recorded. A store that fails to list them costs nothing else: the
    /// next sweep asks again.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not trusted.
    pub(in crate::flow) async fn sweep_unrecorded(
        &self,
        age: Duration,
    ) -> Result<UnrecordedSwept, Error> {
        let now = self.clock.believed().await?.at();
        let before = now.before(age.max(UNRECORDED_KEPT));
        let mut all = UnrecordedSwept::default();
        for store in [&self.store, self.vault.recovery_store()] {
            match store.sweep_unrecorded(before).await {
                Ok(swept) => {
                    all.aborted += swept.aborted;
                    all.refused |= swept.refused;
                }
                Err(error) => {
                    tracing::warn!(%error, "unfinished uploads cannot be listed now");
                    all.refused = true;
                }
            }
        }
        Ok(all)
    }

    /// Makes work due that a wrong clock has postponed, and removes orphans older than `age`. The
    /// age must be much longer than a deposit takes from its last byte to its commit: a younger
    /// object may belong to a recording that is just being committed.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not trusted; [`crate::vault::Error::ForgetfulDatabase`]
    /// and [`crate::vault::Error::NothingToCompare`] inside, and then nothing is removed; errors of
    /// the store or the database, and then removed data stays removed.
    pub async fn sweep(&self, age: Duration) -> Result<Swept, Error> {
        self.queue.free_strays().await?;
        let now = self.clock.believed().await?.at();
        // If the database lacked recordings, their objects would look orphaned.
        self.vault.check_before_destroying().await?;
        self.vault.check_alone().await?;
        let mut swept = Swept::default();
        for store in [&self.store, self.vault.recovery_store()] {
            swept.uploads += store.sweep_uploads(now.before(age)).await?;
        }
        let mut objects = std::pin::pin!(self.store.list(now.before(age)));
        while let Some(listed) = objects.try_next().await? {
            if !recordings::has_object(&mut self.db.read().await?, listed.id).await? {
                self.vault.check_rollback().await?;
                self.store.delete(listed.id).await?;
                swept.orphans += 1;
            }
        }
        let cleaned = self.db.unit("sweep.sweep_litter", async |mut unit| {
            unit.without_entry("what is over is cleared away");
            let grants = grants::remove_ended(&mut unit, now.before(GRANTS_KEPT)).await?;
            budgets::remove_past(&mut unit, now).await?;
            idempotency::remove_older(&mut unit, now.before(ANSWERS_KEPT)).await?;
            let cleared = waiting::clear_older(&mut unit, now.before(WAITING_KEPT)).await?;
            unit.to_journal(OutboxKind::Conversation, &cleared, now);
            utterances::sweep(
                &mut unit,
                now.before(self.twilio.accounts().transcripts_wait()),
            )
            .await?;
            Ok::<_, db::Error>(grants)
        });
        swept.grants = cleaned.await?;
        Ok(swept)
    }
}
