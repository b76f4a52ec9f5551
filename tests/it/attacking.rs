//! An attacker with a copy of the key store from every moment, and finally with the running system,
//! reaches nothing that is unrecoverable.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use recvault::{
    custody::Custody,
    db::{Db, epochs},
    evidence::receipt::ReceiptState,
    store::{RecoveryKind, Store},
};

use crate::{
    epochs::{keys, receipt_of},
    world::{
        Ask, Attacker, Database, FaultyCustody, FaultyStore, Furnished, Home, Op, Plan, Process,
        Recipe, Recorded, TestVault,
    },
};

/// A vault and its attacker.
struct Scene {
    vault: TestVault,
    /// Another process, which fills its own leaves.
    other: Process,
    store: FaultyStore,
    custody: FaultyCustody,
    /// Custody as the attacker finds it.
    real: Arc<dyn Custody>,
    attacker: Attacker,
    living: Vec<Held>,
    shredded: Vec<(Held, String)>,
    _furnished: Furnished,
}

/// A recording and the public name of its key.
struct Held {
    recorded: Recorded,
    fingerprint: String,
}

impl Scene {
    /// `None` if this kind of custody is not available.
    async fn on(database: Database, home: Home) -> Option<Self> {
        let store = FaultyStore::new();
        let custody = FaultyCustody::new();
        let furnished = home.furnish().await?;
        let lines = furnished.lines.clone();
        let recipe = Recipe {
            home: lines,
            recovery: Some(store.clone()),
            custody: Some(custody.clone()),
            ..Recipe::on(database)
        };
        let vault = recipe.by_hand().await;
        let other = vault.another_process().await;
        let real = vault.custody().await;
        let attacker = Attacker::of(vault.made.vault);
        let living = Vec::new();
        let shredded = Vec::new();
        Some(Self {
            vault,
            other,
            store,
            custody,
            real,
            attacker,
            living,
            shredded,
            _furnished: furnished,
        })
    }

    /// Seals this many, by the first process or the other.
    async fn seal(&mut self, count: u8, by_other: bool) {
        for _ in 0..count {
            let sound = [b"RIFF\x05\0\0\0WAVE".as_slice(), &[rand::random()]].concat();
            let recorded = self.vault.record_wav(Bytes::from(sound));
            assert_eq!(self.vault.tell(&recorded, "completed").await.status, 204);
            let process = if by_other {
                &self.other
            } else {
                &self.vault.process
            };
            process.flow.worker.work_off().await.unwrap();
            let fingerprint = self.vault.key_entry(recorded.id).await.unwrap().fingerprint;
            self.living.push(Held {
                recorded,
                fingerprint,
            });
        }
        self.copy().await;
    }

    /// Shreds the living one at this index.
    async fn shred(&mut self, at: usize) {
        let held = self.living.remove(at);
        let answer = self.vault.shred(held.recorded.id).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.shredded.push((
            held,
            answer.json()["receipt_id"].as_str().unwrap().to_owned(),
        ));
        self.copy().await;
    }

    async fn move_to(&mut self, at: usize, tier: &str) {
        let id = self.living[at].recorded.id;
        assert!(
            self.vault
                .process
                .flow
                .reclassification
                .move_to(&keys(), id, &tier.parse().unwrap(), false)
                .await
                .unwrap()
                .1
        );
        self.copy().await;
    }

    async fn copy(&mut self) {
        self.attacker
            .copy(&self.vault.process.db, &self.store)
            .await;
        self.attacker.overhear(self.custody.sealed());
    }

    async fn states(&self) -> Vec<ReceiptState> {
        let mut states = Vec::new();
        for (_, receipt) in &self.shredded {
            states.push(receipt_of(&self.vault, receipt).await.state());
        }
        states
    }

    /// Attacks. No reached recording may be unrecoverable, every tombstoned one must be reached
    /// (otherwise this proves nothing), and the live rows alone must yield every living key.
    async fn attack(&mut self) -> BTreeSet<String> {
        self.copy().await;
        let reached = self.attacker.reaches(self.real.as_ref()).await;
        for ((held, _), state) in self.shredded.iter().zip(self.states().await) {
            let is_reached = reached.contains(&held.fingerprint);
            assert_eq!(
                is_reached,
                state == ReceiptState::Tombstoned,
                "{} is {}",
                held.recorded.id,
                state.as_str()
            );
        }
        let mut live = Attacker::of(self.vault.made.vault);
        live.copy(&self.vault.process.db, &FaultyStore::new()).await;
        let live = live.reaches(self.real.as_ref()).await;
        assert_eq!(
            live,
            self.living
                .iter()
                .map(|held| held.fingerprint.clone())
                .collect(),
            "the live rows give what lives and nothing else"
        );
        reached
    }
}

async fn number(db: &Db) -> u64 {
    epochs::current(&mut db.read().await.unwrap())
        .await
        .unwrap()
        .unwrap()
        .epoch
}

async fn whoever_kept_everything_reaches_nothing_that_is_unrecoverable(database: Database) {
    for home in Home::ALL {
        if let Some(scene) = Scene::on(database, home).await {
            println!("with {home:?}");
            nothing_unrecoverable_is_reached(scene).await;
        }
    }
}

