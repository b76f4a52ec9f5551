//! One session with the database, either kind: a read snapshot or a unit of work.
//!
//! The enum is closed, so there are no generics to carry around; the queries above it are plain text with `$1` placeholders.

use std::{collections::BTreeMap, fmt::Display};

use sqlx::{
    AssertSqlSafe, Postgres, Row as _, Sqlite, Transaction,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{Error, row::Row};
use crate::model::time::{Clock, Timestamp};

/// A value for a placeholder.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// Text.
    Text(&'a str),
    /// Text or null.
    MaybeText(Option<&'a str>),
    /// Integer.
    Int(i64),
    /// Integer or null.
    MaybeInt(Option<i64>),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// A session: what is read in it is consistent, what is written in it becomes visible all at once with [`Tx::commit`], or not at all.
pub struct Tx {
    inner: Inner,
    /// Tells the time in the database's place; for tests.
    clock: Option<Clock>,
}

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
    SqliteReader(PoolConnection<Sqlite>),
    PostgresReader(PoolConnection<Postgres>),
}

impl Tx {
    pub(super) fn sqlite(tx: Transaction<'static, Sqlite>) -> Self {
        Self { inner: Inner::Sqlite(tx), clock: None }
    }

    pub(super) fn postgres(tx: Transaction<'static, Postgres>) -> Self {
        Self { inner: Inner::Postgres(tx), clock: None }
    }

    pub(super) fn sqlite_reader(connection: PoolConnection<Sqlite>) -> Self {
        Self { inner: Inner::SqliteReader(connection), clock: None }
    }

    pub(super) fn postgres_reader(connection: PoolConnection<Postgres>) -> Self {
        Self { inner: Inner::PostgresReader(connection), clock: None }
    }

    pub(super) fn timed_by(self, clock: Option<&Clock>) -> Self {
        Self { clock: clock.cloned(), ..self }
    }

    /// The database's own time: PostgreSQL's is that of its server, whatever this process believes; SQLite has none but this machine's.
    ///
    /// # Errors
    /// The database's.
    pub async fn now(&mut self) -> Result<Timestamp, Error> {
        const POSTGRES: &str = "/* tx.now */ SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        match &self.clock {
            Some(clock) => Ok(clock.now()),
            None if self.is_postgres() => self.fetch_int(POSTGRES, &[]).await.map(Timestamp::from_millis),
            None => Ok(Clock::System.now()),
        }
    }

    /// Makes what was done visible and durable. A session that is dropped instead leaves nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] or [`Error::Unavailable`]; then nothing was done.
    pub async fn commit(self) -> Result<(), Error> {
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
            Inner::SqliteReader(_) | Inner::PostgresReader(_) => {}
        }
        Ok(())
    }

    /// See [`super::image::defer_references`].
    pub(super) async fn defer_references(&mut self) -> Result<(), Error> {
        const SQLITE: &str = "/* tx.defer_references */ PRAGMA defer_foreign_keys = ON";
        // 64 MiB, until the connection is closed: the indexes of a table that is filled are written all over, and two are not enough for them.
        const ROOMY: &str = "/* tx.roomy */ PRAGMA cache_size = -65536";
        const POSTGRES: &str = "/* tx.defer_references */ SET CONSTRAINTS ALL DEFERRED";
        // Only those that this version of PostgreSQL has; the commit is a statement too, and asks for all references at once.
        const PATIENT: &str = "/* tx.patient */ SELECT set_config(name, '0', true) FROM pg_settings
            WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";
        if self.is_postgres() {
            self.execute(POSTGRES, &[]).await?;
            self.execute(PATIENT, &[]).await?;
        } else {
            self.execute(SQLITE, &[]).await?;
            self.execute(ROOMY, &[]).await?;
        }
        Ok(())
    }

    /// Whether the other side is PostgreSQL, for what only one of the two can do.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.inner, Inner::Postgres(_) | Inner::PostgresReader(_))
    }

    /// Runs a statement; the number of rows it touched.
    pub(super) async fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Error> {
        Ok(match &mut self.inner {
            Inner::Sqlite(tx) => bind_sqlite(sql, args).execute(&mut **tx).await?.rows_affected(),
            Inner::Postgres(tx) => bind_postgres(sql, args).execute(&mut **tx).await?.rows_affected(),
            Inner::SqliteReader(connection) => bind_sqlite(sql, args).execute(&mut **connection).await?.rows_affected(),
            Inner::PostgresReader(connection) => bind_postgres(sql, args).execute(&mut **connection).await?.rows_affected(),
        })
    }

    /// Runs `head VALUES …` on as many rows at a time as may be bound; the number of rows it touched. `args` has `width` values for each row.
    pub(super) async fn insert_all(&mut self, head: &str, width: usize, args: &[Arg<'_>]) -> Result<u64, Error> {
        let mut touched = 0;
        for args in args.chunks(BINDS / width * width) {
            touched += self.execute(&format!("{head} VALUES {}", self.values(args.len() / width, width)), args).await?;
        }
        Ok(touched)
    }

    /// `($1, $2), ($3, $4)`: what stands behind `VALUES` for so many rows, in a statement that binds nothing else.
    pub(super) fn values(&self, rows: usize, width: usize) -> String {
        // For each value SQLite goes through the names of all placeholders: nameless ones save it most of the time.
        let nameless = (!self.is_postgres()).then(|| format!("({})", vec!["?"; width].join(", ")));
        let place = |row| nameless.clone().unwrap_or_else(|| placeholders(row * width + 1, width));
        (0..rows).map(place).collect::<Vec<_>>().join(", ")
    }

    /// Runs a statement that must touch exactly one row; `stale` says what it means when it did not.
    pub(super) async fn execute_one(&mut self, sql: &str, args: &[Arg<'_>], stale: &'static str) -> Result<(), Error> {
        match self.execute(sql, args).await? {
            1 => Ok(()),
            _ => Err(Error::Stale(stale)),
        }
    }

    /// All rows of a query.
    pub(super) async fn fetch_all(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, Error> {
        let sqlite = |rows: Vec<SqliteRow>| rows.into_iter().map(Row::Sqlite).collect();
        let postgres = |rows: Vec<PgRow>| rows.into_iter().map(Row::Postgres).collect();
        Ok(match &mut self.inner {
            Inner::Sqlite(tx) => sqlite(bind_sqlite(sql, args).fetch_all(&mut **tx).await?),
            Inner::Postgres(tx) => postgres(bind_postgres(sql, args).fetch_all(&mut **tx).await?),
            Inner::SqliteReader(connection) => sqlite(bind_sqlite(sql, args).fetch_all(&mut **connection).await?),
            Inner::PostgresReader(connection) => postgres(bind_postgres(sql, args).fetch_all(&mut **connection).await?),
        })
    }

    /// The first row of a query.
    pub(super) async fn fetch_first(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// The integer in the first column of a query's only row.
    pub(super) async fn fetch_int(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<i64, Error> {
        match self.fetch_first(sql, args).await? {
            Some(Row::Sqlite(row)) => Ok(row.try_get(0)?),
            Some(Row::Postgres(row)) => Ok(row.try_get(0)?),
            None => Err(Error::Stale("the query gave no row")),
        }
    }
}

// `AssertSqlSafe`: the texts are constants of this module's children, or are put together from constant clauses; values are always bound.
fn bind_sqlite<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, Sqlite, SqliteArguments> {
    args.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, arg| match *arg {
        Arg::Text(text) => query.bind(text.to_owned()),
        Arg::MaybeText(text) => query.bind(text.map(str::to_owned)),
        Arg::Int(int) => query.bind(int),
        Arg::MaybeInt(int) => query.bind(int),
        Arg::Bytes(bytes) => query.bind(bytes.to_vec()),
    })
}

fn bind_postgres<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, Postgres, PgArguments> {
    args.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, arg| match *arg {
        Arg::Text(text) => query.bind(text),
        Arg::MaybeText(text) => query.bind(text),
        Arg::Int(int) => query.bind(int),
        Arg::MaybeInt(int) => query.bind(int),
        Arg::Bytes(bytes) => query.bind(bytes),
    })
}

/// Values bound in one statement, at most; beyond some thousands nothing gets faster. The databases would take 32,766 (SQLite) and 65,535
/// (PostgreSQL).
pub(super) const BINDS: usize = 3_000;

/// `($7, $8, $9)`.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    format!("({})", places.join(", "))
}

/// Ids or names as the keys of a JSON object: what `key IN (SELECT key FROM json_each($1))` reads on both databases.
pub(super) fn set<T: Display>(members: impl IntoIterator<Item = T>) -> String {
    let members: BTreeMap<String, bool> = members.into_iter().map(|member| (member.to_string(), true)).collect();
    serde_json::to_string(&members).expect("texts and truths have a JSON form")
}
