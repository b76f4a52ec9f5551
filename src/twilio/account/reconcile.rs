//! `[twilio.reconcile]`: how often, and how far back.

use std::time::Duration;

/// `[twilio.reconcile]`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileSettings {
    /// Minutes between two comparisons, 0 to 1440. 0: only by hand.
    pub every_m: u32,
    /// Hours for which the list is looked back, 25 to 960. Twilio lists a recording by when it
    /// began, and a call can last for 24 hours.
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

/// How Twilio's lists are compared with the vault; every part checked.
#[derive(Clone, Debug)]
pub struct ReconcilePlan {
    every: Option<Duration>,
    look_back: Duration,
}

impl ReconcileSettings {
    /// Checks them; what is out of range is told with its key.
    pub(super) fn resolve(
        &self,
        mut fault: impl FnMut(&'static str, &'static str),
    ) -> ReconcilePlan {
        if self.every_m > 1440 {
            fault("twilio.reconcile.every_m", "expected 0 to 1440 minutes");
        }
        if !matches!(self.look_back_h, 25..=960) {
            fault(
                "twilio.reconcile.look_back_h",
                "expected 25 to 960 hours: a call lasts up to 24, and is listed by its beginning",
            );
        }
        let every = (self.every_m > 0).then(|| Duration::from_secs(u64::from(self.every_m) * 60));
        ReconcilePlan {
            every,
            look_back: Duration::from_secs(u64::from(self.look_back_h) * 3600),
        }
    }
}

impl ReconcilePlan {
    /// The time between two comparisons; `None`: only by hand.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// How far back the list is looked at.
    pub fn look_back(&self) -> Duration {
        self.look_back
    }
}
