//! Small ciphertext goes to the store once: journal and snapshots do not repeat it, and the store and
//! custody still rebuild everything.

use std::{fs, path::Path, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use recvault::{
    app::App,
    db::{recordings, shreds},
    evidence::{HeldCopy, Receipt, Removal},
    model::{id::RecordingId, recording::RecordingState},
    store::{RecoveryKind, RecoveryName},
    vault::{self, Choice, Restored},
};
use reqwest::Method;
use serde_json::json;

use crate::{
    epochs::keys,
    threads::vault_on,
    transcribing::work,
    viewing::token_of,
    world::{Answer, Database, Process, TestVault, send},
};

const ANNA: &str = "+493090182001";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns a text of this length that no other text resembles.
fn noise(rng: &mut StdRng, len: usize) -> String {
    (0..len).map(|_| rng.random_range('a'..='z')).collect()
}

/// Keeps texts of 1,500 characters: each has some 3 KiB of ciphertext.
async fn kept(vault: &TestVault, count: u64) -> Vec<RecordingId> {
    let mut kept = Vec::new();
    for seed in 0..count {
        let body = noise(&mut StdRng::seed_from_u64(seed), 1500);
        kept.push(vault.kept(ANNA, &body).await);
    }
    kept
}

async fn files(vault: &TestVault, kind: RecoveryKind) -> Vec<(RecoveryName, u64)> {
    vault.process.store.list_recovery(kind).await.unwrap()
}

/// Returns the bytes of all pieces of the journal.
async fn journaled(vault: &TestVault) -> u64 {
    vault.process.flow.vault.journal().await.unwrap();
    let pieces = files(vault, RecoveryKind::Journal).await;
    pieces.iter().map(|(_, size)| size).sum()
}

/// Writes a snapshot. Returns its length, and how many packs it names.
async fn snapshot(vault: &TestVault) -> (u64, u64) {
    let checked = vault.process.flow.vault.snapshot().await.unwrap();
    let size = vault.process.store.recovery_size(checked.snapshot).await;
    (size.unwrap(), checked.packs)
}

/// Rebuilds the vault from its store, without taking custody from it.
async fn rebuilt(vault: &TestVault, choice: Choice) -> (Restored, App, impl Sized) {
    let (app, ground) = vault.app_on_an_empty_database(Database::Sqlite).await;
    let plan = vault::plan(&app.parts(), choice).await.unwrap();
    let restored = vault::restore(app.parts(), &plan, vault::Claim::None).await;
    (restored.unwrap(), app, ground)
}

/// Checks that a rebuilt vault has the same ciphertext of these texts as the living one.
async fn has(app: &App, vault: &TestVault, texts: &[RecordingId]) {
    for id in texts {
        let mut tx = app.db.read().await.unwrap();
        let state = recordings::find(&mut tx, *id).await.unwrap().unwrap().state;
        let found = recordings::artefacts(&mut tx, *id).await.unwrap();
        let living = vault.artefacts(*id).await;
        assert_eq!((state, found.len()), (RecordingState::Sealed, 2), "{id}");
        for (found, living) in found.iter().zip(&living) {
            assert!(!living.inline.is_empty());
            assert!(found.inline == living.inline, "{id} {}", living.artefact);
        }
    }
}

/// Checks that a vault is rebuilt from its newest snapshot with the ciphertext of these texts.
async fn is_rebuilt(vault: &TestVault, texts: &[RecordingId]) {
    vault.process.flow.vault.journal().await.unwrap();
    let (restored, app, _ground) = rebuilt(vault, Choice::default()).await;
    assert_eq!(restored.lacking, 0);
    has(&app, vault, texts).await;
}

/// Asks a process for a text.
async fn asks(vault: &TestVault, process: &Process, id: RecordingId) -> Answer {
    let reviewer = vault.minted("reviewer").token.expose();
    let reviewer = process.api.clone().bearing(reviewer);
    let grant = json!({ "purpose": "see" });
    let path = format!("/v1/recordings/{id}/grants");
    let grant = reviewer.post(&path, grant).await;
    if grant.status != 201 {
        return grant;
    }
    let path = format!("/v1/media/{}/transcript.json", token_of(&grant.json()));
    process.api.get(&path).await
}

async fn shredded(vault: &TestVault, texts: &[RecordingId]) {
    for id in texts {
        assert_eq!(vault.shred(*id).await.status, 200);
    }
    work(vault).await;
}

/// Returns what a shredded recording's receipt says of the ciphertext.
async fn ciphertext(vault: &TestVault, id: RecordingId) -> &'static str {
    let mut tx = vault.process.db.read().await.unwrap();
    let (_, receipt) = shreds::find_tombstone(&mut tx, id).await.unwrap().unwrap();
    let text = shreds::find_receipt(&mut tx, receipt).await.unwrap();
    drop(tx);
    let keys = vault.process.flow.vault.keys().await.unwrap();
    let receipt = Receipt::verify(&text.unwrap(), &keys).unwrap();
    let of = |copy: &HeldCopy| match copy {
        HeldCopy::Ciphertext(removal) => Some(*removal),
        _ => None,
    };
    match receipt.copies().iter().find_map(of).unwrap() {
        Removal::Removed(_) => "removed",
        Removal::Pending => "pending",
        Removal::NotDeletableYet { .. } | Removal::Unknown => "another",
    }
}

