//! Texts: how many come in durably and sealed, what one takes in the database, and what lists,
//! shreds, a revocation and a snapshot cost among many.
//!
//! They come in over HTTP, signed, into the service under test, as from Twilio; everything else is
//! measured on the vault that they leave. Beside it stands the bare form: the same rows, copied in
//! commits of as many as come in at once, with the same indexes.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use recvault::{
    app::App,
    config::SHIPPED_POLICY,
    db::recordings::{self, RecordingFilter},
    flow::Flow,
    model::{
        id::RecordingId, media::MediaKind, recording::RecordingState, revocation::Target,
        subject::Address,
    },
    policy::{Permit, action},
    store::RecoveryKind,
    vault::Vault,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::{
    Failure,
    load::{self, CONNECTIONS, Load, OF_ONE, Sent, Told},
    plan::{Plan, clear},
    service::{Home, count},
    table::{Row, Table, quantile, rate, time},
    thread,
};

/// Texts of one run of the load generator, which makes all of them first.
const AT_ONCE: usize = 20_000;
/// Texts in a page of the list.
const PAGE: i64 = 50;
/// Timed list pages and single shreds.
const SINGLE: usize = 200;
/// The rate of inbound texts, and the 99th percentile of the time until the answer.
const INBOUND: (u32, Duration) = (1_000, Duration::from_millis(50));
/// The size of a text in the database, in bytes.
const SIZE: f64 = 1536.0;
/// The time of a revocation of a person with many texts, and of how many.
const REVOCATION: (usize, Duration) = (10_000, Duration::from_secs(5));

/// Tables whose rows a text has; `pages` grows by a share of a page.
const TABLES: [&str; 7] = [
    "recordings",
    "key_entries",
    "artefacts",
    "details",
    "parties",
    "audit",
    "pages",
];

pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> Result<(), Failure> {
    let sizes = plan.size.pick(vec![400], vec![20_000], vec![100_000]);
    let sizes = if plan.rows.is_empty() {
        sizes
    } else {
        plan.rows.clone()
    };
    for count in sizes {
        let folder = plan.folder(&format!("messages-{count}"))?;
        among(&folder, count, table).await?;
        clear(&folder)?;
    }
    Ok(())
}

async fn among(folder: &Path, texts: usize, table: &mut Table) -> Result<(), Failure> {
    let home = Home::make(folder.join("vault")).await?;
    fs::write(home.folder.join("privacy-policy.toml"), policy())?;
    let (inbound, paced) = inbound(&home, texts).await?;
    let plain = Plain::copied(&home.folder, texts).await?;
    table.add(vec![
        inbound_row(texts, &inbound, &plain),
        paced_row(&paced),
        size_row(texts, &plain),
    ])?;

    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let service = home
        .serve(&format!("http://{}", silent.local_addr()?), None)
        .await?;
    let page = thread::measure(&home, &service, texts).await;
    service.stop()?;
    table.add(vec![page?])?;

    let mut app = home.app().await?;
    let (flow, committers) = app.flow().await?;
    let among = Among {
        texts,
        app: &app,
        flow: &flow,
    };
    table.add(vec![among.list(&home.folder).await?])?;
    table.add(among.snapshots().await?)?;
    table.add(vec![
        among.shreds(&home.folder).await?,
        among.revocation().await?,
    ])?;
    drop((flow, committers));
    app.db.close().await;
    Ok(())
}

/// Returns the shipped policy, which keeps messages, too.
fn policy() -> String {
    SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"messages\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"message\"]\n",
            1,
        )
}

