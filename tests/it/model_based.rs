//! Random lives of a vault, checked against a plain map of living and shredded recordings.
//!
//! A life is a sequence of deposits, shreds, moves, turns (some of which fail), snapshots,
//! journals, restarts, and losses of the database with a rebuild from the store. A failure: an
//! acknowledged recording is missing or does not open; a shredded one opens, or an attacker with
//! every copy reaches it although its receipt excludes that; a receipt is weaker than before. Not a
//! failure: data that was never in the journal is lost with the database. Each life prints its
//! seed, which reproduces it.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use recvault::{
    evidence::receipt::ReceiptState,
    model::{id::RecordingId, name::Tier},
    vault,
};
use tempfile::TempDir;

use crate::{
    epochs::{keys, receipt_of},
    world::{
        Attacker, Database, FaultyStore, Ground, MemoryCustody, Op, Plan, Recipe, Recorded,
        TestVault,
    },
};

const STEPS: usize = 40;

/// The number of lives; more in `tests/fuzz`.
fn lives() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test's own variable")]
    let given = std::env::var("RECVAULT_TEST_LIVES").ok();
    given.map_or(12, |given| given.parse().expect("a number of lives"))
}

/// The external record of a recording.
struct Known {
    recorded: Recorded,
    tier: Tier,
    fingerprint: String,
    /// The receipt and its last state; `None` while the recording lives.
    shredded: Option<(String, ReceiptState)>,
    /// The knowledge of the store: whether the recording is in it, and the least state of its
    /// receipt.
    stored: Option<Option<ReceiptState>>,
}

/// One life.
struct Life {
    database: Database,
    vault: TestVault,
    store: FaultyStore,
    custody: MemoryCustody,
    attacker: Attacker,
    known: BTreeMap<RecordingId, Known>,
    rng: StdRng,
    /// The present database, after the first was lost.
    rebuilt: Option<(TempDir, Ground)>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Deposit,
    Shred,
    ShredAgain,
    Move,
    Turn,
    TurnBreaksOff,
    Snapshot,
    Journal,
    RemoveBytes,
    Restart,
    Lose,
}

/// Each with the probability of its number of occurrences.
const CHOICE: [Step; 32] = {
    use Step::*;
    [
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Deposit,
        Shred,
        Shred,
        Shred,
        Shred,
        Shred,
        Shred,
        Move,
        Move,
        Move,
        Turn,
        Turn,
        Turn,
        TurnBreaksOff,
        TurnBreaksOff,
        Snapshot,
        Snapshot,
        Journal,
        Journal,
        ShredAgain,
        RemoveBytes,
        Restart,
        Lose,
    ]
};

impl Life {
    async fn begin(database: Database, seed: u64) -> Self {
        let store = FaultyStore::new();
        let custody = MemoryCustody::default();
        let adapter = Some(std::sync::Arc::new(FaultyStore::new()) as _);
        let recipe = Recipe {
            adapter,
            recovery: Some(store.clone()),
            memory: Some(custody.clone()),
            ..Recipe::on(database)
        };
        let vault = recipe.by_hand().await;
        vault.process.flow.vault.journal().await.unwrap();
        let attacker = Attacker::of(vault.made.vault);
        let rng = StdRng::seed_from_u64(seed);
        Self {
            database,
            vault,
            store,
            custody,
            attacker,
            known: BTreeMap::new(),
            rng,
            rebuilt: None,
        }
    }

