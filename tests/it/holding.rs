//! Holds against shreds and revocations.

mod listing;

use std::time::Duration;

use recvault::{
    db::holds,
    evidence::{
        Receipt,
        revocation::{RevocationReceipt, RevocationState},
    },
    model::{id::RecordingId, time::Timestamp},
    policy::{Permit, action},
    vault,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, TestVault, send};

impl TestVault {
    fn next_year(&self) -> Timestamp {
        self.clock.now().after(Duration::from_secs(365 * 24 * 3600))
    }

    fn demand(&self) -> Value {
        json!({ "purpose": "legal-request", "reason": "litigation", "authority": "Landgericht Berlin, 12 O 345/26", "review_at": self.next_year() })
    }

    async fn place(&self, id: RecordingId, name: &str, hold: Value) -> Answer {
        let path = format!("/v1/recordings/{id}/holds/{name}");
        send(
            self.asks("privacy-officer")
                .request(Method::PUT, &path)
                .json(&hold),
        )
        .await
    }

    /// Places a hold as the privacy officer.
    pub(crate) async fn held(&self, id: RecordingId, name: &str) {
        let answer = self.place(id, name, self.demand()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) async fn lift(&self, id: RecordingId, name: &str) -> Answer {
        send(
            self.asks("privacy-officer")
                .request(Method::DELETE, &format!("/v1/recordings/{id}/holds/{name}")),
        )
        .await
    }

    async fn list_holds(&self, query: &str) -> Vec<Value> {
        let answer = self
            .asks("privacy-officer")
            .get(&format!("/v1/holds{query}"))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["items"].as_array().unwrap().clone()
    }

    async fn standing(&self, id: RecordingId) -> i64 {
        let counted = self
            .ground()
            .integer(&format!("SELECT holds FROM recordings WHERE id = '{id}'"))
            .await;
        let rows =
            format!("SELECT COUNT(*) FROM holds WHERE recording_id = '{id}' AND lifted_at IS NULL");
        assert_eq!(
            counted,
            self.ground().integer(&rows).await,
            "the count is that of the rows"
        );
        counted.unwrap()
    }
}

async fn a_held_recording_is_not_shredded(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [held, free] = [vault.sealed().await, vault.sealed().await];
    vault.held(held.id, "lawsuit-7").await;
    let refused = vault.shred(held.id).await.problem(409, "held");
    assert_eq!(
        refused["holds"],
        json!([{ "recording_id": held.id, "holds": ["lawsuit-7"] }])
    );
    let permit = Permit::of_operator(action::Shred);
    let reason = "retention".parse().unwrap();
    let refused = vault
        .process
        .flow
        .shredding
        .shred_all(&permit, &[free.id, held.id], &reason)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("lawsuit-7") && refused.contains(&held.id.to_string()),
        "{refused}"
    );
    vault.plays(&held).await;
    vault.plays(&free).await;
    assert_eq!(
        (
            vault.count("shred.tombstoned").await,
            vault.count("recording.revoked").await
        ),
        (0, 0)
    );

    let officer = vault.asks("privacy-officer");
    let seen = async |id: RecordingId| officer.get(&format!("/v1/recordings/{id}")).await.json();
    let shown = seen(held.id).await;
    assert_eq!(
        (&shown["holds"][0]["name"], &shown["holds"][0]["purpose"]),
        (&json!("lawsuit-7"), &json!("legal-request"))
    );
    assert_eq!(
        (&shown["revoked_at"], seen(free.id).await["holds"].clone()),
        (&Value::Null, json!([]))
    );
    assert_eq!(
        vault.lift(held.id, "lawsuit-7").await.json()["receipt_id"],
        Value::Null,
        "nobody had wanted it gone"
    );
    vault.plays(&held).await;
    assert_eq!(vault.shred(held.id).await.status, 200);
    vault
        .place(held.id, "late", vault.demand())
        .await
        .problem(410, "shredded");
}

