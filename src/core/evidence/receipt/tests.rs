//! Tests of receipts against another library, and of every invalid form.

mod leaving;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        media::SourceRef,
        recording::{Recording, RecordingState},
    },
    secret::Key,
};

const FENCED: Timestamp = Timestamp::from_millis(1_800_000_000_250);
const ISSUED: Timestamp = Timestamp::from_millis(1_800_000_000_999);

fn signer() -> Signer {
    Signer::from_seed(&Key::take(&mut [7; 32]))
}

fn keys() -> KeySet {
    KeySet::new([signer().verifying_key().clone()])
}

fn recording() -> Recording {
    Recording {
        state: RecordingState::Shredded,
        duration_s: Some(60),
        channels: Some(1),
        policy_digest: "0".repeat(64),
        shredded_at: Some(FENCED),
        ..crate::samples::recording(FENCED)
    }
}

fn receipt(copies: Vec<HeldCopy>) -> Receipt {
    let shred = ShredFacts {
        vault: VaultId::random(&mut rand::rng()),
        receipt: ReceiptId::random(&mut rand::rng()),
        recording: &recording(),
        reason: "subject-request".parse().unwrap(),
        tombstoned_at: FENCED,
        audit: LogPoint {
            timeline: Timeline::FIRST.next(),
            seq: 17,
        },
    };
    Receipt::of(shred, copies, ISSUED)
}

fn pending() -> Vec<HeldCopy> {
    vec![
        HeldCopy::KeyEntry {
            destroyed_at: FENCED,
        },
        HeldCopy::Ciphertext(Removal::Pending),
        HeldCopy::Source(Removal::Unknown),
    ]
}

/// Returns the claims of a new receipt, changed by the test and signed again by the vault.
fn signed_with(change: impl FnOnce(&mut Value)) -> String {
    let text = receipt(pending()).sign(&signer());
    let mut claims: Value =
        serde_json::from_slice(&jws::verify(&text, TYP, &keys()).unwrap()).unwrap();
    change(&mut claims);
    jws::sign(&signer(), TYP, claims.to_string().as_bytes())
}

#[test]
fn another_library_accepts_the_receipt_by_the_published_keys() {
    let receipt = receipt(pending());
    let text = receipt.sign(&signer());
    let published = serde_json::to_string(&keys()).unwrap();
    let published: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&published).unwrap();
    let header = jsonwebtoken::decode_header(&text).unwrap();
    let jwk = published.find(&header.kid.unwrap()).unwrap();
    assert_eq!(
        jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
            .unwrap(),
        signer().key_id()
    );
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    rules.set_required_spec_claims(&["iss"]);
    rules.set_issuer(&[receipt.vault().to_string()]);
    rules.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&text, &key, &rules)
        .unwrap()
        .claims;
    assert_eq!(
        claims,
        json!({
            "iss": receipt.vault(),
            "jti": receipt.id(),
            "iat": 1_800_000_000,
            "recording": receipt.recording(),
            "source_digest": receipt.source_digest,
            "reason": "subject-request",
            "tombstoned_at": "2027-01-15T08:00:00.250Z",
            "policy_digest": "0".repeat(64),
            "audit_timeline": 2,
            "audit_seq": 17,
            "state": "tombstoned",
            "copies": [
                { "copy": "key-entry", "state": "destroyed", "at": "2027-01-15T08:00:00.250Z" },
                { "copy": "ciphertext", "state": "pending" },
                { "copy": "source", "state": "unknown" },
            ],
            "older_backups": "not-covered",
        })
    );
    let at = text.len() - 10;
    let other = if text.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    let forged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
    assert!(jsonwebtoken::decode::<Value>(&forged, &key, &rules).is_err());
    assert!(Receipt::verify(&forged, &keys()).is_err());
}

#[test]
fn a_receipt_reads_back_as_it_was_signed() {
    let receipt = receipt(pending());
    assert_eq!(
        Receipt::verify(&receipt.sign(&signer()), &keys()),
        Ok(receipt.clone())
    );
    assert!(
        receipt
            .older_backups()
            .text()
            .contains("older than this shred")
    );
}

