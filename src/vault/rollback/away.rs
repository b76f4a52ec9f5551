//! Shredding while the store is away: a key is destroyed in the database alone.
//!
//! Owns the one admission without the store. Refuses to admit anything else: whoever is admitted
//! here only destroys keys, which is harmless in an old copy of the database, and confirms it only
//! once the store has it.

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
        tracing::warn!(error = %away, "the store is away: a shred will not be durable yet");
        Ok(())
    }
}
