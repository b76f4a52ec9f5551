//! The audit log is numbered without gaps, despite losses, restores, and late writes.

mod merging;

use std::{collections::BTreeMap, fs, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use recvault::{
    db::{self, audit::AuditFilter, timelines},
    evidence::{AuditEvent, Entry},
    flow::{self, NewToken},
    model::timeline::{LogPath, LogPoint},
    policy::{Permit, action},
    vault::{self, Claim, Restored},
};
use serde_json::json;

use crate::world::{Database, Process, Recipe, TestVault};

/// The log as a process reads it.
struct Log {
    entries: Vec<Entry>,
    path: LogPath,
}

impl Log {
    async fn of(process: &Process) -> Self {
        let permit = Permit::of_operator(action::Audit);
        let everything = AuditFilter::default();
        let page = process
            .flow
            .catalogue
            .audit(&permit, everything, 1000)
            .await;
        let path = timelines::path(&mut process.db.read().await.unwrap()).await;
        let log = Self {
            entries: page.unwrap().items,
            path: path.unwrap(),
        };
        let numbers: Vec<i64> = log.entries.iter().map(|entry| entry.seq).collect();
        let dense: Vec<i64> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, dense, "1, 2, 3 … without gaps");
        let head = db::audit::head(&mut process.db.read().await.unwrap()).await;
        assert_eq!(head.unwrap(), dense.len() as i64);
        log
    }

    /// Returns the timeline and the number under which an entry was first written.
    fn point(&self, entry: &Entry) -> LogPoint {
        let timeline = self.path.timeline_of(entry.seq);
        entry.told.unwrap_or(LogPoint {
            timeline,
            seq: entry.seq,
        })
    }

    fn events(&self) -> impl Iterator<Item = AuditEvent> {
        self.entries.iter().map(|entry| entry.event)
    }
}

/// Returns an entry without its number, which is the same everywhere.
fn content(entry: &Entry) -> String {
    let mut entry = serde_json::to_value(entry).unwrap();
    let fields = entry.as_object_mut().unwrap();
    fields.remove("seq");
    fields.remove("told");
    entry.to_string()
}

/// Performs an action with an audit entry.
async fn act(vault: &TestVault, process: &Process) {
    let token = NewToken::new("another".parse().unwrap(), Duration::from_secs(3600));
    flow::mint_token(&process.db, &vault.clock, token)
        .await
        .unwrap();
}

