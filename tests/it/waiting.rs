//! Numbers and utterances that wait for a recording survive a turn only while they wait: an old
//! copy and the present root yield neither.

use recvault::{
    db::{
        Db, keys as rows,
        utterances::{self, WaitingUtterance},
        waiting::{self, PendingItem},
    },
    keyring::{self, RootKey},
    secret::Key,
};
use serde_json::{Value, json};

use crate::{
    epochs::keys,
    parties::{call_of, party},
    viewing::policy,
    world::{Database, FaultyStore, Op, Plan, Recipe, Recorded, TestVault},
};

const NUMBERS: [&str; 2] = ["+493023125011", "+493023125022"];
const WORDS: &str = "The eleven are in the blue drawer.";

impl TestVault {
    /// Names two participants as the application, before there is a recording.
    async fn two_wait(&self, recorded: &Recorded) {
        let parties = json!({ "parties": [{ "leg": "customer", "number": NUMBERS[0] }, { "leg": "agent", "number": NUMBERS[1] }] });
        let path = format!("/v1/calls/{}/parties", call_of(recorded));
        assert_eq!(
            self.asks("privacy-officer")
                .post(&path, parties)
                .await
                .status,
            200
        );
    }

    /// Posts an utterance of a call in progress.
    async fn words_wait(&self, recorded: &Recorded) {
        let mut rt = self.stand_in.real_time(&self.account, &call_of(recorded));
        for event in [
            rt.started(),
            rt.said("inbound_track", WORDS, 0.75),
            rt.stopped(),
        ] {
            assert_eq!(
                self.post_callback(&self.account, "/twilio/realtime", &event)
                    .await
                    .status,
                204
            );
        }
    }

    async fn turns(&self) {
        assert!(
            self.process
                .flow
                .epochs
                .turn(&keys())
                .await
                .unwrap()
                .is_some()
        );
    }
}

/// The waiting rows in a copy of the database.
struct Copied {
    parties: Vec<PendingItem>,
    pieces: Vec<WaitingUtterance>,
}

impl Copied {
    async fn of(db: &Db) -> Self {
        let mut tx = db.read().await.unwrap();
        let parties = waiting::chunk(&mut tx, None, 100).await.unwrap();
        Self {
            parties,
            pieces: utterances::chunk(&mut tx, None, 100).await.unwrap(),
        }
    }

    /// Returns all texts that these keys open: keys derived from the root and from the seed, with
    /// and without a row's prefix.
    fn opened(&self, vault: &TestVault, root: &RootKey, seed: &Key) -> Vec<String> {
        let mut found = Vec::new();
        let mut attempt = |key: &Key, sealed: &[u8]| {
            for front in [0, 16] {
                let note = sealed.get(front..).unwrap_or_default();
                found.extend(
                    keyring::open_note(key, vault.made.vault, note)
                        .map(|text| text.as_str().to_owned()),
                );
            }
        };
        // As if the seed, which survives every turn, were the root.
        let seed = RootKey {
            epoch: root.epoch,
            key: seed.duplicate(),
        };
        for (place, sealed) in &self.parties {
            for root in [root, &seed] {
                let key = keyring::waiting_key(root, &place.conversation, &place.scope, &place.leg);
                attempt(&key, sealed);
            }
        }
        for WaitingUtterance {
            account,
            transcription,
            utterance,
        } in &self.pieces
        {
            let track = &utterance.track;
            let number = utterance.sequence;
            attempt(
                &keyring::utterance_key(root, account, transcription, track, number),
                &utterance.sealed,
            );
            attempt(
                &keyring::utterance_key(&seed, account, transcription, track, number),
                &utterance.sealed,
            );
        }
        found
    }
}

/// Returns the vault's seed, as the present root and the present rows yield it.
async fn seed(vault: &TestVault, root: &RootKey) -> Key {
    let mut tx = vault.process.db.read().await.unwrap();
    let page = rows::service_page(&mut tx).await.unwrap().unwrap();
    let path = rows::path(&mut tx, page).await.unwrap();
    keyring::tree::walk(path, root, vault.made.vault)
        .unwrap()
        .page
        .key(0)
        .unwrap()
}

async fn an_old_copy_and_the_present_root_give_neither_number_nor_word(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.record();
    vault.two_wait(&recorded).await;
    vault.words_wait(&recorded).await;
    let copied = Copied::of(&vault.process.db).await;
    let root = vault.root().await;
    let opened = copied.opened(&vault, &root, &seed(&vault, &root).await);
    assert_eq!(
        (copied.parties.len(), copied.pieces.len(), opened.len()),
        (2, 1, 3),
        "or this proves nothing"
    );

    vault.told(&recorded).await;
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    vault.turns().await;
    let root = vault.root().await;
    assert_eq!(
        copied.opened(&vault, &root, &seed(&vault, &root).await),
        Vec::<String>::new()
    );

    // Nor does the vault itself, with the old rows restored.
    let [piece] = copied.pieces.try_into().unwrap();
    let put_back = vault.process.db.unit("put_back", async |mut unit| {
        unit.without_entry("a test");
        for (place, sealed) in &copied.parties {
            waiting::put(&mut unit, place, sealed).await?;
        }
        utterances::insert(
            &mut unit,
            &piece.account,
            &piece.transcription,
            &piece.utterance,
            vault.clock.now(),
        )
        .await
    });
    put_back.await.unwrap();
    let pieces = vault
        .process
        .flow
        .vault
        .utterances(&piece.account, &piece.transcription)
        .await;
    assert!(pieces.is_err(), "a word came back");
    let again = vault.again(&recorded);
    vault.told(&again).await;
    assert_eq!(vault.state(again.id).await, "sealed");
    let (_, answer) = vault.under_a_grant(&again, "hear").await;
    assert!(!answer.text().contains("+49"), "a number came back");
}

