//! The second half of a drill: the store and custody alone rebuild the vault in an empty database.

use crate::model::time::Timestamp;

/// What was rebuilt, what was tried in it, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Whether a vault was rebuilt at all.
    pub restored: bool,
    /// From which snapshot.
    pub snapshot: Option<String>,
    /// Pieces of the journal that came after it.
    pub pieces: u64,
    /// Shreds that the live database knows of.
    pub tombstones: u64,
    /// How many of them the rebuilt one does not know.
    pub tombstones_missing: u64,
    /// How many of the missing ones were waiting to be written to the journal when the drill began;
    /// all, if it holds.
    pub tombstones_behind: u64,
    /// Recordings that live in the live database.
    pub living: u64,
    /// The recovery gap: how many of them the rebuilt one does not have.
    pub gap: u64,
    /// How many of the gap were waiting to be written to the journal when the drill began; all, if
    /// it holds.
    pub gap_behind: u64,
    /// When the oldest recording of the gap was sealed.
    pub gap_since: Option<Timestamp>,
    /// Living recordings that were tried.
    pub sampled: u64,
    /// For how many of them the rebuilt database gave the key.
    pub sample_keys: u64,
    /// Of how many of them the ciphertext in the store is authentic under that key: header, first
    /// and final segment.
    pub sample_authentic: u64,
    /// Shredded recordings that were tried.
    pub shredded_sampled: u64,
    /// How many of them the rebuilt database gave a key for; none, if it holds.
    pub shredded_opened: u64,
    /// States that were waiting to be written to the journal when the drill began.
    pub waiting: u64,
    /// Since when the oldest.
    pub oldest_waiting: Option<Timestamp>,
    /// How long it took from an empty database to a vault that serves.
    pub recovery_time_ms: u64,
    /// When the newest file was written that the vault was rebuilt from.
    pub recovery_point: Option<Timestamp>,
    /// For how long the oldest change that a loss of the database would lose has waited; 0, if none
    /// would be lost.
    pub recovery_point_lag_s: u64,
    /// The deletion horizon, as configured.
    pub horizon_s: u64,
}

impl Recovery {
    /// Whether it went as it must.
    pub fn holds(&self) -> bool {
        self.restored
            && self.tombstones_missing == self.tombstones_behind
            && self.gap == self.gap_behind
            && self.sample_keys == self.sampled
            && self.sample_authentic == self.sampled
            && self.shredded_opened == 0
    }

    /// Whether the numbers can be those of a drill.
    pub(super) fn is_possible(&self) -> bool {
        self.restored == self.snapshot.is_some()
            && self.restored == self.recovery_point.is_some()
            && self.tombstones_missing <= self.tombstones
            && self.tombstones_behind <= self.tombstones_missing
            && self.gap <= self.living
            && self.gap_behind <= self.gap
            && self.sampled <= self.living
            && self.sample_authentic <= self.sample_keys
            && self.sample_keys <= self.sampled
            && self.shredded_sampled <= self.tombstones
            && self.shredded_opened <= self.shredded_sampled
            // A rebuilt vault that has living recordings was tried.
            && (!self.restored || self.sampled > 0 || self.gap == self.living)
    }
}
