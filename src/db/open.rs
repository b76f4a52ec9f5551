//! Opening a database, and beginning sessions with it.

use std::{
    path::Path,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, Database, PgPool, Pool, Postgres, Sqlite, SqliteConnection, SqlitePool,
    error::DatabaseError,
    migrate::MigrateError,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    audit,
    closed::{Closed, ClosedFor},
    error::Error,
    gate::Gate,
    image, keys,
    news::ChangeFeed,
    place::{self, DatabaseSettings},
    schema,
    tx::Tx,
};
use crate::{evidence::Position, model::time::Clock};

/// A database of the vault. Clones share its connections.
///
/// A database that was just opened is read and not written, until [`Db::prove`].
#[derive(Clone)]
pub struct Db {
    pools: Pools,
    gate: Gate,
    /// Replaces the database's time, for tests.
    clock: Option<Clock>,
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

impl Db {
    /// Opens the database and brings its schema up to date.
    ///
    /// [`Error::Url`] for a URL of another kind, [`Error::Schema`] when the database was written by
    /// a newer or foreign program, [`Error::Unavailable`] when it cannot be reached.
    pub async fn open(settings: &DatabaseSettings, base: &Path) -> Result<Self, Error> {
        let connections = settings.connections.clamp(1, 64);
        if let Some(path) = settings.file(base) {
            let file = path.clone();
            let options = SqliteConnectOptions::new()
                .filename(&path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .pragma("secure_delete", "on")
                .pragma("trusted_schema", "off");
            let gate = Gate::default();
            // Kept open as long as the database: meanwhile the files beside the database are
            // compared.
            let writer = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(ACQUIRE)
                .idle_timeout(None)
                .max_lifetime(None)
                .after_connect({
                    let gate = gate.clone();
                    let path = Arc::<Path>::from(path);
                    move |connection, _| {
                        Box::pin(opened(connection, gate.clone(), Arc::clone(&path)))
                    }
                })
                .after_release({
                    let gate = gate.clone();
                    move |connection, _| Box::pin(is_reusable(connection, gate.clone()))
                });
            let writer = connect_when_free(
                writer,
                options
                    .clone()
                    .pragma("cache_size", WRITER_CACHE)
                    .pragma("wal_autocheckpoint", CHECKPOINT),
            )
            .await
            .map_err(|error| place::of_file(&file, error))?;
            // Under the write lock, because SQLite has no other lock by which two processes that
            // find an empty file would take turns.
            let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
            migrate(schema::sqlite().run(&mut *tx).await)?;
            tx.commit().await?;
            // From here on a missing database file is an error: an empty one in its place would
            // belong to somebody else.
            let options = options.create_if_missing(false);
            writer.set_connect_options(
                writer
                    .connect_options()
                    .as_ref()
                    .clone()
                    .create_if_missing(false),
            );
            let options = options.pragma("query_only", "on");
            let readers = SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE)
                .connect_lazy_with(options);
            return Ok(Self {
                pools: Pools::Sqlite { readers, writer },
                gate,
                clock: None,
            });
        }
        if settings.url.starts_with("postgres://") || settings.url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(&settings.url)
                .map_err(|_| Error::Url("not a PostgreSQL URL".into()))?;
            let options = options.application_name("recvault").options(TIMEOUTS);
            let pool = PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE)
                .connect_with(options.clone())
                .await;
            let pool = match pool {
                Ok(pool) => pool,
                Err(error) => return Err(place::of_server(&options, error).await),
            };
            migrate(schema::postgres().run(&pool).await)?;
            return Ok(Self {
                pools: Pools::Postgres(pool),
                gate: Gate::default(),
                clock: None,
            });
        }
        Err(Error::Url(
            "expected `sqlite:PATH` or `postgres://…`".into(),
        ))
    }

    /// The same database, which uses this clock as its own time unless it is the system clock: a
    /// test that moves the clock moves the database's time with it.
    #[must_use]
    pub fn timed_by(self, clock: &Clock) -> Self {
        let clock = (!matches!(clock, Clock::System)).then(|| clock.clone());
        Self { clock, ..self }
    }

    /// Returns `sqlite` or `postgres`, for display.
    pub fn kind(&self) -> &'static str {
        match self.pools {
            Pools::Sqlite { .. } => "sqlite",
            Pools::Postgres(_) => "postgres",
        }
    }

    /// Allows this process to write if the log has every one of these positions, which are known
    /// from elsewhere. Returns whether it has. Only `vault::rollback`, which collects the positions,
    /// may call this.
    ///
    /// # Errors
    /// [`Error::Closed`] if the database was found before to lack changes; any database error.
    pub async fn prove(&self, known: &[Position]) -> Result<bool, Error> {
        let mut tx = self.read().await?;
        for position in known {
            if !audit::has(&mut tx, position).await? {
                return Ok(false);
            }
        }
        self.gate.open()?;
        Ok(true)
    }

    /// Stops this process from writing from now on. Returns whether this call did it.
    pub fn close_gate(&self, because: ClosedFor, why: &str) -> bool {
        self.gate.close(because, why)
    }

    /// Returns why the database is no longer written, if it is closed.
    pub fn refusal(&self) -> Option<Closed> {
        self.gate.refusal()
    }

    /// Checks that what was read may be trusted: the database was not found to lack changes, and
    /// its files are those that were opened.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::Unavailable`] if the file cannot be examined.
    pub fn stands(&self) -> Result<(), Error> {
        self.gate.stands()
    }

    /// Returns whether the database holds no vault yet.
    ///
    /// # Errors
    /// Any database error.
    pub async fn is_new(&self) -> Result<bool, Error> {
        Ok(keys::vault_id(&mut self.read().await?).await?.is_none())
    }

    /// Begins a unit of work.
    ///
    /// # Errors
    /// [`Error::Unproven`] before [`Self::prove`], [`Error::Closed`] after the database was found
    /// to lack changes; any database error.
    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        self.gate.check()?;
        self.begin_unit().await
    }

    /// Begins the first unit of work of a database, which cannot lack any changes.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if a table has a row; any database error.
    pub(super) async fn begin_empty(&self) -> Result<Tx, Error> {
        let mut tx = self.begin_unit().await?;
        match image::first_row(&mut tx).await? {
            None => Ok(tx),
            Some(table) => Err(Error::NotEmpty(table)),
        }
    }

    /// Checks that the database has no rows, as [`Self::begin_empty`] does, without any effect.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if a table has a row; any database error.
    pub async fn check_empty(&self) -> Result<(), Error> {
        match image::first_row(&mut self.read().await?).await? {
            None => Ok(()),
            Some(table) => Err(Error::NotEmpty(table)),
        }
    }

    async fn begin_unit(&self) -> Result<Tx, Error> {
        let tx = match &self.pools {
            // Takes the write lock at once: an upgrade from reading to writing could not wait.
            Pools::Sqlite { writer, .. } => Tx::sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => {
                let begun = pool.begin().await;
                match begun {
                    Ok(begun) => Tx::postgres(begun),
                    Err(error) => return Err(place::of_pool(pool, error).await),
                }
            }
        };
        Ok(tx.behind(&self.gate).timed_by(self.clock.as_ref()))
    }

    /// Begins a session for reading, in which each query sees its own state.
    pub async fn read(&self) -> Result<Tx, Error> {
        let tx = match &self.pools {
            Pools::Sqlite { readers, .. } => Tx::sqlite_reader(readers.acquire().await?),
            Pools::Postgres(pool) => {
                let acquired = pool.acquire().await;
                match acquired {
                    Ok(acquired) => Tx::postgres_reader(acquired),
                    Err(error) => return Err(place::of_pool(pool, error).await),
                }
            }
        };
        Ok(tx.timed_by(self.clock.as_ref()))
    }

    /// Begins a session for reading in which all queries see the current state of the database,
    /// whatever is written meanwhile; it blocks no writer. It has a connection of its own, which
    /// closes with it, so that a long session takes none from the others. While it lasts, SQLite's
    /// write-ahead log cannot be checkpointed completely, and PostgreSQL keeps the rows that it may
    /// still read.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is closed or takes no further connection.
    pub async fn snapshot(&self) -> Result<Tx, Error> {
        const REPEATABLE: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        // The first query fixes the state that a session sees. On PostgreSQL this one also disables
        // the timeouts for long pauses between two others.
        const SQLITE: &str = "/* open.snapshot */ SELECT seq FROM audit_head";
        const POSTGRES: &str =
            "/* open.snapshot */ SELECT set_config(name, '0', true) FROM pg_settings
            WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')";
        let (mut tx, first) = match &self.pools {
            Pools::Sqlite { readers, .. } if !readers.is_closed() => {
                let options = readers
                    .connect_options()
                    .as_ref()
                    .clone()
                    .row_buffer_size(ROWS);
                (Tx::sqlite(alone::<Sqlite>(options).begin().await?), SQLITE)
            }
            Pools::Postgres(pool) if !pool.is_closed() => {
                let options = pool.connect_options().as_ref().clone();
                match alone::<Postgres>(options).begin_with(REPEATABLE).await {
                    Ok(begun) => (Tx::postgres(begun), POSTGRES),
                    Err(error) => return Err(place::of_pool(pool, error).await),
                }
            }
            Pools::Sqlite { .. } | Pools::Postgres(_) => return Err(sqlx::Error::PoolClosed.into()),
        };
        tx.execute(first, &[]).await?;
        Ok(tx.timed_by(self.clock.as_ref()))
    }

    /// Returns the notifications of other processes, on a connection of its own.
    pub fn news(&self) -> ChangeFeed {
        match &self.pools {
            Pools::Sqlite { .. } => ChangeFeed::silent(),
            Pools::Postgres(pool) => ChangeFeed::of(&pool.connect_options()),
        }
    }

    /// Checks that the database answers and may be trusted.
    ///
    /// # Errors
    /// The error that prevents an answer; [`Error::Closed`].
    pub async fn probe(&self) -> Result<(), Error> {
        self.stands()?;
        self.read()
            .await?
            .fetch_int("SELECT seq FROM audit_head", &[])
            .await
            .map(|_| ())
    }

    /// Closes the connections after running statements have finished; SQLite checkpoints its
    /// write-ahead log.
    pub async fn close(&self) {
        self.gate.writer_closes();
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Connects as soon as no other process holds the file exclusively. SQLite waits for locks up to
/// its busy timeout, but not for the lock under which a new file gets its write-ahead log, nor for
/// the one under which a log is recovered.
async fn connect_when_free(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, sqlx::Error> {
    let patience = Instant::now() + ACQUIRE;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            connected => return connected,
        }
    }
}

