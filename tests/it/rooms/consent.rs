//! Who must have agreed: the publisher of a track, and everybody in the room of a composition.

use serde_json::json;

use super::{Meeting, recipe};
use crate::{
    consenting::consent_policy,
    transcribing::work,
    world::{Database, TestVault},
};

async fn agrees(vault: &TestVault, who: &str) {
    let told =
        json!({ "subject": who, "answer": "given", "method": "web-form", "evidence": "form" });
    let recorded = vault
        .asks("privacy-officer")
        .post("/v1/consents", told)
        .await;
    assert_eq!(recorded.status, 201, "{recorded:?}");
}

async fn a_track_waits_for_its_publisher_and_a_composition_for_everybody(database: Database) {
    let vault = recipe(
        database,
        &crate::world::that_keeps_everything(&consent_policy()),
    )
    .by_hand()
    .await;
    let meeting = Meeting::of(&vault);
    let alices = vault.filmed(&meeting.track(&vault, &meeting.alice)).await;
    let bobs = vault.filmed(&meeting.track(&vault, &meeting.bob)).await;
    let both = vault.composed(&meeting.composition(&vault)).await;
    let waits = async || {
        let mut all = Vec::new();
        for id in [alices, bobs, both] {
            all.push(!vault.details(id).await["quarantine_ends"].is_null());
        }
        all
    };
    assert_eq!(waits().await, [true, true, true]);
    agrees(&vault, "client:alice").await;
    work(&vault).await;
    assert_eq!(waits().await, [false, true, true]);
    agrees(&vault, "client:bob").await;
    work(&vault).await;
    assert_eq!(waits().await, [false, false, false]);
}

async fn a_room_that_nobody_is_known_in_waits(database: Database) {
    let vault = recipe(
        database,
        &crate::world::that_keeps_everything(&consent_policy()),
    )
    .by_hand()
    .await;
    let meeting = Meeting::of(&vault);
    vault.stand_in.forget_room_participants(&meeting.room);
    let both = vault.composed(&meeting.composition(&vault)).await;
    assert!(!vault.details(both).await["quarantine_ends"].is_null());

    // Somebody who is named later may have withdrawn before.
    vault.revoked(json!({ "subject": "client:carol" })).await;
    let place = meeting.alice.as_str().to_ascii_lowercase();
    let path = format!("/v1/rooms/{}/parties", meeting.room);
    let named = json!({ "parties": [{ "leg": place, "number": "client:carol" }] });
    let named = vault.asks("privacy-officer").post(&path, named).await;
    assert_eq!(named.status, 200, "{named:?}");
    work(&vault).await;
    assert_eq!(vault.state(both).await, "shredded");
}

on_both_databases!(
    a_track_waits_for_its_publisher_and_a_composition_for_everybody,
    a_room_that_nobody_is_known_in_waits,
);