fn both() -> [Value; 2] {
    [
        party("agent", None, Some(NUMBERS[1]), None),
        party("customer", None, Some(NUMBERS[0]), None),
    ]
}

async fn what_still_waits_is_there_after_turns_that_another_process_made(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    let [recorded, later] = [vault.record(), vault.record()];
    vault.two_wait(&recorded).await;
    vault.words_wait(&recorded).await;
    for _ in 0..2 {
        assert!(other.flow.epochs.turn(&keys()).await.unwrap().is_some());
    }
    // This process has not noticed it, and adds more waiting rows.
    vault.two_wait(&later).await;
    for recorded in [&recorded, &later] {
        vault.told(recorded).await;
        assert_eq!(vault.shown(recorded).await, both());
    }
    let [piece] = Copied::of(&vault.process.db)
        .await
        .pieces
        .try_into()
        .unwrap();
    let pieces = vault
        .process
        .flow
        .vault
        .utterances(&piece.account, &piece.transcription)
        .await
        .unwrap();
    assert!(
        pieces
            .iter()
            .any(|(_, text)| text.as_ref().is_some_and(|text| text.contains(WORDS)))
    );
}

/// The turn was interrupted after its root was in force, and the database was lost: the snapshot is
/// of the epoch before, the journal of both.
async fn what_waits_is_there_in_a_vault_rebuilt_from_two_epochs(database: Database) {
    let store = FaultyStore::new();
    let vault = Recipe {
        policy: policy(),
        recovery: Some(store.clone()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    vault.process.flow.vault.snapshot().await.unwrap();
    let [before, between] = [vault.record(), vault.record()];
    vault.two_wait(&before).await;
    vault.process.flow.recovery.journal().await.unwrap();
    store.plan(Op::Put, [Plan::Fail]);
    assert!(vault.process.flow.epochs.turn(&keys()).await.is_err());
    vault.two_wait(&between).await;
    vault.process.flow.recovery.journal().await.unwrap();

    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = recvault::vault::plan(&app.parts(), Default::default())
        .await
        .unwrap();
    let restored = recvault::vault::restore(app.parts(), &plan, recvault::vault::Claim::TakeOver)
        .await
        .unwrap();
    assert_eq!(
        (
            restored.epoch,
            plan.journal
                .iter()
                .map(|piece| piece.epoch)
                .collect::<Vec<_>>()
        ),
        (1, vec![1, 2])
    );
    let process = vault.process_over(app).await;
    let waits = Copied::of(&process.db).await;
    let root = RootKey {
        epoch: 1,
        key: vault.root_of(&process).await,
    };
    let opened = waits.opened(&vault, &root, &Key::random(&mut rand::rng()));
    assert_eq!(opened.len(), 4, "{opened:?}");
}

/// An utterance arrives while the epoch ends: it is sealed under the epoch that is in force when
/// its unit commits.
async fn what_is_told_while_epochs_end_is_not_lost(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let other = vault.another_process().await;
    let call = call_of(&vault.record());
    let mut rt = vault.stand_in.real_time(&vault.account, &call);
    let mut events = vec![rt.started()];
    events.extend((0..24).map(|number| rt.said("inbound_track", &format!("Word {number}."), 0.75)));
    let told = async {
        for event in &events {
            assert_eq!(
                vault
                    .post_callback(&vault.account, "/twilio/realtime", event)
                    .await
                    .status,
                204
            );
        }
    };
    let turns = async {
        for _ in 0..3 {
            assert!(other.flow.epochs.turn(&keys()).await.unwrap().is_some());
        }
    };
    tokio::join!(told, turns);
    let pieces = Copied::of(&vault.process.db).await.pieces;
    let opened = vault
        .process
        .flow
        .vault
        .utterances(&pieces[0].account, &pieces[0].transcription)
        .await
        .unwrap();
    assert_eq!(opened.iter().filter(|(_, text)| text.is_some()).count(), 24);
}

on_both_databases!(
    an_old_copy_and_the_present_root_give_neither_number_nor_word,
    what_still_waits_is_there_after_turns_that_another_process_made,
    what_waits_is_there_in_a_vault_rebuilt_from_two_epochs,
    what_is_told_while_epochs_end_is_not_lost,
);
