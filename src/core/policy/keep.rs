//! Minimisation: recordings that are discarded.
//!
//! Owns the four reasons to discard a recording, and their criteria. INVARIANT: the policy at
//! collection and the present policy both count; a recording that cannot be measured is not
//! discarded for its measurements.

use std::time::Duration;

use super::{
    document::RemovedAtSource,
    rules::{Rulebook, Rules},
};
use crate::model::{recording::Recording, wave::AudioMeasurement};

/// Why a recording is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum NotKept {
    /// It is shorter than the policy's minimum.
    TooShort,
    /// Its peak does not exceed the policy's minimum.
    Silent,
    /// No purpose opens it.
    NoPurpose,
    /// The policy does not keep its kind.
    KindNotKept,
    /// It was removed at the source, and the policy follows.
    RemovedAtSource,
}

impl NotKept {
    /// The reason in receipt and audit log.
    pub fn code(self) -> &'static str {
        self.into()
    }
}

impl Rulebook {
    /// Returns the reason to discard a recording before anything of it is fetched, if there is one.
    pub fn lets_go_unheard(&self, recording: &Recording) -> Option<NotKept> {
        let mut binding = self.binding(&recording.policy_digest);
        if binding.any(|rules| !rules.keeps(recording.kind())) {
            return Some(NotKept::KindNotKept);
        }
        let follows =
            RemovedAtSource::Shred == self.current().document().collection.removed_at_source;
        if recording.removed_at.is_some() && follows {
            return Some(NotKept::RemovedAtSource);
        }
        // A reported duration is rounded to a second, which is irrelevant for a minimum in whole
        // seconds.
        let told = recording
            .duration_s
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        if told.is_some_and(|told| self.is_too_short(recording, told)) {
            return Some(NotKept::TooShort);
        }
        (!self.is_of_use(recording)).then_some(NotKept::NoPurpose)
    }

    /// Returns the reason to discard a measured recording, if there is one.
    pub fn lets_go(&self, recording: &Recording, measured: &AudioMeasurement) -> Option<NotKept> {
        if self.is_too_short(recording, Duration::from_millis(measured.length_ms)) {
            return Some(NotKept::TooShort);
        }
        let is_silent = matches!((measured.peak, self.quiet(recording)), (Some(peak), Some(quiet)) if peak <= quiet);
        is_silent.then_some(NotKept::Silent)
    }

    /// Returns the largest absolute sample that counts as silence, if the policy sets one.
    pub fn quiet(&self, recording: &Recording) -> Option<u16> {
        self.binding(&recording.policy_digest)
            .filter_map(|rules| rules.document().collection.quieter_than)
            .max()
    }

    fn is_too_short(&self, recording: &Recording, length: Duration) -> bool {
        self.binding(&recording.policy_digest)
            .filter_map(|rules| rules.document().collection.shorter_than)
            .any(|least| length < least)
    }