async fn what_the_journal_has_is_not_written_there_again(database: Database) {
    let vault = vault_on(database).await;
    let before = journaled(&vault).await;
    let texts = kept(&vault, 1).await;
    let first = journaled(&vault).await - before;
    // A change of the rows writes them again, without their ciphertext.
    let hold = json!({ "purpose": "legal-request", "reason": "lawsuit", "authority": "Landgericht Berlin", "review_at": "2099-01-01T00:00:00Z" });
    let path = format!("/v1/recordings/{}/holds/case-1", texts[0]);
    let officer = vault.asks("privacy-officer");
    let placed = send(officer.request(Method::PUT, &path).json(&hold)).await;
    assert!(placed.status < 300, "{placed:?}");
    let again = journaled(&vault).await - before - first;
    assert!(
        again + 2500 < first,
        "{again}, after {first} with some 4 KB of ciphertext"
    );
    is_rebuilt(&vault, &texts).await;
}

async fn a_snapshot_does_not_repeat_what_an_earlier_one_wrote(database: Database) {
    let vault = vault_on(database).await;
    let (empty, none) = snapshot(&vault).await;
    assert_eq!(none, 0);
    let mut texts = kept(&vault, 20).await;
    let objects = vault.objects().await.len();
    let (first, packs) = snapshot(&vault).await;
    assert_eq!((packs, vault.objects().await.len()), (1, objects + 1));
    let (second, _) = snapshot(&vault).await;
    assert_eq!(vault.objects().await.len(), objects + 1, "nothing is new");
    let mut ciphertext = 0;
    for id in &texts {
        let rows = vault.artefacts(*id).await;
        ciphertext += rows.iter().map(|row| row.sealed_len).sum::<u64>();
    }
    assert!(ciphertext > 20 * 3000, "{ciphertext}");
    // A message has some 2.5 KB of rows, and the first one adds some 20 KB of key pages.
    for size in [first, second] {
        let rows = size - empty;
        assert!(rows < 100_000, "{rows}, and {ciphertext} in the pack");
    }
    is_rebuilt(&vault, &texts).await;
    texts.push(vault.kept(ANNA, "one more").await);
    is_rebuilt(&vault, &texts).await;
    let (_, process, _ground) = crate::restoring::rebuilt(&vault, database).await;
    let read = asks(&vault, &process, texts[20]).await;
    assert_eq!(read.json()["sentences"][0]["text"], "one more");
    assert_eq!(asks(&vault, &process, texts[0]).await.status, 200);
}

/// Returns the file of the only pack in use.
async fn file_of_pack(vault: &TestVault) -> std::path::PathBuf {
    let mut tx = vault.process.db.read().await.unwrap();
    let in_use = recvault::db::packs::in_use(&mut tx).await.unwrap();
    let [(pack, _)] = <[_; 1]>::try_from(in_use).unwrap();
    let digits = pack.object.to_string().replace("obj_", "");
    let path = format!("objects/objects/{}/{digits}.floe", &digits[..2]);
    vault.folder().join(path)
}

async fn a_pack_that_is_missing_or_altered_is_noticed_and_written_again(database: Database) {
    let vault = vault_on(database).await;
    let texts = kept(&vault, 2).await;
    let before = vault.objects().await.len();
    snapshot(&vault).await;
    type Spoil = fn(&Path);
    let spoils: [(Spoil, u64); 3] = [
        (|path| fs::remove_file(path).unwrap(), 2),
        (
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[7] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            1,
        ),
        (
            |path| {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
            },
            1,
        ),
    ];
    for (spoil, lacking) in spoils {
        spoil(&file_of_pack(&vault).await);
        let (restored, app, _ground) = rebuilt(&vault, Choice::default()).await;
        assert_eq!(restored.lacking, lacking);
        let mut tx = app.db.read().await.unwrap();
        let lack = recvault::db::packs::lacking(&mut tx).await.unwrap();
        assert_eq!(lack.len() as u64, lacking);
        drop(tx);
        // The living vault has the ciphertext, and notices by itself.
        let left = vault.count("pack.left").await;
        snapshot(&vault).await;
        assert_eq!(vault.count("pack.left").await, left + 1);
        is_rebuilt(&vault, &texts).await;
    }
    // What was given up is deleted once no snapshot is left that names it.
    snapshot(&vault).await;
    snapshot(&vault).await;
    assert_eq!(vault.objects().await.len(), before + 1);

    spoils[0].0(&file_of_pack(&vault).await);
    let (_, process, _ground) = crate::restoring::rebuilt(&vault, database).await;
    asks(&vault, &process, texts[0])
        .await
        .problem(500, "ciphertext-missing");
}

