//! Fetching: whatever fails at the source, nothing partial is stored, and finally the audio is
//! complete.

mod leases;

use std::time::Duration;

use bytes::Bytes;
use recvault::demo::{
    conversation,
    stand_in::{ForeignHost, MediaFault},
};
use serde_json::json;

use crate::world::{Database, Recipe, Recorded, TestVault};

const LOOPBACK_LISTED: &str = "media_redirect_hosts = [\"127.0.0.1\"]";

/// Makes one attempt, which fails with this fault and stores nothing.
async fn meets(vault: &TestVault, fault: MediaFault) -> Recorded {
    let recorded = vault.announced().await;
    vault.stand_in.fail(&recorded.sid, fault);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.holds_nothing_of(recorded.id).await;
    recorded
}

/// Checks that a transient fault is retried.
async fn passes(vault: &TestVault, fault: MediaFault) {
    let recorded = meets(vault, fault.clone()).await;
    let due = vault.due_in_ms(recorded.id).await.unwrap();
    assert!(
        (1_000..=2_000).contains(&due),
        "{fault:?}: the first pause is half of 2 s to 2 s, not {due} ms"
    );
    assert_eq!(vault.dead().await, None, "{fault:?}");
    assert_eq!(vault.later().await, 1, "{fault:?}");
    vault.plays(&recorded).await;
}

/// Checks that a permanent fault makes the work dead, and that a retry revives it.
async fn is_set_aside(vault: &TestVault, fault: MediaFault, why: &str) {
    let recorded = meets(vault, fault.clone()).await;
    let (id, last_error) = vault.dead().await.expect("it is set aside");
    assert_eq!(id, recorded.id.to_string());
    assert!(last_error.contains(why), "{fault:?}: {last_error}");
    assert_eq!(
        vault.later().await,
        0,
        "{fault:?}: what is set aside is left alone"
    );
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
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
    let entries = vault.entries().await;
    let of_it = entries
        .iter()
        .filter(|entry| entry["recording"] == json!(recorded.id))
        .map(|entry| entry["event"].as_str().unwrap());
    let told = [
        "work.dead",
        "decision.denied",
        "work.retried",
        "recording.sealed",
        "decision.allowed",
        "opening.started",
    ];
    assert_eq!(of_it.collect::<Vec<_>>(), told);
}

async fn the_server_stumbles_and_the_vault_comes_back(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for fault in [
        MediaFault::NotYet { times: 1 },
        MediaFault::TooMany { retry_after: None },
        MediaFault::ServerError { times: 1 },
        MediaFault::CutBody { at: 0 },
        MediaFault::CutBody { at: 11 },
        MediaFault::CutBody { at: 12 },
        MediaFault::CutBody { at: 500_000 },
        MediaFault::CutBody {
            at: conversation::WAV.len() - 1,
        },
        MediaFault::WrongLength { claim: 0 },
        MediaFault::WrongLength {
            claim: conversation::WAV.len() as u64 + 1,
        },
    ] {
        passes(&vault, fault).await;
        empty(&vault).await;
    }
}

/// Shreds everything, so that the next test starts with an empty store.
async fn empty(vault: &TestVault) {
    let list = vault
        .asks("auditor")
        .get("/v1/recordings?state=sealed")
        .await
        .json();
    for item in list["items"].as_array().unwrap() {
        assert_eq!(
            vault
                .shred(item["id"].as_str().unwrap().parse().unwrap())
                .await
                .status,
            200
        );
    }
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(vault.objects().await, []);
}

on_both_databases!(the_server_stumbles_and_the_vault_comes_back,);

#[tokio::test]
async fn the_answer_is_no_sound_and_somebody_must_look() {
    let vault = Recipe::default().by_hand().await;
    for (fault, why) in [
        (
            MediaFault::XmlErrorBody,
            "the content type is `application/xml`, not audio",
        ),
        (
            MediaFault::WrongContentType {
                value: "text/html; charset=utf-8".into(),
            },
            "the content type is `text/html`, not audio",
        ),
        (MediaFault::NotRiff, "does not begin as a RIFF/WAVE file"),
    ] {
        is_set_aside(&vault, fault, why).await;
        empty(&vault).await;
    }
}