#[test]
fn a_receipt_is_closed_only_when_no_copy_and_no_older_backup_is_left() {
    use ReceiptState::{Closed, Tombstoned, Unrecoverable};
    let key = HeldCopy::KeyEntry {
        destroyed_at: FENCED,
    };
    let [removed, pending, unknown] =
        [Removal::Removed(FENCED), Removal::Pending, Removal::Unknown];
    // Copies, the state before the epoch has turned, and the state after.
    let cases = [
        (vec![], Closed, Closed),
        (vec![HeldCopy::Source(unknown)], Closed, Closed),
        (vec![HeldCopy::Source(pending)], Tombstoned, Tombstoned),
        (vec![key], Tombstoned, Closed),
        (
            vec![key, HeldCopy::Ciphertext(pending)],
            Tombstoned,
            Unrecoverable,
        ),
        (
            vec![key, HeldCopy::Ciphertext(unknown)],
            Tombstoned,
            Unrecoverable,
        ),
        (vec![key, HeldCopy::Ciphertext(removed)], Tombstoned, Closed),
        (
            vec![
                key,
                HeldCopy::Ciphertext(removed),
                HeldCopy::Source(pending),
            ],
            Tombstoned,
            Unrecoverable,
        ),
        (
            vec![
                key,
                HeldCopy::Ciphertext(removed),
                HeldCopy::Source(unknown),
            ],
            Tombstoned,
            Closed,
        ),
        (
            vec![
                key,
                HeldCopy::Ciphertext(removed),
                HeldCopy::Ciphertext(pending),
            ],
            Tombstoned,
            Unrecoverable,
        ),
    ];
    for (copies, before, after) in cases {
        let receipt = receipt(copies.clone());
        assert_eq!(receipt.state(), before, "{copies:?}");
        assert_eq!(
            Receipt::verify(&receipt.sign(&signer()), &keys()),
            Ok(receipt.clone())
        );
        let receipt = receipt.unrecoverable(ISSUED, 7, ISSUED);
        assert_eq!(receipt.state(), after, "{copies:?}");
        assert_eq!(
            Receipt::verify(&receipt.sign(&signer()), &keys()),
            Ok(receipt)
        );
    }
}

#[test]
fn a_receipt_says_from_when_on_older_backups_are_useless() {
    let before = receipt(pending());
    assert_eq!(
        (
            before.older_backups(),
            before.unrecoverable_since(),
            before.epoch()
        ),
        (OlderBackups::NotCovered, None, None)
    );
    let after = before.unrecoverable(ISSUED, 7, ISSUED);
    assert_eq!(
        (
            after.older_backups(),
            after.unrecoverable_since(),
            after.epoch()
        ),
        (OlderBackups::Covered, Some(ISSUED), Some(7))
    );
    let claims: Value =
        serde_json::from_slice(&jws::verify(&after.sign(&signer()), TYP, &keys()).unwrap())
            .unwrap();
    assert_eq!(
        (&claims["state"], &claims["older_backups"], &claims["epoch"]),
        (&json!("unrecoverable"), &json!("covered"), &json!(7))
    );
    assert_eq!(claims["unrecoverable_since"], json!(ISSUED));
    // The state of the ciphertext does not change it.
    let removed = after.settled(HeldCopy::Ciphertext(Removal::Removed(ISSUED)), ISSUED);
    assert_eq!(
        (removed.state(), removed.epoch()),
        (ReceiptState::Closed, Some(7))
    );
}

#[test]
fn a_receipt_is_reissued_under_its_id() {
    let first = receipt(pending());
    let later = Timestamp::from_millis(ISSUED.as_millis() + 5000);
    let second = first
        .clone()
        .settled(HeldCopy::Ciphertext(Removal::Removed(later)), later);
    assert_eq!(
        (second.id(), second.audit(), second.state()),
        (first.id(), first.audit(), ReceiptState::Tombstoned)
    );
    assert!(second.issued_at() > first.issued_at());
    assert_eq!(
        Receipt::verify(&second.sign(&signer()), &keys()),
        Ok(second)
    );
}

