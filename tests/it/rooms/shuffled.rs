//! Callbacks that come in any order, repeated or not at all, with the comparison after them, end in
//! the same vault.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use recvault::demo::stand_in::SignedCallback;
use serde_json::Value;

use super::{Meeting, PATH, recipe};
use crate::{
    transcribing::work,
    viewing::policy,
    world::{Database, TestVault},
};

/// What the vault has of a room, without ids and times.
async fn kept(vault: &TestVault, meeting: &Meeting) -> Vec<String> {
    let list = format!("/v1/recordings?room={}", meeting.room);
    let list = vault.asks("privacy-officer").get(&list).await.json();
    let mut all = Vec::new();
    for item in list["items"].as_array().unwrap() {
        let id = item["id"].as_str().unwrap().parse().unwrap();
        let whose = match &item["author"] {
            Value::String(place) if *place == meeting.alice.as_str().to_lowercase() => "alice",
            Value::String(_) => "bob",
            _ => "both",
        };
        let artefacts = vault.artefacts(id).await.len();
        let people = vault.people_in(id).await;
        let (kind, state, source) = (&item["kind"], &item["state"], &item["source"]);
        all.push(format!(
            "{kind} {state} {source} of {whose}: {artefacts}, {people:?}"
        ));
    }
    all.sort();
    all
}

async fn after(database: Database, seed: u64) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let vault = recipe(database, &policy()).by_hand().await;
    let meeting = Meeting::of(&vault);
    let url = vault.process.public(PATH);
    let stand_in = &vault.stand_in;
    let mut callbacks: Vec<SignedCallback> = Vec::new();
    for whose in [&meeting.alice, &meeting.bob] {
        let track = meeting.track(&vault, whose);
        callbacks.push(stand_in.participant_callback(whose, "participant-connected", &url));
        for event in ["recording-started", "recording-completed"] {
            callbacks.push(stand_in.track_callback(&track, event, &url));
        }
    }
    let made = meeting.composition(&vault);
    for event in [
        "composition-enqueued",
        "composition-started",
        "composition-available",
    ] {
        callbacks.push(stand_in.composition_callback(&made, event, &url));
    }
    // The first seed tells all in order.
    if seed > 0 {
        let again: Vec<_> = callbacks
            .iter()
            .filter(|_| rng.random_bool(0.4))
            .cloned()
            .collect();
        callbacks.retain(|_| rng.random_bool(0.6));
        callbacks.extend(again);
        callbacks.shuffle(&mut rng);
    }
    for callback in &callbacks {
        assert_eq!(vault.told_video(callback).await.status, 204);
        if rng.random_bool(0.3) {
            work(&vault).await;
        }
    }
    vault.compared().await;
    work(&vault).await;
    assert_eq!(vault.count("recording.sealed").await, 3, "{seed}");
    kept(&vault, &meeting).await
}

async fn any_order_loss_and_repetition_end_in_the_same_vault(database: Database) {
    let expected = after(database, 0).await;
    assert_eq!(expected.len(), 3);
    for seed in 1..=6 {
        assert_eq!(after(database, seed).await, expected, "{seed}");
    }
}

on_both_databases!(any_order_loss_and_repetition_end_in_the_same_vault);
