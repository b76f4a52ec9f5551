//! The executable dies at each named crash point of a turn, a snapshot, the journal and a restore,
//! and starts again.

mod restores;
mod signing;

use std::{collections::BTreeSet, fs};

use recvault::{app::App, config::Config, model::time::Clock};
use serde_json::Value;

use crate::{
    book::{self, Entry},
    database::{Database, Kind},
    invariants,
    world::{World, sound},
};

mod turns {
    use super::{Kind, dies_while_it_turns};

    points! {
        dies_while_it_turns:
        dies_with_the_next_root_staged at "turn.staged";
        dies_between_two_pages at "turn.rekeying";
        dies_with_all_pages_renewed at "turn.rekeyed";
        dies_with_a_turn_that_is_not_committed at "turn.before_commit";
        dies_when_the_next_root_is_in_force at "turn.after_commit";
        dies_with_a_snapshot_that_nobody_checked at "turn.snapshot_written";
        dies_before_the_old_root_is_destroyed at "turn.verified";
        dies_when_the_old_root_is_destroyed at "turn.destroyed";
        dies_when_the_receipts_are_signed at "turn.receipts";
    }
}

mod files {
    use super::{Kind, dies_while_it_writes_to_the_store};

    points! {
        dies_while_it_writes_to_the_store:
        dies_with_half_a_snapshot at "snapshot.first_bytes";
        dies_before_it_notes_what_is_in_the_journal at "journal.written";
    }
}

mod custodies {
    use super::{Kind, dies_while_it_changes_custody};

    points! {
        dies_while_it_changes_custody:
        dies_with_the_next_slot_beside_the_present_one at "custody.written";
        dies_with_a_second_name_of_the_present_slot at "custody.linked";
        dies_with_the_next_slot_in_force_and_the_old_one_whole at "custody.renamed";
        dies_with_the_old_slot_overwritten at "custody.overwritten";
        dies_with_the_old_slot_removed at "custody.removed";
    }
}

/// Returns every crash point of this file, in order.
pub(crate) fn tried() -> Vec<&'static str> {
    [
        turns::TRIED,
        files::TRIED,
        restores::TRIED,
        signing::TRIED,
        custodies::TRIED,
    ]
    .concat()
}

/// Two living recordings, one whose bytes are removed, and one that was shredded without a service
/// to remove its bytes.
struct Life {
    living: Vec<Entry>,
    shredded: Vec<Entry>,
}

impl Life {
    async fn led(world: &World) -> Self {
        let service = world.serve().await;
        let mut all = Entry::several(world, 4, 1);
        for entry in &all {
            assert_eq!(entry.announce(world, &service.client).await.unwrap(), 204);
            service.client.until(entry.id, "sealed").await;
            entry.prepare_to_listen(&service.client).await.unwrap();
        }
        let shredded = all.split_off(2);
        shredded[0].shred(&service.client).await.unwrap();
        assert!(
            crate::client::eventually(async || world.objects().len() == 3).await,
            "its bytes are removed"
        );
        service.process.stop().await;
        shred(world, &shredded[1]);
        Self {
            living: all,
            shredded,
        }
    }

    /// Checks the invariants of a vault that no process serves.
    async fn holds(&self, world: &World, closed: bool) {
        let found = invariants::check(world).await;
        let state = |entry: &Entry| found.states[&entry.id.to_string()].clone();
        for living in &self.living {
            assert_eq!(state(living), "sealed");
        }
        let states: Vec<String> = self.shredded.iter().take(2).map(state).collect();
        assert!(
            states == ["closed", "unrecoverable"]
                || (!closed && states == ["tombstoned", "tombstoned"]),
            "{states:?}"
        );

        // Custody has at most two roots, and a snapshot that one of them opens suffices to rebuild
        // the database.
        let epochs = roots(world).await;
        assert!(
            (1..=if closed { 1 } else { 2 }).contains(&epochs.len()),
            "{epochs:?}"
        );
        let snapshots = world.run(&["snapshot", "list", "--json"]).json();
        let opens = |kept: &&Value| epochs.contains(&epoch_of(kept));
        let openable: Vec<&Value> = snapshots.as_array().unwrap().iter().filter(opens).collect();
        let good = openable.iter().filter(|kept| {
            let checked = world.run(&["snapshot", "verify", kept["snapshot"].as_str().unwrap()]);
            checked.code == Some(0)
        });
        assert!(good.count() >= 1, "no snapshot holds: {snapshots}");
        if closed {
            assert_eq!(
                openable.len(),
                snapshots.as_array().unwrap().len(),
                "what no root opens is removed"
            );
        }
    }

    /// Starts a service and checks that the vault is unchanged.
    async fn goes_on(self, world: &World) {
        let service = world.serve().await;
        for living in &self.living {
            assert_eq!(service.client.hear(living.id).await, living.wav);
        }
        for gone in &self.shredded {
            assert_eq!(service.client.grant(gone.id).await.unwrap().0, 410);
        }
        let late = Entry::new(world, sound(9, 1));
        assert_eq!(late.announce(world, &service.client).await.unwrap(), 204);
        let all: Vec<Entry> = self
            .living
            .into_iter()
            .chain(self.shredded)
            .chain([late])
            .collect();
        // The receipts close without any action but a running service and an epoch turn.
        book::settle(&all, world, &service.client).await;
        service.process.stop().await;
        let found = invariants::check(world).await;
        assert_eq!(
            (found.states.len(), found.work, found.orphans),
            (all.len(), 0, 0),
            "{found:?}"
        );
        assert_eq!(roots(world).await.len(), 1);
    }
}

