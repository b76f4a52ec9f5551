//! The legs of a recording: a second leg has its own key, and every change applies to both.

use std::{collections::BTreeSet, convert::Infallible};

use bytes::Bytes;
use futures_util::stream;
use recvault::{
    db::{keys, recordings},
    keyring::reach::reach,
    model::{artefact::Leg, id::RecordingId},
    vault::{self, DepositOptions},
};

use crate::{
    epochs::keys as keys_permit,
    restoring::rebuilt,
    world::{Database, Process, Recipe, Recorded, TestVault},
};

/// Returns a sealed recording with the caller's leg added under its own key.
async fn with_two_legs(vault: &TestVault) -> Recorded {
    let recorded = vault.sealed().await;
    join(vault, recorded.id, Leg::Caller).await.unwrap();
    recorded
}

/// Seals one leg of a recording beside the existing object.
async fn join(vault: &TestVault, id: RecordingId, leg: Leg) -> Result<(), vault::Error> {
    let process = &vault.process;
    let recording = recordings::find(&mut process.db.read().await.unwrap(), id)
        .await
        .unwrap()
        .unwrap();
    let side = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"one side"))]);
    let stored = process
        .flow
        .vault
        .store_media(&recording, leg, "audio/wav", side)
        .await
        .unwrap();
    let joined = process.flow.vault.unit("test.join", async |mut unit| {
        let options = DepositOptions::default();
        process
            .flow
            .vault
            .enter(&mut unit, &recording, &stored, &options)
            .await
            .map(drop)
    });
    joined.await
}

/// Returns the public names of the keys of a recording's legs, from the rows.
async fn named(process: &Process, id: RecordingId) -> BTreeSet<String> {
    let mut tx = process.db.read().await.unwrap();
    let entries = keys::find_entries(&mut tx, &[id]).await.unwrap();
    entries
        .into_values()
        .map(|entry| entry.fingerprint)
        .collect()
}

/// Returns the public names of all keys in the pages, regardless of the rows.
async fn in_the_tree(vault: &TestVault, process: &Process) -> BTreeSet<String> {
    let root = vault.root_of(process).await;
    let mut tx = process.db.read().await.unwrap();
    let pages = keys::all_pages(&mut tx).await.unwrap();
    reach(&[&root], pages, vault.made.vault).record_keys
}

async fn a_shred_destroys_the_key_of_every_leg(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [dies, lives] = [with_two_legs(&vault).await, with_two_legs(&vault).await];
    let doomed = named(&vault.process, dies.id).await;
    let living = named(&vault.process, lives.id).await;
    assert_eq!((doomed.len(), living.len()), (2, 2));
    assert!(
        in_the_tree(&vault, &vault.process)
            .await
            .is_superset(&doomed)
    );

    assert_eq!(vault.shred(dies.id).await.status, 200);
    assert_eq!(named(&vault.process, dies.id).await, BTreeSet::new());
    let left = in_the_tree(&vault, &vault.process).await;
    assert!(left.is_disjoint(&doomed) && left.is_superset(&living));

    // A tombstone for each leg, each with the name of its own key, and one receipt.
    let of = |what: &str| format!("SELECT COUNT(DISTINCT {what}) FROM tombstones");
    for (what, count) in [
        ("leg", 2),
        ("fingerprint", 2),
        ("receipt_id", 1),
        ("seq", 1),
    ] {
        assert_eq!(
            vault.ground().integer(&of(what)).await,
            Some(count),
            "{what}"
        );
    }

    // The bytes of both legs are removed.
    assert_eq!(vault.objects().await.len(), 4);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(vault.objects().await.len(), 2);
    let joined = join(&vault, dies.id, Leg::Callee).await;
    assert!(joined.is_err(), "a dead recording gets no further leg");
    vault.plays(&lives).await;
}

