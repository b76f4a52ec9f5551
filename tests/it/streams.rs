//! Running streams that must end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream::BoxStream};
use recvault::{
    config::SHIPPED_POLICY,
    demo::conversation,
    flow,
    model::{artefact::Artefact, time::Clock},
};
use reqwest::{Method, Response};

use crate::world::{Database, FaultyStore, Op, Plan, Recipe, Recorded, TestVault, until};

/// The time for which a stream continues without a check of the database.
const LEASE: Duration = Duration::from_secs(4);

/// Much longer than the buffers of a loopback connection.
fn long() -> Bytes {
    conversation::repeat_to(1200, conversation::Channels::Dual).into()
}

/// A listener that has read the beginning and stopped reading.
struct Listener {
    response: Response,
    heard: Vec<u8>,
}

impl Listener {
    async fn begin(vault: &TestVault, path: &str) -> Self {
        let mut response = vault
            .anybody()
            .request(Method::GET, path)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let heard = response.chunk().await.unwrap().unwrap().to_vec();
        Self { response, heard }
    }

    /// Reads on. Returns `true` if the audio came to its proper end.
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

    /// Reads on, and checks that the audio is cut off before its end; the received part must be
    /// correct.
    /// right.
    async fn is_cut_off(&mut self, recorded: &Recorded) {
        assert!(
            !self.hears_all(Duration::ZERO).await,
            "{} bytes came to a proper end",
            self.heard.len()
        );
        assert!(self.heard.len() < recorded.wav.len());
        assert!(recorded.wav.starts_with(&self.heard));
    }
}

/// Returns the released pieces of the audio, without a network.
async fn listening(
    vault: &TestVault,
    path: &str,
) -> BoxStream<'static, Result<Bytes, flow::Ended>> {
    let heard = vault
        .process
        .flow
        .playback
        .redeem(path.split('/').nth(3).unwrap(), None, Artefact::Audio)
        .await
        .unwrap();
    vault
        .process
        .flow
        .playback
        .listen(&heard, 0..heard.playable.len())
        .await
        .unwrap()
        .boxed()
}

async fn listeners_are_cut_off_when_their_recording_is_shredded(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed_wav(long()).await;
    let other = vault.sealed_wav(long()).await;
    let path = vault.audio(recorded.id).await;
    let mut listeners = [
        Listener::begin(&vault, &path).await,
        Listener::begin(&vault, &path).await,
    ];
    let mut unconcerned = Listener::begin(&vault, &vault.audio(other.id).await).await;
    assert_eq!(running(&vault).await, 3);
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    for listener in &mut listeners {
        listener.is_cut_off(&recorded).await;
    }
    assert!(unconcerned.hears_all(Duration::ZERO).await && unconcerned.heard == other.wav);
}

/// Creates a served vault, with a long recording.
async fn served(database: Database) -> (TestVault, Recorded) {
    let vault = Recipe {
        clock: Clock::System,
        ..Recipe::on(database)
    }
    .served()
    .await;
    let recorded = vault.record_wav(long());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    (vault, recorded)
}

async fn listeners_are_cut_off_when_another_process_shreds_by(clock: Clock, database: Database) {
    let (vault, recorded) = served(database).await;
    let path = vault.audio(recorded.id).await;
    let mut listener = Listener::begin(&vault, &path).await;
    let mut pieces = listening(&vault, &path).await;
    let other = vault.another_process_at(clock).await;
    let officer = other
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let shredded = officer
        .delete(
            &format!("/v1/recordings/{}", recorded.id),
            serde_json::json!({ "reason": "operator" }),
        )
        .await;
    assert_eq!(shredded.status, 200, "{shredded:?}");
    let since = Instant::now();
    until("the watch has seen the tombstone", async || {
        running(&vault).await == 0
    })
    .await;
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(
        pieces.next().await.unwrap().map(|more| more.len()),
        Err(flow::Ended::Shredded),
        "not for want of news"
    );
    listener.is_cut_off(&recorded).await;
}

async fn listeners_are_cut_off_when_another_process_shreds(database: Database) {
    listeners_are_cut_off_when_another_process_shreds_by(Clock::System, database).await;
}

async fn listeners_are_cut_off_even_if_the_clock_of_that_process_is_hours_behind(
    database: Database,
) {
    let behind = Clock::manual(Clock::System.now().before(Duration::from_secs(5 * 3600)));
    listeners_are_cut_off_when_another_process_shreds_by(behind, database).await;
}

