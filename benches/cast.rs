//! Fixtures of the benches: the shipped policy, a principal who may listen, and a recording.

use recvault::{
    config::SHIPPED_POLICY,
    model::{
        access::Principal,
        id::{PrincipalId, TokenId, VaultId},
        media::SourceRef,
        recording::{DiscoveredBy, Recording, RecordingState},
        time::Timestamp,
    },
    policy::{Rulebook, Rules},
};

/// The account of every recording here.
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000000";

/// Returns the shipped policy, in force.
pub(crate) fn rulebook() -> Rulebook {
    Rulebook::new(
        Rules::parse("privacy-policy.toml", SHIPPED_POLICY)
            .expect("the shipped policy has no fault"),
        [],
    )
}

/// Returns a principal with these roles and access to every account.
pub(crate) fn principal(roles: &[&str]) -> Principal {
    let roles = roles
        .iter()
        .map(|role| role.parse().expect("it is the name of a role"))
        .collect();
    Principal {
        id: PrincipalId::random(&mut rand::rng()),
        credential: TokenId::random(&mut rand::rng()),
        roles,
        accounts: Default::default(),
        attributes: Default::default(),
    }
}

/// Returns a sealed recording of the standard tier.
pub(crate) fn recording(rules: &Rules, now: Timestamp) -> Recording {
    let account = ACCOUNT.parse().expect("it is an account SID");
    let source_ref = SourceRef::parse(account, "RE00000000000000000000000000000000")
        .expect("it is a recording SID");
    Recording {
        id: source_ref.recording_id(VaultId::random(&mut rand::rng())),
        state: RecordingState::Sealed,
        source_ref,
        call: None,
        conference: None,
        thread: None,
        author: None,
        files: 0,
        source: Some("DialVerb".into()),
        source_status: "completed".into(),
        error_code: None,
        duration_s: Some(60),
        channels: Some(2),
        tier: "standard".parse().expect("it is the name of a tier"),
        policy_version: rules.version().to_owned(),
        policy_digest: rules.digest().to_owned(),
        started_at: Some(now),
        announced_at: now,
        sealed_at: Some(now),
        shredded_at: None,
        collected_at: now,
        labels: Default::default(),
        holds: 0,
        removed_at: None,
        shows: None,
        revoked_at: None,
        quarantine_ends: None,
        heard_by: DiscoveredBy::Callback,
        encryption: None,
    }
}
