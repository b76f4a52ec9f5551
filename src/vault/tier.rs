//! Moving a recording to another tier: its key changes places, its ciphertext does not.
//!
//! Owns the unit of work. INVARIANT: the page that held the key is stale afterwards. Older copies
//! of it hold the key still, and a later shred would not reach them otherwise.

use super::{Error, Vault};
use crate::{
    evidence::NewEntry,
    ledger::{marks::Marked, recordings},
    model::{artefact::Leg, name::Tier, recording::Recording, time::Timestamp},
    policy::{Permit, action},
};

impl Vault {
    /// Puts a recording into a tier. False if it is in it already.
    ///
    /// # Errors
    /// [`ledger::Error::Stale`](crate::ledger::Error::Stale) inside if it was shredded or moved
    /// meanwhile.
    pub async fn move_to(
        &self,
        permit: &Permit<action::Keys>,
        recording: &Recording,
        to: &Tier,
    ) -> Result<bool, Error> {
        let entry = |now| {
            NewEntry::recording_moved(now, permit.initiator(), recording.id, &recording.tier, to)
        };
        self.relocate(recording, to, entry).await
    }

    /// Puts a recording into the more sensitive tier to which what is known of it now belongs;
    /// `because` names kinds of rules. False if it is in it already.
    ///
    /// # Errors
    /// As [`Self::move_to`].
    pub async fn reclassify(
        &self,
        recording: &Recording,
        to: &Tier,
        because: &[&'static str],
    ) -> Result<bool, Error> {
        let entry =
            |now| NewEntry::recording_reclassified(now, recording.id, &recording.tier, to, because);
        self.relocate(recording, to, entry).await
    }

    async fn relocate(
        &self,
        recording: &Recording,
        to: &Tier,
        entry: impl Fn(Timestamp) -> NewEntry + Send + Sync,
    ) -> Result<bool, Error> {
        let vault = &*self.0;
        let leg = Leg::All;
        if recording.tier == *to {
            return Ok(false);
        }
        vault
            .unit("tier.relocate", async |mut unit| {
                let now = vault.clock.now();
                // First, because it locks the row: a shred or a deposit that runs at the same time
                // comes wholly before or wholly after.
                recordings::set_tier(&mut unit, recording.id, &recording.tier, to).await?;
                match vault.record_key(&mut unit, recording.id, leg).await {
                    Ok(key) => {
                        vault.destroy_keys(&mut unit, &[recording.id], leg).await?;
                        vault
                            .place_key(&mut unit, recording.id, leg, to, &key)
                            .await?;
                    }
                    // Not sealed yet: it will be, in the new tier.
                    Err(Error::Gone) => {}
                    Err(error) => return Err(error),
                }
                unit.mark(Marked::Recording, &[recording.id], now);
                unit.audit(entry(now));
                Ok(true)
            })
            .await
    }
}