async fn listeners_are_cut_off_when_the_database_cannot_be_asked(database: Database) {
    let (vault, recorded) = served(database).await;
    let path = vault.audio(recorded.id).await;
    let mut pieces = listening(&vault, &path).await;
    assert!(pieces.next().await.unwrap().is_ok());
    if vault.ground().is_postgres() {
        vault.ground().take_away().await;
    } else {
        vault
            .ground()
            .run("ALTER TABLE tombstones RENAME TO tombstones_away")
            .await;
    }
    let since = Instant::now();
    let ended = loop {
        // A slow listener, so that the audio is not over first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Err(ended) = pieces.next().await.expect("the sound is not over") {
            break ended;
        }
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "5 s later there is still something to hear"
        );
    };
    assert_eq!(
        ended.to_string(),
        "the database cannot be asked whether this is still allowed"
    );
    assert!(pieces.next().await.is_none());

    if vault.ground().is_postgres() {
        vault.ground().bring_back().await;
    } else {
        vault
            .ground()
            .run("ALTER TABLE tombstones_away RENAME TO tombstones")
            .await;
    }
    until("the database is back", async || {
        vault.anybody().get("/readyz").await.status == 200
    })
    .await;
    assert!(
        Listener::begin(&vault, &path)
            .await
            .hears_all(Duration::ZERO)
            .await
    );
}

on_both_databases!(
    listeners_are_cut_off_when_their_recording_is_shredded,
    listeners_are_cut_off_when_another_process_shreds,
    listeners_are_cut_off_even_if_the_clock_of_that_process_is_hours_behind,
    listeners_are_cut_off_when_the_database_cannot_be_asked,
);

/// Returns the number of running streams.
async fn running(vault: &TestVault) -> usize {
    let status = vault.process.flow.monitoring.status().await;
    status.unwrap().streams
}

#[tokio::test]
async fn what_still_runs_while_the_service_stops_is_silenced_too() {
    let (vault, recorded) = served(Database::Sqlite).await;
    let other = vault.another_process().await;
    let officer = other
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let mut pieces = listening(&vault, &vault.audio(recorded.id).await).await;
    let address = vault.anybody().clone();
    let hearing = async {
        until("it takes nobody any more", async || {
            address.get_or_break("/healthz").await.is_none()
        })
        .await;
        officer
            .delete(
                &format!("/v1/recordings/{}", recorded.id),
                serde_json::json!({ "reason": "operator" }),
            )
            .await;
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Err(ended) = pieces.next().await.expect("the sound is not over") {
                drop(pieces);
                return ended;
            }
        }
    };
    let ((), ended) = tokio::join!(vault.process.stop(), hearing);
    assert_eq!(ended, flow::Ended::Shredded);
}

#[tokio::test]
async fn a_stream_lasts_longer_than_one_lease_as_long_as_the_database_is_asked() {
    let (vault, recorded) = served(Database::Sqlite).await;
    let mut pieces = listening(&vault, &vault.audio(recorded.id).await).await;
    let since = Instant::now();
    while since.elapsed() < LEASE + Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pieces
            .next()
            .await
            .expect("the sound is not over")
            .expect("it goes on");
    }
}

/// A process or its watch was suspended for too long: its streams end, unless it checks first.
#[tokio::test]
async fn who_was_not_asked_about_for_too_long_is_not_heard_before_there_was_a_look() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let shredded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let mut before = listening(&vault, &path).await;
    let mut watch = vault.process.flow.playback.watch().await.unwrap();
    let broken_off = before
        .next()
        .await
        .unwrap()
        .map_err(|ended| ended.to_string());
    assert!(
        broken_off.is_err_and(|why| why.contains("cannot be asked")),
        "a watch knows nothing of what was heard before it began"
    );

    let mut early = listening(&vault, &path).await;
    let mut late = listening(&vault, &path).await;
    let mut doomed = listening(&vault, &vault.audio(shredded.id).await).await;
    for pieces in [&mut early, &mut late, &mut doomed] {
        assert!(pieces.next().await.unwrap().is_ok());
    }
    let other = vault.another_process().await;
    let officer = other
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    assert_eq!(
        officer
            .delete(
                &format!("/v1/recordings/{}", shredded.id),
                serde_json::json!({ "reason": "operator" })
            )
            .await
            .status,
        200
    );
    tokio::time::sleep(LEASE).await;
    let ended = |piece: Option<Result<Bytes, _>>| {
        piece
            .unwrap()
            .map(|more| more.len())
            .map_err(|ended: flow::Ended| ended)
    };
    assert_eq!(ended(early.next().await), Err(flow::Ended::Unsure));
    assert!(early.next().await.is_none());

    watch.look().await.unwrap();
    assert_eq!(ended(doomed.next().await), Err(flow::Ended::Shredded));
    assert!(
        ended(late.next().await).is_ok(),
        "nothing was missed, so it may go on"
    );
    assert!(
        vault.anybody().get(&path).await.body == recorded.wav,
        "and so may a new one"
    );
}

