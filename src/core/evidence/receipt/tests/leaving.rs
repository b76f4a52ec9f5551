//! What is left at the source: what it does not delete yet, and what stays of deleted copies.

use serde_json::{Value, json};

use super::{FENCED, ISSUED, TYP, keys, pending, receipt, signed_with, signer};
use crate::{
    evidence::{
        jws,
        receipt::{HeldCopy, Receipt, ReceiptState, Removal},
    },
    model::{
        residue::{Residue, ResidueKind},
        source::CopyKind,
        time::Timestamp,
    },
};

fn left(what: ResidueKind, until: Option<Timestamp>) -> Residue {
    Residue {
        copy: CopyKind::Message,
        what,
        until,
    }
}

#[test]
fn what_stays_at_the_source_is_signed_with_its_date_or_as_unknown() {
    let removed = HeldCopy::Source(Removal::Removed(ISSUED));
    let residue = vec![
        left(ResidueKind::Logs, Some(ISSUED)),
        left(ResidueKind::Archive, None),
    ];
    let receipt = receipt(pending())
        .settled(removed, ISSUED)
        .leaving(residue.clone());
    let text = receipt.sign(&signer());
    let claims: Value = serde_json::from_slice(&jws::verify(&text, TYP, &keys()).unwrap()).unwrap();
    assert_eq!(
        claims["residue"],
        json!([
            { "copy": "message", "what": "logs", "until": ISSUED },
            { "copy": "message", "what": "archive", "until": null },
        ])
    );
    let read = Receipt::verify(&text, &keys()).unwrap();
    assert_eq!((read.residue(), &read), (&residue[..], &receipt));
    // A receipt of an earlier version states none.
    let mut older = claims;
    older.as_object_mut().unwrap().remove("residue");
    let older = jws::sign(&signer(), TYP, older.to_string().as_bytes());
    assert_eq!(Receipt::verify(&older, &keys()).unwrap().residue(), []);
}

#[test]
fn only_removed_copies_leave_something_and_each_trace_is_stated_once() {
    let logs = json!({ "copy": "message", "what": "logs", "until": null });
    let removed = json!({ "copy": "source", "state": "removed", "at": ISSUED });
    for (source, residue, is_valid) in [
        (&removed, json!([logs]), true),
        (&removed, json!([logs, logs]), false),
        (
            &json!({ "copy": "source", "state": "pending" }),
            json!([logs]),
            false,
        ),
        (
            &json!({ "copy": "source", "state": "unknown" }),
            json!([logs]),
            false,
        ),
        (
            &removed,
            json!([{ "copy": "message", "what": "rumours", "until": null }]),
            false,
        ),
    ] {
        let text = signed_with(|claims| {
            claims["copies"][2] = source.clone();
            claims["residue"] = residue.clone();
        });
        assert_eq!(
            Receipt::verify(&text, &keys()).is_ok(),
            is_valid,
            "{source} {residue}"
        );
    }
}

#[test]
fn a_copy_that_is_not_deletable_yet_keeps_the_receipt_open_and_says_until_when() {
    let early = HeldCopy::Source(Removal::NotDeletableYet { until: ISSUED });
    let receipt = receipt(pending())
        .settled(HeldCopy::Ciphertext(Removal::Removed(ISSUED)), ISSUED)
        .settled(early, ISSUED)
        .unrecoverable(FENCED, 2, ISSUED);
    assert_eq!(receipt.state(), ReceiptState::Unrecoverable);
    let text = receipt.sign(&signer());
    let claims: Value = serde_json::from_slice(&jws::verify(&text, TYP, &keys()).unwrap()).unwrap();
    assert_eq!(
        claims["copies"][2],
        json!({ "copy": "source", "state": "not-deletable-yet", "until": ISSUED })
    );
    assert_eq!(Receipt::verify(&text, &keys()).unwrap(), receipt);
    for impossible in [
        json!({ "copy": "source", "state": "not-deletable-yet" }),
        json!({ "copy": "source", "state": "not-deletable-yet", "at": ISSUED }),
        json!({ "copy": "source", "state": "pending", "until": ISSUED }),
        json!({ "copy": "ciphertext", "state": "not-deletable-yet", "until": ISSUED }),
        json!({ "copy": "key-entry", "state": "destroyed", "at": ISSUED, "until": ISSUED }),
    ] {
        let text = signed_with(|claims| claims["copies"][2] = impossible.clone());
        assert!(Receipt::verify(&text, &keys()).is_err(), "{impossible}");
    }
}
