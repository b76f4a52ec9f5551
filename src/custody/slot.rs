//! The slot: the roots in custody, and their owner.
//!
//! Owns the contents of a slot and the only ways in which one may follow another. Refuses to know
//! how a slot is stored. A [`Change`] names the slot that it was made from; every place compares
//! that with its present slot before it replaces anything.
//!
//! INVARIANTS
//! - A slot has one or two roots, the older first; a new root is newer than every root before it.
//! - A root is removed only with a [`Restorable`] of one that stays.
//! - Each change increments the generation, so that a process that missed another change cannot
//!   make its own.

use serde::{Deserialize, Serialize};

use super::{Error, RootName};
use crate::{
    evidence::Position,
    model::{
        id::{DatabaseId, VaultId},
        timeline::Timeline,
    },
};

/// The owner of the roots: one database at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The vault.
    pub vault: VaultId,
    /// The database that may use, turn and destroy them. `None`: no database has taken them yet, as
    /// in a place from before slots had owners.
    pub database: Option<DatabaseId>,
    /// The timeline of that database's log. No restore begins this or an earlier one again, even if
    /// the store has no record of it.
    pub timeline: Timeline,
    /// The newest audit entry of that database when it last changed custody. A database without
    /// this entry was rolled back.
    pub seen: Option<Position>,
}

impl Owner {
    /// Returns the owner for a database of a vault that was never restored.
    pub fn first(vault: VaultId, database: Option<DatabaseId>) -> Self {
        Self {
            vault,
            database,
            timeline: Timeline::FIRST,
            seen: None,
        }
    }
}

/// The slot of a place of custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    owner: Owner,
    generation: u64,
    roots: Vec<u64>,
}

impl AsRef<Self> for Slot {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Slot {
    /// Creates a slot from the contents of a place.
    ///
    /// # Errors
    /// [`Error::Format`] if it breaks an invariant of slots.
    pub fn read(owner: Owner, generation: u64, roots: Vec<u64>) -> Result<Self, Error> {
        let is_ordered = roots.is_sorted_by(|a, b| a < b);
        if !is_ordered || roots.is_empty() || roots.len() > 2 {
            return Err(Error::Format(
                "a slot has one or two roots, the older first",
            ));
        }
        Ok(Self {
            owner,
            generation,
            roots,
        })
    }

    /// Returns the owner of the roots.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Returns how often the place was changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the epochs of the roots, oldest first.
    pub fn roots(&self) -> &[u64] {
        &self.roots
    }

    /// The roots by name, oldest first.
    pub fn names(&self) -> Vec<RootName> {
        self.roots
            .iter()
            .map(|epoch| RootName {
                vault: self.owner.vault,
                epoch: *epoch,
            })
            .collect()
    }

    /// Returns whether it contains this root.
    pub fn has(&self, root: RootName) -> bool {
        self.owner.vault == root.vault && self.roots.contains(&root.epoch)
    }

    /// The newest root.
    pub fn newest(&self) -> u64 {
        *self.roots.last().expect("a slot has one or two roots")
    }
}

/// Proof that the newest restorable snapshot was just verified, and that the root of this epoch
/// opens it.
#[derive(Debug)]
pub struct Restorable {
    epoch: u64,
}

impl Restorable {
    /// Creates the proof. Only `vault/epoch/custody.rs` may call this, right after it verified the
    /// snapshot; `tests/tidy.rs` enforces this.
    pub(crate) fn proven(epoch: u64) -> Self {
        Self { epoch }
    }
}

/// A slot that is to replace another.
#[derive(Clone, Debug)]
pub struct Change {
    before: Option<Slot>,
    next: Slot,
}

impl Change {
    /// The first slot of a vault, in an empty place: the root of epoch 1.
    pub fn first(owner: Owner) -> Self {
        Self {
            before: None,
            next: Slot {
                owner,
                generation: 1,
                roots: vec![1],
            },
        }
    }

    /// Adds a root, whose key the place makes.
    ///
    /// # Errors
    /// [`Error::TooMany`] when there are two; [`Error::Passed`] when there is a newer one or this
    /// one.
    pub fn adding(before: &Slot, owner: Owner, epoch: u64) -> Result<Self, Error> {
        if before.newest() >= epoch {
            return Err(Error::Passed(RootName {
                vault: owner.vault,
                epoch,
            }));
        }
        if before.roots.len() > 1 {
            return Err(Error::TooMany);
        }
        Ok(Self::of(
            before,
            owner,
            before.roots.iter().copied().chain([epoch]).collect(),
        ))
    }

