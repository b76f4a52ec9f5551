//! Upkeep: what a vault does with nobody asking for it.
//!
//! Owns the schedules: turns, snapshots, journal, sweeps, and the drill that shows that they hold.
//! Refuses to know how any of it is done; the vault does.

pub(super) mod custody;
pub(super) mod drill;
pub(super) mod epoch;
pub(super) mod litter;
pub(super) mod recovery;
pub(super) mod sweep;
