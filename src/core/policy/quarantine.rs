//! Quarantine: recordings without the evidence of consent that their policy requires.
//!
//! Owns which recordings wait, and for how long. Refuses to know the time at which a recording is
//! sealed or shredded. INVARIANT: a recording whose policy is not available neither waits nor is
//! released: missing information is no reason to destroy anything.

use std::time::Duration;

use super::{
    consent::Consents,
    document::Basis,
    rules::{Rulebook, Rules},
};
use crate::model::{consent::RECORDING, recording::Recording, time::Timestamp};

/// Returns how long a recording waits for evidence that every party consented to being recorded;
/// `None` if its pinned policy does not require their consent. A later policy that requires it
/// closes the recording, but is no reason to shred it.
pub fn quarantine(recording: &Recording, rulebook: &Rulebook) -> Option<Duration> {
    rulebook.find(&recording.policy_digest).and_then(period)
}

/// Returns the digests of the versions that require consent to being recorded.
pub fn quarantining(rulebook: &Rulebook) -> Vec<&str> {
    rulebook
        .versions()
        .filter(|rules| period(rules).is_some())
        .map(Rules::digest)
        .collect()
}

/// Returns whether every party consents to having been recorded, as of now.
pub fn covers_recording(consents: &Consents, recording: &Recording, now: Timestamp) -> bool {
    consents.cover(recording, &RECORDING.parse().expect("it is a name"), now)
}

fn period(rules: &Rules) -> Option<Duration> {
    let collection = &rules.document().collection;
    collection
        .quarantine
        .filter(|_| collection.basis == Some(Basis::Consent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn rules(basis: &str, version: &str) -> Rules {
        let text = SHIPPED.replacen(
            "basis = \"legitimate-interest\"",
            &format!("basis = \"{basis}\""),
            1,
        );
        Rules::parse(
            "p",
            &text.replacen("version = \"1\"", &format!("version = \"{version}\""), 1),
        )
        .unwrap()
    }

    fn pinned_to(digest: &str) -> Recording {
        let at = Timestamp::from_millis(0);
        Recording {
            id: "rec_00000000000000000000000000000001".parse().unwrap(),
            policy_digest: digest.into(),
            ..crate::samples::recording(at)
        }
    }

    #[test]
    fn the_version_of_its_collection_says_whether_a_recording_waits() {
        let strict = rules("consent", "1");
        let lax = rules("contract", "2");
        let waits = pinned_to(strict.digest());
        let stays = pinned_to(lax.digest());
        let unknown = pinned_to("0");
        let digest = strict.digest().to_owned();
        for book in [
            Rulebook::new(strict, [lax]),
            Rulebook::new(rules("contract", "2"), [rules("consent", "1")]),
        ] {
            let periods = [&waits, &stays, &unknown].map(|recording| quarantine(recording, &book));
            assert_eq!(periods, [Some(7 * DAY), None, None]);
            assert_eq!(quarantining(&book), [digest.as_str()]);
        }
        assert!(quarantining(&Rulebook::new(rules("contract", "2"), [])).is_empty());
    }

    #[test]
    fn of_a_recording_of_which_nothing_is_known_nobody_consents() {
        assert!(!covers_recording(
            &Consents::NONE,
            &pinned_to("0"),
            Timestamp::from_millis(1)
        ));
    }
}
