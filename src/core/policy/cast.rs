//! Test data for the policy: a requester, a recording, and statements.

use std::time::Duration;

use crate::model::{
    access::Principal,
    consent::{Answer, Method, Statement, Whom},
    id::{ConsentId, PrincipalId, SubjectId, TokenId},
    recording::{Recording, RecordingState},
    subject::{Conversation, Party, Presence},
    time::Timestamp,
};

/// The present of every test.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// When every recording was collected, unless a test says otherwise: ten days ago.
pub(super) const COLLECTED: Timestamp = Timestamp::from_millis(NOW.as_millis() - 10 * 86_400_000);

/// So many days after the present, or before it.
pub(super) fn days(days: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + days * 86_400_000)
}

pub(super) fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

pub(super) fn principal(roles: &[&str]) -> Principal {
    Principal {
        id: PrincipalId::random(&mut rand::rng()),
        credential: TokenId::random(&mut rand::rng()),
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        accounts: Default::default(),
        attributes: Default::default(),
    }
}

/// With labels, as `("queue", &["sales", "service"])`.
pub(super) fn with_labels(mut principal: Principal, labels: &[(&str, &[&str])]) -> Principal {
    for (label, values) in labels {
        principal.attributes.insert(
            label.parse().unwrap(),
            values.iter().map(|value| (*value).to_owned()).collect(),
        );
    }
    principal
}

/// A recording of a call, with this tier, pinned to this version.
pub(super) fn recording(state: RecordingState, tier: &str, policy_digest: &str) -> Recording {
    Recording {
        state,
        call: Some(format!("CA{}", "0".repeat(32)).parse().unwrap()),
        tier: tier.parse().unwrap(),
        policy_version: "whatever".into(),
        policy_digest: policy_digest.into(),
        sealed_at: None,
        ..crate::samples::recording(COLLECTED)
    }
}

/// A person, always the same one for the same number.
pub(super) fn subject(number: u8) -> SubjectId {
    SubjectId::of_hash(&[number; 32])
}

pub(super) fn party(leg: &str, subject: Option<SubjectId>) -> Party {
    Party {
        leg: leg.parse().unwrap(),
        subject,
        channel: None,
        presence: Presence::ALWAYS,
    }
}

/// Returns a statement that the vault received immediately.
pub(super) fn said(answer: Answer, whom: Whom, purposes: &[&str], at: Timestamp) -> Statement {
    Statement {
        id: ConsentId::random(&mut rand::rng()),
        whom,
        purposes: purposes
            .iter()
            .map(|purpose| purpose.parse().unwrap())
            .collect(),
        answer,
        method: Method::Speech,
        disclosure: None,
        policy_version: None,
        at,
        recorded_at: at,
    }
}

/// Returns a party of the call of [`recording`]; without a leg, every party.
pub(super) fn in_call(leg: Option<&str>) -> Whom {
    Whom::Leg(
        Conversation::Call(format!("CA{}", "0".repeat(32)).parse().unwrap()),
        leg.map(|leg| leg.parse().unwrap()),
    )
}