async fn a_receipt_says_removed_when_no_pack_has_the_bytes(database: Database) {
    let vault = vault_on(database).await;
    let mut texts = kept(&vault, 4).await;
    let before = vault.objects().await.len();
    let unpacked = texts.pop().unwrap();
    shredded(&vault, &[unpacked]).await;
    assert_eq!(ciphertext(&vault, unpacked).await, "removed");

    snapshot(&vault).await;
    let (gone, living) = texts.split_at(2);
    shredded(&vault, gone).await;
    assert_eq!(ciphertext(&vault, gone[0]).await, "pending");
    let after = vault.artefacts(gone[0]).await;
    assert_eq!(after, []);
    // Less than half of it lives: what lives is packed anew with the next snapshot.
    let (_, packs) = snapshot(&vault).await;
    assert_eq!((packs, vault.objects().await.len()), (1, before + 2));
    work(&vault).await;
    assert_eq!(ciphertext(&vault, gone[0]).await, "pending");
    // The previous snapshot still finds everything.
    vault.process.flow.vault.journal().await.unwrap();
    let all = files(&vault, RecoveryKind::Snapshot).await;
    let previous = Choice {
        snapshot: all.iter().rev().nth(1).map(|(name, _)| *name),
        ..Choice::default()
    };
    let (restored, app, _ground) = rebuilt(&vault, previous).await;
    assert_eq!(restored.lacking, 0);
    has(&app, &vault, living).await;

    snapshot(&vault).await;
    work(&vault).await;
    assert_eq!(vault.objects().await.len(), before + 1);
    for id in gone {
        assert_eq!(ciphertext(&vault, *id).await, "removed");
        assert!(vault.artefacts(*id).await.is_empty());
    }
    is_rebuilt(&vault, living).await;
}

async fn a_receipt_waits_for_a_pack_that_was_given_up(database: Database) {
    let vault = vault_on(database).await;
    let texts = kept(&vault, 4).await;
    let before = vault.objects().await.len();
    snapshot(&vault).await;
    let (gone, last) = texts.split_at(3);
    shredded(&vault, gone).await;
    // What lives is in another pack now, and still in the one that was given up.
    snapshot(&vault).await;
    assert_eq!(vault.objects().await.len(), before + 2);
    shredded(&vault, last).await;
    let packs = async || {
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM packs")
            .await
            .unwrap()
    };
    for _ in 0..4 {
        for id in &texts {
            let held = format!("SELECT COUNT(*) FROM pack_contents WHERE recording_id = '{id}'");
            let is_held = vault.ground().integer(&held).await != Some(0);
            let said = if is_held { "pending" } else { "removed" };
            assert_eq!(ciphertext(&vault, *id).await, said);
        }
        assert_eq!(
            vault.objects().await.len() as i64,
            before as i64 + packs().await
        );
        snapshot(&vault).await;
        work(&vault).await;
    }
    assert_eq!((packs().await, vault.objects().await.len()), (0, before));
    assert_eq!(ciphertext(&vault, last[0]).await, "removed");
}

async fn a_pack_that_was_away_at_a_restore_is_entered_when_it_is_back(database: Database) {
    for snapshots in [0, 1, 3] {
        let vault = vault_on(database).await;
        let texts = kept(&vault, 2).await;
        snapshot(&vault).await;
        let file = file_of_pack(&vault).await;
        let away = file.with_extension("away");
        fs::rename(&file, &away).unwrap();
        let (_, process, _ground) = crate::restoring::rebuilt(&vault, database).await;
        // Nothing is lost by snapshots that are made without it.
        for _ in 0..snapshots {
            process.flow.vault.snapshot().await.unwrap();
        }
        asks(&vault, &process, texts[0])
            .await
            .problem(500, "ciphertext-missing");
        fs::rename(&away, &file).unwrap();
        for _ in 0..3 {
            process.flow.vault.snapshot().await.unwrap();
            for id in &texts {
                assert_eq!(asks(&vault, &process, *id).await.status, 200, "{snapshots}");
            }
        }
        // Another restore has it, too, from whichever pack.
        let (again, _app, _second) = rebuilt(&vault, Choice::default()).await;
        assert_eq!(again.lacking, 0, "{snapshots}");
    }
}