/// Shreds as the operator, and records the receipt.
fn shred(world: &World, entry: &Entry) {
    entry
        .is_condemned
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let facts = world
        .run(&[
            "shred",
            &entry.id.to_string(),
            "--reason",
            "subject-request",
            "--json",
        ])
        .json();
    let receipt = facts["receipt_id"].as_str().unwrap();
    assert_eq!(entry.receipt.get_or_init(|| receipt.to_owned()), receipt);
}

/// Returns the epochs whose root is in custody.
async fn roots(world: &World) -> BTreeSet<u64> {
    let app = App::open(
        Config::read(&world.path("recvault.toml")).unwrap(),
        Clock::System,
    )
    .await
    .unwrap();
    app.custody
        .roots()
        .await
        .unwrap()
        .iter()
        .map(|root| root.epoch)
        .collect()
}

/// Returns the epoch in the name of a snapshot.
fn epoch_of(kept: &Value) -> u64 {
    kept["snapshot"]
        .as_str()
        .unwrap()
        .trim_start_matches("snapshots/")
        .split('-')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// Returns the names of the objects in custody besides the passphrase.
fn place(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.path("custody"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "passphrase").collect();
    names.sort();
    names
}

/// Expires the lease of a dead turner.
async fn the_lease_runs_out(world: &World) {
    world
        .database
        .execute("UPDATE work SET due_at = 0 WHERE kind = 'epoch-turn'")
        .await;
}

async fn dies_while_it_turns(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let mut life = Life::led(&world).await;
    life.holds(&world, false).await;
    let before = roots(&world).await;

    // The operator's command dies.
    let ended = world.run_until(point, &["epoch", "turn"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (None, ""),
        "it should have died at {point}: {ended:?}"
    );
    life.holds(&world, false).await;
    let after = roots(&world).await;
    match point {
        "turn.destroyed" | "turn.receipts" => {
            assert!(after.len() == 1 && after != before, "{after:?}")
        }
        _ => assert!(after.len() == 2 && after.is_superset(&before), "{after:?}"),
    }
    // No other process turns before its lease has expired.
    let refused = world.run(&["epoch", "turn"]).refused();
    assert!(refused.contains("another process"), "{refused}");
    the_lease_runs_out(&world).await;
    let began = world.turn();
    life.holds(&world, true).await;
    assert_eq!(roots(&world).await, BTreeSet::from([began]));

    // The service dies in the next turn, which a shred requests at once; the following turn
    // completes it.
    world.forget_immediately();
    let again = Entry::new(&world, sound(8, 1));
    let service = world.serve_until(Some(point)).await;
    assert_eq!(again.announce(&world, &service.client).await.unwrap(), 204);
    service.client.until(again.id, "sealed").await;
    let _ = again.shred(&service.client).await;
    service.process.dies(point).await;
    invariants::check(&world).await;
    assert!(roots(&world).await.len() <= 2);
    the_lease_runs_out(&world).await;
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    let finished = crate::client::eventually(async || {
        roots(&world).await.iter().all(|root| *root > began) && is_finished(&world).await
    });
    assert!(
        finished.await,
        "nobody finishes the turn:\n{}",
        service.process.log()
    );
    again.shred(&service.client).await.unwrap();
    service.process.stop().await;
    let found = invariants::check(&world).await;
    assert!(
        found
            .states
            .values()
            .all(|state| matches!(state.as_str(), "sealed" | "closed" | "unrecoverable")),
        "{found:?}"
    );
    life.shredded.push(again);
    life.goes_on(&world).await;
}

/// Kills each change of custody, in a turn and in a change of the passphrase, between any two
/// system calls: no root is lost, and none that should be destroyed stays.
async fn dies_while_it_changes_custody(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let life = Life::led(&world).await;
    // First in the creation of the next root, then in the destruction of the old one.
    for times in ["#1", "#2"] {
        let ended = world.run_until(&format!("{point}{times}"), &["epoch", "turn"]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (None, ""),
            "it should have died at {point}{times}: {ended:?}"
        );
        life.holds(&world, false).await;
        let states = world.database.texts("SELECT state FROM receipts").await;
        assert!(
            states.iter().all(|state| state == "tombstoned") || times == "#2",
            "nothing is called unrecoverable: {states:?}"
        );
        the_lease_runs_out(&world).await;
        // A writing command removes the leftovers first; a reading command keeps them.
        world.run(&["status"]).done();
        world.run(&["sweep"]).done();
        assert_eq!(place(&world), ["root", "root.lock"], "{point}{times}");
        let began = world.turn();
        life.holds(&world, true).await;
        assert_eq!(
            (roots(&world).await, place(&world)),
            (
                BTreeSet::from([began]),
                vec!["root".to_owned(), "root.lock".to_owned()]
            )
        );
    }
    // Another passphrase: one of the two opens everything, and no copy of the slot under the other
    // one stays.
    fs::write(world.path("new"), "a better passphrase").unwrap();
    let ended = world.run_until(
        point,
        &[
            "custody",
            "change-passphrase",
            "--new-passphrase-file",
            "new",
        ],
    );
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (None, ""),
        "it should have died at {point}: {ended:?}"
    );
    the_lease_runs_out(&world).await;
    let is_new = !["custody.written", "custody.linked"].contains(&point);
    if is_new {
        assert!(
            world
                .run(&["status"])
                .refused()
                .contains("the passphrase is wrong")
        );
        fs::rename(world.path("new"), world.path("custody/passphrase")).unwrap();
    }
    world.run(&["sweep"]).done();
    assert_eq!(place(&world), ["root", "root.lock"]);
    life.goes_on(&world).await;
}

/// Whether no turn is in progress and no shred waits for one.
async fn is_finished(world: &World) -> bool {
    let open = "SELECT CAST((SELECT COUNT(*) FROM epochs WHERE finished_at IS NULL AND epoch = (SELECT MAX(epoch) FROM epochs))
                + (SELECT COUNT(*) FROM receipts WHERE state = 'tombstoned') AS TEXT)";
    world.database.texts(open).await == ["0"]
}

