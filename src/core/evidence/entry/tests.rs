//! Tests of the contents of the log, and of what it must never contain.

use std::collections::BTreeSet;

use super::*;
use crate::{
    model::{
        artefact::Leg,
        name::{Purpose, Role},
        recording::Recording,
    },
    policy::{Decision, Rulebook, StandingApproval, action, decide, permit},
    secret::Key,
};

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");
const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECRET: &str = "Anna Schmidt, +1 555 0100, asked";

fn principal(role: &str) -> Principal {
    Principal {
        id: PrincipalId::random(&mut rand::rng()),
        credential: TokenId::random(&mut rand::rng()),
        roles: [role.parse::<Role>().unwrap()].into(),
        accounts: [format!("AC{}", "0".repeat(32)).parse().unwrap()].into(),
        attributes: Default::default(),
    }
}

fn recording(rulebook: &Rulebook, tier: &str) -> Recording {
    Recording {
        tier: tier.parse().unwrap(),
        policy_digest: rulebook.current().digest().into(),
        ..crate::samples::recording(AT)
    }
}

fn rulebook() -> Rulebook {
    Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), [])
}

fn facts<'a>(
    principal: &'a Principal,
    recording: &'a Recording,
    purpose: &str,
) -> DecisionFacts<'a> {
    DecisionFacts {
        justification: Some(SECRET),
        ..DecisionFacts::new(principal, recording, purpose.parse::<Purpose>().unwrap())
    }
}

fn keys(entry: &NewEntry) -> BTreeSet<&str> {
    entry.details.0.keys().map(String::as_str).collect()
}

#[test]
fn an_allowed_decision_and_its_opening_name_the_grant() {
    let rulebook = rulebook();
    let principal = principal("privacy-officer");
    let recording = recording(&rulebook, "restricted");
    let facts = DecisionFacts {
        approval: Some(StandingApproval::some_until(
            AT.after(std::time::Duration::from_secs(3600)),
        )),
        ..facts(&principal, &recording, "legal-request")
    };
    let Decision::Allow(grant) = decide(&facts, &rulebook, AT) else {
        panic!("denied")
    };
    let id = GrantId::random(&mut rand::rng());
    let allowed = NewEntry::decision_allowed(AT, &grant, id);
    assert_eq!(
        (allowed.at(), allowed.actor(), allowed.event()),
        (
            AT,
            Actor::Principal(principal.id),
            AuditEvent::DecisionAllowed
        )
    );
    assert_eq!(allowed.recording(), Some(recording.id));
    assert_eq!(
        serde_json::to_value(allowed.details()).unwrap(),
        json!({
            "grant": id, "clause": "purposes/legal-request", "purpose": "legal-request", "tier": "restricted", "view": "audio", "justified": true,
            "policy_digest": rulebook.current().digest(), "expires_at": "2027-01-15T08:05:00.000Z",
            "credential": principal.credential,
        })
    );
    let opening = NewEntry::opening_started(AT, &grant, id, Artefact::Audio, &(0..65_536));
    assert_eq!(
        serde_json::to_value(opening.details()).unwrap(),
        json!({ "grant": id, "artefact": "audio", "from": 0, "to": 65_536, "credential": principal.credential })
    );
    assert!(
        !format!("{allowed:?}{opening:?}").contains("Anna"),
        "the justification stays out"
    );
}

#[test]
fn a_denied_decision_names_every_reason_and_nothing_that_was_typed() {
    let rulebook = rulebook();
    let reviewer = principal("reviewer");
    let recording = recording(&rulebook, "restricted");
    let denied = |purpose: &str| {
        let facts = facts(&reviewer, &recording, purpose);
        let Decision::Deny(denial) = decide(&facts, &rulebook, AT) else {
            panic!("allowed")
        };
        NewEntry::decision_denied(AT, &facts, None, &denial)
    };
    let known = denied("quality-review");
    assert_eq!(
        known.details().get("reasons"),
        Some(&json!(["purpose-not-for-tier", "approval-missing"]))
    );
    let clauses = json!(["purposes/quality-review/tiers", "tiers/restricted/approval"]);
    assert_eq!(
        known.details().get("clauses"),
        Some(&clauses),
        "in the order of the reasons"
    );
    assert_eq!(
        known.details().get("purpose"),
        Some(&json!("quality-review"))
    );
    assert_eq!(
        keys(&known),
        [
            "clauses",
            "credential",
            "justified",
            "policy_digest",
            "purpose",
            "reasons"
        ]
        .into()
    );
    let unknown = denied("anna-schmidt");
    assert_eq!(
        unknown.details().get("reasons"),
        Some(&json!(["purpose-unknown", "approval-missing"]))
    );
    assert_eq!(
        unknown.details().get("clauses"),
        Some(&json!(["fixed/purpose", "tiers/restricted/approval"]))
    );
    assert_eq!(unknown.details().get("purpose"), None);
    assert!(
        !format!("{known:?}{unknown:?}")
            .to_lowercase()
            .contains("anna")
    );
}

