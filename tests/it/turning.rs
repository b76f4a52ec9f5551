//! The epoch turns under load, while other processes turn, while custody and store fail, and when
//! it is due.

mod schedule;

use std::time::Duration;

use recvault::{db::epochs, evidence::receipt::ReceiptState};
use serde_json::json;

use crate::{
    epochs::{keys, receipt_of},
    world::{
        Answer, Ask, Database, FaultyCustody, FaultyStore, Op, Plan, Process, Recipe, Recorded,
        TestVault,
    },
};

fn receipt_id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["receipt_id"].as_str().unwrap().to_owned()
}

async fn turn(process: &Process) -> Option<u64> {
    process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .map(|turned| turned.epoch)
}

async fn roots(vault: &TestVault) -> Vec<u64> {
    vault
        .custody()
        .await
        .roots()
        .await
        .unwrap()
        .iter()
        .map(|root| root.epoch)
        .collect()
}

/// Returns the epochs, oldest first: each began after the one before it, and all but possibly the
/// last are finished.
async fn began(vault: &TestVault) -> Vec<u64> {
    let mut rows = epochs::newest(&mut vault.process.db.read().await.unwrap(), 1000)
        .await
        .unwrap();
    rows.reverse();
    assert!(
        rows.is_sorted_by(
            |before, after| before.epoch < after.epoch && before.began_at <= after.began_at
        ),
        "{rows:?}"
    );
    assert!(
        rows.iter()
            .rev()
            .skip(1)
            .all(|row| row.finished_at.is_some() && row.root_sealed.is_empty()),
        "{rows:?}"
    );
    assert_eq!(vault.count("epoch.turned").await, rows.len() - 1);
    rows.iter().map(|row| row.epoch).collect()
}

async fn everybody_goes_on_while_two_processes_turn(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let mut early = Vec::new();
    for _ in 0..6 {
        early.push(vault.sealed().await);
    }
    let turning = async |process: &Process| {
        let mut turns = 0;
        for _ in 0..4 {
            turns += usize::from(turn(process).await.is_some());
            tokio::task::yield_now().await;
        }
        turns
    };
    let depositing = async |process: &Process| {
        let mut sealed = Vec::new();
        for _ in 0..4 {
            let recorded = vault.announced().await;
            process.flow.worker.work_off().await.unwrap();
            sealed.push(recorded);
        }
        sealed
    };
    let shredding = async {
        let mut receipts = Vec::new();
        for recorded in &early[..3] {
            receipts.push(receipt_id(&vault.shred(recorded.id).await));
        }
        receipts
    };
    let listening = async {
        for recorded in early[3..].iter().cycle().take(12) {
            vault.plays(recorded).await;
        }
    };
    let (here, there, mut late, later, receipts, ()) = tokio::join!(
        turning(&vault.process),
        turning(&other),
        depositing(&vault.process),
        depositing(&other),
        shredding,
        listening
    );
    assert!(here + there >= 1, "nobody turned");
    assert_eq!(began(&vault).await.len(), 1 + here + there);
    // Work that was left to the other's worker is done now.
    vault.later().await;
    late.extend(later);
    for living in early[3..].iter().chain(&late) {
        vault.plays(living).await;
    }
    for gone in &early[..3] {
        vault
            .grant("reviewer", gone.id, "quality-review")
            .await
            .problem(410, "shredded");
    }
    turn(&other).await.unwrap();
    for receipt in receipts {
        assert_eq!(
            receipt_of(&vault, &receipt).await.state(),
            ReceiptState::Closed
        );
    }
    assert_eq!(roots(&vault).await, [*began(&vault).await.last().unwrap()]);
}

