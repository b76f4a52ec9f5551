//! The database's units of work, on SQLite and, if `RECVAULT_TEST_POSTGRES` names a server, on
//! PostgreSQL. Every unit is durable when it is counted, so this measures the disk too.
//!
//! `RECVAULT_BENCH_ROWS` is the number of recordings in the large vault (default 100,000; the
//! design assumes 1,000,000).

mod cast;
mod filled;
mod server;

use std::{
    convert::Infallible,
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use filled::{Filled, Ground, fill};
use futures_util::{future::try_join_all, stream};
use rand::RngExt as _;
use recvault::{
    db::{
        Db, Term,
        accept::{self, Acceptor, Announcement},
        grants::{self, GrantRow},
        recordings::{self, RecordingFilter},
        tokens::{self, TokenRow},
        work::{self, Lease, WorkKind},
    },
    evidence::NewEntry,
    model::{
        artefact::Leg,
        id::{GrantId, HolderId, RecordingId},
        media::SourceRef,
        recording::{DiscoveredBy, Recording},
        time::Clock,
    },
    policy::{Decision, DecisionFacts, decide},
    secret::{Token, TokenKind},
    store::{self, Store},
};
use server::Databases;
use tokio::runtime::Runtime;

type Failure = Box<dyn Error + Send + Sync>;

/// Recordings in the small vault, for comparison with the large one.
const SMALL: usize = 1_000;
/// Recordings per page of the list.
const PAGE: i64 = 50;

fn dbs(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let folder =
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder takes files");
    on(c, &runtime, "sqlite", folder.path(), |name| {
        format!("sqlite:{name}.db")
    });
    if let Some(server) = setting("RECVAULT_TEST_POSTGRES") {
        let mut databases = Databases::on(&server);
        on(c, &runtime, "postgres", folder.path(), |name| {
            runtime
                .block_on(databases.create(name))
                .expect("the server lets us create a database")
        });
        runtime
            .block_on(databases.drop())
            .expect("the server lets us drop our databases");
    }
}

/// Runs all measurements on one kind of database; `url` creates an empty one with this name.
fn on(
    c: &mut Criterion,
    runtime: &Runtime,
    kind: &str,
    base: &Path,
    mut url: impl FnMut(&str) -> String,
) {
    let mut group = c.benchmark_group(kind);
    let large = rows();
    for (name, count) in [("small", SMALL), ("large", large)] {
        let folder = base.join(format!("{kind}-{name}"));
        std::fs::create_dir(&folder).expect("the folder takes folders");
        let store = Store::open(
            &store::StoreSettings {
                url: "memory:".into(),
                ..Default::default()
            },
            &folder,
        )
        .expect("there is memory");
        let ground = Ground {
            url: url(name),
            folder: &folder,
            store,
        };
        let filled = runtime
            .block_on(fill(ground, count))
            .expect("a vault can be filled");
        lists(&mut group, runtime, &filled);
        if name == "large" {
            units(&mut group, runtime, &filled);
        }
        runtime.block_on(filled.db.close());
    }
}

/// Reads the newest page, and a page from the middle.
fn lists(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, filled: &Filled) {
    let middle = filled.ids[filled.ids.len() / 2];
    let middle = runtime
        .block_on(find(&filled.db, middle))
        .expect("the recording is there");
    for (name, after) in [
        ("list the newest", None),
        (
            "list from the middle",
            Some((middle.announced_at, middle.id)),
        ),
    ] {
        let filter = RecordingFilter {
            after,
            ..RecordingFilter::default()
        };
        group.bench_function(BenchmarkId::new(name, filled.ids.len()), |b| {
            b.to_async(runtime).iter(async || {
                let mut tx = filled.db.read().await.expect("the database answers");
                let page = recordings::list(&mut tx, &filter, PAGE)
                    .await
                    .expect("the database answers");
                assert_eq!(page.len(), usize::try_from(PAGE).unwrap_or_default());
            });
        });
    }
}

fn units(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, filled: &Filled) {
    let (acceptor, committer) = accept::channel(filled.db.clone());
    let committing = runtime.spawn(async move { committer.run(|| Clock::System.now()).await });
    let desk = Desk { filled, acceptor };

    for batch in [1, 64, 256] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new("accept", batch), |b| {
            b.to_async(runtime).iter_custom(async |rounds| {
                timed(
                    rounds,
                    async || desk.announcements(batch, "in-progress"),
                    async |announcements| desk.accept(announcements).await,
                )
                .await
                .expect("announcements are accepted")
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("deposit of nothing", |b| {
        b.to_async(runtime).iter_custom(async |rounds| {
            timed(
                rounds,
                async || desk.due().await.expect("work is leased"),
                async |(lease, recording)| desk.deposit(lease, recording).await,
            )
            .await
            .expect("deposits are taken")
        });
    });
    let token = runtime.block_on(desk.token()).expect("a token is made");
    group.bench_function("grant", |b| {
        b.to_async(runtime)
            .iter(async || desk.grant(&token).await.expect("a grant is given"));
    });
    let mut living = filled.ids.iter();
    group.bench_function("shred step one", |b| {
        b.to_async(runtime).iter_custom(|rounds| {
            let next: Vec<RecordingId> = living
                .by_ref()
                .take(usize::try_from(rounds).unwrap_or(usize::MAX))
                .copied()
                .collect();
            assert_eq!(
                next.len() as u64,
                rounds,
                "every recording is shredded; raise RECVAULT_BENCH_ROWS"
            );
            let db = &filled.db;
            let mut next = next.into_iter();
            async move {
                let found = async || {
                    find(db, next.next().expect("as many as rounds"))
                        .await
                        .expect("the recording is there")
                };
                timed(rounds, found, async |recording| {
                    shred(filled, recording).await
                })
                .await
                .expect("recordings are shredded")
            }
        });
    });

    drop(desk);
    runtime
        .block_on(committing)
        .expect("the committer ends with the queue");
}

/// Runs `unit` on the result of `prepare`, `rounds` times; only `unit` is timed.
async fn timed<T>(
    rounds: u64,
    mut prepare: impl AsyncFnMut() -> T,
    mut unit: impl AsyncFnMut(T) -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        let prepared = prepare().await;
        let begun = Instant::now();
        unit(prepared).await?;
        spent += begun.elapsed();
    }
    Ok(spent)
}

async fn find(db: &Db, id: RecordingId) -> Result<Recording, Failure> {
    recordings::find(&mut db.read().await?, id)
        .await?
        .ok_or_else(|| "the recording is not there".into())
}

async fn shred(filled: &Filled, recording: Recording) -> Result<(), Failure> {
    filled.shred(&recording, &"bench".parse()?).await
}

/// The acceptance of new recordings.
struct Desk<'a> {
    filled: &'a Filled,
    acceptor: Acceptor,
}

impl Desk<'_> {
    fn announcements(&self, count: u64, status: &str) -> Vec<Announcement> {
        let book = cast::rulebook();
        let now = Clock::System.now();
        let announcement = || {
            let recording = cast::recording(book.current(), now);
            let sid = format!("RE{:032x}", rand::rng().random::<u128>());
            let source_ref =
                SourceRef::parse(recording.account().clone(), &sid).expect("it is a recording SID");
            Announcement {
                labels: Default::default(),
                heard_by: DiscoveredBy::Callback,
                encryption: None,
                id: source_ref.recording_id(self.filled.vault.id()),
                source_ref,
                call: None,
                conference: None,
                thread: None,
                author: None,
                files: 0,
                source: recording.source,
                source_status: status.to_owned(),
                error_code: None,
                duration_s: recording.duration_s,
                channels: recording.channels,
                tier: recording.tier,
                policy_version: recording.policy_version,
                policy_digest: recording.policy_digest,
                started_at: None,
            }
        };
        (0..count).map(|_| announcement()).collect()
    }

    async fn accept(&self, announcements: Vec<Announcement>) -> Result<(), Failure> {
        try_join_all(
            announcements
                .into_iter()
                .map(|announcement| self.acceptor.accept(announcement)),
        )
        .await?;
        Ok(())
    }

    /// Returns a recording that is due for sealing, and its lease.
    async fn due(&self) -> Result<(Lease<RecordingId>, Recording), Failure> {
        self.accept(self.announcements(1, "completed")).await?;
        let holder = HolderId::random(&mut rand::rng());
        let leased = self.filled.db.unit("leased", async |mut unit| {
            unit.without_entry("a bench");
            let term = Term::begin(&mut unit, Duration::from_secs(60)).await?;
            work::lease(&mut unit, &[WorkKind::FetchMedia], holder, term, 1).await
        });
        let lease = leased.await?.pop().ok_or("no work is due")?.parsed()?;
        let recording = find(&self.filled.db, lease.subject).await?;
        Ok((lease, recording))
    }

    async fn deposit(
        &self,
        lease: Lease<RecordingId>,
        recording: Recording,
    ) -> Result<(), Failure> {
        let nothing = stream::empty::<Result<Bytes, Infallible>>();
        let vault = &self.filled.vault;
        let stored = vault
            .store_media(&recording, Leg::All, "audio/wav", nothing)
            .await?;
        let options = recvault::vault::DepositOptions::default();
        let entered = vault.unit("entered", async |mut unit| {
            vault
                .enter(&mut unit, &recording, &stored, &options)
                .await?;
            work::finish(&mut unit, &lease).await?;
            Ok::<_, recvault::vault::Error>(())
        });
        Ok(entered.await?)
    }

    /// Inserts a token that can hold grants.
    async fn token(&self) -> Result<TokenRow, Failure> {
        let principal = cast::principal(&["reviewer"]);
        let now = Clock::System.now();
        let hash = Token::random(TokenKind::Bearer, &mut rand::rng()).hash();
        let row = TokenRow {
            hash: hash.as_str().to_owned(),
            attributes: Default::default(),
            id: principal.credential,
            principal: principal.id,
            label: "bench".into(),
            roles: principal.roles.into_iter().collect(),
            accounts: Vec::new(),
            created_at: now,
            expires_at: now.after(Duration::from_secs(3600)),
            revoked_at: None,
        };
        let inserted = self.filled.db.unit("inserted", async |mut unit| {
            unit.without_entry("a bench");
            tokens::insert(&mut unit, &row).await
        });
        inserted.await?;
        Ok(row)
    }

    async fn grant(&self, token: &TokenRow) -> Result<(), Failure> {
        let book = cast::rulebook();
        let now = Clock::System.now();
        let id = *self.filled.ids.last().ok_or("the vault is empty")?;
        let recording = Recording {
            id,
            ..cast::recording(book.current(), now)
        };
        let principal = token.principal();
        let purpose = "quality-review".parse()?;
        let facts = DecisionFacts::new(&principal, &recording, purpose);
        let Decision::Allow(grant) = decide(&facts, &book, now) else {
            return Err("the reviewer may listen".into());
        };
        let hash = Token::random(TokenKind::Grant, &mut rand::rng()).hash();
        let row = GrantRow {
            hash: hash.as_str().to_owned(),
            ticket: None,
            break_glass: false,
            opened_at: None,
            approval: None,
            ended_at: None,
            id: GrantId::random(&mut rand::rng()),
            object: id.into(),
            account: recording.account().clone(),
            token: token.id,
            purpose: grant.purpose().clone(),
            justified: false,
            policy_digest: grant.policy_digest().to_owned(),
            issued_at: now,
            expires_at: grant.expires_at(),
        };
        let granted = self.filled.db.unit("granted", async |mut unit| {
            grants::insert(&mut unit, &row).await?;
            unit.audit(NewEntry::decision_allowed(now, &grant, row.id));
            Ok::<_, recvault::db::Error>(())
        });
        Ok(granted.await?)
    }
}

/// Returns the number of recordings in the large vault; few if criterion only tests that a bench
/// runs.
fn rows() -> usize {
    let is_trial = std::env::args().any(|arg| arg == "--test");
    let rows = setting("RECVAULT_BENCH_ROWS")
        .map(|rows| rows.parse().expect("RECVAULT_BENCH_ROWS is a number"));
    if is_trial {
        2 * SMALL
    } else {
        rows.unwrap_or(100_000).max(2 * SMALL)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told by its environment where it runs"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = dbs
}
criterion_main!(benches);
