//! Clients that disconnect during a request: it takes effect wholly or not at all, and the counters
//! are right.

use std::time::Duration;

use rand::RngExt as _;
use reqwest::Method;
use serde_json::json;

use crate::{
    client::{Client, eventually},
    database::Kind,
    world::{World, sound},
};

async fn shreds_are_counted_whoever_hangs_up(kind: Kind) {
    let world = World::on(kind).await;
    let service = world.serve().await;
    let client = &service.client;
    let metrics = service.process.says("where its metrics are", |log| {
        let line = log.lines().find(|line| line.contains("serving"))?;
        Some(
            line.split_once("metrics=\"")?
                .1
                .split('"')
                .next()?
                .to_owned(),
        )
    });
    let watcher = Client::new(format!("http://{}", metrics.await), "");
    let mut ids = Vec::new();
    for mark in 0..60 {
        let (sid, id) = world.record(sound(mark, 1));
        assert_eq!(world.announce(client, &sid).await.unwrap(), 204);
        ids.push(id);
    }
    for id in &ids {
        client.until(*id, "sealed").await;
    }
    for id in &ids {
        let path = format!("{}/v1/recordings/{id}", client.base);
        // A separate connection, which is closed when the answer is no longer awaited.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let shred = http
            .request(Method::DELETE, path)
            .bearer_auth(&client.token)
            .json(&json!({ "reason": "subject-request" }))
            .send();
        let patience = Duration::from_micros(rand::rng().random_range(500..25_000));
        let _ = tokio::time::timeout(patience, shred).await;
    }
    let counts = async || {
        let text = String::from_utf8(watcher.get("/metrics").await.unwrap().1.to_vec()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("recvault_shreds_total "));
        let counted = line.map_or(0.0, |count| count.parse::<f64>().unwrap());
        let mut shredded = 0.0;
        for id in &ids {
            shredded += f64::from(u8::from(
                client.state(*id).await.unwrap().as_deref() == Some("shredded"),
            ));
        }
        (counted, shredded)
    };
    let mut seen = (0.0, 0.0);
    let agree = eventually(async || {
        seen = counts().await;
        seen.0 == seen.1 && seen.0 > 0.0
    });
    assert!(agree.await, "counted and shredded: {seen:?}");
    // No connection is stuck: everything that was not done can be done now.
    for id in &ids {
        assert_eq!(client.shred(*id).await.unwrap().0, 200);
    }
    assert_eq!(counts().await, (60.0, 60.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    shreds_are_counted_whoever_hangs_up(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn on_postgres() {
    shreds_are_counted_whoever_hangs_up(Kind::Postgres).await;
}
