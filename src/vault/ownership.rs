//! Whose custody is: the roots belong to one database, and this says whether it is ours.
//!
//! Owns the judgement, what this process remembers of it, and the take-over by a restored database.
//! Refuses to know how a slot is kept and who turns.
//!
//! INVARIANT: a process that once found another database to be the owner opens and writes nothing
//! any more (see [`Ownership::hold`], which each unit of work and each walk through the key tree
//! asks).

use std::sync::{
    OnceLock, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Mutex;

use super::{Inner, Vault, error::Error};
use crate::{
    custody::{Change, Custody, Owner, Slot},
    db::{self, ClosedFor, Tx, audit},
    evidence::{NewEntry, Position},
    model::{
        id::{DatabaseId, VaultId},
        timeline::{LogPoint, Timeline},
    },
};

/// What this process knows of its custody.
pub(super) struct Ownership {
    /// The database that this process works on.
    database: DatabaseId,
    /// The timeline of its log.
    timeline: Timeline,
    /// The newest generation of the slot that it saw.
    known: AtomicU64,
    /// The database that took over.
    lost_to: OnceLock<DatabaseId>,
    /// Whether the audit log was told of that.
    is_told: Mutex<bool>,
    troubles: RwLock<Troubles>,
}

/// What is asked of custody, and can be wrong by itself.
#[derive(Clone, Copy)]
pub(super) enum CustodyCheck {
    /// Whose the slot is.
    Slot,
    /// The key of the present epoch.
    Key,
}

/// What was wrong when it was last asked. The slot may be in order while the key cannot be had from
/// it: an error is cleared only by a successful check of the same kind.
#[derive(Default, PartialEq, Eq)]
struct Troubles {
    slot: Option<String>,
    key: Option<String>,
}

impl Troubles {
    fn any(&self) -> Option<&String> {
        self.slot.as_ref().or(self.key.as_ref())
    }
}

/// What a restore does about custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the restored database is looked at and thrown away.
    None,
    /// Takes custody if no database has it.
    Take,
    /// Takes custody, also from another database, which opens and writes nothing any more.
    TakeOver,
}

impl Ownership {
    pub(super) fn of(database: DatabaseId, timeline: Timeline) -> Self {
        Self {
            database,
            timeline,
            known: AtomicU64::new(0),
            lost_to: OnceLock::new(),
            is_told: Mutex::default(),
            troubles: RwLock::default(),
        }
    }

    /// Fails once custody is known to be another database's.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub(super) fn hold(&self, vault: VaultId) -> Result<(), Error> {
        match self.lost_to.get() {
            None => Ok(()),
            Some(owner) => Err(Error::NotOwner {
                vault,
                owner: *owner,
                database: self.database,
            }),
        }
    }

    /// The database that this process works on.
    pub(super) fn database(&self) -> DatabaseId {
        self.database
    }

    /// A number that this database's log gives now.
    pub(super) fn point(&self, seq: i64) -> LogPoint {
        LogPoint {
            timeline: self.timeline,
            seq,
        }
    }

    /// The owner as a slot is to name it.
    pub(super) fn owner(&self, vault: VaultId, seen: Option<Position>) -> Owner {
        Owner {
            vault,
            database: Some(self.database),
            timeline: self.timeline,
            seen,
        }
    }

    fn note<T>(&self, asked: CustodyCheck, done: &Result<T, Error>) {
        let trouble = done.as_ref().err().map(ToString::to_string);
        let mut troubles = self
            .troubles
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let was_in_trouble = troubles.any().is_some();
        let noted = match asked {
            CustodyCheck::Slot => &mut troubles.slot,
            CustodyCheck::Key => &mut troubles.key,
        };
        let before = std::mem::replace(noted, trouble);
        match &*noted {
            Some(error) if before.as_ref() != Some(error) => {
                tracing::error!(error, "custody has a problem")
            }
            _ => {}
        }
        let is_in_trouble = troubles.any().is_some();
        if was_in_trouble && !is_in_trouble {
            tracing::info!("custody has no problem any more");
        }
        metrics::gauge!("recvault_custody_trouble").set(if is_in_trouble { 1.0 } else { 0.0 });
    }
}

impl Vault {
    /// Whether custody is there and this database's. Cheap enough for every few seconds: no
    /// passphrase and no service is asked. What is found is kept for [`Vault::custody_trouble`];
    /// if another database is the owner, this one opens and writes nothing from then on, and its log
    /// says so once.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::NoSlot`], [`Error::OldSlot`], [`Error::BehindCustody`];
    /// custody's and the database's.
    pub async fn check_owner(&self) -> Result<(), Error> {
        let vault = &*self.0;
        let found = match vault.ownership.hold(vault.id) {
            Ok(()) => {
                let found = vault.look().await;
                vault.note_custody(CustodyCheck::Slot, &found);
                found
            }
            lost => lost,
        };
        // Nothing is written any more: the database's gate is the one place that every writer passes.
        match &found {
            // Also if it was found before: the caller who found it may have been cancelled.
            Err(error @ Error::NotOwner { owner, .. }) => vault.retire(*owner, error).await,
            Err(error @ Error::BehindCustody { .. }) => {
                vault
                    .db
                    .close_gate(ClosedFor::Forgetful, &error.to_string());
            }
            _ => {}
        }
        found
    }

