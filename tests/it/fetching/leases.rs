//! Workers whose lease has expired, and their successors.

use std::time::Duration;

use bytes::Bytes;
use recvault::demo::{conversation, stand_in::MediaFault};
use tokio::sync::Notify;

use super::LOOPBACK_LISTED;
use crate::world::{Database, GatedHost, Recipe, files_below};

async fn another_worker_takes_over_and_only_one_seals(database: Database) {
    let vault = Recipe {
        twilio: LOOPBACK_LISTED,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    let host = GatedHost::start(Bytes::from_static(conversation::WAV)).await;
    let recorded = vault.announced().await;
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::RedirectTo {
            url: host.url.clone(),
        },
    );
    let overtake = async {
        host.reached().await;
        vault.clock.advance(Duration::from_secs(59));
        assert_eq!(
            other.flow.worker.work_off().await.unwrap(),
            0,
            "the lease is not over yet"
        );
        vault.clock.advance(Duration::from_secs(1));
        assert_eq!(other.flow.worker.work_off().await.unwrap(), 1);
        assert_eq!(vault.state(recorded.id).await, "sealed");
        host.open();
    };
    let (first, ()) = tokio::join!(vault.process.flow.worker.work_off(), overtake);
    assert_eq!(first.unwrap(), 1);
    assert_eq!(vault.count("recording.sealed").await, 1);
    let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
    assert_eq!(
        vault.objects().await,
        [artefact.object.unwrap()],
        "the ciphertext of the first is gone"
    );
    assert_eq!(
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .work
            .len(),
        0
    );
    vault.plays(&recorded).await;
}

async fn a_worker_whose_lease_is_over_does_not_seal_even_if_it_is_the_first_to_finish(
    database: Database,
) {
    let vault = Recipe {
        twilio: LOOPBACK_LISTED,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    let wav = Bytes::from_static(conversation::WAV);
    let slow = GatedHost::start(wav.clone()).await;
    let slower = GatedHost::start(wav).await;
    let recorded = vault.announced().await;
    for host in [&slow, &slower] {
        vault.stand_in.fail(
            &recorded.sid,
            MediaFault::RedirectTo {
                url: host.url.clone(),
            },
        );
    }
    let first_is_done = Notify::new();
    let first = async {
        vault.process.flow.worker.work_off().await.unwrap();
        first_is_done.notify_one();
    };
    let second = async {
        slow.reached().await;
        vault.clock.advance(Duration::from_secs(60));
        other.flow.worker.work_off().await.unwrap();
    };
    let order = async {
        slower.reached().await;
        slow.open();
        first_is_done.notified().await;
        vault.holds_nothing_of(recorded.id).await;
        slower.open();
    };
    tokio::join!(first, second, order);
    assert_eq!(
        (
            vault.count("recording.sealed").await,
            vault.objects().await.len()
        ),
        (1, 1)
    );
    vault.plays(&recorded).await;
}

on_both_databases!(
    another_worker_takes_over_and_only_one_seals,
    a_worker_whose_lease_is_over_does_not_seal_even_if_it_is_the_first_to_finish,
);

#[tokio::test]
async fn a_worker_that_lost_its_lease_stops_in_the_middle_and_leaves_nothing() {
    let vault = Recipe {
        twilio: LOOPBACK_LISTED,
        work: "lease_s = 5",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    // Long enough that its upload has begun when the source stops.
    let recorded =
        vault.record_wav(conversation::repeat_to(600, conversation::Channels::Dual).into());
    let host = GatedHost::start(recorded.wav.clone()).await;
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::RedirectTo {
            url: host.url.clone(),
        },
    );
    let overtake = async {
        host.reached().await;
        vault.clock.advance(Duration::from_secs(5));
        assert_eq!(other.flow.worker.work_off().await.unwrap(), 1);
    };
    // The gate is never opened: the first worker ends because the work is no longer its own.
    let (first, ()) = tokio::join!(vault.process.flow.worker.work_off(), overtake);
    assert_eq!(first.unwrap(), 1);
    vault.clock.advance(Duration::from_secs(3600));
    vault
        .process
        .flow
        .sweeper
        .sweep(Duration::ZERO)
        .await
        .unwrap();
    let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
    assert_eq!(vault.objects().await, [artefact.object.unwrap()]);
    assert_eq!(
        files_below(&vault.folder().join("objects/objects")).len(),
        1,
        "no part of the first is left"
    );
    vault.plays(&recorded).await;
}
