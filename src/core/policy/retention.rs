//! Retention: how long a recording is kept, and by which clause of which version.
//!
//! Owns the arithmetic. Refuses to shred, and to know what else keeps or ends a recording: holds
//! prevent a shred, revocation and quarantine come earlier. INVARIANTS
//! - The version in force and the pinned version both count, and the earlier end wins: a later
//!   version never keeps longer.
//! - A recording that no version limits is never due. A missing version sets no limit, because a
//!   mistake here would destroy data.

use std::{fmt, sync::Arc, time::Duration};

use super::rules::{Rulebook, Rules};
use crate::model::{
    name::{Purpose, Tier},
    recording::Recording,
    time::Timestamp,
};

/// The clause of a version that limits the retention of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// `retention` of the tier itself.
    Tier,
    /// Every purpose that opens the tier ends; this one is the last.
    Purposes(Purpose),
}

/// How long one version keeps recordings of one tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Counted from their collection.
    pub period: Duration,
    /// The clause.
    pub clause: Clause,
    /// The version's name.
    pub version: Arc<str>,
    /// The version makes nothing due before it is in force.
    effective: Timestamp,
}

impl Limit {
    /// Returns the time at which the retention of a recording with this time of collection ends.
    pub fn end(&self, collected_at: Timestamp) -> Timestamp {
        collected_at.after(self.period).max(self.effective)
    }

    /// Returns the latest time of collection that is due now; `None` if the version is not in
    /// force.
    pub fn due_until(&self, now: Timestamp) -> Option<Timestamp> {
        (self.effective <= now).then(|| now.before(self.period))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.clause {
            Clause::Tier => write!(f, "`retention` of the tier, version {}", self.version),
            Clause::Purposes(last) => write!(
                f,
                "the purposes that open the tier have ended, `{last}` last, version {}",
                self.version
            ),
        }
    }
}

impl Rules {
    /// Returns how long this version keeps recordings of a tier: the tier's retention, or the
    /// longest retention of the purposes that open it, if all of them have one; the shorter of the
    /// two. `None` if it sets no limit, or has no such tier.
    pub fn limit(&self, tier: &Tier) -> Option<Limit> {
        let rule = self.tier(tier)?;
        let of_tier = rule.retention.map(|period| (period, Clause::Tier));
        let opening = self
            .document()
            .purposes
            .iter()
            .filter(|purpose| purpose.tiers.contains(tier));
        let ends = opening.map(|purpose| {
            purpose
                .retention
                .map(|period| (period, Clause::Purposes(purpose.name.clone())))
        });
        // If one purpose has no end, there is no common end.
        let last = ends
            .collect::<Option<Vec<_>>>()
            .and_then(|ends| ends.into_iter().max_by_key(|(period, _)| *period));
        let (period, clause) = of_tier
            .into_iter()
            .chain(last)
            .min_by_key(|(period, _)| *period)?;
        Some(Limit {
            period,
            clause,
            version: self.shared_version(),
            effective: self.document().effective,
        })
    }
}

/// Returns the limits of recordings of a tier that are pinned to a version: of the version in
/// force, and of the pinned one if it is known.
pub fn limits(tier: &Tier, pinned: &str, rulebook: &Rulebook) -> Vec<Limit> {
    rulebook
        .binding(pinned)
        .filter_map(|rules| rules.limit(tier))
        .collect()
}

/// Returns when the retention of this recording ends; `None` without a limit.
pub fn due(recording: &Recording, rulebook: &Rulebook) -> Option<Timestamp> {
    due_by(recording, rulebook).map(|(due, _)| due)
}

