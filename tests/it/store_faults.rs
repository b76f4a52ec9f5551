//! The store fails, loses answers or is slow: a recording is finally sealed once, or not stored.

use std::{sync::Arc, time::Duration};

use recvault::demo::conversation::{self, Channels};

use crate::world::{FaultyStore, Op, Plan, Recipe, Recorded, TestVault};

async fn over(store: &FaultyStore) -> TestVault {
    Recipe {
        adapter: Some(Arc::new(store.clone())),
        ..Recipe::default()
    }
    .by_hand()
    .await
}

/// Adds a recording that is long enough for an upload of three parts.
async fn long_one(vault: &TestVault) -> Recorded {
    let recorded = vault.record_wav(conversation::repeat_to(600, Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    recorded
}

#[tokio::test]
async fn a_write_fails_and_is_done_again() {
    let store = FaultyStore::new();
    let vault = over(&store).await;
    for (op, plans) in [
        (Op::Put, &[Plan::Fail][..]),
        (Op::Put, &[Plan::Lose]),
        (Op::Begin, &[Plan::Fail]),
        (Op::Part, &[Plan::Fail]),
        (Op::Part, &[Plan::Pass, Plan::Fail]),
        (Op::Part, &[Plan::Pass, Plan::Pass, Plan::Fail]),
        (Op::Complete, &[Plan::Fail]),
        (Op::Complete, &[Plan::Lose]),
    ] {
        let recorded = if op == Op::Put {
            vault.announced().await
        } else {
            long_one(&vault).await
        };
        store.plan(op, plans.iter().copied());
        let before = vault.objects().await.len();
        assert_eq!(
            vault.process.flow.worker.work_off().await.unwrap(),
            1,
            "{op:?} {plans:?}"
        );
        assert!(store.is_through(), "{op:?} {plans:?}");
        assert_eq!(vault.state(recorded.id).await, "announced");
        assert_eq!(
            (
                vault.key_entry(recorded.id).await,
                vault.artefacts(recorded.id).await
            ),
            (None, vec![])
        );
        assert_eq!(
            vault.dead().await,
            None,
            "our own trouble is no reason to give up"
        );
        assert_eq!(vault.later().await, 1);
        vault.plays(&recorded).await;
        // A write whose answer was lost leaves an object without an owner.
        let lost = usize::from(matches!(plans, [Plan::Lose]));
        assert_eq!(
            vault.objects().await.len(),
            before + 1 + lost,
            "{op:?} {plans:?}"
        );
    }
    vault.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(
        vault
            .process
            .flow
            .sweeper
            .sweep(Duration::from_secs(3600))
            .await
            .unwrap()
            .orphans,
        2
    );
    assert_eq!(
        vault.objects().await.len(),
        8,
        "and what belongs to a recording stays"
    );
    assert_eq!(
        vault
            .process
            .flow
            .sweeper
            .sweep(Duration::ZERO)
            .await
            .unwrap()
            .orphans,
        0
    );
}

#[tokio::test]
async fn the_store_fails_for_days_and_the_recording_waits() {
    let store = FaultyStore::new();
    let vault = over(&store).await;
    let recorded = vault.announced().await;
    store.plan(Op::Put, [Plan::Fail; 40]);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    for _ in 1..40 {
        vault.clock.advance(Duration::from_secs(3600));
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        assert_eq!(vault.dead().await, None);
    }
    vault.clock.advance(Duration::from_secs(3600));
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn slow_writes_are_waited_for() {
    let store = FaultyStore::new();
    let vault = over(&store).await;
    let recorded = long_one(&vault).await;
    for op in [Op::Begin, Op::Part, Op::Complete] {
        store.plan(op, [Plan::Slow(Duration::from_millis(100)); 3]);
    }
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn a_sealed_object_that_is_not_there_is_told_as_that_and_counted() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let other = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    for sealed in vault.artefacts(recorded.id).await {
        vault
            .process
            .store
            .delete(sealed.object.unwrap())
            .await
            .unwrap();
    }

    for _ in 0..2 {
        vault
            .anybody()
            .get(&path)
            .await
            .problem(500, "ciphertext-missing");
    }
    let events = vault.events().await;
    let told = events.iter().filter(|event| *event == "ciphertext.missing");
    assert_eq!(told.count(), 1, "once is enough: {events:?}");
    let status = vault.process.flow.monitoring.status().await.unwrap();
    assert_eq!(status.missing_ciphertext, 1);
    vault.plays(&other).await;

    // A shredded recording does not count as missing.
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    vault.anybody().get(&path).await.problem(410, "shredded");
    let status = vault.process.flow.monitoring.status().await.unwrap();
    assert_eq!(status.missing_ciphertext, 0);
}

#[tokio::test]
async fn a_read_fails_and_the_listener_is_told() {
    let store = FaultyStore::new();
    let vault = over(&store).await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    store.plan(Op::Get, [Plan::Fail]);
    vault.anybody().get(&path).await.problem(503, "unavailable");
    // Header, end and first segments are read, and the next read fails.
    store.plan(Op::Get, [Plan::Pass, Plan::Pass, Plan::Pass, Plan::Fail]);
    assert!(
        vault.anybody().get_or_break(&path).await.is_none(),
        "it breaks off and does not pass for the whole"
    );
    assert!(store.is_through());
    vault.plays(&recorded).await;
}
