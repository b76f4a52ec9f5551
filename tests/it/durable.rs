//! The journal is written before the answer: while the store is unavailable, a shred takes effect,
//! and is confirmed when a restore would contain it.

use recvault::{
    model::id::RecordingId,
    policy::{Permit, action},
    vault,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    epochs::keys,
    world::{Answer, Ask, Database, FaultyCustody, FaultyStore, Op, Plan, Recipe, TestVault, send},
};

/// A vault whose snapshots and journal are in this store.
async fn over(store: &FaultyStore, database: Database) -> TestVault {
    let vault = Recipe {
        recovery: Some(store.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    // `init` wrote its snapshot to the configured store.
    vault.process.flow.vault.snapshot().await.unwrap();
    vault
}

async fn place(vault: &TestVault, path: &str, hold: &Value) -> Answer {
    send(
        vault
            .asks("privacy-officer")
            .request(Method::PUT, path)
            .json(hold),
    )
    .await
}

async fn lift(vault: &TestVault, path: &str) -> Answer {
    send(vault.asks("privacy-officer").request(Method::DELETE, path)).await
}

/// Whether a vault that is rebuilt from the store knows that a recording is shredded.
async fn is_known_to_a_restore(vault: &TestVault, database: Database, id: RecordingId) -> bool {
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::None)
        .await
        .unwrap();
    let mut tx = app.db.read().await.unwrap();
    recvault::db::shreds::find_tombstone(&mut tx, id)
        .await
        .unwrap()
        .is_some()
}

async fn a_shred_is_told_when_a_restore_would_find_it(database: Database) {
    let store = FaultyStore::new();
    let vault = over(&store, database).await;
    let recorded = vault.sealed().await;
    vault.process.flow.vault.snapshot().await.unwrap();
    store.plan(Op::Put, [Plan::Fail]);
    vault
        .shred(recorded.id)
        .await
        .problem(503, "not-durable-yet");
    assert!(store.is_through());
    // It has taken effect.
    assert_eq!(vault.key_entry(recorded.id).await, None);
    assert!(!is_known_to_a_restore(&vault, database, recorded.id).await);
    // But it is not confirmed in any way.
    let (_, receipt) = recvault::db::shreds::find_tombstone(
        &mut vault.process.db.read().await.unwrap(),
        recorded.id,
    )
    .await
    .unwrap()
    .unwrap();
    vault
        .anybody()
        .get(&format!("/v1/receipts/{receipt}"))
        .await
        .problem(503, "not-durable-yet");
    vault
        .asks("auditor")
        .get(&format!("/v1/recordings/{}", recorded.id))
        .await
        .problem(503, "not-durable-yet");
    vault
        .grant("privacy-officer", recorded.id, "dispute-resolution")
        .await
        .problem(503, "not-durable-yet");
    store.plan(Op::Put, [Plan::Fail]);
    vault
        .shred(recorded.id)
        .await
        .problem(503, "not-durable-yet");
    // It completes by itself, as in the service every two seconds.
    vault.process.flow.recovery.journal().await.unwrap();
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    assert_eq!(
        vault
            .anybody()
            .get(&format!("/v1/receipts/{receipt}"))
            .await
            .status,
        200
    );
    vault
        .grant("privacy-officer", recorded.id, "dispute-resolution")
        .await
        .problem(410, "shredded");
    assert!(is_known_to_a_restore(&vault, database, recorded.id).await);
}

async fn a_shred_waits_for_its_own_piece_and_not_for_a_queue_that_never_ends(database: Database) {
    let store = FaultyStore::new();
    let vault = over(&store, database).await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();

    // At each piece of the journal, another change has already been made.
    const PIECES: usize = 6;
    store.plan(Op::Put, [Plan::Gate; PIECES]);
    let mut answer = std::pin::pin!(vault.shred(recorded.id));
    let mut pieces = 0;
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            () = store.reached() => {
                pieces += 1;
                vault.sealed().await;
                store.open();
            }
        }
    };

    assert_eq!(answer.status, 200);
    assert!(pieces < PIECES, "the shred waited for {pieces} pieces");
}

async fn a_revocation_goes_to_its_end_without_the_store_and_is_told_with_it(database: Database) {
    let store = FaultyStore::new();
    let vault = over(&store, database).await;
    let all = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.process.flow.recovery.journal().await.unwrap();
    store.plan(Op::Put, [Plan::Fail]);
    let body = json!({ "account": vault.account, "reason": "contract-ended" });
    vault
        .asks("privacy-officer")
        .post("/v1/revocations", body.clone())
        .await
        .problem(503, "not-durable-yet");
    for recorded in &all {
        assert_eq!(
            vault.key_entry(recorded.id).await,
            None,
            "all of them are shredded, not only the first page"
        );
    }
    vault.process.flow.recovery.journal().await.unwrap();
    let answer = vault
        .asks("privacy-officer")
        .post("/v1/revocations", body)
        .await;
    assert_eq!(
        (answer.status, answer.json()["counts"]["shredded"].clone()),
        (200, json!(3))
    );
}

