//! The signing key is replaced: every process continues with the new one, and earlier signatures
//! stay valid, also after a loss of the database.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use recvault::{
    evidence::{KeySet, Receipt, receipt::ReceiptState},
    model::{actor::Initiator, id::RecordingId},
};

use crate::{
    epochs::keys,
    restoring::rebuilt,
    world::{Database, Process, Recipe, TestVault},
};

async fn published(process: &Process) -> KeySet {
    let answer = process.api.get("/.well-known/jwks.json").await;
    answer.text().parse().unwrap()
}

/// Shreds by this process; returns the receipt, and the key that signed it.
async fn shredded_by(vault: &TestVault, process: &Process, id: RecordingId) -> (String, String) {
    let officer = process
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let body = serde_json::json!({ "reason": "subject-request" });
    let answer = officer.delete(&format!("/v1/recordings/{id}"), body).await;
    let id = answer.json()["receipt_id"].as_str().unwrap().to_owned();
    let receipt = process.api.get(&format!("/v1/receipts/{id}")).await.text();
    let header = receipt.split('.').next().unwrap();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    let key = header["kid"].as_str().unwrap().to_owned();
    (receipt, key)
}

async fn every_process_goes_on_with_the_new_key(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let [one, two, three] = [
        vault.sealed().await.id,
        vault.sealed().await.id,
        vault.sealed().await.id,
    ];
    let (old_receipt, old) = shredded_by(&vault, &other, one).await;

    let permit = keys();
    let rotated = vault.process.flow.epochs.rotate_signing_key(&permit).await;
    let rotated = rotated.unwrap();
    assert_eq!(rotated.keys.retired, old);
    assert_eq!(rotated.turned.epoch, 2, "older copies lose the old seed");

    // The other process has the old root and the old seed, and is not notified.
    let (by_other, second) = shredded_by(&vault, &other, two).await;
    let (by_this, third) = shredded_by(&vault, &vault.process, three).await;
    assert_eq!([&second, &third], [&rotated.keys.key_id; 2]);
    for process in [&vault.process, &other] {
        let keys = published(process).await;
        for receipt in [&old_receipt, &by_other, &by_this] {
            Receipt::verify(receipt, &keys).unwrap();
        }
    }
    assert_eq!(vault.count("signing-key.replaced").await, 1);

    // Receipts that are signed again.
    vault.process.flow.worker.work_off().await.unwrap();
    vault.process.flow.epochs.turn(&permit).await.unwrap();
    let keys = published(&vault.process).await;
    for id in [one, two, three] {
        let receipt = vault.details(id).await["receipt_id"].clone();
        let path = format!("/v1/receipts/{}", receipt.as_str().unwrap());
        let text = vault.anybody().get(&path).await.text();
        assert!(Receipt::verify(&text, &keys).unwrap().state() == ReceiptState::Closed);
    }
}

async fn who_was_recognised_before_is_recognised_after(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let number = "+493012345678".parse().unwrap();
    let before = vault.process.flow.vault.subject(&number);
    vault
        .process
        .flow
        .epochs
        .rotate_signing_key(&keys())
        .await
        .unwrap();
    let other = vault.another_process().await;
    assert_eq!(other.flow.vault.subject(&number), before);
}

async fn a_retired_key_does_not_come_back_with_a_snapshot(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [one, two] = [vault.sealed().await.id, vault.sealed().await.id];
    let (old_receipt, old) = shredded_by(&vault, &vault.process, one).await;
    vault.process.flow.vault.snapshot().await.unwrap();

    // Replaced, but not turned: the snapshot has the old page.
    let replaced = vault
        .process
        .flow
        .vault
        .replace_signing_key(Initiator::Operator)
        .await;
    let replaced = replaced.unwrap();
    assert_eq!(replaced.retired, old);
    let (new_receipt, new) = shredded_by(&vault, &vault.process, two).await;
    assert_eq!(new, replaced.key_id);

    let (_, process, _ground) = rebuilt(&vault, database).await;
    let keys = published(&process).await;
    for receipt in [&old_receipt, &new_receipt] {
        Receipt::verify(receipt, &keys).unwrap();
    }
    let signs = process.flow.vault.signing_key_id().await.unwrap();
    assert!(
        signs != old && signs != new,
        "the old key is retired, and the seed of the new one is lost"
    );
}

async fn a_snapshot_from_before_still_verifies(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    let snapshot = vault.process.flow.vault.snapshot().await.unwrap();
    let same = &vault.process.flow.vault;
    same.replace_signing_key(Initiator::Operator).await.unwrap();
    same.verify_snapshot(snapshot.snapshot).await.unwrap();
}

on_both_databases!(
    every_process_goes_on_with_the_new_key,
    who_was_recognised_before_is_recognised_after,
    a_retired_key_does_not_come_back_with_a_snapshot,
    a_snapshot_from_before_still_verifies,
);
