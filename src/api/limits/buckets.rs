//! Token buckets in a table of fixed size.
//!
//! Owns the arithmetic (the generic cell rate algorithm: one time stamp per bucket) and the
//! eviction when the table is full: the bucket that is full the soonest, because it holds the least
//! information. An attacker who fills the table with keys only causes evictions, and an eviction
//! limits nobody.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Sets of the table; each key belongs to one of them.
const SETS: usize = 2048;
/// Buckets per set.
const WAYS: usize = 4;

/// Buckets of one rate: 192 KiB, whatever the number of keys.
pub(super) struct Buckets {
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
    /// Hashes keys with a secret of the process, so that nobody can choose a key in a given set.
    hasher: RandomState,
    /// The interval between two requests at the rate.
    interval: Duration,
    /// The time by which a request may come early.
    ahead: Duration,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// The hash of its key; 0 if unused.
    key: u64,
    /// The time at which it is full again, since the start.
    full_at: Duration,
}

impl Buckets {
    /// Permits `number` requests per `seconds`, with a burst of `burst`; 0 disables the limit.
    pub(super) fn new(number: u32, seconds: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(seconds.into())
            .checked_div(number)
            .unwrap_or_default();
        let sets = (0..SETS)
            .map(|_| Mutex::new([Bucket::default(); WAYS]))
            .collect();
        Self {
            sets,
            hasher: RandomState::new(),
            interval,
            ahead: interval * burst.saturating_sub(1),
        }
    }

    /// Takes one request from a bucket.
    ///
    /// # Errors
    /// The time until the next request is permitted.
    pub(super) fn take(&self, key: &impl Hash, now: Duration) -> Result<(), Duration> {
        self.with(key, |key, set| {
            let found = set.iter_mut().find(|bucket| bucket.key == key);
            if let Some(bucket) = found {
                self.wait(bucket, now)?;
                bucket.full_at = bucket.full_at.max(now) + self.interval;
            } else if let Some(soonest) = set.iter_mut().min_by_key(|bucket| bucket.full_at) {
                *soonest = Bucket {
                    key,
                    full_at: now + self.interval,
                };
            }
            Ok(())
        })
    }

    /// Checks whether a request is permitted, without taking it.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn peek(&self, key: &impl Hash, now: Duration) -> Result<(), Duration> {
        self.with(key, |key, set| {
            set.iter()
                .find(|bucket| bucket.key == key)
                .map_or(Ok(()), |bucket| self.wait(bucket, now))
        })
    }

    /// Whether the table holds a bucket for this key.
    pub(super) fn knows(&self, key: &impl Hash) -> bool {
        self.with(key, |key, set| set.iter().any(|bucket| bucket.key == key))
    }

    fn wait(&self, bucket: &Bucket, now: Duration) -> Result<(), Duration> {
        match bucket.full_at.saturating_sub(now + self.ahead) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    fn with<T>(&self, key: &impl Hash, act: impl FnOnce(u64, &mut [Bucket; WAYS]) -> T) -> T {
        let hash = self.hasher.hash_one(key).max(1);
        let at = usize::try_from(hash % SETS as u64).unwrap_or_default();
        let set = self
            .sets
            .get(at)
            .expect("a remainder is less than its divisor");
        act(
            hash,
            &mut set.lock().unwrap_or_else(PoisonError::into_inner),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let buckets = Buckets::new(2, 1, 5);
        let at = 1000 * SECOND;
        assert_eq!(
            (0..10).filter(|_| buckets.take(&"a", at).is_ok()).count(),
            5
        );
        assert_eq!(buckets.take(&"a", at), Err(SECOND / 2));
        assert_eq!(buckets.peek(&"a", at), Err(SECOND / 2));
        assert_eq!(buckets.take(&"b", at), Ok(()), "another key");
        assert_eq!(buckets.take(&"a", at + SECOND / 2), Ok(()));
        assert!(buckets.take(&"a", at + SECOND / 2).is_err());
        assert_eq!(
            (0..10)
                .filter(|_| buckets.take(&"a", at + 100 * SECOND).is_ok())
                .count(),
            5,
            "it is full and no fuller"
        );
    }

    #[test]
    fn of_nothing_there_is_no_limit() {
        let buckets = Buckets::new(0, 1, 0);
        assert!((0..1000).all(|_| buckets.take(&"a", SECOND).is_ok()));
        assert!(buckets.knows(&"a") && !buckets.knows(&"b"));
    }

    #[test]
    fn a_million_keys_take_no_more_memory_and_limit_nobody() {
        let buckets = Buckets::new(1, 1, 2);
        assert!((0..1_000_000).all(|key| buckets.take(&key, SECOND).is_ok()));
        assert_eq!(size_of::<Bucket>() * WAYS * SETS, 196_608);
        assert!(buckets.sets.len() == SETS);
    }
}
