//! Tests of valid evidence, and of every invalid form.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::secret::Key;

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_250);

fn signer() -> Signer {
    Signer::from_seed(&Key::take(&mut [7; 32]))
}

fn keys() -> KeySet {
    KeySet::new([signer().verifying_key().clone()])
}

fn drill() -> DrillReport {
    let canary = Canary {
        artefacts: 8,
        page_versions: 40,
        shredded: 13,
        shredded_reached: 0,
        living: 23,
        living_reached: 23,
        shredded_reached_with_old_root: 13,
        closure_bites: true,
    };
    DrillReport {
        vault: VaultId::random(&mut rand::rng()),
        epoch: 4,
        at: AT,
        program: "recvault 0.1.0".into(),
        custody: "passphrase".into(),
        forgetting: Forgetting {
            artefacts: 3,
            unreadable: 0,
            artefacts_sha256: "0".repeat(64),
            own_artefacts: true,
            page_versions: 12,
            page_versions_opened: 12,
            keys_reached: 5,
            shredded: 2,
            shredded_reached: 0,
            waiting: 1,
            waiting_reached: 1,
            living: 4,
            living_reached: 4,
            canary: Some(canary),
        },
        recovery: Recovery {
            restored: true,
            snapshot: Some("snapshots/x".into()),
            tombstones: 3,
            living: 4,
            sampled: 4,
            sample_keys: 4,
            sample_authentic: 4,
            shredded_sampled: 3,
            recovery_point: Some(AT),
            ..Recovery::default()
        },
    }
}

/// Returns the claims, changed by the test and signed again by the vault.
fn signed_with(change: impl FnOnce(&mut Value)) -> Result<DrillReport, Error> {
    let mut claims = serde_json::to_value(drill()).unwrap();
    change(&mut claims);
    DrillReport::verify(
        &jws::sign(&signer(), TYP, claims.to_string().as_bytes()),
        &keys(),
    )
}

#[test]
fn evidence_reads_back_as_it_was_signed() {
    let drill = drill();
    assert!(drill.forgets() && drill.recovers());
    let text = drill.sign(&signer());
    assert_eq!(DrillReport::verify(&text, &keys()), Ok(drill));
    assert!(text.len() < jws::MAX_LEN / 8);
    let claims = serde_json::to_value(self::drill()).unwrap();
    assert_eq!(
        (&claims["iat"], &claims["at"]),
        (&json!(1_800_000_000), &json!("2027-01-15T08:00:00.250Z"))
    );
    assert_eq!(
        (
            &claims["forgets"],
            &claims["forgetting"]["canary"]["closure_bites"]
        ),
        (&json!(true), &json!(true))
    );
}

#[test]
fn each_way_to_fail_makes_its_half_fail() {
    let forgetting: [fn(&mut Forgetting); 6] = [
        |half| half.unreadable = 1,
        |half| half.shredded_reached = 1,
        |half| half.living_reached = 3,
        |half| half.canary.as_mut().unwrap().shredded_reached = 1,
        |half| half.canary.as_mut().unwrap().living_reached = 22,
        |half| {
            let canary = half.canary.as_mut().unwrap();
            (canary.shredded_reached_with_old_root, canary.closure_bites) = (12, false);
        },
    ];
    for change in forgetting {
        let mut failed = drill();
        change(&mut failed.forgetting);
        assert!(!failed.forgets() && failed.recovers());
        assert_eq!(
            DrillReport::verify(&failed.sign(&signer()), &keys()),
            Ok(failed)
        );
    }
    let recovery: [fn(&mut Recovery); 6] = [
        |half| half.tombstones_missing = 1,
        |half| half.gap = 1,
        |half| half.sample_authentic = 3,
        |half| (half.sample_keys, half.sample_authentic) = (3, 3),
        |half| half.shredded_opened = 1,
        |half| {
            *half = Recovery {
                tombstones: 3,
                living: 4,
                ..Recovery::default()
            }
        },
    ];
    for change in recovery {
        let mut failed = drill();
        change(&mut failed.recovery);
        assert!(failed.forgets() && !failed.recovers());
        assert_eq!(
            DrillReport::verify(&failed.sign(&signer()), &keys()),
            Ok(failed)
        );
    }
}