    /// What was wrong with custody when it was last asked, for `readyz` and `status`.
    pub fn custody_trouble(&self) -> Option<String> {
        self.0
            .ownership
            .troubles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .any()
            .cloned()
    }
}

impl Inner {
    /// The slot, which is this database's.
    ///
    /// # Errors
    /// As [`Vault::check_owner`], but for what the database has forgotten.
    pub(super) async fn own_slot(&self) -> Result<Slot, Error> {
        self.ownership.hold(self.id)?;
        let slot = own(self.custody.read().await?, self.id, self.ownership.database);
        if let Err(Error::NotOwner { owner, .. }) = &slot {
            // Before anything is waited for: a cancelled caller must not take the finding along.
            let _ = self.ownership.lost_to.set(*owner);
        }
        let slot = slot?;
        let known = self
            .ownership
            .known
            .fetch_max(slot.generation(), Ordering::SeqCst);
        if slot.generation() < known {
            return Err(Error::OldSlot {
                known,
                found: slot.generation(),
            });
        }
        Ok(slot)
    }

    /// The same for a slot that this process made.
    pub(super) fn saw(&self, slot: &Slot) {
        self.ownership
            .known
            .fetch_max(slot.generation(), Ordering::SeqCst);
    }

    pub(super) fn note_custody<T>(&self, asked: CustodyCheck, done: &Result<T, Error>) {
        self.ownership.note(asked, done);
    }

    async fn look(&self) -> Result<(), Error> {
        let slot = self.own_slot().await?;
        remembers(&mut self.db.read().await?, &slot).await
    }

    /// Another database has taken over: writes the last entry, which is for anyone who looks here
    /// for the reason and is in no journal, and closes the gate. A call that is cancelled leaves
    /// both to the next.
    async fn retire(&self, to: DatabaseId, because: &Error) {
        let mut is_told = self.ownership.is_told.lock().await;
        if *is_told {
            return;
        }
        let told = self.db.unit("ownership.retire", async |mut unit| {
            unit.audit(NewEntry::custody_lost(self.clock.now(), to));
            Ok::<_, db::Error>(())
        });
        if let Err(error) = told.await {
            tracing::warn!(%error, "the audit log cannot record that custody is lost");
        }
        self.db
            .close_gate(ClosedFor::TakenOver, &because.to_string());
        *is_told = true;
    }
}

/// The slot, if it is this database's or nobody's.
///
/// # Errors
/// [`Error::NoSlot`], [`Error::OtherVault`], [`Error::NotOwner`].
pub(super) fn own(slot: Option<Slot>, vault: VaultId, database: DatabaseId) -> Result<Slot, Error> {
    let slot = slot.ok_or(Error::NoSlot(vault))?;
    let owner = slot.owner();
    if owner.vault != vault {
        return Err(Error::OtherVault {
            root: owner.vault,
            db: vault,
        });
    }
    match owner.database {
        Some(other) if other != database => Err(Error::NotOwner {
            vault,
            owner: other,
            database,
        }),
        _ => Ok(slot),
    }
}

/// Whether the database still has the entry that it had when it last changed custody.
///
/// # Errors
/// [`Error::BehindCustody`].
pub(super) async fn remembers(tx: &mut Tx, slot: &Slot) -> Result<(), Error> {
    match slot.owner().seen {
        Some(seen) if !audit::has(tx, &seen).await? => Err(Error::BehindCustody {
            db: audit::head(tx).await?,
            custody: seen.point(),
        }),
        _ => Ok(()),
    }
}

/// Makes a restored database the owner; the last step of a restore before its rows stand. Should
/// they not come to stand, nobody is the owner, and the restore is to be repeated.
///
/// # Errors
/// [`Error::TakeOver`] where another database is the owner and the claim is not to that;
/// [`crate::custody::Error::Moved`] where somebody else changed custody since `before` was read.
pub(super) async fn take_over(
    custody: &dyn Custody,
    before: &Slot,
    claim: Claim,
    to: Owner,
) -> Result<(), Error> {
    may_take(before, claim)?;
    if claim != Claim::None {
        custody.swap(&Change::owned_by(before, to)).await?;
    }
    Ok(())
}

/// Whether this claim goes against this slot; asked before a restore begins, too.
///
/// # Errors
/// [`Error::TakeOver`].
pub(super) fn may_take(slot: &Slot, claim: Claim) -> Result<(), Error> {
    match (slot.owner().database, claim) {
        (Some(owner), Claim::Take) => Err(Error::TakeOver {
            vault: slot.owner().vault,
            owner,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_order_does_not_hide_that_nobody_gets_the_key_out_of_it() {
        let rng = &mut rand::rng();
        let ownership = Ownership::of(DatabaseId::random(rng), Timeline::FIRST);
        let vault = VaultId::random(rng);
        let failed = || Err::<(), _>(Error::NoSlot(vault));
        let stands = || ownership.troubles.read().unwrap().any().is_some();
        ownership.note(CustodyCheck::Key, &failed());
        ownership.note(CustodyCheck::Slot, &Ok(()));
        assert!(stands(), "the key was not asked for again");
        ownership.note(CustodyCheck::Slot, &failed());
        ownership.note(CustodyCheck::Key, &Ok(()));
        assert!(stands(), "the slot was not looked at again");
        ownership.note(CustodyCheck::Slot, &Ok(()));
        assert!(!stands());
    }
}