#[tokio::test]
async fn the_media_is_late_for_minutes_and_then_there() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.announced().await;
    vault
        .stand_in
        .fail(&recorded.sid, MediaFault::NotYet { times: 8 });
    let mut waited = 0;
    for _ in 0..8 {
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        let due = vault.due_in_ms(recorded.id).await.unwrap();
        assert!((1_000..=64_000).contains(&due), "{due}");
        vault.clock.advance(Duration::from_millis(due as u64 - 1));
        assert_eq!(
            vault.process.flow.worker.work_off().await.unwrap(),
            0,
            "not a moment too early"
        );
        vault.clock.advance(Duration::from_millis(1));
        waited += due;
    }
    assert!(
        (90_000..1_800_000).contains(&waited),
        "eight pauses that double to a minute: {waited} ms"
    );
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn the_media_never_comes_and_is_given_up_after_the_time_set_for_it() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.announced().await;
    vault.stand_in.remove_recording(&recorded.sid);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.clock.advance(Duration::from_secs(1799));
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    assert_eq!(vault.dead().await, None);
    vault.clock.advance(Duration::from_secs(100));
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    let (_, why) = vault.dead().await.unwrap();
    assert!(
        why.contains("no media for the recording yet (404)"),
        "{why}"
    );
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_given_up_only_after_many_attempts_and_a_long_time() {
    let vault = Recipe {
        work: "attempts = 3\nnot_yet_s = 3000",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.announced().await;
    vault
        .stand_in
        .fail(&recorded.sid, MediaFault::ServerError { times: 100 });
    let mut attempts = vault.process.flow.worker.work_off().await.unwrap();
    while vault.dead().await.is_none() {
        attempts += vault.later().await;
    }
    assert_eq!(
        attempts, 4,
        "three attempts are used up at 2000 s, the time at 3000 s"
    );
    assert!(
        vault
            .dead()
            .await
            .unwrap()
            .1
            .contains("the server answered 500")
    );
}

#[tokio::test]
async fn the_server_asks_for_patience_and_gets_it() {
    let vault = Recipe::default().by_hand().await;
    for (asked, given) in [
        (0, 1_000),
        (1, 1_000),
        (120, 120_000),
        (1_000_000, 3_600_000),
    ] {
        let recorded = meets(
            &vault,
            MediaFault::TooMany {
                retry_after: Some(asked),
            },
        )
        .await;
        assert_eq!(
            vault.due_in_ms(recorded.id).await,
            Some(given),
            "Retry-After: {asked}"
        );
        let requests = vault.stand_in.media_requests();
        vault.clock.advance(Duration::from_millis(given as u64 - 1));
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 0);
        assert_eq!(
            vault.stand_in.media_requests(),
            requests,
            "nobody asked before the time"
        );
        vault.clock.advance(Duration::from_millis(1));
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        vault.plays(&recorded).await;
        empty(&vault).await;
    }
}

#[tokio::test]
async fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let vault = Recipe {
        twilio: "read_idle_timeout_ms = 400",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.announced().await;
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::SlowBody {
            bytes: 200_000,
            every: Duration::from_millis(50),
        },
    );
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
    empty(&vault).await;
    passes(
        &vault,
        MediaFault::SlowBody {
            bytes: 200_000,
            every: Duration::from_secs(30),
        },
    )
    .await;
}

#[tokio::test]
async fn a_redirect_to_a_stranger_is_refused_and_the_stranger_sees_nothing() {
    let vault = Recipe::default().by_hand().await;
    let stranger = ForeignHost::start(Bytes::from_static(conversation::WAV))
        .await
        .unwrap();
    let url = format!("{}/collect", stranger.base_url());
    is_set_aside(
        &vault,
        MediaFault::RedirectTo { url },
        "redirected to `127.0.0.1`",
    )
    .await;
    assert_eq!(stranger.requests(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_listed_host_is_followed_without_the_credential() {
    let vault = Recipe {
        twilio: LOOPBACK_LISTED,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let storage = ForeignHost::start(Bytes::from_static(conversation::WAV))
        .await
        .unwrap();
    let recorded = vault.announced().await;
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::RedirectTo {
            url: format!("{}/bucket/x?sig=1", storage.base_url()),
        },
    );
    vault.process.flow.worker.work_off().await.unwrap();
    vault.plays(&recorded).await;
    assert_eq!(
        (storage.requests(), storage.saw_authorization()),
        (1, false)
    );
    assert_eq!(
        vault.stand_in.unauthorised_requests(),
        0,
        "the interface itself did get it"
    );
}

#[tokio::test]
async fn the_credential_is_wrong_until_somebody_corrects_it() {
    let vault = Recipe {
        newer_tokens: vec!["0".repeat(32)],
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.announced().await;
    vault.process.flow.worker.work_off().await.unwrap();
    vault.holds_nothing_of(recorded.id).await;
    let (_, why) = vault.dead().await.unwrap();
    assert!(
        why.contains("does not accept the account's credential (401)"),
        "{why}"
    );
    assert!(!why.contains(&"0".repeat(32)));
    // Once for the participants, once for the media.
    assert_eq!(vault.stand_in.unauthorised_requests(), 2);

    std::fs::write(vault.folder().join("secrets/0"), &vault.auth_token).unwrap();
    let corrected = vault.another_process().await;
    assert_eq!(corrected.flow.dead_work.retry(None).await.unwrap(), 1);
    assert_eq!(corrected.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn a_recording_with_one_channel_is_asked_for_as_such() {
    let vault = Recipe::default().by_hand().await;
    let mono = Bytes::from(conversation::mix_to_mono(conversation::WAV).unwrap());
    // Twilio reported the number of channels, or did not.
    for (told, requests) in [(true, 1), (false, 2)] {
        let recorded = vault.record_wav(mono.clone());
        let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
        params.retain(|(name, _)| told || name != "RecordingChannels");
        assert_eq!(
            vault
                .post_callback(&vault.account, "/twilio/recordings", &params)
                .await
                .status,
            204
        );
        let before = vault.stand_in.media_requests();
        vault.process.flow.worker.work_off().await.unwrap();
        assert_eq!(vault.stand_in.media_requests() - before, requests);
        vault.plays(&recorded).await;
    }
}
