//! `[twilio.reconcile]`: the interval and the period of the comparison.

use std::{ops::RangeInclusive, time::Duration};

use super::faults::TableFaults;

/// Minutes between two comparisons.
const EVERY_M: RangeInclusive<u32> = 0..=1440;
/// Hours of the period that a comparison covers.
const LOOK_BACK_H: RangeInclusive<u32> = 25..=960;

/// `[twilio.reconcile]`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileSettings {
    /// Minutes between two comparisons, 0 to 1440. 0: only on command.
    pub every_m: u32,
    /// Hours of the period that a comparison covers, 25 to 960. Twilio lists a recording by its
    /// beginning, and a call can last for 24 hours.
    pub look_back_h: u32,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            every_m: 15,
            look_back_h: 72,
        }
    }
}

/// The plan of the comparison between Twilio's lists and the vault, all of it checked.
#[derive(Clone, Debug)]
pub struct ReconcilePlan {
    every: Option<Duration>,
    look_back: Duration,
}

impl ReconcileSettings {
    /// Checks the settings.
    pub(super) fn resolve(&self, faults: &mut TableFaults<'_>) -> ReconcilePlan {
        faults.check_range("every_m", &self.every_m, &EVERY_M, "minutes");
        let why = "hours: a call lasts up to 24, and is listed by its beginning";
        faults.check_range("look_back_h", &self.look_back_h, &LOOK_BACK_H, why);
        let every = (self.every_m > 0).then(|| Duration::from_secs(u64::from(self.every_m) * 60));
        ReconcilePlan {
            every,
            look_back: Duration::from_secs(u64::from(self.look_back_h) * 3600),
        }
    }
}

impl ReconcilePlan {
    /// The time between two comparisons. `None`: only on command.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// The length of the period that a comparison covers.
    pub fn look_back(&self) -> Duration {
        self.look_back
    }
}
