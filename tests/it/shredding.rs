//! A recording is shredded.

mod pages;

use std::time::Duration;

use futures_util::future::join_all;
use recvault::{
    demo::{conversation, stand_in::MediaFault},
    evidence::{
        HeldCopy, KeySet, Receipt, Removal,
        receipt::{OlderBackups, ReceiptState},
    },
    model::{
        id::{ReceiptId, RecordingId},
        media::SourceRef,
    },
};
use serde_json::json;

use crate::{
    epochs::keys,
    world::{Answer, Database, FaultyStore, GatedHost, Op, Plan, Recipe, TestVault},
};

/// Returns the public receipt, verified with the published keys.
async fn receipt(vault: &TestVault, id: &str) -> Receipt {
    let answer = vault.anybody().get(&format!("/v1/receipts/{id}")).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/jose")
    );
    Receipt::verify(&answer.text(), &published_keys(vault).await).unwrap()
}

async fn published_keys(vault: &TestVault) -> KeySet {
    vault
        .anybody()
        .get("/.well-known/jwks.json")
        .await
        .text()
        .parse()
        .unwrap()
}

fn receipt_id(answer: &Answer) -> String {
    answer.json()["receipt_id"].as_str().unwrap().to_owned()
}

async fn a_recording_is_shredded_and_a_receipt_proves_it(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let digest = vault.details(recorded.id).await["policy_digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let answer = vault.shred(recorded.id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let id = receipt_id(&answer);
    assert_eq!(body["recording_id"], json!(recorded.id));
    assert_eq!(
        body["receipt_url"],
        json!(vault.process.public(&format!("/v1/receipts/{id}")))
    );

    // Step one: the key is destroyed, the bytes are not, and the receipt states both.
    let tombstoned = receipt(&vault, &id).await;
    assert_eq!(
        (
            tombstoned.state(),
            tombstoned.recording(),
            tombstoned.vault()
        ),
        (ReceiptState::Tombstoned, recorded.id, vault.made.vault)
    );
    assert!(
        tombstoned.is_of(&SourceRef::of_call(&vault.account, &recorded.sid))
            && tombstoned.reason().as_str() == "subject-request"
    );
    assert_eq!(
        (
            tombstoned.policy_digest(),
            json!(tombstoned.tombstoned_at())
        ),
        (digest.as_str(), body["shredded_at"].clone())
    );
    let destroyed = HeldCopy::KeyEntry {
        destroyed_at: tombstoned.tombstoned_at(),
    };
    let source = HeldCopy::Source(Removal::Pending);
    assert_eq!(
        tombstoned.copies(),
        [destroyed, HeldCopy::Ciphertext(Removal::Pending), source]
    );
    assert_eq!(vault.objects().await.len(), 1);
    for gone in [
        vault.anybody().get(&path).await,
        vault
            .anybody()
            .with(reqwest::Method::GET, &path, &[("range", "bytes=0-0")])
            .await,
        vault.grant("reviewer", recorded.id, "quality-review").await,
    ] {
        let problem = gone.problem(410, "shredded");
        assert_eq!(
            (&problem["receipt_id"], &problem["shredded_at"]),
            (&json!(id), &body["shredded_at"])
        );
    }
    assert_eq!(
        vault
            .anybody()
            .with(reqwest::Method::HEAD, &path, &[])
            .await
            .status,
        410
    );

    // Step two: older copies of the key store are useless; the bytes are still there.
    vault.clock.advance(Duration::from_secs(3600));
    let turned = vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    let covered = receipt(&vault, &id).await;
    assert_eq!(
        (covered.state(), covered.older_backups()),
        (ReceiptState::Unrecoverable, OlderBackups::Covered)
    );
    assert_eq!(
        (covered.unrecoverable_since(), covered.epoch()),
        (Some(turned.unrecoverable_since), Some(2))
    );
    assert_eq!(
        (
            covered.copies(),
            covered.tombstoned_at(),
            vault.objects().await.len()
        ),
        (tombstoned.copies(), tombstoned.tombstoned_at(), 1)
    );

    // Then the bytes are removed, here and at the source.
    vault.clock.advance(Duration::from_secs(5));
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 2);
    assert_eq!(
        (vault.objects().await, vault.artefacts(recorded.id).await),
        (vec![], vec![])
    );
    let closed = receipt(&vault, &id).await;
    let removed = [HeldCopy::Ciphertext, HeldCopy::Source]
        .map(|copy| copy(Removal::Removed(vault.clock.now())));
    assert_eq!(
        (closed.state(), closed.copies()),
        (
            ReceiptState::Closed,
            &[&[destroyed][..], &removed].concat()[..]
        )
    );
    assert_eq!(
        (closed.tombstoned_at(), closed.audit()),
        (tombstoned.tombstoned_at(), tombstoned.audit())
    );
    let told = vault
        .entries()
        .await
        .into_iter()
        .find(|entry| entry["seq"] == closed.audit().seq)
        .unwrap();
    assert_eq!(
        (&told["event"], &told["details"]["receipt"]),
        (&json!("shred.tombstoned"), &json!(id))
    );
    let details = vault.details(recorded.id).await;
    assert_eq!(
        (
            &details["state"],
            &details["receipt_id"],
            &details["artefacts"]
        ),
        (&json!("shredded"), &json!(id), &json!([]))
    );
    vault.anybody().get(&path).await.problem(410, "shredded");
}