#[test]
fn each_copy_is_settled_by_itself_in_any_order() {
    let key = HeldCopy::KeyEntry {
        destroyed_at: FENCED,
    };
    let ciphertext = HeldCopy::Ciphertext(Removal::Removed(ISSUED));
    let source = HeldCopy::Source(Removal::Removed(ISSUED));
    let first = receipt(vec![
        key,
        HeldCopy::Ciphertext(Removal::Pending),
        HeldCopy::Source(Removal::Pending),
    ])
    .unrecoverable(ISSUED, 7, ISSUED);
    for order in [[ciphertext, source], [source, ciphertext]] {
        let [one, other] = order;
        let half = first.clone().settled(one, ISSUED);
        assert_eq!(
            half.state(),
            ReceiptState::Unrecoverable,
            "the other is still to come"
        );
        let both = half.settled(other, ISSUED);
        assert_eq!(
            (both.state(), both.copies()),
            (ReceiptState::Closed, &[key, ciphertext, source][..])
        );
    }
    // A recording that was never sealed has no ciphertext.
    let never_sealed = receipt(vec![HeldCopy::Source(Removal::Pending)]);
    assert_eq!(
        (never_sealed.state(), never_sealed.source()),
        (ReceiptState::Tombstoned, Some(Removal::Pending))
    );
    let removed = never_sealed.settled(ciphertext, ISSUED);
    assert_eq!(
        (removed.state(), removed.copies()),
        (
            ReceiptState::Tombstoned,
            &[HeldCopy::Source(Removal::Pending)][..]
        )
    );
    assert_eq!(
        removed.settled(source, ISSUED).state(),
        ReceiptState::Closed
    );
}

#[test]
fn a_receipt_says_its_state_in_words_that_stay() {
    crate::samples::words_are::<ReceiptState>("tombstoned unrecoverable closed");
    crate::samples::words_are::<OlderBackups>("not-covered covered no-key");
}

#[test]
fn a_receipt_does_not_promise_what_it_does_not_know() {
    let until = Timestamp::from_millis(1_801_296_000_000);
    let refused = Removal::NotDeletableYet { until };
    assert!(refused.source_text().contains(&until.to_string()));
    assert!(
        Removal::Pending
            .source_text()
            .contains("still to be deleted")
    );
    assert!(Removal::Unknown.source_text().contains("promises nothing"));
}

#[test]
fn only_who_knows_the_source_recognises_it() {
    let receipt = receipt(vec![]);
    let recording = recording();
    let known = &recording.source_ref;
    assert!(receipt.is_of(known));
    let other_sid = format!("RE{}", "2".repeat(32));
    let other_account = format!("AC{}", "1".repeat(32)).parse().unwrap();
    for other in [
        SourceRef::parse(known.account().clone(), &other_sid).unwrap(),
        SourceRef::parse(other_account, known.sid()).unwrap(),
    ] {
        assert!(!receipt.is_of(&other), "{other:?}");
    }
    let mut expected = Vec::new();
    let vault = receipt.vault();
    for field in [
        b"recvault/source-digest/1",
        &vault.as_bytes()[..],
        known.account().as_str().as_bytes(),
        known.sid().as_bytes(),
    ] {
        expected.extend((field.len() as u64).to_be_bytes());
        expected.extend(field);
    }
    assert_eq!(
        receipt.source_digest,
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(expected))
    );
    let text = receipt.sign(&signer());
    let payload = jws::verify(&text, TYP, &keys()).unwrap();
    let payload = String::from_utf8(payload).unwrap();
    assert!(!payload.contains("RE1111") && !payload.contains("AC0000"));
}

