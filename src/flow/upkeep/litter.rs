//! Litter: what nobody owns, and what is over, is cleared away.
//!
//! Owns what counts as litter. Refuses to touch what a database that has forgotten something would only
//! take for it.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;

use crate::{
    db::{self, Db, budgets, grants, outbox::OutboxKind, recordings, utterances, waiting},
    flow::{clock::TrustedClock, error::Error, queue::WorkQueue, twilio_access::TwilioAccess},
    model::id::ObjectId,
    store::Store,
    vault::Vault,
};

/// Ended grants are forgotten after this; until then an answer can still say that they ended.
const GRANTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Addresses of parties wait for so long for a recording of their conversation.
const WAITING_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a sweep removed, or shredded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    /// Finished objects that no recording owns.
    pub orphans: u64,
    /// Uploads that were never finished.
    pub uploads: u64,
    /// Grants that ended.
    pub grants: u64,
    /// Recordings that were shredded because their retention ended.
    pub retired: u64,
    /// Recordings shredded because no evidence of consent arrived in time.
    pub unconsented: u64,
}

/// Clears away what nobody owns.
pub struct Litter {
    vault: Vault,
    db: Db,
    store: Store,
    clock: Arc<TrustedClock>,
    twilio: Arc<TwilioAccess>,
    queue: Arc<WorkQueue>,
}

impl Litter {
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

    /// The objects that [`Self::sweep`] would remove now.
    ///
    /// # Errors
    /// As there.
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

    /// Makes due what a wrong clock put off, and sweeps what is older than `age` and nobody's. It
    /// must be much longer than any deposit takes from its last byte to its commit: a younger
    /// object may be one whose recording is just being entered.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not believed; [`crate::vault::Error::ForgetfulDatabase`]
    /// and [`crate::vault::Error::NothingToCompare`] inside, and then nothing is removed; the
    /// store's or the database's, and what was removed stays removed.
    pub async fn sweep(&self, age: Duration) -> Result<Swept, Error> {
        self.queue.free_strays().await?;
        let now = self.clock.believed().await?.at();
        // A database that has forgotten recordings would take what lives for litter.
        self.vault.check_before_destroying().await?;
        self.vault.check_alone().await?;
        let mut swept = Swept {
            uploads: self.store.sweep_uploads(now.before(age)).await?,
            ..Swept::default()
        };
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
