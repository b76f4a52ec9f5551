//! The remaining purposes of a recording.
//!
//! Owns whether any purpose can ever open it again: a recording that no purpose can open must not
//! be kept (Article 5(1)(c) and (e) GDPR). Refuses to know the requester; a condition or a role may
//! be met later.

use std::collections::BTreeSet;

use super::{
    document::{Basis, PurposeRule, ToRevoked},
    rules::{Rulebook, Rules},
};
use crate::model::{name::Purpose, recording::Recording, time::Timestamp};

impl Rulebook {
    /// Returns whether some purpose may still open this recording when every party's consent to
    /// `closed` is withdrawn: by the current and by the pinned version. True if the pinned version
    /// is not available: a missing file is no reason to shred.
    pub fn opens_without(
        &self,
        recording: &Recording,
        closed: &BTreeSet<Purpose>,
        now: Timestamp,
    ) -> bool {
        let Some(pinned) = self.find(&recording.policy_digest) else {
            return true;
        };
        let remains = |rules: &Rules, name: &Purpose| {
            rules
                .purpose(name)
                .is_some_and(|purpose| may_open(purpose, recording, closed, now))
        };
        let purposes = self.current().document().purposes.iter();
        purposes
            .map(|purpose| &purpose.name)
            .any(|name| remains(self.current(), name) && remains(pinned, name))
    }

    /// Returns whether a recording is shredded when a person revokes to whom somebody else wrote it:
    /// by the current or by the pinned version.
    pub fn shreds_received(&self, recording: &Recording) -> bool {
        self.binding(&recording.policy_digest)
            .any(|rules| rules.document().collection.to_revoked == ToRevoked::Shred)
    }

    /// Returns whether any version that a recording may be pinned to bases this purpose on consent:
    /// only then does a withdrawal close anything.
    pub fn rests_on_consent(&self, purpose: &Purpose) -> bool {
        self.versions().any(|rules| {
            rules
                .purpose(purpose)
                .is_some_and(|purpose| purpose.basis == Some(Basis::Consent))
        })
    }

    /// Returns every purpose that any version bases on consent, possibly more than once.
    pub fn resting_on_consent(&self) -> impl Iterator<Item = &Purpose> {
        let purposes = self.versions().flat_map(|rules| &rules.document().purposes);
        purposes
            .filter(|purpose| purpose.basis == Some(Basis::Consent))
            .map(|purpose| &purpose.name)
    }

    /// Returns whether any version bases recording itself on consent.
    pub fn records_with_consent(&self) -> bool {
        self.versions()
            .any(|rules| rules.document().collection.basis == Some(Basis::Consent))
    }

    /// Returns whether any version has this purpose.
    pub fn has_purpose(&self, purpose: &Purpose) -> bool {
        self.versions()
            .any(|rules| rules.purpose(purpose).is_some())
    }
}

fn may_open(
    purpose: &PurposeRule,
    recording: &Recording,
    closed: &BTreeSet<Purpose>,
    now: Timestamp,
) -> bool {
    let is_closed = purpose.basis == Some(Basis::Consent) && closed.contains(&purpose.name);
    let is_over = purpose
        .retention
        .is_some_and(|retention| recording.collected_at.after(retention) <= now);
    purpose.tiers.contains(&recording.tier) && !is_closed && !is_over
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    fn recording(rules: &Rules) -> Recording {
        let at = Timestamp::from_millis(1_800_000_000_000);
        Recording {
            policy_version: rules.version().into(),
            policy_digest: rules.digest().into(),
            ..crate::samples::recording(at)
        }
    }

    /// The shipped policy with training, which rests on consent, as its only purpose.
    fn only_training() -> String {
        let (head, rest) = SHIPPED.split_once("[[purposes]]").unwrap();
        let training = rest
            .split("[[purposes]]")
            .find(|block| block.contains("\"training\""))
            .unwrap();
        let (_, tail) = rest.split_once("[[rights]]").unwrap();
        format!("{head}[[purposes]]{training}[[rights]]{tail}")
            .replace("version = \"1\"", "version = \"0\"")
            .replace(
                "hold_purposes = [\"legal-request\", \"dispute-resolution\"]",
                "",
            )
    }

    #[test]
    fn nothing_opens_what_no_purpose_is_left_for() {
        let all = Rules::parse("p", SHIPPED).unwrap();
        let training = Rules::parse("p", &only_training()).unwrap();
        let closed: BTreeSet<Purpose> = ["training".parse().unwrap()].into();
        let of_all = recording(&all);
        let of_training = recording(&training);
        let now = of_all.collected_at;
        let only = Rulebook::new(Rules::parse("p", &only_training()).unwrap(), []);
        assert!(only.opens_without(&of_training, &BTreeSet::new(), now));
        assert!(!only.opens_without(&of_training, &closed, now));
        assert!(
            !only.opens_without(
                &of_training,
                &BTreeSet::new(),
                now.after(Duration::from_secs(181 * 24 * 3600))
            ),
            "its time is over"
        );
        assert!(
            only.opens_without(&of_all, &closed, now),
            "its version is not at hand"
        );
        let book = Rulebook::new(all, [training]);
        assert!(book.opens_without(&of_all, &closed, now));
        assert!(
            !book.opens_without(&of_training, &closed, now),
            "a later version does not widen"
        );
        assert!(
            book.rests_on_consent(&"training".parse().unwrap())
                && !book.rests_on_consent(&"legal-request".parse().unwrap())
        );
        assert!(!book.has_purpose(&"singing".parse().unwrap()));
    }
}
