//! The epoch turns: shredded recordings are unrecoverable, and living ones are unaffected.

use recvault::{
    evidence::{
        Receipt,
        receipt::{OlderBackups, ReceiptState},
    },
    policy::{Permit, action},
};

use crate::world::{Database, Recipe, TestVault};

pub(crate) fn keys() -> Permit<action::Keys> {
    Permit::of_operator(action::Keys)
}

async fn receipt(vault: &TestVault, answer: &crate::world::Answer) -> Receipt {
    receipt_of(vault, answer.json()["receipt_id"].as_str().unwrap()).await
}

/// Returns the verified receipt with this id.
pub(crate) async fn receipt_of(vault: &TestVault, id: &str) -> Receipt {
    let text = vault
        .anybody()
        .get(&format!("/v1/receipts/{id}"))
        .await
        .text();
    Receipt::verify(
        &text,
        &vault
            .anybody()
            .get("/.well-known/jwks.json")
            .await
            .text()
            .parse()
            .unwrap(),
    )
    .unwrap()
}

async fn a_turn_makes_shreds_unrecoverable_and_leaves_the_living_alone(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let all = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    let shredded = vault.shred(all[0].id).await;
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Tombstoned
    );
    let status = vault.process.flow.epochs.status().await.unwrap();
    assert_eq!(
        (
            status.epoch,
            status.waiting,
            status.stale_pages,
            status.finished
        ),
        (1, 1, 1, true)
    );

    let turned = vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((turned.epoch, turned.covered), (2, 1));
    let after = receipt(&vault, &shredded).await;
    assert_eq!(
        (after.state(), after.older_backups(), after.epoch()),
        (ReceiptState::Unrecoverable, OlderBackups::Covered, Some(2))
    );
    assert_eq!(
        after.unrecoverable_since(),
        Some(turned.unrecoverable_since)
    );
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Closed
    );

    let status = vault.process.flow.epochs.status().await.unwrap();
    assert_eq!(
        (
            status.epoch,
            status.waiting,
            status.stale_pages,
            status.finished
        ),
        (2, 0, 0, true)
    );
    assert_eq!(status.snapshot.map(|(name, _)| name), Some(turned.snapshot));
    for living in &all[1..] {
        vault.plays(living).await;
    }
    vault
        .grant("reviewer", all[0].id, "quality-review")
        .await
        .problem(410, "shredded");
    // The next recordings are sealed under the new root, and another process notices it at once.
    let other = vault.another_process().await;
    assert_eq!(other.flow.vault.epoch(), 2);
    let late = vault.sealed().await;
    vault.plays(&late).await;
}

on_both_databases!(a_turn_makes_shreds_unrecoverable_and_leaves_the_living_alone);
