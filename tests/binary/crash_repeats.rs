//! The executable dies in the middle of a request with an `Idempotency-Key`, and the client repeats
//! it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{book::Entry, client::Client, database::Kind, world::World};

points! {
    dies_and_is_asked_again:
    dies_with_a_claim_and_without_its_effect at "idempotency.claimed";
    dies_between_the_effect_and_the_kept_answer at "idempotency.done";
}

/// Requests a grant with a key: returns the status and the answer.
async fn asks(client: &Client, entry: &Entry) -> reqwest::Result<(u16, Value)> {
    let path = format!("{}/v1/recordings/{}/grants", client.base, entry.id);
    let request = client.http.request(Method::POST, path);
    let request = request
        .bearer_auth(&client.token)
        .header("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324")
        .json(&json!({ "purpose": "quality-review" }));
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

async fn dies_and_is_asked_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let entry = Entry::several(&world, 1, 1).remove(0);
    let service = world.serve().await;
    let told = entry.announce(&world, &service.client).await.unwrap();
    assert_eq!(told, 204);
    service.client.until(entry.id, "sealed").await;
    service.process.kill().await;
    let grants = async || world.database.texts("SELECT id FROM grants").await.len();

    let service = world.serve_until(Some(point)).await;
    assert!(asks(&service.client, &entry).await.is_err(), "it dies");
    let before = if point == "idempotency.claimed" { 0 } else { 1 };
    assert_eq!(grants().await, before, "{point}");

    // Its effect is unknown, so it is not run again before its lease has expired.
    let service = world.serve().await;
    let (status, problem) = asks(&service.client, &entry).await.unwrap();
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("/problems/idempotency-key-in-use"))
    );
    let passed = "UPDATE idempotency SET running_until = 1 WHERE running_until IS NOT NULL";
    world.database.execute(passed).await;
    let (status, first) = asks(&service.client, &entry).await.unwrap();
    assert_eq!((status, grants().await), (201, before + 1), "at least once");
    let (status, again) = asks(&service.client, &entry).await.unwrap();
    assert_eq!((status, again), (201, first));
    assert_eq!(grants().await, before + 1);
    service.process.stop().await;
}
