//! Stopping the service: running work, callbacks, listeners.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use recvault::demo::{conversation, stand_in::MediaFault};
use reqwest::Method;

use super::served_on;
use crate::world::{Database, GatedHost, Process, Recipe, Recorded, TestVault, until};

/// Takes the running process out of its world, to stop it, and leaves another in its place.
async fn to_be_stopped(vault: &mut TestVault) -> Process {
    let successor = vault.another_process().await;
    std::mem::replace(&mut vault.process, successor)
}

async fn the_service_stops_and_running_work_comes_to_its_end(database: Database) {
    let recipe = Recipe {
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        server: "grace_s = 300",
        ..served_on(database)
    };
    let mut vault = recipe.served().await;
    let host = GatedHost::start(Bytes::from_static(conversation::WAV)).await;
    let recorded = vault.record();
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::RedirectTo {
            url: host.url.clone(),
        },
    );
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    host.reached().await;
    let address = vault.anybody().clone();
    let id = recorded.id;
    let stopped = to_be_stopped(&mut vault).await;
    let opening = async {
        until("nobody is let in any more", async || {
            address.get_or_break("/healthz").await.is_none()
        })
        .await;
        host.open();
    };
    // Much shorter than the grace period: it does not wait for streams that stall.
    let both = async { tokio::join!(stopped.stop(), opening) };
    tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("it stops when everything is done");
    assert_eq!(vault.state(id).await, "sealed");
    vault.plays(&recorded).await;
}

async fn the_service_stops_in_a_storm_of_callbacks_and_keeps_what_it_accepted(database: Database) {
    let mut vault = Recipe {
        server: "grace_s = 300",
        ..served_on(database)
    }
    .served()
    .await;
    let recorded: Vec<Recorded> = (0..200).map(|_| vault.record()).collect();
    let forms: Vec<_> = recorded
        .iter()
        .map(|recorded| {
            let params = vault.stand_in.callback_params(&recorded.sid, "in-progress");
            vault.stand_in.callback(
                &vault.account,
                &vault.process.public("/twilio/recordings"),
                &params,
            )
        })
        .collect();
    let api = vault.anybody().clone();
    let stopped = to_be_stopped(&mut vault).await;
    let storm = join_all(forms.iter().map(|form| {
        let request = api
            .request(Method::POST, "/twilio/recordings")
            .header("content-type", "application/x-www-form-urlencoded");
        request
            .header("x-twilio-signature", &form.signature)
            .body(form.body.clone())
            .send()
    }));
    let stopping = async {
        until("some are accepted", async || {
            vault
                .ground()
                .integer("SELECT COUNT(*) FROM recordings")
                .await
                != Some(0)
        })
        .await;
        stopped.stop().await;
    };
    let (answers, stopped) = tokio::join!(
        storm,
        tokio::time::timeout(Duration::from_secs(60), stopping)
    );
    stopped.expect("it stops when everything is done");
    let mut accepted = 0;
    for (answer, recorded) in answers.into_iter().zip(&recorded) {
        let Ok(answer) = answer else { continue };
        assert!(matches!(answer.status().as_u16(), 204 | 503), "{answer:?}");
        if answer.status().as_u16() == 204 {
            accepted += 1;
            assert!(vault.has_row(recorded.id).await, "it was answered 204");
        }
    }
    assert!(accepted > 0);
}

on_both_databases!(
    the_service_stops_and_running_work_comes_to_its_end,
    the_service_stops_in_a_storm_of_callbacks_and_keeps_what_it_accepted,
);

#[tokio::test]
async fn the_service_stops_and_a_listener_hears_the_end() {
    let mut vault = Recipe {
        server: "grace_s = 300",
        ..served_on(Database::Sqlite)
    }
    .served()
    .await;
    let recorded =
        vault.record_wav(conversation::repeat_to(1200, conversation::Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    let path = vault.audio(recorded.id).await;
    let mut response = vault
        .anybody()
        .request(Method::GET, &path)
        .send()
        .await
        .unwrap();
    let mut heard = response.chunk().await.unwrap().unwrap().to_vec();
    let api = vault.anybody().clone();
    let stopped = to_be_stopped(&mut vault).await;
    let listening = async {
        until("nobody is let in any more", async || {
            api.get_or_break("/healthz").await.is_none()
        })
        .await;
        while let Some(chunk) = response.chunk().await.unwrap() {
            heard.extend_from_slice(&chunk);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), async {
        tokio::join!(stopped.stop(), listening)
    })
    .await
    .expect("it stops");
    assert!(heard == recorded.wav);
}

#[tokio::test]
async fn a_listener_who_does_not_read_does_not_keep_the_service_from_stopping() {
    let mut vault = Recipe {
        server: "grace_s = 1",
        ..served_on(Database::Sqlite)
    }
    .served()
    .await;
    let recorded =
        vault.record_wav(conversation::repeat_to(1200, conversation::Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    let response = vault
        .anybody()
        .request(Method::GET, &vault.audio(recorded.id).await)
        .send()
        .await
        .unwrap();
    to_be_stopped(&mut vault).await.stop().await;
    assert!(response.bytes().await.is_err());
}