/// The other critical moment: the lease was valid when the piece was requested, and the process is
/// suspended until it is not.
#[tokio::test]
async fn a_piece_that_was_in_hand_when_the_process_was_stopped_is_not_released_after_the_lease() {
    let store = FaultyStore::new();
    let vault = Recipe {
        adapter: Some(std::sync::Arc::new(store.clone())),
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let _watch = vault.process.flow.playback.watch().await.unwrap();
    let mut pieces = listening(&vault, &vault.audio(recorded.id).await).await;
    store.plan(Op::Get, [Plan::Gate]);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { pieces.next().await.unwrap() });
    store.reached().await;
    store.open();
    #[expect(
        clippy::disallowed_methods,
        reason = "everything stands still, timers included, as in a stopped process"
    )]
    std::thread::sleep(LEASE);
    let piece = tasks.join_next().await.unwrap().unwrap();
    assert_eq!(piece.map(|piece| piece.len()), Err(flow::Ended::Unsure));
}

#[tokio::test]
async fn a_listener_is_cut_off_when_the_grant_ends() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed_wav(long()).await;
    let mut listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    vault.clock.advance(Duration::from_secs(3600));
    listener.is_cut_off(&recorded).await;
    assert_eq!(running(&vault).await, 0);
}

#[tokio::test]
async fn not_one_more_byte_comes_after_the_grant_has_ended() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let mut bytes = listening(&vault, &path).await;
    // The first two pieces: the second is one of several that are opened together, so that more of
    // them are ready.
    assert!(bytes.next().await.unwrap().is_ok() && bytes.next().await.unwrap().is_ok());
    vault.clock.advance(Duration::from_secs(3600));
    let after = bytes.next().await.unwrap();
    assert_eq!(
        after
            .map(|more| more.len())
            .map_err(|ended| ended.to_string()),
        Err("the grant ended".to_owned())
    );
    assert!(bytes.next().await.is_none());
}

#[tokio::test]
async fn a_slow_listener_is_cut_off_when_a_short_grant_ends() {
    let policy = SHIPPED_POLICY.replacen("grant_lifetime = \"1h\"", "grant_lifetime = \"1s\"", 1);
    let vault = Recipe {
        clock: Clock::System,
        policy,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed_wav(long()).await;
    let mut listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    // At this rate the whole would take at least several seconds.
    assert!(!listener.hears_all(Duration::from_millis(50)).await);
    assert!(listener.heard.len() < recorded.wav.len() && recorded.wav.starts_with(&listener.heard));
}

#[tokio::test]
async fn a_listener_who_leaves_is_forgotten() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed_wav(long()).await;
    let listener = Listener::begin(&vault, &vault.audio(recorded.id).await).await;
    assert_eq!(running(&vault).await, 1);
    drop(listener);
    until("the stream is over", async || running(&vault).await == 0).await;
}

/// The critical moment: the key was read, no byte has been sent, and the shred comes in between.
#[tokio::test]
async fn a_shred_between_the_key_and_the_first_byte_lets_no_byte_out() {
    let store = FaultyStore::new();
    let vault = Recipe {
        adapter: Some(std::sync::Arc::new(store.clone())),
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    store.plan(Op::Get, [Plan::Gate]);
    let listening = vault.anybody().get_or_break(&path);
    let shredding = async {
        store.reached().await;
        until("the key is read", async || {
            vault.count("opening.started").await == 1
        })
        .await;
        assert_eq!(vault.shred(recorded.id).await.status, 200);
        store.open();
    };
    let (heard, ()) = tokio::join!(listening, shredding);
    assert!(
        heard.is_none(),
        "the connection ends without a byte of sound"
    );
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
            // A shred is not confirmed before a restore would contain it.
            503 => assert_eq!(answer.json()["type"], "/problems/not-durable-yet"),
            other => panic!("{other}"),
        }
    }
}