/// Returns whether another connection holds the file (SQLITE_BUSY, with any extension in the upper
/// bits).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// Returns whether a writing connection may be used again. On a full disk SQLite ends the
/// transaction by itself; the driver's rollback then finds none, and the driver assumes forever
/// that one is open. Such a connection is closed, because it would take no further unit of work.
async fn is_reusable(connection: &mut SqliteConnection, gate: Gate) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The rollback of a dropped session may be queued; the ping is answered after it.
        connection.ping().await?;
    }
    let is_reusable = !connection.is_in_transaction();
    if !is_reusable {
        gate.writer_closes();
    }
    Ok(is_reusable)
}

/// Records the files of a writing connection that was just opened.
async fn opened(
    connection: &mut SqliteConnection,
    gate: Gate,
    database: Arc<Path>,
) -> Result<(), sqlx::Error> {
    // The first query creates the write-ahead log and its index.
    sqlx::query("/* open.opened */ SELECT COUNT(*) FROM sqlite_master")
        .execute(&mut *connection)
        .await?;
    Ok(gate.writer_opened(&database)?)
}

/// Creates a pool of one connection that is closed when its session is dropped. Only a pool closes
/// it after the rollback.
fn alone<D: Database>(options: <D::Connection as Connection>::Options) -> Pool<D> {
    let pool = PoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None);
    pool.after_release(|_, _| Box::pin(async { Ok(false) }))
        .connect_lazy_with(options)
}