#[test]
fn what_waits_for_turn_or_journal_is_no_failure() {
    let mut behind = drill();
    (
        behind.recovery.tombstones_missing,
        behind.recovery.tombstones_behind,
    ) = (1, 1);
    (behind.recovery.gap, behind.recovery.gap_behind) = (2, 2);
    assert!(behind.recovers());
}

#[test]
fn verdicts_and_numbers_that_do_not_agree_are_refused_even_if_signed() {
    assert!(signed_with(|_| {}).is_ok());
    assert_eq!(
        signed_with(|claims| claims["forgets"] = json!(false)),
        Err(Error::Verdict)
    );
    assert_eq!(
        signed_with(|claims| claims["forgetting"]["shredded_reached"] = json!(1)),
        Err(Error::Verdict)
    );
    assert_eq!(
        signed_with(|claims| claims["recovery"]["gap"] = json!(1)),
        Err(Error::Verdict)
    );
    for (half, member, value) in [
        ("forgetting", "shredded_reached", json!(3)),
        ("forgetting", "living", json!(3)),
        ("forgetting", "own_artefacts", json!(false)),
        ("forgetting", "artefacts_sha256", json!("x")),
        ("recovery", "restored", json!(false)),
        ("recovery", "sampled", json!(0)),
        ("recovery", "tombstones_behind", json!(1)),
    ] {
        let refused = signed_with(|claims| claims[half][member] = value.clone());
        assert_eq!(
            refused,
            Err(Error::Numbers(if half == "recovery" {
                "recovery"
            } else {
                "forgetting"
            })),
            "{member}"
        );
    }
    let no_bite =
        signed_with(|claims| claims["forgetting"]["canary"]["closure_bites"] = json!(false));
    assert_eq!(no_bite, Err(Error::Numbers("forgetting")));
    for change in [
        (|claims: &mut Value| claims["iat"] = json!(1)) as fn(&mut Value),
        |claims| claims["note"] = json!("Anna"),
        |claims| claims["epoch"] = json!(-1),
        |claims| drop(claims.as_object_mut().unwrap().remove("recovers")),
    ] {
        assert!(matches!(signed_with(change), Err(Error::Claims(_))));
    }
}

#[test]
fn a_receipt_is_no_drill_and_a_stranger_signs_none() {
    let text = jws::sign(
        &signer(),
        "recvault-receipt+jwt",
        serde_json::to_string(&drill()).unwrap().as_bytes(),
    );
    assert_eq!(
        DrillReport::verify(&text, &keys()),
        Err(Error::Jws(jws::Error::Type))
    );
    let stranger = Signer::from_seed(&Key::take(&mut [8; 32]));
    assert_eq!(
        DrillReport::verify(&drill().sign(&stranger), &keys()),
        Err(Error::Jws(jws::Error::UnknownKey))
    );
}

proptest! {
    #[test]
    fn any_text_is_refused(text in ".{0,300}|[A-Za-z0-9_.-]{0,300}") {
        prop_assert!(DrillReport::verify(&text, &keys()).is_err());
    }

    #[test]
    fn any_signed_bytes_are_refused_and_never_panic(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(DrillReport::verify(&jws::sign(&signer(), TYP, &payload), &keys()).is_err());
    }

    #[test]
    fn any_changed_byte_of_the_claims_is_read_or_refused(at in 0..1000usize, byte in any::<u8>()) {
        let mut payload = serde_json::to_vec(&drill()).unwrap();
        let at = at % payload.len();
        payload[at] = byte;
        let read = DrillReport::verify(&jws::sign(&signer(), TYP, &payload), &keys());
        prop_assert!(read.is_err() || read.is_ok_and(|drill| drill.forgetting.is_possible() && drill.recovery.is_possible()));
    }
}
