//! Shredding while the store is away: a key is destroyed in the database alone.
//!
//! Owns the one admission without the store. Whoever is admitted here destroys keys, which is
//! harmless in an old copy of the database. INVARIANT: this process writes nothing to the store, and
//! so confirms nothing, before it has compared the database with the store after all.

use std::sync::atomic::Ordering;

use super::NOTHING;
use crate::vault::{Vault, error::Error};

impl Vault {
    /// As [`Self::admit_writers`]; if the store cannot be read, the database is compared with the
    /// position that custody knows.
    ///
    /// # Errors
    /// As [`Self::admit_writers`], but for those of the store.
    pub async fn admit_shredder(&self) -> Result<(), Error> {
        let away = match self.admit_writers().await {
            Err(Error::Store(away)) => away,
            admitted => return admitted,
        };
        let vault = &*self.0;
        let slot = vault.custody.read().await?;
        let known = slot.and_then(|slot| slot.owner().seen);
        if !vault.db.prove(known.as_slice()).await? {
            let known = known.map_or(NOTHING, |known| known.point());
            return Err(vault.refuse_rolled_back(known).await);
        }
        vault.seen.is_uncompared.store(true, Ordering::SeqCst);
        tracing::warn!(error = %away, "the store is away: a shred will not be durable yet");
        Ok(())
    }

    /// Makes the comparison that was left out while the store was away. Nothing is written to the
    /// store before it: a piece of a rolled-back database would confirm what a restore drops.
    ///
    /// # Errors
    /// As [`Self::admit_writers`].
    pub(in crate::vault) async fn compare_if_left_out(&self) -> Result<(), Error> {
        if !self.is_compared() {
            self.admit_writers().await?;
            self.0.seen.is_uncompared.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether the database was compared with the store.
    pub fn is_compared(&self) -> bool {
        !self.0.seen.is_uncompared.load(Ordering::SeqCst)
    }
}
