//! The settings of the work loop: `[work]`.
//!
//! Owns the settings. Refuses to know what the work is about; the reaction to a setback is in
//! `retry.rs`.

use std::time::Duration;

/// `[work]`: concurrency, leases and retries.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkSettings {
    /// Recordings fetched concurrently, 1 to 256. Each takes up to 20 MiB of memory. A quarter as
    /// many deletions at the source run in addition.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 256, _, _>")]
    pub concurrency: u16,
    /// Seconds after which a lease ends unless its worker extends it, 5 to 3600.
    #[serde(deserialize_with = "crate::model::bounded::within::<5, 3600, _, _>")]
    pub lease_s: u32,
    /// Attempts before work is set aside as dead, 1 to 1000.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 1000, _, _>")]
    pub attempts: u16,
    /// Seconds for which "not there yet" is taken as temporary before it counts as an error.
    pub not_yet_s: u32,
    /// Longest pause between two attempts, in seconds, 1 to 86,400.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 86400, _, _>")]
    pub max_backoff_s: u32,
    /// Hours after which ciphertext without a recording is deleted, 1 to 8760.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 8760, _, _>")]
    pub orphans_h: u32,
}

impl Default for WorkSettings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            lease_s: 60,
            attempts: 12,
            not_yet_s: 1800,
            max_backoff_s: 900,
            orphans_h: 24,
        }
    }
}

impl WorkSettings {
    /// Returns the length of a lease.
    pub(super) fn lease_length(&self) -> Duration {
        Duration::from_secs(self.lease_s.max(5).into())
    }
}