    /// Keeps only the root of the proof: every other one is destroyed.
    ///
    /// # Errors
    /// [`Error::NoRoot`] if the slot lacks that root.
    pub fn keeping_only(before: &Slot, owner: Owner, proof: &Restorable) -> Result<Self, Error> {
        let kept = RootName {
            vault: owner.vault,
            epoch: proof.epoch,
        };
        if !before.has(kept) {
            return Err(Error::NoRoot(kept));
        }
        Ok(Self::of(before, owner, vec![kept.epoch]))
    }

    /// Keeps the roots, with this owner: for a take-over, a new passphrase, or a repetition that
    /// removes the remains of an interrupted change.
    pub fn owned_by(before: &Slot, owner: Owner) -> Self {
        Self::of(before, owner, before.roots.clone())
    }

    fn of(before: &Slot, owner: Owner, roots: Vec<u64>) -> Self {
        Self {
            before: Some(before.clone()),
            next: Slot {
                owner,
                generation: before.generation + 1,
                roots,
            },
        }
    }

    /// Returns the slot that the place must hold for this change.
    pub fn before(&self) -> Option<&Slot> {
        self.before.as_ref()
    }

    /// Returns the slot that the place holds afterwards.
    pub fn next(&self) -> &Slot {
        &self.next
    }

    /// Returns the epoch of the root that the change adds, if it adds one.
    pub fn added(&self) -> Option<u64> {
        let is_new = |epoch: &u64| {
            !self
                .before
                .as_ref()
                .is_some_and(|before| before.roots.contains(epoch))
        };
        self.next.roots.iter().copied().find(is_new)
    }

    /// Compares with the place's present slot.
    ///
    /// # Errors
    /// [`Error::Moved`].
    pub fn applies_to(&self, present: Option<&Slot>) -> Result<(), Error> {
        if present == self.before.as_ref() {
            return Ok(());
        }
        let generation = |slot: Option<&Slot>| slot.map_or(0, Slot::generation);
        Err(Error::Moved {
            expected: generation(self.before.as_ref()),
            found: generation(present),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let rng = &mut rand::rng();
        Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)))
    }

    #[test]
    fn a_change_makes_no_slot_that_custody_could_not_hold() {
        let owner = owner();
        let one = Change::first(owner).next().clone();
        let two = Change::adding(&one, owner, 5).unwrap();
        assert_eq!(
            (two.next().roots(), two.next().generation(), two.added()),
            (&[1, 5][..], 2, Some(5))
        );
        let two = two.next().clone();
        assert!(matches!(
            Change::adding(&two, owner, 6),
            Err(Error::TooMany)
        ));
        assert!(matches!(
            Change::adding(&two, owner, 5),
            Err(Error::Passed(_))
        ));
        assert!(matches!(
            Change::adding(&one, owner, 1),
            Err(Error::Passed(_))
        ));
        assert!(matches!(
            Change::keeping_only(&two, owner, &Restorable::proven(2)),
            Err(Error::NoRoot(_))
        ));
        let kept = Change::keeping_only(&two, owner, &Restorable::proven(5)).unwrap();
        assert_eq!(
            (kept.next().roots(), kept.next().generation(), kept.added()),
            (&[5][..], 3, None)
        );
        for bad in [vec![], vec![1, 1], vec![2, 1], vec![1, 2, 3]] {
            assert!(Slot::read(owner, 1, bad).is_err());
        }
    }

    #[test]
    fn a_change_applies_to_the_very_slot_that_it_was_made_from() {
        let mine = owner();
        let one = Change::first(mine).next().clone();
        let change = Change::adding(&one, mine, 2).unwrap();
        change.applies_to(Some(&one)).unwrap();
        let repaired = Change::owned_by(&one, mine).next().clone();
        let taken = Slot {
            owner: owner(),
            ..one.clone()
        };
        for other in [None, Some(&repaired), Some(&taken), Some(change.next())] {
            assert!(
                matches!(
                    change.applies_to(other),
                    Err(Error::Moved { expected: 1, .. })
                ),
                "{other:?}"
            );
        }
        assert!(matches!(
            Change::first(mine).applies_to(Some(&one)),
            Err(Error::Moved {
                expected: 0,
                found: 1
            })
        ));
    }
}
