//! Recordings that are being fetched, played, or have not arrived yet at a revocation.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use recvault::{
    demo::{
        conversation::{Channels, WAV, repeat_to},
        stand_in::MediaFault,
    },
    model::{artefact::Artefact, time::Clock},
};
use serde_json::json;

use super::{ANNA, BERND};
use crate::world::{Database, GatedHost, Recipe, until};

async fn what_waits_to_be_fetched_is_never_fetched(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let waits = vault.announced().await;
    vault.took_part(&waits, "caller", ANNA).await;
    let body = vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(vault.proven(&body).await, [waits.id].into());
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (vault.state(waits.id).await, vault.objects().await.len()),
        ("shredded".to_owned(), 0)
    );
    assert_eq!(vault.count("recording.sealed").await, 0);
}

async fn what_is_being_fetched_is_not_kept(database: Database) {
    let vault = Recipe {
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let host = GatedHost::start(bytes::Bytes::from_static(WAV)).await;
    let fetched = vault.announced().await;
    vault.took_part(&fetched, "caller", ANNA).await;
    vault.stand_in.fail(
        &fetched.sid,
        MediaFault::RedirectTo {
            url: host.url.clone(),
        },
    );
    let revoking = async {
        host.reached().await;
        let body = vault.revoked(json!({ "subject": ANNA })).await;
        host.open();
        body
    };
    let (worked, body) = tokio::join!(vault.process.flow.worker.work_off(), revoking);
    worked.unwrap();
    assert_eq!(vault.proven(&body).await, [fetched.id].into());
    assert_eq!(
        (vault.state(fetched.id).await, vault.objects().await.len()),
        ("shredded".to_owned(), 0)
    );
    assert_eq!(
        (vault.count("recording.sealed").await, vault.dead().await),
        (0, None)
    );
}

/// A listener for training is cut off when consent to that is withdrawn, in another process as in
/// this one.
async fn whoever_listens_is_cut_off_when_consent_is_withdrawn(database: Database) {
    let vault = Recipe {
        clock: Clock::System,
        ..Recipe::on(database)
    }
    .served()
    .await;
    let recorded = vault.record_wav(repeat_to(240, Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    vault.took_part(&recorded, "caller", ANNA).await;
    vault
        .says(json!({ "subject": ANNA, "answer": "given" }))
        .await;
    let wanted = json!({ "purpose": "training", "justification": "a good example" });
    let grant = vault
        .asks("reviewer")
        .post(&format!("/v1/recordings/{}/grants", recorded.id), wanted)
        .await
        .json();
    let token = grant["audio_url"]
        .as_str()
        .unwrap()
        .split('/')
        .rev()
        .nth(1)
        .unwrap()
        .to_owned();
    let heard = vault
        .process
        .flow
        .playback
        .redeem(&token, None, Artefact::Audio)
        .await
        .unwrap();
    let mut pieces = Box::pin(
        vault
            .process
            .flow
            .playback
            .listen(&heard, 0..heard.playable.len())
            .await
            .unwrap(),
    );
    assert!(pieces.next().await.unwrap().is_ok());
    let other = vault.another_process().await;
    let officer = other
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let said = json!({ "subject": ANNA, "purposes": ["training"], "answer": "withdrawn", "method": "speech" });
    assert_eq!(officer.post("/v1/consents", said).await.status, 201);
    let since = Instant::now();
    until("the watch has seen it", async || {
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .streams
            == 0
    })
    .await;
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert!(
        pieces.next().await.unwrap().is_err(),
        "nothing more is released"
    );
    assert_eq!(vault.state(recorded.id).await, "sealed");
    assert!(
        vault
            .process
            .flow
            .playback
            .redeem(&token, None, Artefact::Audio)
            .await
            .is_err()
    );
}

async fn what_arrives_later_is_not_kept(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let body = vault.revoked(json!({ "account": vault.account })).await;
    assert_eq!(vault.whole(&body).await.shredded, 0);
    // Requested twice: each revocation covers it.
    let again = vault.revoked(json!({ "account": vault.account })).await;
    // It was recorded before, but Twilio announces it only now.
    let late = vault.announced().await;
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (vault.state(late.id).await, vault.objects().await.len()),
        ("shredded".to_owned(), 0)
    );
    assert_eq!(vault.count("recording.sealed").await, 0);
    assert_eq!(vault.dead().await, None);
    vault.process.flow.revocations.continue_all().await.unwrap();
    for revocation in [&body, &again] {
        let body = vault.revocation(&revocation["id"]).await;
        assert_eq!(vault.proven(&body).await, [late.id].into());
        assert_eq!(
            vault.whole(&body).await.shredded,
            1,
            "the receipt for the whole knows of it"
        );
    }

    // Recordings after the revocation are not covered.
    vault.clock.advance(Duration::from_secs(1));
    let after = vault.sealed_now().await;
    vault.plays(&after).await;
    vault.process.flow.revocations.continue_all().await.unwrap();
    vault.plays(&after).await;
}

async fn a_party_that_is_named_later_is_reached_all_the_same(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [named_later, other] = [vault.sealed().await, vault.sealed().await];
    let body = vault.revoked(json!({ "subject": ANNA })).await;
    vault.took_part(&other, "caller", BERND).await;
    vault.process.flow.revocations.continue_all().await.unwrap();
    vault.plays(&named_later).await;
    vault.took_part(&named_later, "caller", ANNA).await;
    // By that request already: nothing is left for the service.
    assert_eq!(
        vault
            .process
            .flow
            .revocations
            .continue_all()
            .await
            .unwrap()
            .revocations,
        0
    );
    let body = vault.revocation(&body["id"]).await;
    assert_eq!(vault.proven(&body).await, [named_later.id].into());
    assert_eq!(vault.whole(&body).await.shredded, 1);
    vault.plays(&other).await;
    // And recordings after the withdrawal are not reached, though they are of the same person.
    vault.clock.advance(Duration::from_secs(1));
    let after = vault.sealed_now().await;
    vault.took_part(&after, "caller", ANNA).await;
    assert_eq!(
        vault
            .process
            .flow
            .revocations
            .continue_all()
            .await
            .unwrap()
            .revocations,
        0
    );
    vault.plays(&after).await;
}

on_both_databases!(
    what_waits_to_be_fetched_is_never_fetched,
    what_is_being_fetched_is_not_kept,
    whoever_listens_is_cut_off_when_consent_is_withdrawn,
    what_arrives_later_is_not_kept,
    a_party_that_is_named_later_is_reached_all_the_same,
);
