//! Corrections of the catalogue.

use reqwest::Method;
use serde_json::{Value, json};

use super::{NUMBER, OTHER, exported, named, recorded_in, unpacked};
use crate::world::{Database, Recipe, send};

async fn an_officer_corrects_what_the_catalogue_says(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = recorded_in(&vault, "standard", vault.record().wav).await;
    let call = named(&vault, &recorded, &[("caller", NUMBER), ("callee", OTHER)]).await;
    let path = format!("/v1/recordings/{}", recorded.id);
    let corrects = async |who: &str, body: Value| {
        send(vault.asks(who).request(Method::PATCH, &path).json(&body)).await
    };
    assert_eq!(
        vault.details(recorded.id).await["labels"],
        json!({ "queue": "sales" })
    );
    let answer = corrects(
        "privacy-officer",
        json!({ "labels": { "queue": null, "team": "north" } }),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.json()["labels"]),
        (200, &json!({ "team": "north" })),
        "{answer:?}"
    );
    assert_eq!(
        vault.details(recorded.id).await["labels"],
        json!({ "team": "north" })
    );
    corrects("privacy-officer", json!({ "labels": { "team": "north" } })).await;
    assert_eq!(
        vault.count("recording.corrected").await,
        1,
        "it was so already"
    );
    // The leg had another participant.
    let answer = corrects(
        "privacy-officer",
        json!({ "parties": [{ "leg": "caller", "number": "+493055500000" }] }),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let (order, _) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
    assert!(
        !order.iter().any(|name| name.starts_with("recordings/")),
        "{order:?}"
    );
    let (order, _) = unpacked(
        &exported(&vault, "privacy-officer", "+493055500000")
            .await
            .body,
    );
    assert!(
        order.iter().any(|name| name.ends_with("/audio.wav")),
        "{order:?}"
    );
    corrects(
        "privacy-officer",
        json!({ "parties": [{ "leg": "callee" }] }),
    )
    .await;
    let parties = vault
        .asks("privacy-officer")
        .get(&format!("/v1/calls/{call}/parties"))
        .await
        .json();
    assert_eq!(
        parties["parties"],
        json!([{ "leg": "callee", "known": false }, { "leg": "caller", "known": true }])
    );
    let told: Vec<Value> = vault
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry["event"] == "recording.corrected")
        .collect();
    let fields: Vec<&Value> = told
        .iter()
        .map(|entry| &entry["details"]["fields"])
        .collect();
    assert_eq!(
        fields,
        [
            &json!(["labels.queue", "labels.team"]),
            &json!(["parties.caller"]),
            &json!(["parties.callee"])
        ]
    );
    assert!(
        !format!("{told:?}").contains("north") && !format!("{told:?}").contains("5550"),
        "no values"
    );

    for (body, word) in [
        (json!({}), "labels"),
        (json!({ "labels": { "mood": "good" } }), "labels.mood"),
        (json!({ "labels": { "team": "" } }), "labels.team"),
        (
            json!({ "labels": { "team": "x".repeat(65) } }),
            "labels.team",
        ),
        (json!({ "tier": "standard" }), "tier"),
        (
            json!({ "parties": [{ "leg": "channel-1", "number": NUMBER }] }),
            "parties",
        ),
        (
            json!({ "parties": [{ "leg": "caller", "number": 493055501987_i64 }] }),
            "parties",
        ),
    ] {
        let problem = corrects("privacy-officer", body)
            .await
            .problem(400, "bad-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(word) && !detail.contains("5550"),
            "{detail}"
        );
    }
    assert_eq!(
        corrects("agent", json!({ "labels": { "team": "x" } }))
            .await
            .reasons(),
        ["role-not-allowed"]
    );
    corrects("stranger", json!({ "labels": { "team": "x" } }))
        .await
        .problem(404, "not-found");
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    corrects("privacy-officer", json!({ "labels": { "team": "x" } }))
        .await
        .problem(410, "shredded");
}

on_both_databases!(an_officer_corrects_what_the_catalogue_says,);