#[test]
fn reasons_of_the_pinned_version_stand_apart() {
    let narrow = Rules::parse(
        "old",
        &SHIPPED.replacen("roles = [\"reviewer\"]", "roles = []", 1),
    )
    .unwrap();
    let digest = narrow.digest().to_owned();
    let reviewer = principal("reviewer");
    let rulebook = Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), [narrow]);
    let recording = Recording {
        policy_digest: digest,
        ..recording(&rulebook, "standard")
    };
    let facts = facts(&reviewer, &recording, "quality-review");
    let Decision::Deny(denial) = decide(&facts, &rulebook, AT) else {
        panic!("allowed")
    };
    let grant = GrantId::random(&mut rand::rng());
    let entry = NewEntry::decision_denied(AT, &facts, Some(grant), &denial);
    assert_eq!(entry.details().get("reasons"), Some(&json!([])));
    assert_eq!(entry.details().get("clauses"), Some(&json!([])));
    assert_eq!(
        entry.details().get("pinned_reasons"),
        Some(&json!(["role-not-allowed"]))
    );
    assert_eq!(
        entry.details().get("pinned_clauses"),
        Some(&json!(["purposes/quality-review/roles"]))
    );
    assert_eq!(entry.details().get("grant"), Some(&json!(grant)));
}

#[test]
fn a_refused_action_is_written_down() {
    let rulebook = rulebook();
    let reviewer = principal("reviewer");
    let denial = permit(&reviewer, action::Shred, &rulebook, AT).unwrap_err();
    let entry = NewEntry::action_denied(AT, &reviewer, Action::Shred, None, &denial);
    assert_eq!(
        serde_json::to_value(entry.details()).unwrap(),
        json!({ "action": "shred", "reasons": ["role-not-allowed"], "clauses": ["actions/shred"], "policy_digest": rulebook.current().digest(), "credential": reviewer.credential })
    );
}

#[test]
fn every_other_event_has_its_details() {
    let rulebook = rulebook();
    let recording = recording(&rulebook, "standard");
    let signer = Signer::from_seed(&Key::take(&mut [1; 32]));
    let vault = VaultId::random(&mut rand::rng());
    let receipt = ReceiptId::random(&mut rand::rng());
    let reviewer = principal("reviewer");
    let reason = "subject-request".parse().unwrap();
    let digest = rulebook.current().digest();
    let cases = [
        (
            NewEntry::vault_created(AT, vault, &signer),
            "vault.created",
            json!({ "vault": vault, "signing_key": signer.key_id() }),
        ),
        (
            NewEntry::policy_in_force(AT, Initiator::Operator, rulebook.current()),
            "policy.in-force",
            json!({ "version": "1", "policy_digest": digest }),
        ),
        (
            NewEntry::policy_published(AT, Initiator::Operator, rulebook.current()),
            "policy.published",
            json!({ "version": "1", "policy_digest": digest, "effective": "2026-01-01T00:00:00.000Z" }),
        ),
        (
            NewEntry::recording_sealed(AT, &recording, Leg::All, u64::MAX, &[0xab; 32]),
            "recording.sealed",
            json!({ "kind": "call", "leg": "all", "tier": "standard", "policy_digest": digest, "sealed_len": u64::MAX, "ciphertext_sha256": "ab".repeat(32) }),
        ),
        (
            NewEntry::recording_refused(AT, recording.id),
            "recording.refused",
            json!({}),
        ),
        (
            NewEntry::shred_tombstoned(AT, reviewer.initiator(), recording.id, receipt, &reason),
            "shred.tombstoned",
            json!({ "receipt": receipt, "reason": "subject-request", "credential": reviewer.credential }),
        ),
        (
            NewEntry::shred_bytes_removed(AT, recording.id, receipt),
            "shred.bytes-removed",
            json!({ "receipt": receipt }),
        ),
        (
            NewEntry::source_stopped(AT, recording.id),
            "source.stopped",
            json!({}),
        ),
        (
            NewEntry::token_created(AT, Initiator::Operator, &reviewer, None),
            "token.created",
            json!({ "token": reviewer.credential, "principal": reviewer.id, "roles": ["reviewer"], "accounts": reviewer.accounts, "expires_at": null }),
        ),
        (
            NewEntry::token_revoked(AT, Initiator::Operator, reviewer.credential, reviewer.id),
            "token.revoked",
            json!({ "token": reviewer.credential, "principal": reviewer.id }),
        ),
        (
            NewEntry::work_dead(AT, "fetch", 12, recording.id),
            "work.dead",
            json!({ "kind": "fetch", "attempts": 12 }),
        ),
        (
            NewEntry::work_retried(AT, Initiator::Operator, None, 7),
            "work.retried",
            json!({ "pieces": 7 }),
        ),
    ];
    for (entry, name, details) in cases {
        assert_eq!(entry.event().as_str(), name);
        assert_eq!(
            serde_json::to_value(entry.details()).unwrap(),
            details,
            "{name}"
        );
        assert_eq!(
            entry.details().to_string().parse(),
            Ok(entry.details().clone()),
            "{name}"
        );
    }
}

