//! Placing, changing, lifting and listing holds.

use std::time::Duration;

use recvault::model::id::RecordingId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Database, Recipe, send};

async fn holds_are_placed_changed_and_lifted_any_number_of_times(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    for _ in 0..2 {
        vault.held(recorded.id, "lawsuit-7").await;
    }
    assert_eq!(
        (
            vault.standing(recorded.id).await,
            vault.count("hold.placed").await
        ),
        (1, 1)
    );
    let longer = json!({ "purpose": "dispute-resolution", "reason": "litigation", "authority": "Kammergericht", "review_at": vault.next_year() });
    let changed = vault.place(recorded.id, "lawsuit-7", longer).await.json();
    assert_eq!(
        (&changed["authority"], &changed["purpose"]),
        (&json!("Kammergericht"), &json!("dispute-resolution"))
    );
    assert_eq!(
        (
            vault.standing(recorded.id).await,
            vault.count("hold.placed").await
        ),
        (1, 2)
    );
    for _ in 0..2 {
        assert!(vault.lift(recorded.id, "lawsuit-7").await.json()["lifted_at"].is_string());
    }
    assert_eq!(
        (
            vault.standing(recorded.id).await,
            vault.count("hold.lifted").await
        ),
        (0, 1)
    );
    vault.held(recorded.id, "lawsuit-7").await;
    assert_eq!(vault.standing(recorded.id).await, 1);
    let log: String = vault.entries().await.iter().map(Value::to_string).collect();
    assert!(!log.contains("Kammergericht"), "text is not in the log");

    vault
        .lift(recorded.id, "other")
        .await
        .problem(404, "not-found");
    let nothing = RecordingId::random(&mut rand::rng());
    vault
        .place(nothing, "x", vault.demand())
        .await
        .problem(404, "not-found");
    for (field, bad) in [
        ("purpose", json!("singing")),
        ("review_at", json!("2020-01-01T00:00:00Z")),
        ("authority", json!("\n")),
        ("reason", json!("Too long")),
    ] {
        let mut hold = vault.demand();
        hold[field] = bad;
        vault
            .place(recorded.id, "bad", hold)
            .await
            .problem(400, "bad-request");
    }
    assert_eq!(vault.standing(recorded.id).await, 1);
    let path = format!("/v1/recordings/{}/holds/x", recorded.id);
    for (who, status) in [("stranger", 404), ("reviewer", 403), ("nobody", 404)] {
        let answer = send(
            vault
                .asks(who)
                .request(Method::PUT, &path)
                .json(&vault.demand()),
        )
        .await;
        assert_eq!(answer.status, status, "{who}: {answer:?}");
    }
    assert_eq!(
        vault.asks("stranger").get("/v1/holds").await.json()["items"],
        json!([])
    );
}

async fn holds_are_listed_by_when_somebody_must_look(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [one, other] = [vault.sealed().await, vault.sealed().await];
    let day = Duration::from_secs(24 * 3600);
    for (id, name, days) in [(one.id, "b", 3), (one.id, "a", 1), (other.id, "c", 2)] {
        let mut hold = vault.demand();
        hold["review_at"] = json!(vault.clock.now().after(day * days));
        assert_eq!(vault.place(id, name, hold).await.status, 200);
    }
    let names = |holds: &[Value]| {
        holds
            .iter()
            .map(|hold| hold["name"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    assert_eq!(names(&vault.list_holds("").await), "acb");
    let before = vault.clock.now().after(day * 2 + Duration::from_secs(1));
    assert_eq!(
        names(&vault.list_holds(&format!("?review_before={before}")).await),
        "ac"
    );
    let mut paged = String::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let page = vault
            .asks("privacy-officer")
            .get(&format!("/v1/holds{query}"))
            .await
            .json();
        paged += &names(page["items"].as_array().unwrap());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=1&cursor={next}");
    }
    assert_eq!(paged, "acb");
}

on_both_databases!(
    holds_are_placed_changed_and_lifted_any_number_of_times,
    holds_are_listed_by_when_somebody_must_look,
);
