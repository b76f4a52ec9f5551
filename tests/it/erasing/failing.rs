//! Every request to Twilio fails in every way: no remaining copy counts as deleted, and finally all
//! copies are deleted.

use recvault::{
    demo::stand_in::{Behaviour, Call, RequestFault},
    evidence::{Removal, receipt::ReceiptState},
};

use super::{is_gone, receipt, source, stuck, words_of, work_off};
use crate::{
    epochs::keys,
    world::{Database, Recipe},
};

const CALLS: [Call; 8] = [
    Call::RecordingFetch,
    Call::TranscriptionList,
    Call::AddOnList,
    Call::TranscriptList,
    Call::TranscriptionDelete,
    Call::AddOnDelete,
    Call::TranscriptDelete,
    Call::RecordingDelete,
];

fn every_wrong() -> [RequestFault; 8] {
    [
        RequestFault::ServerError,
        RequestFault::DoneThenServerError,
        RequestFault::TooMany {
            retry_after: Some(7),
        },
        RequestFault::TooMany { retry_after: None },
        RequestFault::CutBody,
        RequestFault::NotJson,
        RequestFault::WrongShape,
        RequestFault::Refused {
            status: 400,
            code: 20001,
        },
    ]
}

async fn every_request_fails_in_every_way_and_in_the_end_everything_is_deleted(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for call in CALLS {
        for wrong in every_wrong() {
            let case = format!("{call:?} {wrong:?}");
            let recorded = vault.sealed().await;
            words_of(&vault, &recorded);
            let shredded = vault.shred(recorded.id).await;
            vault.stand_in.fail_call(call, wrong.clone());
            work_off(&vault).await;
            let kept = vault.stand_in.kept(&recorded.sid);
            let said = receipt(&vault, &shredded).await.source().unwrap();
            // Whatever Twilio answers: the receipt states the deletion only if it is true.
            let is_product =
                call == Call::TranscriptList && matches!(wrong, RequestFault::Refused { .. });
            assert!(
                !matches!(said, Removal::Removed(_)) || is_gone(&kept) || is_product,
                "{case}: {kept:?}"
            );
            let mut attempts = 0;
            while !matches!(
                receipt(&vault, &shredded).await.source().unwrap(),
                Removal::Removed(_)
            ) {
                assert!(vault.later().await > 0 && attempts < 5, "{case}");
                attempts += 1;
            }
            let kept = vault.stand_in.kept(&recorded.sid);
            assert!(is_gone(&kept) || is_product, "{case}: {kept:?}");
            assert_eq!(
                source(&vault, &recorded).await["state"],
                "deleted",
                "{case}"
            );
        }
    }
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    vault.later().await;
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM receipts WHERE state <> 'closed'")
            .await,
        Some(0)
    );
}

on_both_databases!(every_request_fails_in_every_way_and_in_the_end_everything_is_deleted);

#[tokio::test]
async fn a_recording_that_cannot_be_deleted_is_tried_for_ever_and_shown() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let shredded = vault.shred(recorded.id).await;
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    for _ in 0..30 {
        vault.stand_in.fail_call(
            Call::RecordingDelete,
            RequestFault::Refused {
                status: 409,
                code: 20001,
            },
        );
        vault.later().await;
        assert_eq!(
            receipt(&vault, &shredded).await.state(),
            ReceiptState::Unrecoverable
        );
        assert_eq!(
            stuck(&vault).await,
            ["stuck: twilio refused with 409, error 20001"]
        );
    }
    assert_eq!(vault.dead().await, None, "it is never given up");
    vault.later().await;
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Closed
    );
}

#[tokio::test]
async fn what_stumbles_often_is_shown_after_so_many_attempts() {
    let vault = Recipe {
        work: "attempts = 3",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    vault.shred(recorded.id).await;
    for attempt in 1..=4 {
        vault
            .stand_in
            .fail_call(Call::RecordingFetch, RequestFault::ServerError);
        vault.later().await;
        assert_eq!(
            stuck(&vault).await.len(),
            usize::from(attempt >= 3),
            "attempt {attempt}"
        );
    }
}

#[tokio::test]
async fn a_deletion_that_does_not_come_true_is_asked_for_again() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let shredded = vault.shred(recorded.id).await;
    // Twilio reports success without an effect.
    vault
        .stand_in
        .fail_call(Call::RecordingDelete, RequestFault::NothingDone);
    work_off(&vault).await;
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    let shown = source(&vault, &recorded).await;
    assert_eq!(
        (
            &shown["copies"][0]["state"],
            &shown["copies"][0]["confirmed_at"]
        ),
        (&"deleted".into(), &serde_json::Value::Null)
    );
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(vault.stand_in.requests(Call::RecordingDelete), 2);
}

#[tokio::test]
async fn only_204_is_a_deletion() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    words_of(&vault, &recorded);
    let shredded = vault.shred(recorded.id).await;
    for call in [
        Call::TranscriptionDelete,
        Call::AddOnDelete,
        Call::TranscriptDelete,
        Call::RecordingDelete,
    ] {
        // 200, which some clients take for success.
        vault.stand_in.fail_call(call, RequestFault::NotJson);
    }
    for _ in 0..4 {
        vault.later().await;
        assert_eq!(
            receipt(&vault, &shredded).await.source(),
            Some(Removal::Pending)
        );
        assert_eq!(stuck(&vault).await, ["stuck: twilio refused with 200"]);
    }
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
}

#[tokio::test]
async fn twilio_may_do_either_where_it_documents_nothing() {
    let vault = Recipe::default().by_hand().await;
    let changes: [fn(&mut Behaviour); 5] = [
        |behaviour| behaviour.deletion_takes_transcriptions = true,
        |behaviour| behaviour.deletion_takes_add_ons = true,
        |behaviour| behaviour.deleted_is_shown = true,
        |behaviour| behaviour.second_deletion_is_fine = true,
        |behaviour| behaviour.deleted_lists_subresources = true,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        vault.stand_in.behave(change);
        // One that Twilio deletes on request, and one that was deleted there before.
        for is_deleted_before in [false, true] {
            let recorded = vault.sealed().await;
            let shredded = vault.shred(recorded.id).await;
            if is_deleted_before {
                vault.stand_in.set_status(&recorded.sid, "deleted");
            } else {
                words_of(&vault, &recorded);
            }
            work_off(&vault).await;
            assert!(
                matches!(
                    receipt(&vault, &shredded).await.source(),
                    Some(Removal::Removed(_))
                ),
                "{number} {is_deleted_before}"
            );
            assert!(
                is_deleted_before || is_gone(&vault.stand_in.kept(&recorded.sid)),
                "{number}"
            );
        }
    }
}
