//! Ownership of custody: the roots belong to one database, and this module decides whether that is
//! this one.
//!
//! Owns the decision, what this process remembers of it, and the take-over by a restored database.
//! Refuses to know how a slot is stored and which process turns.
//!
//! INVARIANT: a process that once found another database to be the owner opens and writes nothing
//! any more (see [`Ownership::hold`], which every unit of work and every walk through the key tree
//! calls).

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
    /// The newest generation of the slot that this process has seen.
    known: AtomicU64,
    /// The database that took over.
    lost_to: OnceLock<DatabaseId>,
    /// Whether the audit log has an entry about that.
    is_told: Mutex<bool>,
    troubles: RwLock<Troubles>,
}

/// The two checks of custody, which can fail independently.
#[derive(Clone, Copy)]
pub(super) enum CustodyCheck {
    /// The owner of the slot.
    Slot,
    /// The key of the present epoch.
    Key,
}

/// The result of the last check of each kind. The slot may be in order while the key cannot be
/// fetched from it: an error is cleared only by a successful check of the same kind.
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

/// What a restore does with custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the restored database is inspected and discarded.
    None,
    /// Takes custody if no database has it.
    Take,
    /// Takes custody, also from another database, which then opens and writes nothing any more.
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

    /// Returns a number of this database's log as a point in its present timeline.
    pub(super) fn point(&self, seq: i64) -> LogPoint {
        LogPoint {
            timeline: self.timeline,
            seq,
        }
    }

    /// Returns the owner to be named in a slot.
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
    /// Checks that custody is available and belongs to this database. Cheap enough for every few
    /// seconds: no passphrase and no service is involved. The result is kept for
    /// [`Vault::custody_trouble`]. If another database is the owner, this one opens and writes
    /// nothing from then on, and its audit log records that once.
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
        // Closed at the database's gate, because every writer passes it.
        match &found {
            // Also if it was found before: the task that found it may have been cancelled.
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

    /// Returns the fault that the last check of custody found, for `readyz` and `status`.
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
    /// Returns the slot, if this database owns it.
    ///
    /// # Errors
    /// As [`Vault::check_owner`], except that it does not compare the slot with the database's log.
    pub(super) async fn own_slot(&self) -> Result<Slot, Error> {
        self.ownership.hold(self.id)?;
        let slot = own(self.custody.read().await?, self.id, self.ownership.database);
        if let Err(Error::NotOwner { owner, .. }) = &slot {
            // Set before anything is awaited: a cancelled caller must not lose the finding.
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

    /// Notes the generation of a slot that this process made.
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

    /// Another database has taken over: writes the last audit entry, which explains that to a
    /// reader of this log and is in no journal, and closes the gate. If a call is cancelled, the
    /// next call does both.
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

/// Returns the slot, if it belongs to this database or to none.
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

/// Checks that the database still has the entry that it had when it last changed custody.
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

/// Makes a restored database the owner: the last step before the restore commits. If the commit
/// then fails, the restore must be repeated.
///
/// # Errors
/// [`Error::TakeOver`] where another database is the owner and the claim is not
/// [`Claim::TakeOver`]; [`crate::custody::Error::Moved`] where custody was changed since `before`
/// was read.
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

/// Checks that this claim allows taking this slot; also called before a restore begins.
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
