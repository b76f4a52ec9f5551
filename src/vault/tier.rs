//! Moving a recording to another tier: its key changes places, its ciphertext does not.
//!
//! Owns that move. Refuses to know why a recording moves; whoever lends the unit tells. INVARIANT:
//! the page that held the key is stale afterwards. Older copies of it hold the key still, and a
//! later shred would not reach them otherwise.

use super::{Vault, error::Error};
use crate::{
    ledger::{Unit, marks::Marked, recordings},
    model::{artefact::Leg, name::Tier, recording::Recording},
};

impl Vault {
    /// Puts a recording into another tier. To be called first in a unit, because it locks the
    /// recording's row: a shred or a deposit that runs at the same time comes wholly before or
    /// wholly after.
    ///
    /// # Errors
    /// [`ledger::Error::Stale`](crate::ledger::Error::Stale) inside if it was shredded or moved
    /// meanwhile.
    pub async fn relocate(
        &self,
        unit: &mut Unit,
        recording: &Recording,
        to: &Tier,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let leg = Leg::All;
        let id = recording.id;
        recordings::set_tier(unit, id, &recording.tier, to).await?;
        match vault.record_key(unit, id, leg).await {
            Ok(key) => {
                vault.destroy_keys(unit, &[id], leg).await?;
                vault.place_key(unit, id, leg, to, &key).await?;
            }
            // Not sealed yet: it will be, in the new tier.
            Err(Error::Gone) => {}
            Err(error) => return Err(error),
        }
        unit.mark(Marked::Recording, &[id], vault.clock.now());
        Ok(())
    }
}
