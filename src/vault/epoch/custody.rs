//! What a turner does to custody: every act is a swap, made under the lease of the turn, from a
//! slot that was just read and is this database's.
//!
//! Owns the order of reading, asking for the lease and swapping. Refuses to know how a swap is
//! done.
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
    /// Seals every root under another passphrase. The entry comes first: a change that fails after
    /// it has an entry too many, never one too few. `None` while another process turns or changes
    /// custody.
    ///
    /// # Errors
    /// The roots do not open with the passphrase so far, and nothing is written down; the database's;
    /// custody's.
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

    /// Finishes what an interrupted change of custody left, and names this database as the owner
    /// where nobody is. Nothing is done where custody is in order; while another process turns,
    /// that one does it.
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
    /// Whether the place holds this slot and nothing else, and the slot names its owner.
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
    /// Makes the next root. One that an earlier try left staged is destroyed and its number not
    /// used again: a database that was lost since may have used it.
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

    /// Destroys every root but the one that the proof is about, and sees that the place holds
    /// nothing else; also where an earlier try came so far that the slot says so already.
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

    /// Proof that the newest restorable snapshot in the store is of the epoch of this one, which
    /// was verified just now.
    ///
    /// # Errors
    /// [`Error::NewerSnapshot`]: this database is not the one that the store knows, and what it
    /// would destroy is still needed.
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

    /// Writes an entry down while the turn is ours; the newest position that the store knows of,
    /// too, afterwards.
    pub(super) async fn tell(&self, entry: NewEntry) -> Result<Option<Position>, Error> {
        self.unit("custody.tell", async |mut unit| {
            unit.audit(entry.clone());
            let seen = audit::durable_position(&mut unit).await?;
            Ok(seen)
        })
        .await
    }

    /// The newest position of the log that the store knows of, too, while the turn is ours.
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