/// Sends texts as fast as they are answered, and then a second's share at the target's pace.
/// Returns the last run of each.
async fn inbound(home: &Home, texts: usize) -> Result<(Told, Told), Failure> {
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let service = home
        .serve(&format!("http://{}", silent.local_addr()?), None)
        .await?;
    let of = |first, count, per_s| Load {
        port: service.port,
        sent: Sent::Texts,
        first,
        count,
        per_s,
    };
    let paced = (texts / 10).clamp(1, 10 * INBOUND.0 as usize);
    let fast = texts - paced;
    let mut last = None;
    let mut accepted = 0;
    for first in (0..fast).step_by(AT_ONCE) {
        let told = load::run(&of(first, AT_ONCE.min(fast - first), 0))?;
        accepted += told.accepted;
        last = Some(told);
    }
    let at_pace = load::run(&of(fast, paced, u64::from(INBOUND.0)))?;
    accepted += at_pace.accepted;
    let db = home.db().await?;
    let sealed = count(&db, RecordingState::Sealed).await?;
    db.close().await;
    service.stop()?;
    if (accepted, sealed) != (texts as u64, texts as u64) {
        return Err(
            format!("of {texts} texts {accepted} were accepted, and {sealed} sealed").into(),
        );
    }
    Ok((last.ok_or("there are texts")?, at_pace))
}

fn inbound_row(texts: usize, told: &Told, plain: &Plain) -> Row {
    let ours = rate(told.accepted, Duration::from_micros(told.took_us));
    let [p50, p99] = [told.p50_us, told.p99_us].map(Duration::from_micros);
    let mut row = Row::beside(
        format!(
            "inbound texts, durable and sealed, SQLite, {CONNECTIONS} connections, the last of {texts}"
        ),
        format!("{ours:.0}/s, p50 {}, p99 {}", time(p50), time(p99)),
        format!(
            "the same rows, {CONNECTIONS} a commit: {:.0}/s",
            plain.per_s
        ),
        ours / plain.per_s,
        None,
    );
    row.target = format!("≥ {}/s", INBOUND.0);
    row.met = Some(ours >= f64::from(INBOUND.0));
    row
}

fn paced_row(told: &Told) -> Row {
    let [p50, p99] = [told.p50_us, told.p99_us].map(Duration::from_micros);
    Row::alone(
        format!("the same, {} a second, from when each was due", INBOUND.0),
        format!("p50 {}, p99 {}", time(p50), time(p99)),
        format!("p99 ≤ {}", time(INBOUND.1)),
        Some(p99 <= INBOUND.1),
    )
}

fn size_row(texts: usize, plain: &Plain) -> Row {
    #[expect(clippy::cast_precision_loss, reason = "shown in whole bytes")]
    let each = |bytes: u64| bytes as f64 / texts as f64;
    let parts: Vec<String> = plain
        .parts
        .iter()
        .map(|(name, bytes)| format!("{name} {:.0}", each(*bytes)))
        .collect();
    let mut row = Row::beside(
        format!("size of a text in the database, among {texts}"),
        format!("{:.0} bytes: {}", each(plain.size), parts.join(", ")),
        format!("the same rows, copied: {:.0} bytes", each(plain.copied)),
        each(plain.copied) / each(plain.size),
        None,
    );
    row.target = format!("≤ {SIZE:.0} bytes");
    row.met = Some(each(plain.size) <= SIZE);
    row
}

/// The bare form: the rows of the texts in a database of their own.
struct Plain {
    /// Texts copied per second, durably.
    per_s: f64,
    /// Bytes of the vault's database, and of the copy.
    size: u64,
    copied: u64,
    /// The largest tables and indexes of the vault's database.
    parts: Vec<(String, u64)>,
}

impl Plain {
    /// Copies the rows of a vault that no service uses.
    async fn copied(home: &Path, texts: usize) -> Result<Self, Failure> {
        let file = home.join("vault.db");
        let mut vault = open(&file).await?;
        let size = used(&mut vault).await?;
        let parts = parts(&mut vault).await.unwrap_or_default();
        vault.close().await?;

        let mut bare = open(&home.join("bare.db")).await?;
        let attach = format!("ATTACH DATABASE '{}' AS vault", file.display());
        run(&mut bare, &attach).await?;
        let schema = sqlx::query(
            "SELECT sql FROM vault.sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY type DESC",
        );
        for row in schema.fetch_all(&mut bare).await? {
            run(&mut bare, &row.get::<String, _>(0)).await?;
        }
        let batches = texts.div_ceil(CONNECTIONS);
        let begun = Instant::now();
        for batch in 0..batches {
            let mut tx = bare.begin().await?;
            for table in TABLES {
                let copy = format!(
                    "INSERT INTO main.{table} SELECT * FROM vault.{table} WHERE rowid > (SELECT MAX(rowid) FROM vault.{table}) * {batch} / {batches}
                     AND rowid <= (SELECT MAX(rowid) FROM vault.{table}) * ({batch} + 1) / {batches}"
                );
                run(&mut tx, &copy).await?;
            }
            tx.commit().await?;
        }
        let took = begun.elapsed();
        let copied = used(&mut bare).await?;
        bare.close().await?;
        fs::remove_file(home.join("bare.db"))?;
        Ok(Self {
            per_s: rate(texts as u64, took),
            size,
            copied,
            parts,
        })
    }
}