/// As [`due`], with the limit.
pub fn due_by(recording: &Recording, rulebook: &Rulebook) -> Option<(Timestamp, Limit)> {
    let limits = limits(&recording.tier, &recording.policy_digest, rulebook).into_iter();
    limits
        .map(|limit| (limit.end(recording.collected_at), limit))
        .min_by_key(|(end, _)| *end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::recording::RecordingState,
        policy::cast::{self, COLLECTED},
    };

    const DAY: Duration = Duration::from_secs(86_400);

    /// A policy in which the tier `t` has this retention, and these purposes open it; another tier
    /// has neither.
    fn rules(version: &str, effective: &str, tier: Option<u64>, purposes: &[Option<u64>]) -> Rules {
        let retention = |days: Option<u64>| {
            days.map(|days| format!("retention = \"{days}d\"\n"))
                .unwrap_or_default()
        };
        let mut text = format!(
            "version = \"{version}\"\neffective = {effective}\ndefault_tier = \"t\"\n[controller]\nname = \"C\"\ncontact = \"c\"\n[roles]\nr = \"R\"\n\
             [actions]\ncatalogue = []\nshred = []\naudit = []\n[[tiers]]\nname = \"t\"\ndescription = \"T\"\ngrant_lifetime = \"1h\"\n{}\
             [[tiers]]\nname = \"other\"\ndescription = \"O\"\ngrant_lifetime = \"1h\"\n",
            retention(tier)
        );
        for (number, days) in purposes.iter().enumerate() {
            text += &format!(
                "[[purposes]]\nname = \"p{number}\"\ntext = \"P\"\ndpv = \"https://w3id.org/dpv#Purpose\"\ntiers = [\"t\"]\nroles = [\"r\"]\njustification = false\n{}",
                retention(*days)
            );
        }
        Rules::parse(version, &text).unwrap()
    }

    fn recording(tier: &str, pinned: &str) -> Recording {
        cast::recording(RecordingState::Sealed, tier, pinned)
    }

    #[test]
    fn one_version_keeps_for_the_shorter_of_tier_and_purposes() {
        let purposes = |name: &str| Clause::Purposes(name.parse().unwrap());
        for (tier, opening, expected) in [
            (None, &[][..], None),
            (Some(9), &[], Some((9, Clause::Tier))),
            (None, &[None], None),
            (Some(9), &[None], Some((9, Clause::Tier))),
            (None, &[Some(5)], Some((5, purposes("p0")))),
            (None, &[Some(5), Some(7)], Some((7, purposes("p1")))),
            (None, &[Some(5), None], None),
            (Some(6), &[Some(5), None], Some((6, Clause::Tier))),
            (Some(6), &[Some(5), Some(7)], Some((6, Clause::Tier))),
            (Some(9), &[Some(7), Some(5)], Some((7, purposes("p0")))),
        ] {
            let limit = rules("1", "2026-01-01", tier, opening).limit(&"t".parse().unwrap());
            let found = limit.map(|limit| (limit.period.as_secs() / 86_400, limit.clause));
            assert_eq!(found, expected, "{tier:?} {opening:?}");
        }
        let rules = rules("1", "2026-01-01", Some(9), &[Some(5)]);
        for tier in ["other", "absent"] {
            assert_eq!(rules.limit(&tier.parse().unwrap()), None, "{tier}");
        }
    }

    #[test]
    fn the_earlier_end_of_the_current_and_the_pinned_version_counts() {
        let days = |current: Option<u64>, pinned: Option<u64>| {
            let old = rules("old", "2026-01-01", pinned, &[]);
            let digest = old.digest().to_owned();
            let book = Rulebook::new(rules("new", "2026-01-01", current, &[]), [old]);
            due_by(&recording("t", &digest), &book).map(|(due, limit)| {
                (
                    due.since(COLLECTED).as_secs() / 86_400,
                    limit.version.to_string(),
                )
            })
        };
        let found = |days: u64, version: &str| Some((days, version.to_owned()));
        assert_eq!(days(Some(9), Some(5)), found(5, "old"));
        assert_eq!(days(Some(5), Some(9)), found(5, "new"));
        assert_eq!(days(None, Some(5)), found(5, "old"));
        assert_eq!(days(Some(5), None), found(5, "new"));
        assert_eq!(days(None, None), None);
    }

    #[test]
    fn a_version_that_is_not_known_and_one_that_is_not_in_force_end_nothing() {
        let book = Rulebook::new(rules("1", "2026-01-01", Some(9), &[]), []);
        assert_eq!(
            due(&recording("t", "unknown"), &book),
            Some(COLLECTED.after(9 * DAY))
        );
        assert_eq!(due(&recording("other", "unknown"), &book), None);
        let effective = Timestamp::parse_rfc3339("2099-01-01T00:00:00Z").unwrap();
        let future = Rulebook::new(rules("2", "2099-01-01", Some(9), &[]), []);
        assert_eq!(due(&recording("t", "unknown"), &future), Some(effective));
        let limit = limits(&"t".parse().unwrap(), "unknown", &future).remove(0);
        assert_eq!(
            limit.due_until(effective.before(Duration::from_millis(1))),
            None
        );
        assert_eq!(limit.due_until(effective), Some(effective.before(9 * DAY)));
    }
}