async fn a_hold_is_placed_and_lifted_when_a_restore_would_know_of_it(database: Database) {
    let store = FaultyStore::new();
    let vault = over(&store, database).await;
    let recorded = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let path = format!("/v1/recordings/{}/holds/case-7", recorded.id);
    let hold = json!({ "purpose": "legal-request", "reason": "lawsuit", "authority": "Landgericht Berlin, 12 O 345/26", "review_at": "2099-01-01T00:00:00Z" });
    store.plan(Op::Put, [Plan::Fail]);
    place(&vault, &path, &hold)
        .await
        .problem(503, "not-durable-yet");
    assert_eq!(place(&vault, &path, &hold).await.status, 200);
    // Revoked while it is held: lifting the hold shreds it.
    let body = json!({ "recording": recorded.id, "reason": "subject-request" });
    assert_eq!(
        vault
            .asks("privacy-officer")
            .post("/v1/revocations", body)
            .await
            .status,
        200
    );
    store.plan(Op::Put, [Plan::Fail]);
    lift(&vault, &path).await.problem(503, "not-durable-yet");
    assert_eq!(vault.key_entry(recorded.id).await, None);
    assert_eq!(lift(&vault, &path).await.status, 200);
    assert!(is_known_to_a_restore(&vault, database, recorded.id).await);
}

async fn a_withdrawal_is_told_when_a_restore_would_know_of_it(database: Database) {
    let store = FaultyStore::new();
    let vault = over(&store, database).await;
    vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    let said = json!({ "subject": "+15550100", "answer": "declined", "method": "letter" });
    store.plan(Op::Put, [Plan::Fail]);
    vault
        .asks("privacy-officer")
        .post("/v1/consents", said.clone())
        .await
        .problem(503, "not-durable-yet");
    let answer = vault
        .asks("privacy-officer")
        .post("/v1/consents", said)
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn a_sweep_shreds_everything_that_is_due_before_it_fails_for_the_store(database: Database) {
    let store = FaultyStore::new();
    let vault = over(&store, database).await;
    let all = [vault.sealed().await, vault.sealed().await];
    vault.process.flow.recovery.journal().await.unwrap();
    vault
        .clock
        .advance(std::time::Duration::from_secs(366 * 86_400));
    store.plan(Op::Put, [Plan::Fail]);
    let refused = vault
        .process
        .flow
        .retention
        .sweep(false)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not durable yet"), "{refused}");
    for recorded in &all {
        assert_eq!(vault.key_entry(recorded.id).await, None);
        let told = vault
            .process
            .flow
            .catalogue
            .show(&Permit::of_operator(action::Catalogue), recorded.id)
            .await
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(told.contains("not durable yet"), "{told}");
    }
    assert_eq!(
        vault
            .process
            .flow
            .retention
            .sweep(false)
            .await
            .unwrap()
            .shredded,
        0,
        "once is enough"
    );
}

/// Another process has turned the epoch, so the journal requests the present root from custody.
async fn custody_that_cannot_be_read_leaves_what_was_done_unconfirmed(database: Database) {
    let custody = FaultyCustody::new();
    let vault = Recipe {
        custody: Some(custody.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    let shredded = vault.sealed().await;
    assert_eq!(vault.shred(shredded.id).await.status, 200);
    // Its new receipts wait for the journal.
    other.flow.epochs.turn(&keys()).await.unwrap();
    custody.plan(Ask::Read, [Plan::Fail]);
    let unconfirmed = vault.process.flow.vault.make_durable().await.unwrap_err();
    assert!(
        matches!(unconfirmed, vault::Error::NotDurable(_)),
        "{unconfirmed:?}"
    );
    vault.process.flow.vault.make_durable().await.unwrap();
}

on_both_databases!(
    custody_that_cannot_be_read_leaves_what_was_done_unconfirmed,
    a_shred_waits_for_its_own_piece_and_not_for_a_queue_that_never_ends,
    a_shred_is_told_when_a_restore_would_find_it,
    a_revocation_goes_to_its_end_without_the_store_and_is_told_with_it,
    a_hold_is_placed_and_lifted_when_a_restore_would_know_of_it,
    a_withdrawal_is_told_when_a_restore_would_know_of_it,
    a_sweep_shreds_everything_that_is_due_before_it_fails_for_the_store,
);