    /// Returns a random recording that lives, or one that does not.
    fn any(&mut self, living: bool) -> Option<RecordingId> {
        let ids: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.shredded.is_none() == living)
            .map(|(id, _)| *id)
            .collect();
        (!ids.is_empty()).then(|| ids[self.rng.random_range(0..ids.len())])
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Deposit => self.deposit().await,
            Step::Shred => self.shred(true).await,
            Step::ShredAgain => self.shred(false).await,
            Step::Move => self.relocate().await,
            Step::Turn => {
                let turned = self.vault.process.flow.epochs.turn(&keys()).await.unwrap();
                assert!(turned.is_some(), "nobody else turns");
                self.is_stored().await;
                // The receipts that the turn signed are not in its snapshot.
                self.vault.process.flow.vault.journal().await.unwrap();
                self.look().await;
            }
            Step::TurnBreaksOff => {
                let op = if self.rng.random() { Op::Put } else { Op::Get };
                let plan = if self.rng.random() {
                    Plan::Fail
                } else {
                    Plan::Lose
                };
                let is_written = op == Op::Get || matches!(plan, Plan::Lose);
                self.store.plan(op, [plan]);
                self.vault
                    .process
                    .flow
                    .epochs
                    .turn(&keys())
                    .await
                    .unwrap_err();
                assert!(self.store.is_through());
                // It failed at its snapshot, which may be in the store nevertheless.
                if is_written {
                    self.everything_is_stored().await;
                }
            }
            Step::Snapshot => {
                self.vault.process.flow.vault.snapshot().await.unwrap();
                self.everything_is_stored().await;
            }
            Step::Journal => {
                self.vault.process.flow.vault.journal().await.unwrap();
            }
            Step::RemoveBytes => {
                self.vault.later().await;
            }
            Step::Restart => {
                let process = match &self.rebuilt {
                    None => self.vault.another_process().await,
                    Some((folder, ground)) => {
                        self.vault
                            .process_over(self.vault.app_on(folder.path(), ground).await)
                            .await
                    }
                };
                self.vault.process = process;
            }
            // On the heap: a restore's future is large.
            Step::Lose => Box::pin(self.lose()).await,
        }
        if matches!(step, Step::Journal | Step::Move | Step::Shred | Step::Turn) {
            self.is_stored().await;
        }
    }

    async fn deposit(&mut self) {
        let sound = [b"RIFF\x05\0\0\0WAVE".as_slice(), &[self.rng.random()]].concat();
        let recorded = self.vault.sealed_wav(Bytes::from(sound)).await;
        let fingerprint = self.vault.key_entry(recorded.id).await.unwrap().fingerprint;
        let tier = "standard".parse().unwrap();
        self.known.insert(
            recorded.id,
            Known {
                recorded,
                tier,
                fingerprint,
                shredded: None,
                stored: None,
            },
        );
    }

    async fn shred(&mut self, living: bool) {
        let Some(id) = self.any(living) else { return };
        let answer = self.vault.shred(id).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let receipt = answer.json()["receipt_id"].as_str().unwrap().to_owned();
        let known = self.known.get_mut(&id).unwrap();
        let (before, _) = known
            .shredded
            .get_or_insert((receipt.clone(), ReceiptState::Tombstoned));
        assert_eq!(
            *before, receipt,
            "a recording has one receipt, whatever was lost"
        );
    }

    async fn relocate(&mut self) {
        let Some(id) = self.any(true) else { return };
        let to: Tier = ["standard", "sensitive", "restricted"][self.rng.random_range(0..3)]
            .parse()
            .unwrap();
        let known = self.known.get_mut(&id).unwrap();
        let (_, moved) = self
            .vault
            .process
            .flow
            .reclassification
            .move_to(&keys(), id, &to, false)
            .await
            .unwrap();
        assert_eq!(moved, known.tier != to);
        known.tier = to;
    }

    /// Records that the store alone has everything, if nothing waits for the journal.
    async fn is_stored(&mut self) {
        if self
            .vault
            .process
            .flow
            .recovery
            .status()
            .await
            .unwrap()
            .waiting
            == 0
        {
            self.everything_is_stored().await;
        }
    }

    async fn everything_is_stored(&mut self) {
        self.look().await;
        for known in self.known.values_mut() {
            known.stored = Some(known.shredded.as_ref().map(|(_, state)| *state));
        }
    }

    /// Reads every receipt; none may be weaker than before.
    async fn look(&mut self) {
        for known in self.known.values_mut() {
            if let Some((receipt, before)) = &mut known.shredded {
                let state = receipt_of(&self.vault, receipt).await.state();
                assert!(rank(state) >= rank(*before), "{before:?} became {state:?}");
                *before = state;
            }
        }
    }

    /// Loses the database. Data in the store comes back; any other may be lost.
    async fn lose(&mut self) {
        self.copy().await;
        let (app, ground) = self.vault.app_on_an_empty_database(self.database).await;
        let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
        // On the heap, each: together they would be too large for the stack of a test.
        let restored = Box::pin(vault::restore(app.parts(), &plan, vault::Claim::TakeOver));
        let restored = restored.await.unwrap();
        self.vault.process = Box::pin(self.vault.process_over(app)).await;
        self.rebuilt = Some(ground);
        // Data that only the lost database had.
        let mut lost = Vec::new();
        for (id, known) in &mut self.known {
            match known.stored {
                Some(said) => {
                    if let (Some((_, state)), Some(said)) = (&mut known.shredded, said) {
                        *state = said;
                    }
                }
                None => lost.push(*id),
            }
        }
        for id in lost {
            assert!(
                self.known[&id].shredded.is_none(),
                "a shred is told when it is in the store"
            );
            // The snapshot of a failed turn may have it nevertheless.
            if self.vault.key_entry(id).await.is_none() {
                self.known.remove(&id);
            }
        }
        let tombstones = self
            .known
            .values()
            .filter(|known| known.shredded.is_some())
            .count();
        assert_eq!(restored.tombstones, i64::try_from(tombstones).unwrap());
        // The rebuild ended with a snapshot of everything.
        self.look().await;
        self.is_stored().await;
    }

    async fn copy(&mut self) {
        self.attacker
            .copy(&self.vault.process.db, &self.store)
            .await;
    }

    /// Checks all invariants.
    async fn holds(&mut self) {
        self.copy().await;
        self.look().await;
        let mut live = Attacker::of(self.vault.made.vault);
        live.copy(&self.vault.process.db, &FaultyStore::new()).await;
        let live = live.reaches(&self.custody).await;
        let expected = self
            .known
            .values()
            .filter(|known| known.shredded.is_none())
            .map(|known| known.fingerprint.clone())
            .collect();
        assert_eq!(
            live, expected,
            "the live rows give what lives, and nothing else"
        );
        let reached = self.attacker.reaches(&self.custody).await;
        for (id, known) in &self.known {
            match &known.shredded {
                Some((_, state)) => {
                    assert!(
                        *state == ReceiptState::Tombstoned || !reached.contains(&known.fingerprint),
                        "{id} is {state:?} and in reach"
                    );
                    assert_eq!(self.vault.key_entry(*id).await, None);
                    assert_eq!(self.vault.state(*id).await, "shredded");
                }
                None => {
                    let entry = self.vault.key_entry(*id).await.unwrap();
                    assert_eq!(entry.fingerprint, known.fingerprint);
                }
            }
        }
        for living in [true, false] {
            let Some(id) = self.any(living) else { continue };
            if living {
                self.vault
                    .plays_in(&self.vault.process, &self.known[&id].recorded)
                    .await;
            } else {
                self.vault
                    .grant("privacy-officer", id, "dispute-resolution")
                    .await
                    .problem(410, "shredded");
            }
        }
    }

    async fn end(mut self) {
        self.vault
            .process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .unwrap();
        self.vault.clock.advance(Duration::from_secs(3600));
        self.vault.later().await;
        self.holds().await;
        for known in self.known.values() {
            match &known.shredded {
                Some((_, state)) => assert_eq!(*state, ReceiptState::Closed),
                None => {
                    self.vault
                        .plays_in(&self.vault.process, &known.recorded)
                        .await
                }
            }
        }
    }
}

fn rank(state: ReceiptState) -> u8 {
    match state {
        ReceiptState::Tombstoned => 0,
        ReceiptState::Unrecoverable => 1,
        ReceiptState::Closed => 2,
    }
}

async fn random_lives_keep_what_lives_and_let_go_of_the_rest(database: Database) {
    for seed in 0..lives() {
        let mut life = Life::begin(database, seed).await;
        for number in 0..STEPS {
            let step = CHOICE[life.rng.random_range(0..CHOICE.len())];
            println!("life {seed}, step {number}: {step:?}");
            life.step(step).await;
            if number % 5 == 4 {
                life.holds().await;
            }
        }
        life.end().await;
    }
}

on_both_databases!(random_lives_keep_what_lives_and_let_go_of_the_rest);