async fn nothing_unrecoverable_is_reached(mut scene: Scene) {
    // Neighbours on a leaf, others on the leaf of another process, and two that move to another
    // tier.
    scene.seal(10, false).await;
    scene.seal(3, true).await;
    scene.move_to(8, "sensitive").await;
    scene.move_to(9, "restricted").await;
    scene.vault.process.flow.vault.snapshot().await.unwrap();
    scene.vault.process.flow.recovery.journal().await.unwrap();
    scene.copy().await;

    // Several batches: two neighbours; one of the other's leaf; one that has moved; one that was
    // sealed and shredded within this epoch.
    scene.shred(0).await;
    scene.shred(0).await;
    scene.shred(8).await;
    scene.shred(6).await;
    scene.seal(1, true).await;
    scene.vault.process.flow.recovery.journal().await.unwrap();
    scene.copy().await;
    let last = scene.living.len() - 1;
    scene.shred(last).await;
    let reached = scene.attack().await;
    assert_eq!(
        (scene.states().await, reached.len()),
        (vec![ReceiptState::Tombstoned; 5], 14),
        "until the turn everything is in reach"
    );

    // The turn, with an attack at each of its stages; a shred before its commit is covered by it, a
    // later one waits.
    let custody = scene.custody.clone();
    for ask in [Ask::Stage, Ask::Seal, Ask::Destroy] {
        custody.plan(ask, [Plan::Gate]);
    }
    let flow = scene.vault.process.flow.clone();
    let store = scene.store.clone();
    let turn = async move { flow.epochs.turn(&keys()).await.unwrap().unwrap() };
    let watch = async {
        for ask in [Ask::Stage, Ask::Seal] {
            custody.reached().await;
            scene.attack().await;
            scene.shred(0).await;
            scene.attack().await;
            if ask == Ask::Seal {
                store.plan(Op::Put, [Plan::Gate]);
            }
            custody.open();
        }
        // The next root is in force, and its snapshot is about to be written.
        store.reached().await;
        scene.attack().await;
        scene.shred(0).await;
        store.open();
        custody.reached().await;
        scene.seal(1, false).await;
        scene.attack().await;
        custody.open();
    };
    let (turned, ()) = tokio::join!(turn, watch);
    assert_eq!((turned.epoch, turned.covered), (2, 7));
    // The bytes were removed beside the turn.
    let mut expected = vec![ReceiptState::Closed; 7];
    expected.push(ReceiptState::Tombstoned);
    assert_eq!(scene.states().await, expected);
    scene.attack().await;
    nothing_older_is_in_the_store(&scene).await;

    // Waiting shreds, and a recording that was moved before the turn and shredded after it, are
    // covered by the next turn.
    scene.move_to(0, "sensitive").await;
    scene.shred(0).await;
    scene.attack().await;
    let turned = scene
        .other
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((turned.epoch, turned.covered), (3, 2));
    expected = vec![ReceiptState::Closed; 8];
    expected.push(ReceiptState::Unrecoverable);
    assert_eq!(scene.states().await, expected);
    scene.attack().await;
    nothing_older_is_in_the_store(&scene).await;
    for held in &scene.living {
        scene
            .vault
            .plays_in(&scene.vault.process, &held.recorded)
            .await;
    }
    scene.vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(scene.states().await, vec![ReceiptState::Closed; 9]);
}

/// Checks that the store holds no snapshot and no piece of the journal of an earlier epoch.
async fn nothing_older_is_in_the_store(scene: &Scene) {
    let store = Store::over(Arc::new(scene.store.clone()));
    let epoch = number(&scene.vault.process.db).await;
    let mut names = Vec::new();
    for kind in [RecoveryKind::Snapshot, RecoveryKind::Journal] {
        names.extend(
            store
                .list_recovery(kind)
                .await
                .unwrap()
                .into_iter()
                .map(|(name, _)| name),
        );
    }
    assert!(
        names.iter().all(|name| name.epoch == epoch),
        "a recovery file of an older epoch than {epoch} is in the store: {names:?}"
    );
    assert!(
        names.iter().any(|name| name.kind == RecoveryKind::Snapshot),
        "{names:?}"
    );
}

async fn what_an_attempt_sealed_that_came_to_nothing_opens_nothing_later(database: Database) {
    for home in Home::ALL {
        if let Some(scene) = Scene::on(database, home).await {
            println!("with {home:?}");
            an_attempt_leaves_nothing(scene).await;
        }
    }
}

async fn an_attempt_leaves_nothing(mut scene: Scene) {
    scene.seal(3, false).await;
    // Root page key and pages of the attempt may be in a write-ahead log, although it was never
    // committed.
    scene.vault.ground().refuse_rows_of("epochs").await;
    scene
        .vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap_err();
    scene.vault.ground().take_rows_of("epochs").await;
    let attempted = scene.custody.sealed();
    assert_eq!(attempted.len(), 1, "{attempted:?}");
    scene.shred(0).await;
    scene.attack().await;
    let turned = scene
        .vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (turned.epoch, turned.covered),
        (3, 1),
        "the number of the attempt is not given again"
    );
    for name in scene.real.roots().await.unwrap() {
        assert!(
            scene.real.open(name, &attempted[0].1).await.is_err(),
            "{name:?}"
        );
    }
    scene.attack().await;
}

async fn a_process_that_slept_through_the_turn_leaves_nothing_to_reach(database: Database) {
    let mut scene = Scene::on(database, Home::Passphrase).await.unwrap();
    scene.seal(3, true).await;
    scene.shred(0).await;
    // The other process still holds the old root: its writes after the turn use the new one.
    scene
        .vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    scene.seal(2, true).await;
    scene.other.flow.vault.journal().await.unwrap();
    scene.other.flow.vault.snapshot().await.unwrap();
    scene.shred(2).await;
    scene.attack().await;
    scene
        .vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    scene.attack().await;
    nothing_older_is_in_the_store(&scene).await;
    assert_eq!(
        scene.states().await,
        [ReceiptState::Closed, ReceiptState::Unrecoverable]
    );
}

on_both_databases!(
    whoever_kept_everything_reaches_nothing_that_is_unrecoverable,
    what_an_attempt_sealed_that_came_to_nothing_opens_nothing_later,
    a_process_that_slept_through_the_turn_leaves_nothing_to_reach,
);
