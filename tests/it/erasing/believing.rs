//! Twilio answers 404: the conditions for trusting it.

use recvault::{
    demo::stand_in::{AddOnFacts, Call, RequestFault, TranscriptionFacts},
    evidence::{Removal, receipt::ReceiptState},
};
use serde_json::json;

use super::{is_gone, receipt, source, stuck, words_of, work_off};
use crate::{
    epochs::keys,
    transcribing::{made, told},
    world::{Recipe, digits},
};

#[tokio::test]
async fn not_found_to_a_wrong_credential_is_no_deletion() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    words_of(&vault, &recorded);
    let shredded = vault.shred(recorded.id).await;
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    for denied in [
        RequestFault::Unauthorised,
        RequestFault::Forbidden,
        RequestFault::NotFound,
        RequestFault::ServerError,
    ] {
        vault
            .stand_in
            .fail_call(Call::RecordingFetch, RequestFault::NotFound);
        vault
            .stand_in
            .fail_call(Call::RecordingList, denied.clone());
        vault.later().await;
        assert_eq!(
            receipt(&vault, &shredded).await.source(),
            Some(Removal::Pending),
            "{denied:?}"
        );
        assert_eq!(
            source(&vault, &recorded).await["copies"],
            json!([]),
            "{denied:?}"
        );
        assert!(vault.stand_in.kept(&recorded.sid).media, "{denied:?}");
        if denied != RequestFault::ServerError {
            assert!(
                stuck(&vault).await[0].starts_with("stuck: the credential does not open"),
                "{denied:?}: {:?}",
                stuck(&vault).await
            );
        }
    }
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(
        (
            receipt(&vault, &shredded).await.state(),
            stuck(&vault).await
        ),
        (ReceiptState::Closed, vec![])
    );
}

#[tokio::test]
async fn a_deletion_that_is_answered_not_found_is_believed_only_by_an_open_account() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    // None of the whole call: for that, its recordings are listed, too.
    vault.stand_in.add_transcription(
        &vault.account,
        TranscriptionFacts::new(format!("TR{}", digits()), recorded.sid.clone(), "Hello."),
    );
    vault.stand_in.add_add_on(
        &vault.account,
        AddOnFacts::new(format!("XR{}", digits()), recorded.sid.clone()),
    );
    vault.shred(recorded.id).await;
    for call in [
        Call::TranscriptionDelete,
        Call::AddOnDelete,
        Call::RecordingDelete,
    ] {
        vault.stand_in.fail_call(call, RequestFault::NotFound);
        vault
            .stand_in
            .fail_call(Call::RecordingList, RequestFault::Unauthorised);
        vault.later().await;
        assert!(
            vault.stand_in.kept(&recorded.sid).media,
            "{call:?}: the recording goes last"
        );
        assert_eq!(
            source(&vault, &recorded).await["state"],
            "pending",
            "{call:?}"
        );
    }
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
}

#[tokio::test]
async fn a_transcript_that_is_not_found_is_believed_only_by_an_open_product() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let facts = made(&vault, &recorded.sid, &["Hello."]);
    told(&vault, &facts.sid).await;
    work_off(&vault).await;
    let shredded = vault.shred(recorded.id).await;
    // The account's recordings can be read all the time; its transcripts cannot: those of the
    // recording, of its call, and any.
    for _ in 0..3 {
        vault.stand_in.fail_call(
            Call::TranscriptList,
            RequestFault::Refused {
                status: 403,
                code: 20403,
            },
        );
    }
    vault
        .stand_in
        .fail_call(Call::TranscriptDelete, RequestFault::NotFound);
    work_off(&vault).await;
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    let why = stuck(&vault).await;
    assert!(
        why[0].starts_with(
            "stuck: the credential does not open the Conversational Intelligence transcripts"
        ),
        "{why:?}"
    );
    assert!(
        vault.stand_in.kept(&recorded.sid).media,
        "the recording goes last"
    );
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert!(matches!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Removed(_))
    ));
}

#[tokio::test]
async fn a_transcript_that_was_taken_and_that_nobody_lists_is_not_said_to_be_gone() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let facts = made(&vault, &recorded.sid, &["Hello."]);
    told(&vault, &facts.sid).await;
    work_off(&vault).await;
    let shredded = vault.shred(recorded.id).await;
    for _ in 0..9 {
        vault.stand_in.fail_call(
            Call::TranscriptList,
            RequestFault::Refused {
                status: 410,
                code: 20410,
            },
        );
    }
    work_off(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Unknown)
    );
    assert_eq!(source(&vault, &recorded).await["state"], "left");
}

#[tokio::test]
async fn a_token_that_is_not_valid_any_more_deletes_nothing_and_is_told_loudly() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let shredded = vault.shred(recorded.id).await;
    vault.stand_in.promote_token(&vault.account, digits());
    work_off(&vault).await;
    assert_eq!(
        stuck(&vault).await,
        ["stuck: twilio refused with 401, error 20003"]
    );
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    // Its pause is long; the operator has corrected the token and does not want to wait.
    vault
        .stand_in
        .promote_token(&vault.account, &vault.auth_token);
    work_off(&vault).await;
    assert!(vault.stand_in.kept(&recorded.sid).media);
    assert_eq!(
        vault
            .process
            .flow
            .dead_work
            .retry(Some(recorded.id))
            .await
            .unwrap(),
        1
    );
    work_off(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
}

#[tokio::test]
async fn what_was_deleted_long_ago_by_somebody_else_counts_as_deleted() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    vault.stand_in.remove_recording(&recorded.sid);
    let shredded = vault.shred(recorded.id).await;
    work_off(&vault).await;
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Removed(vault.clock.now()))
    );
    let shown = source(&vault, &recorded).await;
    assert_eq!(
        (&shown["state"], &shown["copies"][0]["left_until"]),
        (&json!("deleted"), &json!(null)),
        "nothing at all is kept: {shown:#}"
    );
}

#[tokio::test]
async fn what_intelligence_refuses_to_list_is_not_known_to_be_gone_and_a_key_without_permission_says_nothing()
 {
    let vault = Recipe::default().by_hand().await;
    let refused = |status, code| RequestFault::Refused { status, code };
    for none in [
        RequestFault::NotFound,
        refused(403, 20403),
        refused(400, 20001),
        refused(404, 20404),
        refused(410, 20410),
    ] {
        let recorded = vault.sealed().await;
        let shredded = vault.shred(recorded.id).await;
        for _ in 0..3 {
            vault.stand_in.fail_call(Call::TranscriptList, none.clone());
        }
        work_off(&vault).await;
        assert_eq!(
            receipt(&vault, &shredded).await.source(),
            Some(Removal::Unknown),
            "{none:?}"
        );
        assert!(
            is_gone(&vault.stand_in.kept(&recorded.sid)),
            "{none:?}: what is known is deleted"
        );
    }
    let recorded = vault.sealed().await;
    words_of(&vault, &recorded);
    let shredded = vault.shred(recorded.id).await;
    vault.stand_in.fail_call(
        Call::TranscriptList,
        RequestFault::Refused {
            status: 403,
            code: 70051,
        },
    );
    work_off(&vault).await;
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    assert_eq!(
        stuck(&vault).await,
        ["stuck: twilio refused with 403, error 70051"]
    );
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
}