    /// Returns whether some purpose that a role may state opens its tier, in every version that
    /// binds it.
    fn is_of_use(&self, recording: &Recording) -> bool {
        // A tier that a version does not declare opens for no purpose; but that may be a typing
        // error, and a shred cannot be undone.
        if self
            .binding(&recording.policy_digest)
            .any(|rules| rules.tier(&recording.tier).is_none())
        {
            return true;
        }
        let opens = |rules: &Rules, name| {
            rules.purpose(name).is_some_and(|purpose| {
                !purpose.roles.is_empty() && purpose.tiers.contains(&recording.tier)
            })
        };
        let mut purposes = self.current().document().purposes.iter();
        purposes.any(|purpose| {
            self.binding(&recording.policy_digest)
                .all(|rules| opens(rules, &purpose.name))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{recording::RecordingState, time::Timestamp};

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    pub(in crate::policy) fn recording(
        book: &Rules,
        duration_s: Option<i64>,
        tier: &str,
    ) -> Recording {
        let zeros = "0".repeat(32);
        Recording {
            id: format!("rec_{zeros}").parse().unwrap(),
            state: RecordingState::Announced,
            duration_s,
            tier: tier.parse().unwrap(),
            policy_version: book.version().into(),
            policy_digest: book.digest().into(),
            sealed_at: None,
            ..crate::samples::recording(Timestamp::from_millis(0))
        }
    }

    fn rules(change: impl FnOnce(String) -> String) -> Rules {
        Rules::parse("p", &change(SHIPPED.to_owned())).unwrap()
    }

    #[test]
    fn bounds_are_met_to_the_second_and_the_sample() {
        let book = Rulebook::new(
            rules(|text| text.replace("shorter_than = \"1s\"", "shorter_than = \"2s\"")),
            [],
        );
        let told = |seconds| book.lets_go_unheard(&recording(book.current(), seconds, "standard"));
        let expected = [
            Some(NotKept::TooShort),
            Some(NotKept::TooShort),
            None,
            None,
            None,
        ];
        assert_eq!(
            [Some(0), Some(1), Some(2), Some(-1), None].map(told),
            expected
        );
        let heard = |length_ms, peak| {
            book.lets_go(
                &recording(book.current(), None, "standard"),
                &AudioMeasurement { length_ms, peak },
            )
        };
        assert_eq!(heard(1999, Some(9999)), Some(NotKept::TooShort));
        assert_eq!(heard(2000, Some(17)), None);
        assert_eq!(heard(2000, Some(16)), Some(NotKept::Silent));
        assert_eq!(heard(2000, None), None);
    }

    #[test]
    fn without_bounds_everything_is_kept() {
        let book = Rulebook::new(
            rules(|text| {
                text.replace("shorter_than = \"1s\"\n", "")
                    .replace("quieter_than = 16\n", "")
            }),
            [],
        );
        let recording = recording(book.current(), Some(0), "standard");
        assert_eq!(book.lets_go_unheard(&recording), None);
        // The peak of digital silence is 0, which does not exceed a minimum of 0.
        assert_eq!(
            book.lets_go(
                &recording,
                &AudioMeasurement {
                    length_ms: 0,
                    peak: Some(0)
                }
            ),
            None
        );
    }

    #[test]
    fn the_stricter_of_two_versions_counts() {
        let strict = || {
            rules(|text| {
                text.replace("shorter_than = \"1s\"", "shorter_than = \"9s\"")
                    .replace("version = \"1\"", "version = \"0\"")
            })
        };
        let shipped = || rules(|text| text);
        for (current, pinned) in [(strict(), shipped()), (shipped(), strict())] {
            let recording = recording(&pinned, Some(5), "standard");
            assert_eq!(
                Rulebook::new(current, [pinned]).lets_go_unheard(&recording),
                Some(NotKept::TooShort)
            );
        }
        let unknown = recording(&strict(), Some(5), "standard");
        assert_eq!(Rulebook::new(shipped(), []).lets_go_unheard(&unknown), None);
    }

    #[test]
    fn a_tier_that_no_purpose_opens_is_let_go_of() {
        let closed = rules(|text| {
            text.replace(
                "tiers = [\"standard\", \"sensitive\", \"restricted\"]",
                "tiers = []",
            )
        });
        let book = Rulebook::new(closed, []);
        let unheard = |tier| book.lets_go_unheard(&recording(book.current(), Some(60), tier));
        assert_eq!(
            ["standard", "sensitive", "restricted", "unheard-of"].map(unheard),
            [None, None, Some(NotKept::NoPurpose), None]
        );
        let nobody = rules(|text| {
            text.replace(
                "roles = [\"privacy-officer\"]\njustification",
                "roles = []\njustification",
            )
        });
        let book = Rulebook::new(nobody, []);
        assert_eq!(
            book.lets_go_unheard(&recording(book.current(), Some(60), "restricted")),
            Some(NotKept::NoPurpose)
        );
    }

    #[test]
    fn one_purpose_must_open_it_in_both_versions() {
        let only = |kept: &str, version: &str| {
            rules(|text| {
                let text = text.replace("version = \"1\"", &format!("version = \"{version}\""));
                let blocks: Vec<&str> = text.split("[[purposes]]").collect();
                let (first, rest) = blocks.split_first().unwrap();
                let rest: Vec<String> = rest
                    .iter()
                    .map(|block| {
                        if block.contains(kept) {
                            (*block).to_owned()
                        } else {
                            block.replacen("\"restricted\"]", "]", 1)
                        }
                    })
                    .collect();
                format!("{first}[[purposes]]{}", rest.join("[[purposes]]"))
            })
        };
        let now = only("name = \"dispute-resolution\"", "2");
        let then = only("name = \"subject-request\"", "1");
        let recording = recording(&then, Some(60), "restricted");
        assert_eq!(
            Rulebook::new(
                only("name = \"subject-request\"", "3"),
                [only("name = \"subject-request\"", "1")]
            )
            .lets_go_unheard(&recording),
            None
        );
        assert_eq!(
            Rulebook::new(now, [then]).lets_go_unheard(&recording),
            Some(NotKept::NoPurpose)
        );
    }
}