async fn a_turn_removes_what_is_dead_in_packs(database: Database) {
    let vault = vault_on(database).await;
    let texts = kept(&vault, 3).await;
    snapshot(&vault).await;
    let (gone, living) = texts.split_at(2);
    shredded(&vault, gone).await;
    let turned = vault.process.flow.epochs.turn(&keys()).await.unwrap();
    assert!(turned.is_some());
    work(&vault).await;
    for id in gone {
        assert_eq!(ciphertext(&vault, *id).await, "removed");
    }
    is_rebuilt(&vault, living).await;
}

async fn two_processes_pack_the_same_texts_once(database: Database) {
    let vault = vault_on(database).await;
    let texts = kept(&vault, 8).await;
    let other = vault.another_process().await;
    let before = vault.objects().await.len();
    let [one, two] = [&vault.process, &other].map(|process| process.flow.vault.snapshot());
    let (one, two) = tokio::join!(one, two);
    one.unwrap();
    two.unwrap();
    let (_, packs) = snapshot(&vault).await;
    assert!(packs <= 2, "{packs}");
    let mut tx = vault.process.db.read().await.unwrap();
    let in_use = recvault::db::packs::in_use(&mut tx).await.unwrap();
    drop(tx);
    let living: u64 = in_use.iter().map(|(_, living)| living).sum();
    let mut sealed = 0;
    for id in &texts {
        let rows = vault.artefacts(*id).await;
        assert!(rows.iter().all(|row| row.pack.is_some()));
        sealed += rows.iter().map(|row| row.sealed_len).sum::<u64>();
    }
    assert_eq!(living, sealed);
    assert!(vault.objects().await.len() <= before + 2);
    is_rebuilt(&vault, &texts).await;
}

/// Any order of what a vault does with texts: whatever lives is rebuilt, nothing else is, and in the
/// end no dead byte is left.
async fn any_order_of_acts_is_rebuilt(database: Database) {
    for seed in 0..3 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let vault = vault_on(database).await;
        let (mut living, mut gone): (Vec<RecordingId>, Vec<RecordingId>) = Default::default();
        for _ in 0..30 {
            match rng.random_range(0..10) {
                0..=3 => living.push(vault.kept(ANNA, &noise(rng, 30)).await),
                4 | 5 if !living.is_empty() => {
                    let id = living.remove(rng.random_range(0..living.len()));
                    shredded(&vault, &[id]).await;
                    gone.push(id);
                }
                6 => drop(journaled(&vault).await),
                7 | 8 => drop(snapshot(&vault).await),
                9 => {
                    let turned = vault.process.flow.epochs.turn(&keys()).await.unwrap();
                    assert!(turned.is_some());
                    work(&vault).await;
                }
                _ => {}
            }
        }
        vault.process.flow.vault.journal().await.unwrap();
        let (restored, app, _ground) = rebuilt(&vault, Choice::default()).await;
        assert_eq!(restored.lacking, 0, "seed {seed}");
        has(&app, &vault, &living).await;
        for id in &gone {
            let mut tx = app.db.read().await.unwrap();
            let found = recordings::find(&mut tx, *id).await.unwrap().unwrap();
            assert_eq!(found.state, RecordingState::Shredded, "seed {seed}");
        }
        // A snapshot finds the dead bytes, another gives their packs up, and two more see that no
        // older one is left.
        for days in [8, 1, 1, 1] {
            snapshot(&vault).await;
            vault.clock.advance(DAY * days);
        }
        work(&vault).await;
        for id in &gone {
            assert_eq!(ciphertext(&vault, *id).await, "removed", "seed {seed}");
        }
        is_rebuilt(&vault, &living).await;
    }
}

on_both_databases!(
    what_the_journal_has_is_not_written_there_again,
    a_snapshot_does_not_repeat_what_an_earlier_one_wrote,
    a_pack_that_is_missing_or_altered_is_noticed_and_written_again,
    a_receipt_says_removed_when_no_pack_has_the_bytes,
    a_receipt_waits_for_a_pack_that_was_given_up,
    a_pack_that_was_away_at_a_restore_is_entered_when_it_is_back,
    a_turn_removes_what_is_dead_in_packs,
    two_processes_pack_the_same_texts_once,
    any_order_of_acts_is_rebuilt,
);