async fn of_two_that_turn_at_once_one_stands_back(database: Database) {
    let custody = FaultyCustody::new();
    let vault = Recipe {
        custody: Some(custody.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    custody.plan(Ask::Stage, [Plan::Gate]);
    let late = async {
        custody.reached().await;
        let none = turn(&other).await;
        assert!(
            !other.flow.epochs.keep().await.unwrap(),
            "nor does the schedule get in between"
        );
        custody.open();
        none
    };
    let (first, second) = tokio::join!(turn(&vault.process), late);
    assert_eq!((first, second), (Some(2), None));
    assert_eq!(turn(&other).await, Some(3));
    assert_eq!(began(&vault).await, [1, 2, 3]);
}

async fn a_turner_whose_lease_was_taken_over_does_nothing_more(database: Database) {
    let store = FaultyStore::new();
    let custody = FaultyCustody::new();
    let recipe = Recipe {
        recovery: Some(store.clone()),
        custody: Some(custody.clone()),
        ..Recipe::on(database)
    };
    let vault = recipe.by_hand().await;
    let permit = keys();
    let other = vault.another_process().await;
    let dies = vault.sealed().await;
    let receipt = receipt_id(&vault.shred(dies.id).await);
    // Before its unit that ends the epoch.
    custody.plan(Ask::Seal, [Plan::Gate]);
    let overtake = async {
        custody.reached().await;
        vault.clock.advance(Duration::from_secs(61));
        let turned = turn(&other).await;
        custody.open();
        turned
    };
    let (slept, turned) = tokio::join!(vault.process.flow.epochs.turn(&permit), overtake);
    assert!(slept.is_err(), "{slept:?}");
    assert_eq!(
        (turned, began(&vault).await, roots(&vault).await),
        (Some(3), vec![1, 3], vec![3])
    );
    let made = receipt_of(&vault, &receipt).await;
    assert_eq!(
        (made.state(), made.epoch()),
        (ReceiptState::Unrecoverable, Some(3))
    );

    // And after it, before the old root is destroyed: the other one completes the turn, and turns
    // once more.
    let gone = vault.sealed().await;
    let receipt = receipt_id(&vault.shred(gone.id).await);
    store.plan(Op::Put, [Plan::Gate]);
    let overtake = async {
        store.reached().await;
        vault.clock.advance(Duration::from_secs(61));
        let turned = turn(&other).await;
        let made = receipt_of(&vault, &receipt).await;
        store.open();
        (turned, made)
    };
    let (slept, (turned, made)) = tokio::join!(vault.process.flow.epochs.turn(&permit), overtake);
    assert!(slept.is_err(), "{slept:?}");
    assert_eq!(
        (turned, began(&vault).await, roots(&vault).await),
        (Some(5), vec![1, 3, 4, 5], vec![5])
    );
    assert_eq!(
        (made.state(), made.epoch()),
        (ReceiptState::Unrecoverable, Some(4)),
        "the first turn covered it"
    );
    assert_eq!(receipt_of(&vault, &receipt).await, made);
    assert_eq!(
        turn(&vault.process).await,
        Some(6),
        "who slept may turn again"
    );
}

/// The one moment at which only the lease prevents a write by the turner: the root is destroyed,
/// but that is not recorded yet.
async fn a_turner_whose_lease_was_taken_away_notes_no_destruction(database: Database) {
    let custody = FaultyCustody::new();
    let vault = Recipe {
        custody: Some(custody.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let permit = keys();
    let other = vault.another_process().await;
    let gone = vault.sealed().await;
    let receipt = receipt_id(&vault.shred(gone.id).await);
    custody.plan(Ask::Destroy, [Plan::Gate]);
    let take_away = async {
        custody.reached().await;
        assert!(other.flow.epochs.release(&permit).await.unwrap().is_some());
        custody.open();
    };
    let (slept, ()) = tokio::join!(vault.process.flow.epochs.turn(&permit), take_away);
    assert!(slept.is_err(), "{slept:?}");
    let noted = async || {
        epochs::current(&mut vault.process.db.read().await.unwrap())
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(
        (
            noted().await.epoch,
            noted().await.previous_destroyed_at,
            roots(&vault).await
        ),
        (2, None, vec![2])
    );
    assert_eq!(
        receipt_of(&vault, &receipt).await.state(),
        ReceiptState::Tombstoned
    );

    // The next turner finds the root destroyed, and records it.
    assert_eq!(turn(&other).await, Some(3));
    let made = receipt_of(&vault, &receipt).await;
    assert_eq!(
        (made.state(), made.epoch(), began(&vault).await),
        (ReceiptState::Unrecoverable, Some(2), vec![1, 2, 3])
    );
}

async fn a_process_that_slept_across_turns_goes_on(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let sleeper = vault.another_process().await;
    let [lives, dies] = [vault.sealed().await, vault.sealed().await];
    for expected in [2, 3] {
        assert_eq!(turn(&vault.process).await, Some(expected));
    }
    assert_eq!(
        sleeper.flow.vault.epoch(),
        1,
        "it holds the key of a root that is no more"
    );
    vault.plays_in(&sleeper, &lives).await;
    assert_eq!(turn(&vault.process).await, Some(4));
    let officer = sleeper
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let answer = officer
        .delete(
            &format!("/v1/recordings/{}", dies.id),
            json!({ "reason": "subject-request" }),
        )
        .await;
    let receipt = receipt_id(&answer);
    assert_eq!(turn(&vault.process).await, Some(5));
    let late = vault.announced().await;
    sleeper.flow.worker.work_off().await.unwrap();
    vault.plays(&late).await;
    assert_eq!(receipt_of(&vault, &receipt).await.epoch(), Some(5));
    assert_eq!(
        (sleeper.flow.vault.epoch(), turn(&sleeper).await),
        (5, Some(6))
    );
}

/// Checks that a turn fails as planned, that the vault stays usable, and that the next turn
/// resumes.
async fn survives(vault: &TestVault, when: &str, destroyed: bool) {
    let (lives, dies): (Recorded, Recorded) = (vault.sealed().await, vault.sealed().await);
    let receipt = receipt_id(&vault.shred(dies.id).await);
    let before = roots(vault).await;
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .expect_err(when);
    let after = roots(vault).await;
    assert!(
        after.len() <= 2 && (destroyed || after[0] == before[0]),
        "{when}: {before:?} {after:?}"
    );
    assert_eq!(
        receipt_of(vault, &receipt).await.state(),
        ReceiptState::Tombstoned,
        "{when}"
    );
    vault
        .grant("reviewer", dies.id, "quality-review")
        .await
        .problem(410, "shredded");
    vault.plays(&lives).await;
    let late = vault.sealed().await;
    let other = vault.another_process().await;
    vault.plays_in(&other, &late).await;
    let began_here = turn(&other).await.expect(when);
    assert_eq!(
        receipt_of(vault, &receipt).await.state(),
        ReceiptState::Closed,
        "{when}"
    );
    assert_eq!(roots(vault).await, [began_here], "{when}");
    vault.plays(&lives).await;
    vault.plays(&late).await;
    began(vault).await;
}

async fn custody_fails_and_the_next_turn_goes_on(database: Database) {
    let custody = FaultyCustody::new();
    let vault = Recipe {
        custody: Some(custody.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    for (ask, plan, destroyed) in [
        (Ask::Stage, Plan::Fail, false),
        (Ask::Stage, Plan::Lose, false),
        (Ask::Seal, Plan::Fail, false),
        (Ask::Destroy, Plan::Fail, false),
        (Ask::Destroy, Plan::Lose, true),
    ] {
        custody.plan(ask, [plan]);
        survives(&vault, &format!("{ask:?} {plan:?}"), destroyed).await;
    }
}

async fn the_store_fails_and_no_root_is_destroyed(database: Database) {
    let store = FaultyStore::new();
    let vault = Recipe {
        recovery: Some(store.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    // A store that cannot be read is noticed before a root is created.
    for (op, plan) in [(Op::Put, Plan::Fail), (Op::Put, Plan::Lose)] {
        let [lives, dies] = [vault.sealed().await, vault.sealed().await];
        let receipt = receipt_id(&vault.shred(dies.id).await);
        let before = roots(&vault).await;
        store.plan(op, [plan]);
        vault.process.flow.epochs.turn(&keys()).await.unwrap_err();
        assert!(store.is_through());
        let after = roots(&vault).await;
        assert!(
            after.len() == 2 && after[0] == before[0],
            "{op:?}: {after:?}"
        );
        assert_eq!(
            receipt_of(&vault, &receipt).await.state(),
            ReceiptState::Tombstoned
        );
        vault.plays(&lives).await;
        assert!(
            vault.process.flow.epochs.keep().await.unwrap(),
            "the schedule completes it"
        );
        assert_eq!(
            receipt_of(&vault, &receipt).await.state(),
            ReceiptState::Unrecoverable
        );
        assert_eq!(roots(&vault).await, after[1..]);
        vault.plays(&lives).await;
    }
}

/// A turn stops before the root is destroyed, and its recorded snapshot is damaged before the next
/// attempt.
async fn a_snapshot_that_is_spoilt_in_a_turn_is_replaced_by_one_that_opens(database: Database) {
    let custody = FaultyCustody::new();
    let vault = Recipe {
        custody: Some(custody.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    vault.sealed().await;
    custody.plan(Ask::Destroy, [Plan::Fail]);
    let flow = &vault.process.flow;
    flow.epochs.turn(&keys()).await.unwrap_err();
    // Its own writes open, so that the database can be compared with the store.
    vault.sealed().await;
    flow.recovery.journal().await.unwrap();
    let noted = async || {
        let mut tx = vault.process.db.read().await.unwrap();
        let current = epochs::current(&mut tx).await.unwrap().unwrap();
        current.snapshot().unwrap().0
    };
    let spoilt = noted().await;
    let file = vault.folder().join("objects").join(spoilt.to_string());
    std::fs::write(file, b"rotten").unwrap();
    let turned = flow.vault.complete_turn().await.unwrap().unwrap();
    assert_ne!(turned.snapshot, spoilt);
    assert_eq!(turned.snapshot, noted().await);
    flow.vault.verify_snapshot(turned.snapshot).await.unwrap();
}

on_both_databases!(
    a_snapshot_that_is_spoilt_in_a_turn_is_replaced_by_one_that_opens,
    everybody_goes_on_while_two_processes_turn,
    of_two_that_turn_at_once_one_stands_back,
    a_turner_whose_lease_was_taken_over_does_nothing_more,
    a_turner_whose_lease_was_taken_away_notes_no_destruction,
    a_process_that_slept_across_turns_goes_on,
    custody_fails_and_the_next_turn_goes_on,
    the_store_fails_and_no_root_is_destroyed,
);
