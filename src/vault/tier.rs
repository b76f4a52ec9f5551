//! Moving a recording to another tier: its keys move to another tree, its ciphertext stays.
//!
//! Owns that move. Refuses to know why a recording moves; the caller that passes the unit records
//! it. INVARIANT: a page that held a key of it is stale afterwards. Older copies of that page still
//! hold the key, and a later shred would not reach them otherwise.

use super::{Vault, error::Error, keys::NewRecordKeys};
use crate::{
    db::{Unit, keys as key_rows, outbox::OutboxKind, recordings},
    model::{name::Tier, recording::Recording},
};

impl Vault {
    /// Moves a recording to another tier. Must be called first in a unit, because it locks the
    /// recording's row: a concurrent shred or deposit comes wholly before or wholly after.
    ///
    /// # Errors
    /// [`db::Error::Stale`](crate::db::Error::Stale) inside if it was shredded or moved
    /// meanwhile.
    pub async fn relocate(
        &self,
        unit: &mut Unit,
        recording: &Recording,
        to: &Tier,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let id = recording.id;
        recordings::set_tier(unit, id, &recording.tier, to).await?;

        // None: not sealed yet. It will be sealed in the new tier.
        let keys = vault.keys_of_every_leg(unit, &[id]).await?;
        if !keys.is_empty() {
            let before = key_rows::find_entries(unit, &[id]).await?;
            let pages = before.values().map(|entry| entry.place.page).collect();
            let moved = keys.iter().map(|(id, leg, key)| (*id, *leg, key)).collect();
            let moved = NewRecordKeys::from([(to, moved)]);
            let claimed = vault.claim(unit, &moved, &pages).await?;
            vault.destroy_entries(unit, &before).await?;
            vault.place_keys(unit, moved, claimed).await?;
        }

        unit.to_journal(OutboxKind::Recording, &[id], vault.clock.now());
        Ok(())
    }
}
