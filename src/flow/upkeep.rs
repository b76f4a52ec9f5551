//! Upkeep: the periodic tasks of a vault.
//!
//! Owns the schedules: turns, snapshots, journal, sweeps, and the drill that tests them. Refuses to
//! know how each is done; the vault does.

pub(super) mod custody;
pub(super) mod drill;
pub(super) mod epoch;
pub(super) mod garbage;
pub(super) mod recovery;
pub(super) mod sweep;
