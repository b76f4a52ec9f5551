//! Comparisons by an operator, by two at once, and by the running service.

use std::time::Duration;

use bytes::Bytes;
use recvault::{
    demo::{conversation, stand_in::Call},
    flow::Reconciling,
};

use crate::world::{Database, Recipe, Recorded, until};

async fn two_operators_compare_at_once_and_it_is_as_if_one_had(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded: Vec<Recorded> = (0..40).map(|_| vault.record()).collect();
    let shredded = vault.sealed().await;
    assert_eq!(vault.shred(shredded.id).await.status, 200);
    vault.process.flow.worker.work_off().await.unwrap();
    vault
        .stand_in
        .add_recording(&vault.account, shredded.sid.clone(), shredded.wav.clone());
    let other = vault.another_process().await;
    let wanted = Reconciling::default();
    let (mine, theirs) = tokio::join!(
        vault.process.flow.reconciliation.reconcile(&wanted),
        other.flow.reconciliation.reconcile(&wanted)
    );
    for one in mine.unwrap().iter().chain(&theirs.unwrap()) {
        // The one that loses the lease reports it; its results stand.
        assert!(
            one.fault
                .as_ref()
                .is_none_or(|fault| fault.contains("took the comparison over")),
            "{one:?}"
        );
    }
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM recordings")
            .await,
        Some(41)
    );
    let work = async |kind: &str| {
        vault
            .ground()
            .integer(&format!("SELECT COUNT(*) FROM work WHERE kind = '{kind}'"))
            .await
    };
    assert_eq!(
        (work("fetch").await, work("delete-at-source").await),
        (Some(40), Some(1))
    );
    vault.process.flow.worker.work_off().await.unwrap();
    for recorded in &recorded {
        assert_eq!(vault.state(recorded.id).await, "sealed");
    }
    assert_eq!(vault.stand_in.media_requests(), 41, "each is fetched once");
}

on_both_databases!(two_operators_compare_at_once_and_it_is_as_if_one_had,);

#[tokio::test]
async fn the_operator_asks_what_would_be_done_and_nothing_is() {
    let vault = Recipe::default().by_hand().await;
    let unknown = vault.record();
    let shredded = vault.sealed().await;
    assert_eq!(vault.shred(shredded.id).await.status, 200);
    vault.process.flow.worker.work_off().await.unwrap();
    vault
        .stand_in
        .add_recording(&vault.account, shredded.sid.clone(), shredded.wav.clone());
    let before = vault.footprint().await;
    let done = vault.reconcile_of(&vault.account, true).await;
    assert_eq!(
        (
            done.found.listed,
            done.found.announced,
            done.found.erased,
            done.fault
        ),
        (2, 1, 1, None)
    );
    assert_eq!(vault.footprint().await, before);
    assert!(!vault.has_row(unknown.id).await);
}

#[tokio::test]
async fn a_running_service_finds_by_itself_what_nobody_told() {
    let vault = Recipe {
        every_m: 1,
        ..Recipe::default()
    }
    .served()
    .await;
    let mine = vault.record();
    let of_another = vault.record_for(&vault.other_account, Bytes::from_static(conversation::WAV));
    // The first comparison may have run before the recordings; the next one is due by the clock,
    // and is checked each minute. Another process starts here, which checks at once.
    vault.clock.advance(Duration::from_secs(61));
    let stop = tokio_util::sync::CancellationToken::new();
    let other = vault.another_process().await;
    let watching = other.flow.reconciliation.clone().watch(stop.clone());
    let found = until("both are sealed", async || {
        let status = vault.process.flow.monitoring.status().await.unwrap();
        status
            .recordings
            .iter()
            .any(|(state, count)| state.as_str() == "sealed" && *count == 2)
    });
    tokio::select! {
        () = watching => unreachable!("it watches until it is stopped"),
        () = found => {}
    }
    vault.plays(&mine).await;
    assert!(vault.has_row(of_another.id).await);
    // Each account once for each of the two times, by either process: they share a lease.
    assert!(
        vault.stand_in.requests(Call::RecordingList) <= 4,
        "{}",
        vault.stand_in.requests(Call::RecordingList)
    );
    let entries = vault.entries().await;
    assert!(
        entries
            .iter()
            .filter(|entry| entry["event"] == "reconcile.done")
            .all(|entry| entry["actor"] == "vault")
    );
}
