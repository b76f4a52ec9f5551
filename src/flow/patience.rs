//! How patient work is: `[work]`.
//!
//! Owns the settings. Refuses to know what the work is about; what follows from a setback is in
//! `retry.rs`.

use std::time::Duration;

/// `[work]`: how many pieces of work at once, and how patient.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkSettings {
    /// Recordings fetched at once, 1 to 256. Each takes up to 20 MiB of memory. A quarter as many
    /// are deleted at the source beside them.
    pub concurrency: u16,
    /// Seconds that work belongs to a worker that does not say it is still at it.
    pub lease_s: u32,
    /// Attempts before work is set aside as dead.
    pub attempts: u16,
    /// Seconds for which "not there yet" is believed before it counts as an error.
    pub not_yet_s: u32,
    /// Longest pause between two attempts, in seconds.
    pub max_backoff_s: u32,
    /// Hours after which ciphertext that no recording owns is removed.
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
    /// For how long work belongs to whoever took it.
    pub(super) fn lease_length(&self) -> Duration {
        Duration::from_secs(self.lease_s.max(5).into())
    }
}