async fn open(file: &Path) -> Result<SqliteConnection, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(false)
        .pragma("journal_mode", "wal")
        .pragma("synchronous", "full");
    Ok(SqliteConnection::connect_with(&options).await?)
}

async fn run(connection: &mut SqliteConnection, sql: &str) -> Result<(), Failure> {
    let _done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the bytes of the pages in use.
async fn used(connection: &mut SqliteConnection) -> Result<u64, Failure> {
    let mut of = async |pragma: &'static str| -> Result<i64, Failure> {
        let row = sqlx::query(pragma).fetch_one(&mut *connection).await?;
        Ok(row.get(0))
    };
    let pages = of("PRAGMA page_count").await? - of("PRAGMA freelist_count").await?;
    Ok(u64::try_from(pages * of("PRAGMA page_size").await?)?)
}

/// Returns the largest tables and indexes, if this SQLite can tell.
async fn parts(connection: &mut SqliteConnection) -> Result<Vec<(String, u64)>, Failure> {
    const SQL: &str = "SELECT name, SUM(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 12";
    let rows = sqlx::query(SQL).fetch_all(connection).await?;
    let part =
        |row: &sqlx::sqlite::SqliteRow| Ok((row.get(0), u64::try_from(row.get::<i64, _>(1))?));
    rows.iter().map(part).collect()
}

/// A vault with many texts.
struct Among<'a> {
    texts: usize,
    app: &'a App,
    flow: &'a Flow,
}