async fn every_leg_is_journaled_restored_and_forgotten(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    // In the snapshot, and shredded after it.
    let [lives, dies] = [with_two_legs(&vault).await, with_two_legs(&vault).await];
    vault.process.flow.vault.snapshot().await.unwrap();
    let doomed = named(&vault.process, dies.id).await;
    vault.shred(dies.id).await;
    // In the journal only.
    let late = with_two_legs(&vault).await;
    vault.process.flow.recovery.journal().await.unwrap();

    let (_, process, _ground) = rebuilt(&vault, database).await;
    for living in [&lives, &late] {
        let before = named(&vault.process, living.id).await;
        assert_eq!(before.len(), 2);
        assert_eq!(named(&process, living.id).await, before);
        vault.plays_in(&process, living).await;
    }
    assert_eq!(named(&process, dies.id).await, BTreeSet::new());
    assert!(in_the_tree(&vault, &process).await.is_disjoint(&doomed));
}

async fn every_leg_goes_to_another_tier(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let moved = with_two_legs(&vault).await;
    let before = named(&vault.process, moved.id).await;
    let to = "sensitive".parse().unwrap();
    let flow = &vault.process.flow;
    flow.reclassification
        .move_to(&keys_permit(), moved.id, &to, false)
        .await
        .unwrap();

    assert_eq!(named(&vault.process, moved.id).await, before);
    let elsewhere = "SELECT COUNT(*) FROM key_entries JOIN pages ON pages.id = page_id WHERE tier <> 'sensitive'";
    assert_eq!(vault.ground().integer(elsewhere).await, Some(0));
}

async fn every_leg_is_read_back_and_drilled(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [lives, dies] = [with_two_legs(&vault).await, with_two_legs(&vault).await];
    vault.process.flow.vault.snapshot().await.unwrap();
    vault.shred(dies.id).await;
    vault
        .process
        .flow
        .epochs
        .turn(&keys_permit())
        .await
        .unwrap();
    let held = crate::drilling::held(&vault, recvault::drill::Old::default()).await;
    let recovery = &held.drill.recovery;
    assert_eq!((recovery.living, recovery.sample_authentic), (2, 2));
    assert_eq!((recovery.tombstones, recovery.shredded_sampled), (2, 2));
    assert!(held.drill.forgets() && held.drill.recovers());

    // One leg is altered: both a read-back and a drill notice it.
    let recording = recordings::find(&mut vault.process.db.read().await.unwrap(), lives.id)
        .await
        .unwrap()
        .unwrap();
    let reads = async || vault.process.flow.vault.read_back(&recording).await;
    reads().await.unwrap();
    let legs = vault.artefacts(lives.id).await;
    let side = legs
        .iter()
        .find(|sealed| sealed.leg == Leg::Caller)
        .unwrap();
    vault
        .process
        .store
        .delete(side.object.unwrap())
        .await
        .unwrap();
    assert!(reads().await.is_err());
    let held = crate::drilling::held(&vault, recvault::drill::Old::default()).await;
    assert!(!held.drill.recovers());
}

async fn a_recording_says_that_it_is_of_a_call(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let caller = vault.asks("reviewer");
    let listed = caller.get("/v1/recordings").await.json();
    assert_eq!(listed["items"][0]["kind"], "call");
    assert_eq!(vault.details(recorded.id).await["kind"], "call");
    let sealed = vault.entries().await;
    let sealed = sealed
        .iter()
        .find(|entry| entry["event"] == "recording.sealed")
        .unwrap();
    assert_eq!(
        (&sealed["details"]["kind"], &sealed["details"]["leg"]),
        (&"call".into(), &"all".into())
    );

    // The kind is part of the journal, and a row of an unknown kind is refused.
    vault.process.flow.recovery.journal().await.unwrap();
    let (_, process, _ground) = rebuilt(&vault, database).await;
    vault.plays_in(&process, &recorded).await;
    vault
        .ground()
        .run("UPDATE recordings SET kind = 'fax'")
        .await;
    let mut tx = vault.process.db.read().await.unwrap();
    let found = recordings::find(&mut tx, recorded.id).await;
    assert!(found.unwrap_err().to_string().contains("kind"));
}

on_both_databases!(
    a_recording_says_that_it_is_of_a_call,
    a_shred_destroys_the_key_of_every_leg,
    every_leg_is_journaled_restored_and_forgotten,
    every_leg_goes_to_another_tier,
    every_leg_is_read_back_and_drilled,
);