#[test]
fn an_entry_reads_as_json() {
    let recording = RecordingId::random(&mut rand::rng());
    let entry = NewEntry::recording_refused(AT, recording).numbered(3);
    assert_eq!(
        serde_json::to_value(&entry).unwrap(),
        json!({
            "seq": 3, "at": "2027-01-15T08:00:00.000Z", "actor": "vault", "event": "recording.refused", "recording": recording,
            "details": {},
        })
    );
    for bad in ["", "[]", "{", "null", "{} {}"] {
        assert_eq!(bad.parse::<EntryDetails>(), Err(InvalidDetails), "{bad}");
    }
}

#[test]
fn a_reclassification_names_kinds_of_rules_and_a_transcript_its_ciphertext() {
    let rulebook = rulebook();
    let officer = principal("privacy-officer");
    let recording = recording(&rulebook, "standard");
    let to = "restricted".parse().unwrap();
    let moved = NewEntry::recording_reclassified(
        AT,
        recording.id,
        &recording.tier,
        &to,
        &["card-number", "words"],
    );
    assert_eq!(
        (moved.actor(), moved.event(), moved.recording()),
        (
            Actor::Vault,
            AuditEvent::RecordingReclassified,
            Some(recording.id)
        )
    );
    let details = serde_json::to_value(moved.details()).unwrap();
    assert_eq!(
        details,
        json!({ "from": "standard", "to": "restricted", "because": ["card-number", "words"] })
    );
    let sealed =
        NewEntry::transcript_sealed(AT, officer.initiator(), recording.id, 123, &[0xab; 32]);
    assert_eq!(
        (sealed.actor(), sealed.event(), sealed.recording()),
        (
            Actor::Principal(officer.id),
            AuditEvent::TranscriptSealed,
            Some(recording.id)
        )
    );
    assert_eq!(
        serde_json::to_value(sealed.details()).unwrap(),
        json!({ "sealed_len": 123, "ciphertext_sha256": "ab".repeat(32), "credential": officer.credential })
    );
}

#[test]
fn an_attempt_at_the_source_tells_what_it_changed_and_nothing_twice() {
    use crate::model::source::{CopyKind, CopyState, SourceCopy};
    let copy = |kind, sid: &str, state, deleted_at| SourceCopy {
        state,
        deleted_at,
        ..SourceCopy::found(kind, sid, AT)
    };
    let details = |before: &[SourceCopy], after: &[SourceCopy]| {
        let recording = crate::model::id::RecordingId::random(&mut rand::rng());
        serde_json::to_value(NewEntry::source_deleted(AT, recording, before, after).details())
            .unwrap()
    };
    let there = [
        copy(CopyKind::Recording, "RE1", CopyState::There, None),
        copy(CopyKind::AddOn, "XR1", CopyState::There, None),
    ];
    let deleted = [
        copy(CopyKind::Recording, "RE1", CopyState::Deleted, Some(AT)),
        copy(CopyKind::AddOn, "XR1", CopyState::Confirmed, Some(AT)),
    ];
    assert_eq!(
        details(&there, &deleted),
        json!({ "recording": 1, "add-on": 1, "confirmed": 1, "left": 0 })
    );
    let confirmed = [
        copy(CopyKind::Recording, "RE1", CopyState::Confirmed, Some(AT)),
        deleted[1].clone(),
    ];
    assert_eq!(
        details(&deleted, &confirmed),
        json!({ "confirmed": 1, "left": 0 })
    );
    let object = [copy(CopyKind::Object, "ab", CopyState::Left, None)];
    assert_eq!(details(&[], &object), json!({ "confirmed": 0, "left": 1 }));
}