impl Among<'_> {
    fn vault(&self) -> &Vault {
        &self.flow.vault
    }

    async fn list(&self, home: &Path) -> Result<Row, Failure> {
        let middle = self.page(None, 1 + i64::try_from(self.texts / 2)?).await?;
        let middle = middle.last().map(|last| (last.announced_at, last.id));
        let mut took = Vec::new();
        for nth in 0..SINGLE {
            let after = if nth % 2 == 0 { None } else { middle };
            let begun = Instant::now();
            self.page(after, PAGE).await?;
            took.push(begun.elapsed());
        }
        let mut bare = open(&home.join("vault.db")).await?;
        let mut plain = Vec::new();
        for _ in 0..SINGLE {
            let begun = Instant::now();
            let page = sqlx::query(
                "SELECT * FROM recordings ORDER BY announced_at DESC, id DESC LIMIT 50",
            );
            drop(page.fetch_all(&mut bare).await?);
            plain.push(begun.elapsed());
        }
        bare.close().await?;
        let [ours, theirs] = [quantile(&mut took, 0.5), quantile(&mut plain, 0.5)];
        Ok(Row::beside(
            format!(
                "a list page of {PAGE} texts, newest and from the middle, among {}",
                self.texts
            ),
            format!(
                "p50 {}, p99 {}",
                time(ours),
                time(quantile(&mut took, 0.99))
            ),
            format!("its rows, newest: p50 {}", time(theirs)),
            theirs.as_secs_f64() / ours.as_secs_f64(),
            None,
        ))
    }

    async fn page(
        &self,
        after: Option<(recvault::model::time::Timestamp, RecordingId)>,
        limit: i64,
    ) -> Result<Vec<recvault::model::recording::Recording>, Failure> {
        let filter = RecordingFilter {
            after,
            kind: Some(MediaKind::Message),
            ..RecordingFilter::default()
        };
        Ok(recordings::list(&mut self.app.db.read().await?, &filter, limit).await?)
    }

    /// Writes the first snapshot, and one more after nothing came.
    async fn snapshots(&self) -> Result<Vec<Row>, Failure> {
        self.vault().journal_all().await?;
        let mut rows = Vec::new();
        for what in ["the first snapshot", "the next one, without a new text"] {
            let before = self.stored().await?;
            let begun = Instant::now();
            let checked = self.vault().snapshot().await?;
            let took = begun.elapsed();
            let snapshot = self.app.recovery.recovery_size(checked.snapshot).await?;
            let packs = self.stored().await?.saturating_sub(before);
            #[expect(clippy::cast_precision_loss, reason = "shown in whole bytes")]
            let each = |bytes: u64| bytes as f64 / self.texts as f64;
            rows.push(Row::alone(
                format!("{what} of {} texts: bytes for each", self.texts),
                format!(
                    "{:.0} of rows, {:.0} of ciphertext in packs; {} and verified",
                    each(snapshot),
                    each(packs),
                    time(took)
                ),
                "",
                None,
            ));
        }
        let pieces = self
            .app
            .recovery
            .list_recovery(RecoveryKind::Journal)
            .await?;
        let journal: u64 = pieces.iter().map(|(_, size)| size).sum();
        rows.push(Row::alone(
            "journal pieces of the last snapshots that remain",
            format!("{} of {} kB", pieces.len(), journal / 1000),
            "",
            None,
        ));
        Ok(rows)
    }

    /// Returns the bytes of all packs.
    async fn stored(&self) -> Result<u64, Failure> {
        let packs = recvault::db::packs::all(&mut self.app.db.read().await?).await?;
        Ok(packs.iter().map(|pack| pack.size).sum())
    }

    async fn shreds(&self, home: &Path) -> Result<Row, Failure> {
        let permit = Permit::of_operator(action::Shred);
        let reason = "subject-request".parse()?;
        let page = self
            .page(None, i64::try_from(4 * SINGLE.min(self.texts / 8))?)
            .await?;
        let mut took = Vec::new();
        for recording in page.iter().step_by(4) {
            let begun = Instant::now();
            self.flow
                .shredding
                .shred(&permit, recording.id, &reason)
                .await?;
            took.push(begun.elapsed());
        }
        let mut bare = open(&home.join("bare.db")).await?;
        run(
            &mut bare,
            "CREATE TABLE keys (id INTEGER PRIMARY KEY, key BLOB)",
        )
        .await?;
        let mut plain = Vec::new();
        for _ in 0..took.len() {
            let begun = Instant::now();
            run(&mut bare, "INSERT INTO keys (key) VALUES (zeroblob(4124))").await?;
            plain.push(begun.elapsed());
        }
        bare.close().await?;
        let [ours, theirs] = [quantile(&mut took, 0.5), quantile(&mut plain, 0.5)];
        Ok(Row::beside(
            format!(
                "shred of one text, its piece of the journal included, among {}",
                self.texts
            ),
            format!(
                "p50 {}, p99 {}",
                time(ours),
                time(quantile(&mut took, 0.99))
            ),
            format!("one row of a page, durable: p50 {}", time(theirs)),
            theirs.as_secs_f64() / ours.as_secs_f64(),
            None,
        ))
    }

    async fn revocation(&self) -> Result<Row, Failure> {
        let subject = self.vault().subject(&Address::parse(&load::sender(0))?);
        let begun = Instant::now();
        let done = self
            .flow
            .revocations
            .revoke(
                &Permit::of_operator(action::Revoke),
                Target::Subject(subject),
                BTreeSet::new(),
                &"subject-request".parse()?,
                &|_| {},
            )
            .await?;
        let took = begun.elapsed();
        let shredded = usize::try_from(done.counts.shredded)?;
        if shredded < self.texts / OF_ONE / 2 || done.pending > 0 {
            return Err(format!("the revocation reached {shredded} texts").into());
        }
        let share = Duration::from_secs_f64(
            REVOCATION.1.as_secs_f64() * f64::from(u32::try_from(shredded)?)
                / f64::from(u32::try_from(REVOCATION.0)?),
        );
        Ok(Row::alone(
            format!(
                "revocation of a person with {shredded} texts among {}",
                self.texts
            ),
            format!("{}, journal and receipts included", time(took)),
            format!("≤ {} for {}", time(REVOCATION.1), REVOCATION.0),
            Some(took <= share.max(Duration::from_millis(500))),
        ))
    }
}
