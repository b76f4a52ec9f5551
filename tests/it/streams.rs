//! Somebody is listening, and it has to stop.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all};
use recvault::{config::SHIPPED_POLICY, demo::conversation, model::time::Clock};
use reqwest::{Method, Response};

use crate::world::{Database, FaultyStore, Op, Plan, Recipe, Recorded, TestVault, until};

/// Much longer than what the buffers between two ends of a loopback connection hold.
fn long() -> Bytes {
    conversation::repeat_to(1200, conversation::Channels::Dual).into()
}

/// Somebody who has heard the beginning and stopped reading.
struct Listener {
    response: Response,
    heard: Vec<u8>,
}

impl Listener {
    async fn begin(vault: &TestVault, path: &str) -> Self {
        let mut response = vault.anybody().request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let heard = response.chunk().await.unwrap().unwrap().to_vec();
        Self { response, heard }
    }

    /// Reads on. True if the sound came to its proper end.
    async fn hears_all(&mut self, pause: Duration) -> bool {
        loop {
            tokio::time::sleep(pause).await;
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.heard.extend_from_slice(&chunk),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Reads on, and finds that the sound breaks off before its end; what was heard until then was right.
    async fn is_cut_off(&mut self, recorded: &Recorded) {
        assert!(!self.hears_all(Duration::ZERO).await, "{} bytes came to a proper end", self.heard.len());
        assert!(self.heard.len() < recorded.wav.len());
        assert!(recorded.wav.starts_with(&self.heard));
    }
}

async fn listeners_are_cut_off_when_their_recording_is_shredded(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let (recorded, other) = (vault.sealed_wav(long()).await, vault.sealed_wav(long()).await);
    let path = vault.audio(recorded.id).await;
    let mut listeners = [Listener::begin(&vault, &path).await, Listener::begin(&vault, &path).await];
    let mut unconcerned = Listener::begin(&vault, &vault.audio(other.id).await).await;
    assert_eq!(vault.process.flow.status().await.unwrap().streams, 3);
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    for listener in &mut listeners {
        listener.is_cut_off(&recorded).await;
    }
    assert!(unconcerned.hears_all(Duration::ZERO).await && unconcerned.heard == other.wav);
}

async fn listeners_are_cut_off_when_another_process_shreds(database: Database) {
    let vault = Recipe { clock: Clock::System, ..Recipe::on(database) }.served().await;
    let recorded = vault.record_wav(long());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || vault.state(recorded.id).await == "sealed").await;
    let mut listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    let other = vault.another_process().await;
    let officer = other.api.clone().bearing(vault.minted("privacy-officer").token.expose());
    let shredded = officer.delete(&format!("/v1/recordings/{}", recorded.id), serde_json::json!({ "reason": "operator" })).await;
    assert_eq!(shredded.status, 200, "{shredded:?}");
    until("the watch has seen the fence", async || vault.process.flow.status().await.unwrap().streams == 0).await;
    listener.is_cut_off(&recorded).await;
}

on_both_databases!(listeners_are_cut_off_when_their_recording_is_shredded, listeners_are_cut_off_when_another_process_shreds);

#[tokio::test]
async fn a_listener_is_cut_off_when_the_grant_ends() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed_wav(long()).await;
    let mut listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    vault.clock.advance(Duration::from_secs(3600));
    listener.is_cut_off(&recorded).await;
    assert_eq!(vault.process.flow.status().await.unwrap().streams, 0);
}

#[tokio::test]
async fn not_one_more_byte_comes_after_the_grant_has_ended() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let heard = vault.process.flow.redeem(path.split('/').nth(3).unwrap()).await.unwrap();
    let mut bytes = Box::pin(vault.process.flow.listen(&heard, 0..heard.playable.len()).await.unwrap());
    // The first two pieces: the second is one of several that are opened together, so that more are at hand at once.
    assert!(bytes.next().await.unwrap().is_ok() && bytes.next().await.unwrap().is_ok());
    vault.clock.advance(Duration::from_secs(3600));
    let after = bytes.next().await.unwrap();
    assert_eq!(after.map(|more| more.len()).map_err(|ended| ended.to_string()), Err("the grant ended".to_owned()));
    assert!(bytes.next().await.is_none());
}

#[tokio::test]
async fn a_slow_listener_is_cut_off_when_a_short_grant_ends() {
    let policy = SHIPPED_POLICY.replacen("grant_lifetime = \"1h\"", "grant_lifetime = \"1s\"", 1);
    let vault = Recipe { clock: Clock::System, policy, ..Recipe::default() }.by_hand().await;
    let recorded = vault.sealed_wav(long()).await;
    let mut listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    // At this pace the whole would take several seconds at the least.
    assert!(!listener.hears_all(Duration::from_millis(50)).await);
    assert!(listener.heard.len() < recorded.wav.len() && recorded.wav.starts_with(&listener.heard));
}

#[tokio::test]
async fn a_listener_who_leaves_is_forgotten() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed_wav(long()).await;
    let listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    assert_eq!(vault.process.flow.status().await.unwrap().streams, 1);
    drop(listener);
    until("the stream is over", async || vault.process.flow.status().await.unwrap().streams == 0).await;
}

/// The narrow place: the key is in hand, no byte has left yet, and the shred comes in between.
#[tokio::test]
async fn a_shred_between_the_key_and_the_first_byte_lets_no_byte_out() {
    let store = FaultyStore::new();
    let vault = Recipe { adapter: Some(std::sync::Arc::new(store.clone())), ..Recipe::default() }.by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    store.plan(Op::Get, [Plan::Gate]);
    let listening = vault.anybody().get_or_break(&path);
    let shredding = async {
        store.reached().await;
        until("the key is read", async || vault.count("opening.started").await == 1).await;
        assert_eq!(vault.shred(recorded.id).await.status, 200);
        store.open();
    };
    let (heard, ()) = tokio::join!(listening, shredding);
    assert!(heard.is_none(), "the connection ends without a byte of sound");
    assert!(store.is_through());
}

#[tokio::test]
async fn a_crowd_listens_while_the_recording_is_shredded_and_nobody_gets_in_afterwards() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let shred = async {
        let answer = vault.shred(recorded.id).await;
        assert_eq!(answer.status, 200);
        join_all((0..20).map(|_| vault.anybody().get(&path))).await
    };
    let crowd = join_all((0..20).map(|_| vault.anybody().get_or_break(&path)));
    let (late, early) = tokio::join!(shred, crowd);
    for answer in late {
        answer.problem(410, "shredded");
    }
    for answer in early.into_iter().flatten() {
        match answer.status {
            200 => assert!(answer.body == recorded.wav, "it was heard before the shred"),
            404 | 410 => {}
            other => panic!("{other}"),
        }
    }
}
