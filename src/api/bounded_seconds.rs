//! A number of seconds in a range, for settings.
//!
//! INVARIANT: a value out of range is a fault of the configuration, and is never replaced silently.

use std::time::Duration;

use serde::de::Error as _;

/// A number of seconds, `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundedSeconds<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> BoundedSeconds<LEAST, MOST> {
    /// Creates a default value; one out of range does not compile.
    pub(super) const fn new(seconds: u64) -> Self {
        assert!(LEAST <= seconds && seconds <= MOST, "out of range");
        Self(seconds)
    }

    /// Returns the duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl<'de, const LEAST: u64, const MOST: u64> serde::Deserialize<'de>
    for BoundedSeconds<LEAST, MOST>
{
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        if (LEAST..=MOST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            let fault = format!("`{seconds}` is out of range: expected {LEAST} to {MOST} seconds");
            Err(D::Error::custom(fault))
        }
    }
}
