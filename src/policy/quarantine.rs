//! Quarantine: what becomes of a recording that was made without the evidence of consent that its policy asks for.
//!
//! Owns who waits, and for how long. Refuses to know the time at which a recording is sealed or shredded.
//! INVARIANT: a recording whose policy is not at hand neither waits nor is released: what is not known is no reason to destroy anything.

use std::time::Duration;

use super::{
    consent::Consents,
    document::Basis,
    rules::{Rulebook, Rules},
};
use crate::model::{consent::RECORDING, recording::Recording, time::Timestamp};

/// How long a recording waits for evidence that every party consented to being recorded; `None` if the policy that it is pinned to does not
/// ask for their consent. A later policy that does closes it, but is no reason to shred it.
pub fn quarantine(recording: &Recording, rulebook: &Rulebook) -> Option<Duration> {
    rulebook.find(&recording.policy_digest).and_then(period)
}

/// The digests of the versions that ask for consent to being recorded.
pub fn quarantining(rulebook: &Rulebook) -> Vec<&str> {
    rulebook.versions().filter(|rules| period(rules).is_some()).map(Rules::digest).collect()
}

/// Whether every party consents to having been recorded, as of now.
pub fn covers_recording(consents: &Consents, recording: &Recording, now: Timestamp) -> bool {
    consents.cover(recording, &RECORDING.parse().expect("it is a name"), now)
}

fn period(rules: &Rules) -> Option<Duration> {
    let collection = &rules.document().collection;
    collection.quarantine.filter(|_| collection.basis == Some(Basis::Consent))
}
