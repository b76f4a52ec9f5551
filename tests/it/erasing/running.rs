//! A revocation during the call: the recording is stopped, awaited, and deleted.

use recvault::{
    demo::stand_in::{Call, RecordingFacts, RequestFault},
    evidence::{Removal, receipt::ReceiptState},
};

use super::{Database, Recorded, TestVault, call_of, is_gone, receipt, work_off};
use crate::world::{Recipe, digits};

/// Adds a recording in progress, with its callback.
async fn running(vault: &TestVault) -> Recorded {
    let recorded = vault.record();
    vault
        .stand_in
        .begin_recording(&vault.account, recorded.sid.clone(), call_of(&recorded));
    assert_eq!(vault.tell(&recorded, "in-progress").await.status, 204);
    recorded
}

async fn a_revocation_during_a_call_stops_waits_and_deletes(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = running(&vault).await;
    let shredded = vault.shred(recorded.id).await;
    work_off(&vault).await;
    assert_eq!(
        vault.stand_in.kept(&recorded.sid).status.as_deref(),
        Some("processing"),
        "it was stopped"
    );
    assert_eq!(vault.count("source.stopped").await, 1);
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    // It keeps waiting, and does not try a deletion that Twilio would refuse.
    vault.later().await;
    assert_eq!(vault.stand_in.requests(Call::RecordingDelete), 0);

    // Now it is complete, with a callback: that ends the wait at once, without a pause.
    vault.stand_in.completed(&recorded.sid);
    assert!(vault.stand_in.kept(&recorded.sid).media);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work_off(&vault).await;
    let kept = vault.stand_in.kept(&recorded.sid);
    assert!(is_gone(&kept), "{kept:?}");
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Closed
    );
    assert_eq!(
        (
            vault.count("recording.refused").await,
            vault.count("recording.sealed").await
        ),
        (1, 0)
    );
    assert_eq!(
        vault.stand_in.media_requests(),
        0,
        "nothing of it was fetched"
    );
}

on_both_databases!(a_revocation_during_a_call_stops_waits_and_deletes);

#[tokio::test]
async fn nobody_tells_that_it_is_complete_and_it_is_deleted_all_the_same() {
    let vault = Recipe::default().by_hand().await;
    let recorded = running(&vault).await;
    let shredded = vault.shred(recorded.id).await;
    vault
        .stand_in
        .behave(|behaviour| behaviour.stop_completes = true);
    work_off(&vault).await;
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Closed
    );
}

#[tokio::test]
async fn the_call_is_over_before_it_can_be_stopped() {
    let vault = Recipe::default().by_hand().await;
    for over in [
        RequestFault::NotFound,
        RequestFault::Refused {
            status: 400,
            code: 21220,
        },
    ] {
        let recorded = running(&vault).await;
        let shredded = vault.shred(recorded.id).await;
        vault
            .stand_in
            .fail_call(Call::RecordingUpdate, over.clone());
        work_off(&vault).await;
        assert_eq!(
            receipt(&vault, &shredded).await.source(),
            Some(Removal::Pending),
            "{over:?}"
        );
        vault.stand_in.completed(&recorded.sid);
        vault.later().await;
        assert!(is_gone(&vault.stand_in.kept(&recorded.sid)), "{over:?}");
    }
    assert_eq!(vault.count("source.stopped").await, 0);
}

#[tokio::test]
async fn a_conference_is_stopped_as_one_and_a_paused_recording_is_stopped_too() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let facts = RecordingFacts {
        status: "paused".into(),
        media: None,
        ..RecordingFacts::of_conference(
            &recorded.sid,
            format!("CF{}", digits()).parse().unwrap(),
            bytes::Bytes::new(),
        )
    };
    vault
        .stand_in
        .add_recording_of(&vault.account, recorded.sid.clone(), facts);
    assert_eq!(vault.tell(&recorded, "in-progress").await.status, 204);
    vault.shred(recorded.id).await;
    work_off(&vault).await;
    assert_eq!(
        vault.stand_in.kept(&recorded.sid).status.as_deref(),
        Some("processing")
    );
    vault.stand_in.completed(&recorded.sid);
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
}
