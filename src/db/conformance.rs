//! Conformance suite of the database: one list of tests, run on SQLite in a temporary folder and on
//! a PostgreSQL database that is created for each test on the server in `RECVAULT_TEST_POSTGRES`
//! (`postgres://user@host:port/database`).
//!
//! Owns the test worlds. INVARIANT: no test waits for time to pass; times are arguments.

use std::{
    any::Any,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use rand::RngExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use url::Url;

use super::{
    DatabaseSettings, Db, Error, Tx,
    accept::{self, Announcement},
    artefacts,
    parties::Vouched,
    recordings::{self, SealedArtefact},
    shreds::{NewTombstone, NextReceipt, insert_tombstones, replace_receipts},
    tx::Arg,
};
use crate::{
    model::{
        artefact::Leg,
        id::{HolderId, ReceiptId, RecordingId},
        media::SourceRef,
        recording::{DiscoveredBy, Recording},
        time::Timestamp,
    },
    needs,
    policy::{Permit, action},
};

/// Runs each test on both databases. The database is removed even if the test panics.
macro_rules! every_database {
    ($($story:ident),* $(,)?) => {
        every_database!(@ sqlite #[cfg_attr(any(), ignore)] $($story)*);
        every_database!(@ postgres #[ignore = "needs PostgreSQL: run `tests/run`"] $($story)*);
    };
    (@ $kind:ident #[$runs:meta] $($story:ident)*) => {
        mod $kind {
            use futures_util::FutureExt as _;
            $(
                #[tokio::test]
                #[$runs]
                async fn $story() {
                    let world = crate::db::conformance::World::$kind().await;
                    let outcome = std::panic::AssertUnwindSafe(super::$story(&world)).catch_unwind().await;
                    world.end(outcome).await;
                }
            )*
        }
    };
}

mod access;
mod announcements;
mod approvals;
mod audit;
mod catalogue;
mod chain;
mod comparisons;
mod consent;
mod details;
mod epochs;
mod failures;
mod images;
mod lists;
mod name_locks;
mod news;
mod packs;
mod pages;
mod principals;
mod retention;
mod revocations;
mod scopes;
mod sessions;
mod shreds;
mod sources;
mod transcripts;
mod units;
mod views;
mod work;

/// A database with its surroundings.
struct World {
    db: Db,
    settings: DatabaseSettings,
    folder: TempDir,
    server: Option<Server>,
}

/// The PostgreSQL server, and this world's database on it.
struct Server {
    url: String,
    database: String,
}

/// Opens the gate, as a vault does.
async fn writable(db: Db) -> Db {
    assert!(db.prove(&[]).await.unwrap());
    db
}

impl World {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings::default();
        let db = writable(Db::open(&settings, folder.path()).await.unwrap()).await;
        Self {
            db,
            settings,
            folder,
            server: None,
        }
    }

    async fn postgres() -> Self {
        let url = needs::required("RECVAULT_TEST_POSTGRES");
        let server = Server {
            url,
            database: format!("recvault_test_{:032x}", rand::rng().random::<u128>()),
        };
        server
            .run(&format!("CREATE DATABASE {}", server.database))
            .await;
        let mut own = Url::parse(&server.url).unwrap();
        own.set_path(&server.database);
        let settings = DatabaseSettings {
            url: own.into(),
            ..DatabaseSettings::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let db = writable(Db::open(&settings, folder.path()).await.unwrap()).await;
        Self {
            db,
            settings,
            folder,
            server: Some(server),
        }
    }

    /// Cleans up, and then resumes the test's panic.
    async fn end(self, outcome: Result<(), Box<dyn Any + Send>>) {
        self.db.close().await;
        if let Some(server) = &self.server {
            server
                .run(&format!("DROP DATABASE {} WITH (FORCE)", server.database))
                .await;
        }
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    /// Opens the same database like another process.
    async fn another(&self) -> Result<Db, Error> {
        Ok(writable(Db::open(&self.settings, self.folder.path()).await?).await)
    }

    fn is_sqlite(&self) -> bool {
        self.server.is_none()
    }

    /// Inserts artefacts.
    async fn with_artefacts(&self, sealed: &[SealedArtefact]) -> Result<(), Error> {
        let inserted = self.db.unit("a test", async |mut unit| {
            unit.without_entry("a test");
            artefacts::insert(&mut unit, sealed, at(1)).await
        });
        inserted.await
    }

    async fn tx(&self) -> Tx {
        self.db.begin().await.unwrap()
    }

    /// Runs statements that bypass the database module.
    async fn sql(&self, statements: &[&str]) {
        let mut tx = self.tx().await;
        for statement in statements {
            tx.execute(statement, &[]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn int(&self, query: &str) -> i64 {
        self.db
            .read()
            .await
            .unwrap()
            .fetch_int(query, &[])
            .await
            .unwrap()
    }

    async fn find(&self, id: RecordingId) -> Option<Recording> {
        recordings::find(&mut self.db.read().await.unwrap(), id)
            .await
            .unwrap()
    }

    /// Accepts callbacks that arrive at the same time. Returns their answers in order, and the
    /// number of transactions.
    async fn told_together(
        &self,
        announcements: Vec<Announcement>,
        at: Timestamp,
    ) -> (Vec<Result<(), Error>>, usize) {
        let (acceptor, committer) = accept::channel(self.db.clone());
        let waiting: Vec<_> = announcements
            .into_iter()
            .map(|announcement| {
                let acceptor = acceptor.clone();
                async move { acceptor.accept(announcement).await }
            })
            .collect();
        drop(acceptor);
        let batches = AtomicUsize::new(0);
        let clock = || {
            batches.fetch_add(1, Ordering::SeqCst);
            at
        };
        let (answers, ()) = tokio::join!(join_all(waiting), committer.run(clock));
        (answers, batches.into_inner())
    }

    /// Accepts announcements, all of which must succeed.
    async fn told(&self, announcements: Vec<Announcement>, at: Timestamp) {
        for answer in self.told_together(announcements, at).await.0 {
            answer.unwrap();
        }
    }

    /// Announces complete recordings, from number 0.
    async fn announced(&self, count: u32) -> Vec<RecordingId> {
        let all: Vec<_> = (0..count)
            .map(|number| announcement(number, "completed"))
            .collect();
        let ids = all.iter().map(|announcement| announcement.id).collect();
        self.told(all, at(0)).await;
        ids
    }

    /// Announces one complete recording.
    async fn one_announced(&self) -> RecordingId {
        self.announced(1).await[0]
    }
}

impl Server {
    /// Runs a statement on the server's own database.
    async fn run(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        connection
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

/// Returns a time this many milliseconds after the base time of all tests.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_750_000_000_000 + millis)
}

/// Returns the source's reference of recording number `number` in account number `account`.
fn source_ref(number: u32, account: u32) -> SourceRef {
    SourceRef::of_call(
        &parsed(&format!("AC{account:032x}")),
        &parsed(&format!("RE{number:032x}")),
    )
}

/// Returns a minimal announcement of recording number `number`.
fn announcement(number: u32, status: &str) -> Announcement {
    Announcement {
        labels: [("queue".parse().unwrap(), "sales".parse().unwrap())].into(),
        heard_by: DiscoveredBy::Callback,
        encryption: None,
        id: recording_id(number),
        source_ref: source_ref(number, number % 3),
        call: None,
        conference: None,
        thread: None,
        author: None,
        files: 0,
        source: None,
        source_status: status.into(),
        error_code: None,
        duration_s: None,
        channels: None,
        tier: parsed("standard"),
        policy_version: "2026-01".into(),
        policy_digest: "0".repeat(64),
        started_at: None,
    }
}

/// Inserts one tombstone.
async fn tombstone(
    tx: &mut Tx,
    recording: RecordingId,
    now: Timestamp,
    receipt: ReceiptId,
    seq: i64,
    fingerprint: Option<&str>,
) -> Result<(), Error> {
    insert_tombstones(
        tx,
        &[NewTombstone {
            recording,
            receipt,
            seq,
            destroyed: fingerprint
                .map(|fingerprint| (Leg::All, fingerprint.to_owned()))
                .into_iter()
                .collect(),
        }],
        now,
    )
    .await
}

/// Replaces one receipt.
async fn refile(
    tx: &mut Tx,
    id: ReceiptId,
    state: &'static str,
    jws: &str,
    before: &str,
) -> Result<(), Error> {
    replace_receipts(
        tx,
        &[NextReceipt {
            id,
            state,
            jws: jws.to_owned(),
            before,
        }],
    )
    .await
}

/// Returns a new holder of leases, or process.
fn holder() -> HolderId {
    HolderId::random(&mut rand::rng())
}

/// Returns the vouching of the vault's own namings.
fn vouched() -> Vouched {
    Vouched::by(Some(&Permit::of_vault(action::Revoke)))
}

fn recording_id(number: u32) -> RecordingId {
    parsed(&format!("rec_{number:032x}"))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    T::from_str(text).unwrap()
}

/// Returns the work of a kind, as (recording, state, due_at, attempts, last_error), by recording.
async fn work_rows(
    world: &World,
    kind: &str,
) -> Vec<(RecordingId, String, i64, i64, Option<String>)> {
    const SQL: &str = "SELECT recording_id, state, due_at, attempts, last_error FROM work WHERE kind = $1 ORDER BY recording_id";
    let rows = world
        .db
        .read()
        .await
        .unwrap()
        .fetch_all(SQL, &[Arg::Text(kind)])
        .await
        .unwrap();
    let row = |row: &super::row::Row| {
        let id = row.parse("work", "recording_id", "recording_id").unwrap();
        (
            id,
            row.text("state").unwrap(),
            row.int("due_at").unwrap(),
            row.int("attempts").unwrap(),
            row.maybe_text("last_error").unwrap(),
        )
    };
    rows.iter().map(row).collect()
}