async fn shredding_again_and_at_the_same_time_is_shredding_once(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}", recorded.id);
    let token = vault.minted("privacy-officer").token.expose();
    let callers: Vec<_> = [&vault.process.api, &other.api]
        .map(|api| api.clone().bearing(token))
        .into_iter()
        .cycle()
        .take(12)
        .collect();
    let answers = join_all(
        callers
            .iter()
            .map(|caller| caller.delete(&path, json!({ "reason": "retention" }))),
    )
    .await;
    let first = answers[0].json();
    for answer in &answers {
        assert_eq!(
            (answer.status, answer.json()["receipt_id"].clone()),
            (200, first["receipt_id"].clone()),
            "{answer:?}"
        );
    }
    assert_eq!(vault.count("shred.tombstoned").await, 1);
    vault.process.flow.worker.work_off().await.unwrap();
    vault.clock.advance(Duration::from_secs(60));
    let later = vault.shred(recorded.id).await.json();
    assert_eq!(
        (&later["receipt_id"], &later["shredded_at"]),
        (&first["receipt_id"], &first["shredded_at"])
    );
    let kept = receipt(&vault, later["receipt_id"].as_str().unwrap()).await;
    assert_eq!(
        (kept.state(), kept.reason().as_str()),
        (ReceiptState::Tombstoned, "retention"),
        "the first reason stands"
    );
    assert!(
        matches!(kept.copies()[1], HeldCopy::Ciphertext(Removal::Removed(_))),
        "{kept:?}"
    );
    // Both processes turn, one after the other: the receipt names the first turn, whatever comes
    // later.
    for process in [&other, &vault.process] {
        process.flow.epochs.turn(&keys()).await.unwrap().unwrap();
        let closed = receipt(&vault, later["receipt_id"].as_str().unwrap()).await;
        assert_eq!(
            (closed.state(), closed.epoch(), closed.copies()),
            (ReceiptState::Closed, Some(2), kept.copies())
        );
    }
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 0);
    assert_eq!(vault.count("shred.bytes-removed").await, 1);
}

async fn what_is_not_sealed_yet_is_shredded_and_never_fetched(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for status in ["completed", "in-progress", "absent", "failed"] {
        let recorded = vault.record();
        assert_eq!(vault.tell(&recorded, status).await.status, 204);
        let answer = vault.shred(recorded.id).await;
        assert_eq!(answer.status, 200, "{status}: {answer:?}");
        let requests = vault.stand_in.media_requests();
        vault.later().await;
        // Twilio announces it again, with every status.
        for again in ["in-progress", "completed", "absent"] {
            assert_eq!(vault.tell(&recorded, again).await.status, 204);
            vault.later().await;
        }
        assert_eq!(vault.stand_in.media_requests(), requests, "{status}");
        assert_eq!(vault.state(recorded.id).await, "shredded");
        assert_eq!(
            (vault.key_entry(recorded.id).await, vault.objects().await),
            (None, vec![])
        );
        let receipt = receipt(&vault, &receipt_id(&answer)).await;
        assert_eq!(receipt.state(), ReceiptState::Closed);
        assert!(
            matches!(receipt.copies(), [HeldCopy::Source(Removal::Removed(_))]),
            "{receipt:?}"
        );
        assert_eq!(vault.due_in_ms(recorded.id).await, None);
    }
}

async fn a_recording_is_shredded_while_it_is_fetched(database: Database) {
    let vault = Recipe {
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let host = GatedHost::start(bytes::Bytes::from_static(conversation::WAV)).await;
    let recorded = vault.announced().await;
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::RedirectTo {
            url: host.url.clone(),
        },
    );
    let shredding = async {
        host.reached().await;
        let answer = vault.shred(recorded.id).await;
        host.open();
        answer
    };
    let (worked, answer) = tokio::join!(vault.process.flow.worker.work_off(), shredding);
    assert_eq!(
        worked.unwrap(),
        3,
        "the fetch that came to nothing, the removal, and the deletion at the source"
    );
    assert_eq!(
        (vault.state(recorded.id).await, vault.objects().await),
        ("shredded".to_owned(), vec![])
    );
    assert_eq!(
        (
            vault.key_entry(recorded.id).await,
            vault.artefacts(recorded.id).await
        ),
        (None, vec![])
    );
    assert_eq!(vault.count("recording.sealed").await, 0);
    assert_eq!(
        receipt(&vault, &receipt_id(&answer)).await.state(),
        ReceiptState::Closed
    );
}