#[test]
fn claims_that_do_not_agree_are_refused_even_if_signed() {
    assert!(Receipt::verify(&signed_with(|_| {}), &keys()).is_ok());
    assert_eq!(
        Receipt::verify(
            &signed_with(|claims| claims["state"] = json!("closed")),
            &keys()
        ),
        Err(Error::State)
    );
    assert_eq!(
        Receipt::verify(
            &signed_with(|claims| claims["iat"] = json!(1_799_999_999)),
            &keys()
        ),
        Err(Error::IssuedBeforeTombstone)
    );
    let refused = |change: fn(&mut Value)| {
        let error = Receipt::verify(&signed_with(change), &keys()).unwrap_err();
        assert!(matches!(error, Error::Claims(_)), "{error}");
    };
    refused(|claims| claims["iat"] = json!(i64::MAX));
    refused(|claims| claims["iat"] = json!(1.5));
    refused(|claims| claims["older_backups"] = json!("perhaps"));
    refused(|claims| claims["reason"] = json!("Anna asked for it"));
    refused(|claims| claims["state"] = json!("done"));
    refused(|claims| claims["number"] = json!("+15550100"));
    refused(|claims| claims["copies"][0] = json!({ "copy": "key-entry", "state": "pending" }));
    refused(|claims| claims["copies"][0] = json!({ "copy": "key-entry", "state": "destroyed" }));
    refused(|claims| {
        claims["copies"][1] =
            json!({ "copy": "ciphertext", "state": "destroyed", "at": "2027-01-15T08:00:00Z" })
    });
    refused(|claims| claims["copies"][1] = json!({ "copy": "ciphertext", "state": "removed" }));
    refused(|claims| {
        claims["copies"][1] =
            json!({ "copy": "ciphertext", "state": "pending", "at": "2027-01-15T08:00:00Z" })
    });
    for change in [
        (|claims| claims["older_backups"] = json!("covered")) as fn(&mut Value),
        |claims| claims["older_backups"] = json!("no-key"),
        |claims| claims["epoch"] = json!(2),
        |claims| claims["unrecoverable_since"] = json!("2027-01-15T09:00:00.000Z"),
        |claims| {
            claims["epoch"] = json!(2);
            claims["unrecoverable_since"] = json!("2027-01-15T09:00:00.000Z");
        },
        |claims| {
            claims["epoch"] = json!(2);
            claims["older_backups"] = json!("covered");
            claims["state"] = json!("unrecoverable");
            claims["unrecoverable_since"] = json!("2027-01-15T07:59:59.000Z");
        },
    ] {
        let error = Receipt::verify(&signed_with(change), &keys()).unwrap_err();
        assert!(
            matches!(error, Error::OlderBackups | Error::State),
            "{error}"
        );
    }
    let names: Vec<String> = serde_json::from_slice::<serde_json::Map<String, Value>>(
        &jws::verify(&signed_with(|_| {}), TYP, &keys()).unwrap(),
    )
    .unwrap()
    .keys()
    .cloned()
    .collect();
    assert_eq!(names.len(), 13);
    for name in names {
        let text = signed_with(|claims| drop(claims.as_object_mut().unwrap().remove(&name)));
        assert!(
            matches!(Receipt::verify(&text, &keys()), Err(Error::Claims(_))),
            "without {name}"
        );
    }
}

#[test]
fn altered_claims_without_the_key_are_refused() {
    let text = receipt(pending()).sign(&signer());
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("three parts")
    };
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    for (from, to) in [
        ("17", "18"),
        ("tombstoned\"", "closed\""),
        ("subject-request", "retention"),
        ("08:00:00.250", "09:00:00.250"),
        ("rec_", "rec_0"),
    ] {
        assert!(payload.contains(from), "{from}");
        let altered = format!(
            "{header}.{}.{signature}",
            URL_SAFE_NO_PAD.encode(payload.replacen(from, to, 1))
        );
        assert_eq!(
            Receipt::verify(&altered, &keys()),
            Err(Error::Jws(jws::Error::Signature)),
            "{from}"
        );
    }
    let stranger = Signer::from_seed(&Key::take(&mut [8; 32]));
    let forged = receipt(pending()).sign(&stranger);
    assert_eq!(
        Receipt::verify(&forged, &keys()),
        Err(Error::Jws(jws::Error::UnknownKey))
    );
    let of_other_type = jws::sign(&signer(), "recvault-checkpoint+jwt", payload.as_bytes());
    assert_eq!(
        Receipt::verify(&of_other_type, &keys()),
        Err(Error::Jws(jws::Error::Type))
    );
}

proptest! {
    #[test]
    fn any_signed_payload_is_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Receipt::verify(&jws::sign(&signer(), TYP, &payload), &keys()).is_err());
    }

    #[test]
    fn any_issue_time_is_signed_and_read(seconds in 1_800_000_000_i64..10_000_000_000) {
        let receipt = receipt(pending()).settled(HeldCopy::Source(Removal::Pending), Timestamp::from_millis(seconds * 1000 + 999));
        prop_assert_eq!(Receipt::verify(&receipt.sign(&signer()), &keys()), Ok(receipt));
    }
}