async fn what_is_revoked_under_a_hold_is_closed_and_goes_with_the_last_one(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [held, free] = [vault.sealed().await, vault.sealed().await];
    vault.held(held.id, "lawsuit-7").await;
    vault.held(held.id, "audit").await;
    let path = vault.audio(held.id).await;
    let body = vault.revoked(json!({ "account": vault.account })).await;
    assert_eq!(
        (&body["held"], &body["counts"]),
        (
            &json!([held.id]),
            &json!({ "shredded": 1, "held": 1, "closed": 0 })
        )
    );
    assert_eq!(
        (
            vault.whole(&body).await.state,
            vault.state(free.id).await.as_str()
        ),
        (RevocationState::Held, "shredded")
    );
    let shown = vault.details(held.id).await;
    assert_eq!(
        (&shown["state"], &shown["revoked_at"]),
        (&json!("sealed"), &body["revoked_at"])
    );
    let conflicts = vault.list_holds("?conflicts=true").await;
    let named: Vec<_> = conflicts
        .iter()
        .map(|hold| (&hold["recording_id"], &hold["name"], &hold["revoked_at"]))
        .collect();
    assert_eq!(
        named,
        [
            (&json!(held.id), &json!("audit"), &body["revoked_at"]),
            (&json!(held.id), &json!("lawsuit-7"), &body["revoked_at"])
        ]
    );
    // It is closed, except for the purpose of the holds.
    assert_eq!(
        vault
            .grant("reviewer", held.id, "quality-review")
            .await
            .reasons(),
        ["recording-revoked"]
    );
    assert_eq!(
        vault
            .grant("privacy-officer", held.id, "dispute-resolution")
            .await
            .reasons(),
        ["recording-revoked"]
    );
    let answer = vault
        .grant("privacy-officer", held.id, "legal-request")
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let heard = vault
        .anybody()
        .get(
            &vault
                .process
                .path_of(answer.json()["audio_url"].as_str().unwrap()),
        )
        .await;
    assert!(heard.status == 200 && heard.body == held.wav, "{heard:?}");
    vault.anybody().get(&path).await.problem(403, "denied");
    // A repeat changes nothing.
    assert_eq!(
        vault.revoked(json!({ "account": vault.account })).await["held"],
        json!([held.id])
    );
    assert_eq!(vault.count("recording.revoked").await, 1);

    let first = vault.lift(held.id, "audit").await.json();
    assert_eq!(
        (&first["holds_left"], &first["receipt_id"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(vault.state(held.id).await, "sealed");
    let last = vault.lift(held.id, "lawsuit-7").await.json();
    let receipt = vault
        .anybody()
        .get(&format!(
            "/v1/receipts/{}",
            last["receipt_id"].as_str().unwrap()
        ))
        .await
        .text();
    let receipt = Receipt::verify(&receipt, &vault.published_keys().await).unwrap();
    assert_eq!(
        (receipt.recording(), receipt.reason().as_str()),
        (held.id, "subject-request")
    );
    let tombstoned = vault
        .entries()
        .await
        .into_iter()
        .rfind(|entry| entry["event"] == "shred.tombstoned")
        .unwrap();
    assert_eq!(
        (&tombstoned["recording"], &tombstoned["actor"]),
        (&json!(held.id), &json!("vault"))
    );
    assert_eq!(
        vault.list_holds("?conflicts=true").await,
        Vec::<Value>::new()
    );
    // The receipt for the whole revocation lists it, too.
    vault.process.flow.revocations.continue_all().await.unwrap();
    let path = format!("/v1/revocations/{}", body["id"].as_str().unwrap());
    let body = vault.asks("privacy-officer").get(&path).await.json();
    assert_eq!(
        body["counts"],
        json!({ "shredded": 2, "held": 0, "closed": 0 })
    );
    assert_eq!(vault.whole(&body).await.state, RevocationState::Complete);
    // A second lift returns the same.
    assert_eq!(
        vault.lift(held.id, "lawsuit-7").await.json()["receipt_id"],
        last["receipt_id"]
    );
}

async fn an_announced_recording_is_kept_for_its_hold_and_arrives_closed(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let held = vault.announced().await;
    vault.held(held.id, "lawsuit-7").await;
    let body = vault.revoked(json!({ "recording": held.id })).await;
    assert_eq!(body["held"], json!([held.id]));
    let again = vault.revoked(json!({ "account": vault.account })).await;
    assert_eq!(again["held"], json!([held.id]));
    vault.process.flow.worker.work_off().await.unwrap();
    let shown = vault.details(held.id).await;
    assert_eq!(
        (&shown["state"], &shown["revoked_at"]),
        (&json!("sealed"), &body["revoked_at"])
    );
    assert!(vault.lift(held.id, "lawsuit-7").await.json()["receipt_id"].is_string());
    assert_eq!(vault.state(held.id).await, "shredded");
}

/// The hold is lifted, and the process dies before it shreds.
async fn what_a_hold_released_is_found_again(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let held = vault.sealed().await;
    vault.held(held.id, "lawsuit-7").await;
    vault.revoked(json!({ "recording": held.id })).await;
    let lifted = vault.process.db.unit("lifted", async |mut unit| {
        unit.without_entry("a test");
        let name = "lawsuit-7".parse().unwrap();
        holds::lift(&mut unit, held.id, &name, vault.clock.now()).await
    });
    assert_eq!(lifted.await.unwrap(), Some(0));
    assert_eq!(vault.state(held.id).await, "sealed");
    let other = vault.another_process().await;
    assert_eq!(
        other
            .flow
            .revocations
            .continue_all()
            .await
            .unwrap()
            .released,
        1
    );
    assert_eq!(vault.state(held.id).await, "shredded");
    assert_eq!(
        other
            .flow
            .revocations
            .continue_all()
            .await
            .unwrap()
            .released,
        0
    );
}

/// A hold and a shred at the same moment: one of them wins, and never both.
async fn a_hold_comes_wholly_before_a_shred_or_wholly_after(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let permit = Permit::of_operator(action::Shred);
    let reason = "operator".parse().unwrap();
    for round in 0..12 {
        let recorded = vault.sealed().await;
        let placing = vault.place(recorded.id, "lawsuit-7", vault.demand());
        let (placed, shredded) = if round % 2 == 0 {
            tokio::join!(
                placing,
                other.flow.shredding.shred(&permit, recorded.id, &reason)
            )
        } else {
            let (shredded, placed) = tokio::join!(
                other.flow.shredding.shred(&permit, recorded.id, &reason),
                placing
            );
            (placed, shredded)
        };
        match (placed.status, shredded) {
            (200, Err(error)) => {
                assert!(error.to_string().contains("lawsuit-7"), "{error}");
                vault.plays(&recorded).await;
            }
            // 503 while the shred is not durable, because a restore would not contain it.
            (410 | 503, Ok(_)) => assert_eq!(vault.state(recorded.id).await, "shredded"),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_rebuilt_vault_knows_of_holds_and_revocations(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [held, gone] = [vault.sealed().await, vault.sealed().await];
    vault.process.flow.vault.snapshot().await.unwrap();
    vault.held(held.id, "lawsuit-7").await;
    let body = vault.revoked(json!({ "account": vault.account })).await;
    vault.process.flow.recovery.journal().await.unwrap();

    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    let process = vault.process_over(app).await;
    let officer = process
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let again = officer
        .get(&format!("/v1/revocations/{}", body["id"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(
        (&again["receipt"], &again["held"], &again["counts"]),
        (&body["receipt"], &body["held"], &body["counts"])
    );
    let refused = officer
        .delete(
            &format!("/v1/recordings/{}", held.id),
            json!({ "reason": "x" }),
        )
        .await;
    refused.problem(409, "held");
    assert_eq!(
        officer
            .get(&format!("/v1/recordings/{}", gone.id))
            .await
            .json()["state"],
        "shredded"
    );
    // A revocation from there applies to later recordings here.
    let lifted = send(officer.request(
        Method::DELETE,
        &format!("/v1/recordings/{}/holds/lawsuit-7", held.id),
    ))
    .await
    .json();
    assert!(lifted["receipt_id"].is_string(), "{lifted}");
    process.flow.revocations.continue_all().await.unwrap();
    let whole = officer
        .get(&format!("/v1/revocations/{}", body["id"].as_str().unwrap()))
        .await
        .json();
    let whole = RevocationReceipt::verify(
        whole["receipt"].as_str().unwrap(),
        &vault.published_keys().await,
    )
    .unwrap();
    assert_eq!(
        (whole.state, whole.shredded),
        (RevocationState::Complete, 2)
    );
}

on_both_databases!(
    a_held_recording_is_not_shredded,
    what_is_revoked_under_a_hold_is_closed_and_goes_with_the_last_one,
    an_announced_recording_is_kept_for_its_hold_and_arrives_closed,
    what_a_hold_released_is_found_again,
    a_hold_comes_wholly_before_a_shred_or_wholly_after,
    a_rebuilt_vault_knows_of_holds_and_revocations,
);
