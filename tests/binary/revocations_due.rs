//! The cost of many revocations that are due at once: the latency of callbacks and `/readyz` beside
//! them.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use recvault::{
    app::App,
    config::Config,
    model::{id::RecordingId, revocation::Target, time::Clock},
    policy::{Permit, action},
};

use crate::{
    client::{Client, eventually},
    database::Kind,
    world::{World, sound},
};

const REVOCATIONS: u32 = 150;
/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// The latencies of requests, shortest first.
struct Waits(Vec<Duration>);

impl Waits {
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    fn told(&self) -> String {
        let [half, most, longest] =
            [50, 99, 100].map(|percent| self.at(percent).as_secs_f64() * 1000.0);
        format!(
            "p50 {half:.1} ms, p99 {most:.1} ms, max {longest:.1} ms, {} requests",
            self.0.len()
        )
    }
}

/// Sends one request after another until `is_over`.
async fn waits(mut ask: impl AsyncFnMut() -> u16, good: u16, is_over: impl Fn() -> bool) -> Waits {
    let mut waits = Vec::new();
    while !is_over() {
        let begun = Instant::now();
        assert_eq!(ask().await, good);
        waits.push(begun.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    waits.sort();
    Waits(waits)
}

/// Measures callbacks and `/readyz` at the same time.
async fn both(
    world: &World,
    client: &Client,
    is_over: impl Fn() -> bool + Send + Sync,
) -> [Waits; 2] {
    let url = format!("{}/twilio/recordings", client.base);
    let callback = async || {
        let (sid, _) = world.record(sound(0, 1));
        world
            .stand_in
            .post_callback(&client.http, &url, &sid, "in-progress")
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let ready = async || client.get("/readyz").await.unwrap().0;
    let (callbacks, ready) =
        tokio::join!(waits(callback, 204, &is_over), waits(ready, 200, &is_over));
    [callbacks, ready]
}

/// Begins a revocation of each recording, and leaves all of them to the service.
async fn begin(world: &World, ids: &[RecordingId]) {
    let mut app = App::open(
        Config::read(&world.path("recvault.toml")).unwrap(),
        Clock::System,
    )
    .await
    .unwrap();
    let (flow, _committer) = app.flow().await.unwrap();
    let permit = Permit::of_operator(action::Revoke);
    for id in ids {
        flow.revocations
            .begin(
                &permit,
                Target::Recording(*id),
                BTreeSet::new(),
                &"subject-request".parse().unwrap(),
            )
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement of a minute: it prints how many times longer others wait"]
async fn what_others_wait_beside_revocations_that_are_due_at_once() {
    let world = World::on(Kind::Postgres).await;
    let service = world.serve().await;
    let client = &service.client;
    let mut ids = Vec::new();
    for mark in 0..REVOCATIONS {
        let (sid, id) = world.record(sound(mark, 1));
        assert_eq!(world.announce(client, &sid).await.unwrap(), 204);
        ids.push(id);
    }
    for id in &ids {
        client.until(*id, "sealed").await;
    }
    begin(&world, &ids).await;
    let alone_until = Instant::now() + Duration::from_secs(10);
    let alone = both(&world, client, || Instant::now() > alone_until).await;

    let open = async || {
        world
            .database
            .texts("SELECT id FROM revocations WHERE state = 'running'")
            .await
            .len()
    };
    assert_eq!(open().await, ids.len());
    world
        .database
        .execute("UPDATE work SET due_at = 0 WHERE kind = 'revocation'")
        .await;
    let begun = Instant::now();
    let over = AtomicBool::new(false);
    let working = async {
        let is_done = eventually(async || open().await == 0).await;
        over.store(true, Ordering::SeqCst);
        is_done
    };
    let (is_done, beside) = tokio::join!(
        working,
        both(&world, client, || over.load(Ordering::SeqCst))
    );
    assert!(is_done, "{} of them are left", open().await);
    println!(
        "{REVOCATIONS} revocations took {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    for (what, (alone, beside)) in ["callback", "readyz"]
        .into_iter()
        .zip(alone.iter().zip(&beside))
    {
        let ratio = |percent| beside.at(percent).as_secs_f64() / alone.at(percent).as_secs_f64();
        println!("{what}, with none due: {}", alone.told());
        println!("{what}, with {REVOCATIONS} due at once: {}", beside.told());
        println!(
            "{what}, times longer: p50 {:.1}, p99 {:.1}, max {:.1}",
            ratio(50),
            ratio(99),
            ratio(100)
        );
    }
    service.process.stop().await;
}