async fn dies_while_it_writes_to_the_store(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let mut life = Life::led(&world).await;
    let snapshots = world.run(&["snapshot", "list", "--json"]).json();
    if point == "snapshot.first_bytes" {
        let ended = world.run_until(point, &["snapshot", "create"]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (None, ""),
            "it should have died at {point}: {ended:?}"
        );
        assert_eq!(
            world.run(&["snapshot", "list", "--json"]).json(),
            snapshots,
            "half a snapshot is none"
        );
        life.holds(&world, false).await;
        let made = world.run(&["snapshot", "create", "--json"]).json();
        assert_eq!(
            world.run(&["snapshot", "verify", "--json"]).json()["snapshot"],
            made["snapshot"],
            "the newest holds"
        );
    } else {
        // A shred that is durable and in the journal, but was not answered.
        let id = life.living[1].id.to_string();
        let waiting = async || world.database.texts("SELECT id FROM outbox").await;
        assert!(!waiting().await.contains(&id));
        let ended = world.run_until(point, &["shred", &id, "--reason", "subject-request"]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (None, ""),
            "it should have died at {point}: {ended:?}"
        );
        assert!(waiting().await.contains(&id));
        // The next service dies at the same point; the one after it writes the piece again and
        // clears the mark.
        world.launch(Some(point)).dies(point).await;
        assert!(waiting().await.contains(&id));
        shred(&world, &life.living[1]);
        assert_eq!(waiting().await, [""; 0]);
    }
    if life.living[1].receipt.get().is_some() {
        let shredded = life.living.remove(1);
        life.shredded.push(shredded);
        the_rebuilt_vault_knows(&world, &life).await;
    }
    let swept = world.sweep_now().await;
    assert_eq!(
        (swept.orphans, world.unfinished_files()),
        (0, 0),
        "the sweep removes what is half-written"
    );
    life.goes_on(&world).await;
}

/// Checks that a database rebuilt from the store alone has every tombstone and every living key,
/// whatever was written twice.
async fn the_rebuilt_vault_knows(world: &World, life: &Life) {
    let text = fs::read_to_string(world.path("recvault.toml")).unwrap();
    let url = format!("url = \"{}\"", world.database.url());
    assert_eq!(text.matches(&url).count(), 1);
    fs::write(
        world.path("elsewhere.toml"),
        text.replace(&url, "url = \"sqlite:elsewhere.db\""),
    )
    .unwrap();
    let plan = world
        .run(&[
            "--config",
            "elsewhere.toml",
            "snapshot",
            "restore",
            "--take-over",
            "--dry-run",
            "--json",
        ])
        .json();
    assert!(plan["journal"].as_array().unwrap().len() >= 2, "{plan}");
    let config = Config::read(&world.path("elsewhere.toml")).unwrap();
    let app = App::open(config, Clock::System).await.unwrap();
    // The restore is not completed: the original vault stays in use.
    let plan = recvault::vault::plan(&app.parts(), Default::default())
        .await
        .unwrap();
    recvault::vault::restore(app.parts(), &plan, recvault::vault::Claim::None)
        .await
        .unwrap();
    drop(app);
    let elsewhere = Database::Sqlite(world.path("elsewhere.db"));
    assert_eq!(
        elsewhere
            .texts("SELECT recording_id FROM key_entries")
            .await,
        life.living
            .iter()
            .map(|e| e.id.to_string())
            .collect::<Vec<_>>()
    );
    let tombstones = elsewhere.texts("SELECT recording_id FROM tombstones").await;
    assert!(
        life.shredded
            .iter()
            .all(|gone| tombstones.contains(&gone.id.to_string())),
        "{tombstones:?}"
    );
}
