//! How patient work is: how long it belongs to whom, and when it is tried again.
//!
//! Owns `[work]`. Refuses to know what the work is about.

use std::time::Duration;

use rand::RngExt as _;

use super::error::Error;
use crate::ledger::{
    self, Ledger,
    work::{self, Lease},
};

/// `[work]`: how many pieces of work at once, and how patient.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
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

impl Default for Settings {
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

impl Settings {
    /// For how long work belongs to whoever took it.
    pub(super) fn lease_length(&self) -> Duration {
        Duration::from_secs(self.lease_s.max(5).into())
    }
}

/// What to do with work that could not be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Again after the usual pause.
    Later,
    /// Again after this pause.
    After(Duration),
    /// Set aside.
    Dead,
    /// It is somebody else's by now.
    NotOurs,
}

pub(super) async fn drop_work(ledger: &Ledger, lease: &Lease) -> Result<(), Error> {
    let dropped = ledger.unit("work.drop_work", async |mut unit| {
        unit.without_entry("there is nothing to do");
        work::finish(&mut unit, lease).await
    });
    match dropped.await {
        // A shred took the work away; that is as good.
        Err(ledger::Error::Stale(_)) => Ok(()),
        finished => Ok(finished?),
    }
}

/// 2 s, 4 s, 8 s … up to `max_s`.
pub(super) fn backoff(attempts: i64, max_s: u32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20)).unwrap_or(20);
    Duration::from_secs((1u64 << doublings).min(max_s.max(1).into()))
}

/// A random pause between half of it and all of it, so that what failed together does not return
/// together.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stop_growing() {
        assert_eq!([1, 2, 3].map(|n| backoff(n, 900).as_secs()), [2, 4, 8]);
        assert_eq!(
            [10, 1_000_000, i64::MAX].map(|n| backoff(n, 900).as_secs()),
            [900; 3]
        );
        let pause = jittered(Duration::from_secs(10));
        assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&pause));
    }
}