/// Loses the database; another process continues with the store's content. Returns the former one,
/// which may still be running.
async fn lose(
    vault: &mut TestVault,
    database: Database,
) -> (Restored, Process, impl Sized + use<>) {
    let (app, ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    assert_eq!((plan.gaps.len(), plan.unreadable), (0, 0), "{plan:?}");
    let restored = vault::restore(app.parts(), &plan, Claim::TakeOver)
        .await
        .unwrap();
    let process = vault.process_over(app).await;
    let former = std::mem::replace(&mut vault.process, process);
    (restored, former, ground)
}

/// Removes the snapshots of every timeline but the first, as if damaged; unless one of them has
/// replaced the first.
fn lose_snapshots(vault: &TestVault) {
    let files = fs::read_dir(vault.folder().join("objects/snapshots")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let (first, later): (Vec<_>, Vec<_>) = files.partition(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains("-0000000001-0")
    });
    if !first.is_empty() {
        later.iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

async fn what_is_confirmed_during_a_take_over_is_known_to_the_restore(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let dies = vault.sealed().await;
    vault.process.flow.vault.journal_all().await.unwrap();

    // The plan is made, and loading is slow: meanwhile the vault still works.
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    assert_eq!(vault.shred(dies.id).await.status, 200);
    let refused = vault::restore(app.parts(), &plan, Claim::TakeOver)
        .await
        .unwrap_err();
    assert!(matches!(refused, vault::Error::StoreMoved(_)), "{refused}");
    drop(app);

    // The same command again includes it.
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, Claim::TakeOver)
        .await
        .unwrap();
    let found = db::shreds::find_tombstone(&mut app.db.read().await.unwrap(), dies.id).await;
    assert!(found.unwrap().is_some(), "a confirmed shred is lost");
}

async fn what_a_lost_database_tells_too_late_is_appended_and_says_so(database: Database) {
    let mut vault = Recipe::on(database).by_hand().await;
    let dies = vault.sealed().await;
    vault.process.flow.recovery.journal().await.unwrap();
    vault.process.flow.vault.journal_all().await.unwrap();
    let before = Log::of(&vault.process).await.entries;
    let known_to = before.len() as i64;

    let (restored, former, _first) = lose(&mut vault, database).await;
    assert_eq!(
        (restored.timeline.number(), restored.late_entries),
        (2, 0),
        "{restored:?}"
    );
    // A process of the lost database still writes to the store, and the new one continues. Both
    // assign the same numbers.
    let recording = json!({ "reason": "subject-request" });
    let officer = vault.minted("privacy-officer").token.expose().to_owned();
    let shredded = former
        .api
        .clone()
        .bearing(&officer)
        .delete(&format!("/v1/recordings/{}", dies.id), recording)
        .await;
    // It has taken effect, but is not confirmed: custody belongs to another database.
    shredded.problem(503, "taken-over");
    // Its later entries reach no store.
    let mut late = Log::of(&former).await.entries;
    late.retain(|entry| entry.event != AuditEvent::CustodyLost);
    vault.sealed().await;
    vault.process.flow.vault.journal_all().await.unwrap();
    let second = Log::of(&vault.process).await;
    assert_eq!(second.entries[..before.len()], before[..]);
    let shred = late
        .iter()
        .find(|entry| entry.event == AuditEvent::ShredTombstoned)
        .unwrap();
    let same = &second.entries[usize::try_from(shred.seq - 1).unwrap()];
    assert!(shred.seq > known_to && same.event != shred.event);

    // The next restore finds both, and no snapshot of the second timeline.
    lose_snapshots(&vault);
    let (restored, _second, _ground) = lose(&mut vault, database).await;
    let log = Log::of(&vault.process).await;
    let told = second.entries.len();
    assert_eq!(log.entries[..told], second.entries[..], "they keep theirs");
    let appended = &log.entries[told..told + late.len() - before.len()];
    assert_eq!(restored.late_entries, appended.len() as i64);
    for (entry, late) in appended.iter().zip(&late[before.len()..]) {
        assert_eq!(content(entry), content(late));
        assert_eq!(
            serde_json::to_value(entry).unwrap()["told"],
            json!({ "timeline": 1, "seq": late.seq })
        );
    }
    let restored = &log.entries[told + appended.len()];
    assert_eq!(restored.event, AuditEvent::VaultRestored);
    let details = serde_json::to_value(&restored.details).unwrap();
    assert_eq!(
        (&details["timeline"], &details["entries_known_to"]),
        (&json!(3), &json!(told))
    );
    // Its shred counts, and its number blocks no listener or receipt.
    assert_eq!(vault.state(dies.id).await, "shredded");
    assert_eq!(vault.key_entry(dies.id).await, None);
    let mut tx = vault.process.db.read().await.unwrap();
    assert!(!db::shreds::is_undurable(&mut tx, dies.id).await.unwrap());
    drop(tx);

    // Another restore adds none of it twice, and nothing under another number.
    vault.process.flow.vault.journal_all().await.unwrap();
    let third = Log::of(&vault.process).await.entries;
    lose_snapshots(&vault);
    let (restored, _third, _ground) = lose(&mut vault, database).await;
    assert_eq!(restored.late_entries, 0);
    let again = Log::of(&vault.process).await.entries;
    assert_eq!(again[..third.len()], third[..]);
}

/// A database that was restored and wrote nothing to the store is unknown there, but not to
/// custody.
async fn no_timeline_begins_twice(database: Database) {
    let mut vault = Recipe::on(database).by_hand().await;
    vault.process.flow.vault.journal_all().await.unwrap();
    let (restored, _first, _ground) = lose(&mut vault, database).await;
    assert_eq!(restored.timeline.number(), 2);
    lose_snapshots(&vault);
    let (restored, _second, _ground) = lose(&mut vault, database).await;
    assert_eq!(restored.timeline.number(), 3);
}

/// A piece that a process of the lost database writes between a restore and its first snapshot is
/// newer than everything that the restored database knows of the store, and is no reason to refuse
/// it.
async fn a_piece_that_comes_while_a_restore_is_not_settled_is_of_a_lost_timeline(
    database: Database,
) {
    let vault = Recipe::on(database).by_hand().await;
    vault.process.flow.vault.journal_all().await.unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, Claim::TakeOver)
        .await
        .unwrap();
    for _ in 0..20 {
        act(&vault, &vault.process).await;
    }
    vault.process.flow.vault.journal_all().await.unwrap();
    let process = vault.process_over(app).await;
    process.flow.vault.compare_with_store().await.unwrap();
    act(&vault, &process).await;
    // And the former database does not know the new one's snapshot, whose number is lower.
    let refused = vault
        .process
        .flow
        .vault
        .compare_with_store()
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("of timeline 2"), "{refused}");
}