on_both_databases!(
    a_recording_is_shredded_and_a_receipt_proves_it,
    shredding_again_and_at_the_same_time_is_shredding_once,
    what_is_not_sealed_yet_is_shredded_and_never_fetched,
    a_recording_is_shredded_while_it_is_fetched,
);

#[tokio::test]
async fn only_the_privacy_officer_shreds_and_only_for_a_reason() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}", recorded.id);
    for who in ["agent", "reviewer", "auditor"] {
        assert_eq!(
            vault
                .asks(who)
                .delete(&path, json!({ "reason": "operator" }))
                .await
                .reasons(),
            ["role-not-allowed"]
        );
    }
    vault
        .anybody()
        .delete(&path, json!({ "reason": "operator" }))
        .await
        .problem(401, "unauthorized");
    let officer = vault.asks("privacy-officer");
    for bad in [
        json!({}),
        json!({ "reason": "Anna asked for it" }),
        json!({ "reason": "" }),
        json!({ "reason": "operator", "by": "me" }),
    ] {
        officer.delete(&path, bad).await.problem(400, "bad-request");
    }
    let missing = RecordingId::random(&mut rand::rng());
    officer
        .delete(
            &format!("/v1/recordings/{missing}"),
            json!({ "reason": "operator" }),
        )
        .await
        .problem(404, "not-found");
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn a_receipt_is_for_anybody_who_knows_its_id() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let id = receipt_id(&vault.shred(recorded.id).await);
    for who in ["stranger", "nobody"] {
        assert_eq!(
            vault
                .asks(who)
                .get(&format!("/v1/receipts/{id}"))
                .await
                .status,
            200
        );
    }
    let other = ReceiptId::random(&mut rand::rng()).to_string();
    for bad in [other.as_str(), "rcp_0", "%FF", &recorded.id.to_string()] {
        vault
            .anybody()
            .get(&format!("/v1/receipts/{bad}"))
            .await
            .problem(404, "not-found");
    }
    // It does not verify with another vault's keys.
    let elsewhere = Recipe::default().by_hand().await;
    let text = vault
        .anybody()
        .get(&format!("/v1/receipts/{id}"))
        .await
        .text();
    assert!(Receipt::verify(&text, &published_keys(&elsewhere).await).is_err());
    assert!(Receipt::verify(&text, &published_keys(&vault).await).is_ok());
}

#[tokio::test]
async fn the_store_is_down_and_the_bytes_are_removed_when_it_is_back() {
    let store = FaultyStore::new();
    let vault = Recipe {
        adapter: Some(std::sync::Arc::new(store.clone())),
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let id = receipt_id(&vault.shred(recorded.id).await);
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    store.plan(Op::Delete, [Plan::Fail; 30]);
    for _ in 0..30 {
        assert!(
            vault.later().await > 0,
            "it is tried again and again, however often it failed"
        );
        let status = vault.process.flow.monitoring.status().await.unwrap();
        let waiting: Vec<_> = status
            .work
            .iter()
            .map(|work| (work.kind.as_str(), work.state.as_str(), work.count))
            .collect();
        assert_eq!(waiting, [("delete-ciphertext", "due", 1)]);
        assert_eq!(
            receipt(&vault, &id).await.state(),
            ReceiptState::Unrecoverable
        );
        vault
            .grant("reviewer", recorded.id, "quality-review")
            .await
            .problem(410, "shredded");
    }
    assert_eq!(vault.later().await, 1);
    assert_eq!(
        (receipt(&vault, &id).await.state(), vault.objects().await),
        (ReceiptState::Closed, vec![])
    );
    assert_eq!(vault.count("shred.bytes-removed").await, 1);
}

#[tokio::test]
async fn the_object_is_gone_already_and_the_receipt_closes() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
    vault
        .process
        .store
        .delete(artefact.object.unwrap())
        .await
        .unwrap();
    let id = receipt_id(&vault.shred(recorded.id).await);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        receipt(&vault, &id).await.state(),
        ReceiptState::Tombstoned,
        "an older copy of the key store has its key"
    );
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipt(&vault, &id).await.state(), ReceiptState::Closed);
}
