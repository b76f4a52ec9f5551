//! The second half of a drill: the store and custody alone rebuild the vault in an empty database.

use crate::model::time::Timestamp;

/// What was rebuilt and tested, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Whether a vault was rebuilt at all.
    pub restored: bool,
    /// The snapshot that was used.
    pub snapshot: Option<String>,
    /// Pieces of the journal that came after it.
    pub pieces: u64,
    /// Shreds in the live database.
    pub tombstones: u64,
    /// How many of them the rebuilt database lacks.
    pub tombstones_missing: u64,
    /// How many of the missing ones waited for the journal when the drill began; must be all.
    pub tombstones_behind: u64,
    /// Living recordings in the live database.
    pub living: u64,
    /// The recovery gap: how many of them the rebuilt database lacks.
    pub gap: u64,
    /// How many of the gap waited for the journal when the drill began; must be all.
    pub gap_behind: u64,
    /// When the oldest recording of the gap was sealed.
    pub gap_since: Option<Timestamp>,
    /// Living recordings in the sample.
    pub sampled: u64,
    /// For how many of them the rebuilt database has the key.
    pub sample_keys: u64,
    /// For how many of them the ciphertext in the store is authentic under that key: header, first
    /// and final segment.
    pub sample_authentic: u64,
    /// Shredded recordings in the sample.
    pub shredded_sampled: u64,
    /// For how many of them the rebuilt database has a key; must be 0.
    pub shredded_opened: u64,
    /// States that waited for the journal when the drill began.
    pub waiting: u64,
    /// How long the oldest of them had waited: since this time.
    pub oldest_waiting: Option<Timestamp>,
    /// The time from an empty database to a vault in service.
    pub recovery_time_ms: u64,
    /// When the newest file used for the rebuild was written.
    pub recovery_point: Option<Timestamp>,
    /// How long the oldest change that a loss of the database would lose has waited; 0 if none
    /// would be lost.
    pub recovery_point_lag_s: u64,
    /// The deletion horizon, as configured.
    pub horizon_s: u64,
}

impl Recovery {
    /// Returns whether this half succeeded.
    pub fn holds(&self) -> bool {
        self.restored
            && self.tombstones_missing == self.tombstones_behind
            && self.gap == self.gap_behind
            && self.sample_keys == self.sampled
            && self.sample_authentic == self.sampled
            && self.shredded_opened == 0
    }

    /// Returns whether the numbers are consistent.
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
            // If the rebuilt vault has living recordings, some were tried.
            && (!self.restored || self.sampled > 0 || self.gap == self.living)
    }
}