/// One random life: the content of the store, and all processes that ever wrote to it.
struct Life {
    vault: TestVault,
    database: Database,
    former: Vec<Process>,
    grounds: Vec<Box<dyn std::any::Any + Send + Sync>>,
    /// The content of the journal, by first position.
    stored: BTreeMap<LogPoint, String>,
    rng: StdRng,
}

impl Life {
    async fn step(&mut self) {
        match self.rng.random_range(0..10) {
            0..3 => act(&self.vault, &self.vault.process).await,
            3..5 => self.journal(None).await,
            5..7 if !self.former.is_empty() => {
                let which = self.rng.random_range(0..self.former.len());
                act(&self.vault, &self.former[which]).await;
                self.journal(Some(which)).await;
            }
            7 => {
                self.vault.process.flow.vault.snapshot().await.unwrap();
            }
            8 => self.lose().await,
            _ => act(&self.vault, &self.vault.process).await,
        }
    }

    async fn journal(&mut self, former: Option<usize>) {
        let process = match former {
            Some(which) => &self.former[which],
            None => &self.vault.process,
        };
        process.flow.vault.journal_all().await.unwrap();
        let log = Log::of(process).await;
        for entry in &log.entries {
            self.stored.insert(log.point(entry), content(entry));
        }
    }

    async fn lose(&mut self) {
        if self.rng.random_bool(0.7) {
            lose_snapshots(&self.vault);
        }
        let (_, former, ground) = lose(&mut self.vault, self.database).await;
        self.former.push(former);
        self.grounds.push(Box::new(ground));
        let log = Log::of(&self.vault.process).await;
        let mut told: BTreeMap<LogPoint, (i64, String)> = BTreeMap::new();
        for entry in &log.entries {
            let told = told.insert(log.point(entry), (entry.seq, content(entry)));
            assert_eq!(told, None, "an entry is told once");
        }
        assert!(log.events().all(|event| event != AuditEvent::EntryLost));
        for (point, content) in &self.stored {
            let is_old = self.is_left_out(*point, &log);
            match told.get(point) {
                Some((seq, found)) => {
                    assert_eq!(found, content);
                    assert!(!log.path.holds(*point) || *seq == point.seq, "{point}");
                }
                None => assert!(is_old, "{point} is in the store and was dropped"),
            }
        }
    }

    /// Whether a snapshot of a later timeline covers this position: entries that were too late for
    /// it are not expected.
    fn is_left_out(&self, point: LogPoint, log: &Log) -> bool {
        let restored = log
            .entries
            .iter()
            .rfind(|entry| entry.event == AuditEvent::VaultRestored);
        let details = serde_json::to_value(&restored.unwrap().details).unwrap();
        let snapshot: recvault::store::RecoveryName =
            serde_json::from_value(details["snapshot"].clone()).unwrap();
        point.timeline < snapshot.timeline
    }
}

async fn random_lives_number_without_gaps_and_drop_nothing(database: Database) {
    for seed in 0..5 {
        let vault = Recipe::on(database).by_hand().await;
        vault.process.flow.vault.journal_all().await.unwrap();
        let mut life = Life {
            vault,
            database,
            former: Vec::new(),
            grounds: Vec::new(),
            stored: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        println!("life {seed}");
        for _ in 0..25 {
            life.step().await;
        }
        life.lose().await;
        life.lose().await;
    }
}

on_both_databases!(
    what_is_confirmed_during_a_take_over_is_known_to_the_restore,
    what_a_lost_database_tells_too_late_is_appended_and_says_so,
    no_timeline_begins_twice,
    a_piece_that_comes_while_a_restore_is_not_settled_is_of_a_lost_timeline,
    random_lives_number_without_gaps_and_drop_nothing,
);
