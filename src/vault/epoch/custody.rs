//! A turn's changes to custody: each is a compare-and-swap under the turn's lease, from a slot that
//! was just read and belongs to this database.
//!
//! Owns the order of reading, checking the lease and swapping. Refuses to know how a swap is done.
//!
//! INVARIANT: a root is left out only after the newest restorable snapshot in the store was
//! verified with a root that stays.

use super::turner::Turner;
use crate::{
    custody::{self, Change, Restorable, Role, RootName, Slot, passphrase::PassphraseCustody},
    db::{audit, epochs},
    evidence::{NewEntry, Position},
    model::crash,
    secret::SecretText,
    vault::{Vault, error::Error, snapshot::VerifiedSnapshot},
};

impl Vault {
    /// Seals every root under another passphrase. The audit entry comes first: a change that fails
    /// after it leaves an entry without a change, never the reverse. Returns `None` while another
    /// process turns or changes custody.
    ///
    /// # Errors
    /// The roots do not open with the current passphrase, in which case no entry is written; the
    /// database's; custody's.
    pub async fn change_passphrase(
        &self,
        file: &PassphraseCustody,
        new: SecretText,
    ) -> Result<Option<Vec<RootName>>, Error> {
        self.as_turner(async |turner| {
            let vault = turner.vault;
            let epochs: Vec<u64> = file.opened().await?.iter().map(|root| root.epoch).collect();
            let slot = vault.own_slot().await?;
            let seen = turner
                .tell(NewEntry::custody_changed(vault.clock.now(), &epochs))
                .await?;
            let change = Change::owned_by(&slot, vault.ownership.owner(vault.id, seen));
            let slot = file.change_passphrase(&change, new).await?;
            vault.saw(&slot);
            Ok(slot.names())
        })
        .await
    }

    /// Completes an interrupted change of custody, and names this database as the owner if no owner
    /// is named. Does nothing if custody is in order, or while another process turns, because that
    /// process does it.
    ///
    /// # Errors
    /// As [`Vault::check_owner`]; custody's, [`custody::Error::Foreign`] above all.
    pub(super) async fn repair_custody(&self) -> Result<(), Error> {
        let vault = &*self.0;
        if vault.is_in_order(&vault.own_slot().await?).await? {
            return Ok(());
        }
        let settled = self.as_turner(async |turner| {
            let slot = vault.own_slot().await?;
            if vault.is_in_order(&slot).await? {
                return Ok(());
            }
            let seen = turner.position().await?;
            turner
                .swap(&Change::owned_by(
                    &slot,
                    vault.ownership.owner(vault.id, seen),
                ))
                .await?;
            tracing::info!("the remains of an interrupted change of custody are removed");
            Ok(())
        });
        settled.await.map(drop)
    }
}

impl crate::vault::Inner {
    /// Returns whether the place holds this slot and nothing else, and the slot names its owner.
    async fn is_in_order(&self, slot: &Slot) -> Result<bool, Error> {
        let contents = self.custody.contents().await?;
        if let Some(foreign) = contents.iter().find(|item| item.role == Role::Foreign) {
            return Err(custody::Error::Foreign {
                name: foreign.name.clone(),
            }
            .into());
        }
        Ok(slot.owner().database.is_some()
            && contents
                .iter()
                .all(|item| matches!(item.role, Role::Slot | Role::Unexamined)))
    }
}

impl Turner<'_> {
    /// Makes the next root. A root that an earlier attempt left staged is destroyed, and its number
    /// is not reused: a database that was lost since may have used it.
    pub(super) async fn stage(&self) -> Result<RootName, Error> {
        let vault = self.vault;
        let mut slot = vault.own_slot().await?;
        let (current, next, seen) = self
            .unit("custody.stage", async |mut unit| {
                unit.without_entry("the lease of the turn is kept");
                let next = epochs::next_number(&mut unit, slot.newest()).await?;
                let current = epochs::current(&mut unit).await?.ok_or(Error::NoVault)?;
                let seen = audit::durable_position(&mut unit).await?;
                Ok((current, next, seen))
            })
            .await?;
        let owner = vault.ownership.owner(vault.id, seen);
        if slot.roots() != [current.epoch] {
            let noted = current.snapshot().map(|(name, _)| name);
            let proof = self
                .restorable(&self.verified(current.epoch, noted).await?)
                .await?;
            slot = self
                .swap(&Change::keeping_only(&slot, owner, &proof)?)
                .await?;
        }
        self.swap(&Change::adding(&slot, owner, next)?).await?;
        Ok(RootName {
            vault: vault.id,
            epoch: next,
        })
    }

    /// Destroys every root but the one that the proof covers, and checks that the place holds
    /// nothing else, even if the slot of an earlier attempt already says so.
    pub(super) async fn keep_only(
        &self,
        proof: &Restorable,
        seen: Option<Position>,
    ) -> Result<(), Error> {
        let vault = self.vault;
        let slot = vault.own_slot().await?;
        let change = Change::keeping_only(&slot, vault.ownership.owner(vault.id, seen), proof)?;
        if change.next().roots() != slot.roots() || !vault.is_in_order(&slot).await? {
            self.swap(&change).await?;
        }
        crash::point("turn.destroyed");
        Ok(())
    }

    /// Proves that the newest restorable snapshot in the store is of the same epoch as `checked`,
    /// which was verified just now.
    ///
    /// # Errors
    /// [`Error::NewerSnapshot`]: the store's newest snapshot is of another epoch, so the root that
    /// would be destroyed is still needed; [`Error::NoSnapshot`]; the store's or custody's.
    pub(super) async fn restorable(&self, checked: &VerifiedSnapshot) -> Result<Restorable, Error> {
        match self.vault.newest_snapshot().await? {
            Some(newest) if newest.epoch == checked.epoch => Ok(Restorable::proven(checked.epoch)),
            Some(newest) => Err(Error::NewerSnapshot {
                snapshot: newest.to_string(),
                epoch: newest.epoch,
            }),
            None => Err(Error::NoSnapshot("none".into())),
        }
    }

    /// Writes an audit entry under the turn's lease. Returns the newest position that the store has,
    /// too.
    pub(super) async fn tell(&self, entry: NewEntry) -> Result<Option<Position>, Error> {
        self.unit("custody.tell", async |mut unit| {
            unit.audit(entry.clone());
            let seen = audit::durable_position(&mut unit).await?;
            Ok(seen)
        })
        .await
    }

    /// Returns the newest position of the log that the store also has, under the turn's lease.
    async fn position(&self) -> Result<Option<Position>, Error> {
        self.unit("custody.position", async |mut unit| {
            unit.without_entry("the lease of the turn is kept");
            let seen = audit::durable_position(&mut unit).await?;
            Ok(seen)
        })
        .await
    }

    async fn swap(&self, change: &Change) -> Result<Slot, Error> {
        let slot = self.vault.custody.swap(change).await?;
        self.vault.saw(&slot);
        Ok(slot)
    }
}