/// Timeouts of PostgreSQL. A process that is suspended in the middle of a unit must not keep the
/// head of the audit log locked.
const TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "8s"),
];

/// Page cache of SQLite's one writer: 8 MiB, as a negative number of KiB. A unit that shreds
/// hundreds of recordings writes to pages all over the file.
const WRITER_CACHE: &str = "-8192";
/// Pages in SQLite's write-ahead log, 16 MiB, after which a commit checkpoints them: a page that
/// was written many times until then is copied once.
const CHECKPOINT: &str = "4096";

/// Rows that SQLite may read ahead of a snapshot's reader: all rows of one request, so that it
/// never waits for the reader.
const ROWS: usize = 2048;

/// How long a caller waits for a connection before the database counts as unavailable.
const ACQUIRE: Duration = Duration::from_secs(10);

/// An error that may have been caused by the database.
pub trait AsDatabaseError {
    /// Returns the database error, if it is one.
    fn as_database_error(&self) -> Option<&Error>;
}

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&Error> {
        Some(self)
    }
}

fn migrate(result: Result<(), MigrateError>) -> Result<(), Error> {
    result.map_err(|error| match error {
        MigrateError::VersionMissing(version) => Error::Schema(format!(
            "the database has schema {version}, which a newer recvault wrote: use that version or \
             a newer one"
        )),
        MigrateError::VersionMismatch(version) => Error::Schema(format!(
            "schema {version} of the database differs from this program's: \
                                   the database belongs to another program"
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match Error::from(error) {
                Error::Unavailable(cause) => Error::Unavailable(cause),
                other => Error::Schema(format!(
                    "the schema cannot be created in the database: {other}"
                )),
            }
        }
        other => Error::Schema(other.to_string()),
    })
}
