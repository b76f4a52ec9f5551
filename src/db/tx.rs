//! A session with the database, of either kind: a reader, a snapshot or a unit of work.
//!
//! The enum is closed, so that callers need no generics; their queries are plain text with `$1`
//! placeholders.

mod rows;
mod statement;

use std::{collections::BTreeMap, fmt::Display};

use sqlx::{
    AssertSqlSafe, Postgres, Row as _, Sqlite, Transaction,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use self::statement::{changes, storable};
use super::{error::Error, gate::Gate, row::Row};
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

/// A session. Queries of a reader each see their own state; only
/// [`Db::snapshot`](super::Db::snapshot) and, on SQLite, a unit see one. The changes of a unit of
/// work become visible together with its commit, or not at all; other sessions write nothing.
pub struct Tx {
    session: Inner,
    counts: Vec<Count>,
    /// For a unit of work: the gate, and the last number that the unit assigned to an audit entry.
    unit: Option<(Gate, i64)>,
    /// Whether a statement changed a row.
    has_written: bool,
    /// Replaces the database's time, for tests.
    clock: Option<Clock>,
}

/// An increment of a counter that is applied when the session commits.
struct Count {
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    by: u64,
}

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
    SqliteReader(PoolConnection<Sqlite>),
    PostgresReader(PoolConnection<Postgres>),
}

impl Tx {
    fn of(session: Inner) -> Self {
        Self {
            session,
            counts: Vec::new(),
            unit: None,
            has_written: false,
            clock: None,
        }
    }

    pub(super) fn sqlite(tx: Transaction<'static, Sqlite>) -> Self {
        Self::of(Inner::Sqlite(tx))
    }

    pub(super) fn postgres(tx: Transaction<'static, Postgres>) -> Self {
        Self::of(Inner::Postgres(tx))
    }

    pub(super) fn sqlite_reader(connection: PoolConnection<Sqlite>) -> Self {
        Self::of(Inner::SqliteReader(connection))
    }

    pub(super) fn postgres_reader(connection: PoolConnection<Postgres>) -> Self {
        Self::of(Inner::PostgresReader(connection))
    }

    /// Returns the session as a unit of work, which this gate may refuse until the commit.
    pub(super) fn behind(self, gate: &Gate) -> Self {
        Self {
            unit: Some((gate.clone(), 0)),
            ..self
        }
    }

    /// Records that audit entries from `first` to `last` were numbered in this unit, which holds
    /// the head of the log.
    ///
    /// # Errors
    /// [`Error::Closed`] if the database has assigned the first of these numbers before.
    pub(super) fn numbered(&mut self, first: i64, last: i64) -> Result<(), Error> {
        if let Some((gate, newest)) = &mut self.unit {
            gate.follows(first)?;
            *newest = last;
        }
        Ok(())
    }

    /// See [`super::Unit::count`].
    pub(super) fn count(&mut self, name: &'static str, by: u64) {
        self.counts.push(Count {
            name,
            label: None,
            by,
        });
    }

    /// The same, with one label.
    pub(super) fn count_as(
        &mut self,
        name: &'static str,
        label: &'static str,
        value: &'static str,
        by: u64,
    ) {
        self.counts.push(Count {
            name,
            label: Some((label, value)),
            by,
        });
    }

    pub(super) fn timed_by(self, clock: Option<&Clock>) -> Self {
        Self {
            clock: clock.cloned(),
            ..self
        }
    }

    /// Returns the database's own time: PostgreSQL's is that of its server, whatever the clock of
    /// this process; SQLite uses the clock of this machine.
    ///
    /// # Errors
    /// Any database error.
    pub async fn now(&mut self) -> Result<Timestamp, Error> {
        const POSTGRES: &str =
            "/* tx.now */ SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        match &self.clock {
            Some(clock) => Ok(clock.now()),
            None if self.is_postgres() => self
                .fetch_int(POSTGRES, &[])
                .await
                .map(Timestamp::from_millis),
            None => Ok(Clock::System.now()),
        }
    }

    /// Makes the changes visible and durable. A session that is dropped instead changes nothing.
    ///
    /// A commit that has begun runs to its end in a task of its own, and so do its counters. If it
    /// were dropped midway, the driver would queue a rollback behind it, and the outcome would be
    /// unknown.
    ///
    /// # Errors
    /// [`Error::Conflict`] or [`Error::Unavailable`]; [`Error::Closed`] if the database was found
    /// to lack changes since the unit began, or its file was removed or replaced. Then nothing was
    /// committed, with one exception: if the file vanished during the commit, the error is returned
    /// although the old file holds the changes.
    #[expect(
        clippy::disallowed_methods,
        reason = "short, and `Db::close` waits for the connection that it holds"
    )]
    pub(super) async fn commit(self) -> Result<(), Error> {
        let Self {
            session,
            counts,
            unit,
            has_written: _,
            clock: _,
        } = self;
        if let Some((gate, _)) = &unit {
            gate.stands()?;
        }
        // Checked again before the caller is answered: the file may have been removed during the
        // commit.
        let gate = unit.as_ref().map(|(gate, _)| gate.clone());
        let committing = async move {
            match session {
                Inner::Sqlite(tx) => tx.commit().await?,
                Inner::Postgres(tx) => tx.commit().await?,
                Inner::SqliteReader(_) | Inner::PostgresReader(_) => {}
            }
            if let Some((gate, newest)) = unit {
                gate.committed(newest);
            }
            counts.into_iter().for_each(Count::increment);
            gate.map_or(Ok(()), |gate| gate.stands())
        };
        // Only the end of the process can interrupt it.
        tokio::spawn(committing)
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable("the process ends".into())))
    }

    /// See [`super::image::defer_references`].
    pub(super) async fn defer_references(&mut self) -> Result<(), Error> {
        const SQLITE: &str = "/* tx.defer_references */ PRAGMA defer_foreign_keys = ON";
        // 64 MiB, until the connection is closed: filling a table writes to pages all over its
        // indexes, and the default of 2 MiB is too small for them.
        const ROOMY: &str = "/* tx.roomy */ PRAGMA cache_size = -65536";
        const POSTGRES: &str = "/* tx.defer_references */ SET CONSTRAINTS ALL DEFERRED";
        // Only the settings that this version of PostgreSQL has. The commit is a statement, too,
        // and checks all references at once.
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

    /// Returns whether the database is PostgreSQL, for features that only one of the two has.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.session, Inner::Postgres(_) | Inner::PostgresReader(_))
    }

    /// Returns whether a statement of this session changed a row.
    pub(super) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Runs a statement and returns the number of affected rows.
    pub(super) async fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Error> {
        let touched = self.run(sql, args).await?;
        self.has_written |= touched > 0 && changes(sql);
        Ok(touched)
    }

    /// Runs a statement that sets a row to its own value and so locks it until the unit ends; it
    /// changes nothing. Returns the number of rows.
    pub(super) async fn lock(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Error> {
        self.run(sql, args).await
    }

    /// Only a unit of work writes. A PostgreSQL reader would commit each statement by itself.
    fn admits(&self, sql: &str) -> Result<(), Error> {
        if self.unit.is_none() && changes(sql) {
            return Err(Error::Reading);
        }
        Ok(())
    }

    async fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Error> {
        storable(args)?;
        self.admits(sql)?;
        Ok(match &mut self.session {
            Inner::Sqlite(tx) => bind_sqlite(sql, args)
                .execute(&mut **tx)
                .await?
                .rows_affected(),
            Inner::Postgres(tx) => bind_postgres(sql, args)
                .execute(&mut **tx)
                .await?
                .rows_affected(),
            Inner::SqliteReader(connection) => bind_sqlite(sql, args)
                .execute(&mut **connection)
                .await?
                .rows_affected(),
            Inner::PostgresReader(connection) => bind_postgres(sql, args)
                .execute(&mut **connection)
                .await?
                .rows_affected(),
        })
    }

    /// Runs `head VALUES …` on as many rows at a time as may be bound, and returns the number of
    /// affected rows. `args` has `width` values for each row.
    pub(super) async fn insert_all(
        &mut self,
        head: &str,
        width: usize,
        args: &[Arg<'_>],
    ) -> Result<u64, Error> {
        let mut touched = 0;
        for args in args.chunks(BINDS / width * width) {
            touched += self
                .execute(
                    &format!("{head} VALUES {}", self.values(args.len() / width, width)),
                    args,
                )
                .await?;
        }
        Ok(touched)
    }

    /// Returns `($1, $2), ($3, $4)`, the text after `VALUES` for that many rows, in a statement
    /// that binds nothing else.
    pub(super) fn values(&self, rows: usize, width: usize) -> String {
        // SQLite searches the names of all placeholders for each value: anonymous ones save most of
        // the time.
        let nameless = (!self.is_postgres()).then(|| format!("({})", vec!["?"; width].join(", ")));
        let place = |row| {
            nameless
                .clone()
                .unwrap_or_else(|| placeholders(row * width + 1, width))
        };
        (0..rows).map(place).collect::<Vec<_>>().join(", ")
    }

    /// Runs a statement that must affect exactly one row; `stale` is the message if it does not.
    pub(super) async fn execute_one(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        stale: &'static str,
    ) -> Result<(), Error> {
        match self.execute(sql, args).await? {
            1 => Ok(()),
            _ => Err(Error::Stale(stale)),
        }
    }

    /// The same with a statement that sets a row to its own value: see [`Self::lock`].
    pub(super) async fn lock_one(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        stale: &'static str,
    ) -> Result<(), Error> {
        match self.lock(sql, args).await? {
            1 => Ok(()),
            _ => Err(Error::Stale(stale)),
        }
    }

    /// Returns all rows of a query.
    pub(super) async fn fetch_all(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, Error> {
        let sqlite = |rows: Vec<SqliteRow>| rows.into_iter().map(Row::Sqlite).collect();
        let postgres = |rows: Vec<PgRow>| rows.into_iter().map(Row::Postgres).collect();
        storable(args)?;
        self.admits(sql)?;
        let rows: Vec<Row> = match &mut self.session {
            Inner::Sqlite(tx) => sqlite(bind_sqlite(sql, args).fetch_all(&mut **tx).await?),
            Inner::Postgres(tx) => postgres(bind_postgres(sql, args).fetch_all(&mut **tx).await?),
            Inner::SqliteReader(connection) => {
                sqlite(bind_sqlite(sql, args).fetch_all(&mut **connection).await?)
            }
            Inner::PostgresReader(connection) => postgres(
                bind_postgres(sql, args)
                    .fetch_all(&mut **connection)
                    .await?,
            ),
        };
        self.has_written |= !rows.is_empty() && changes(sql);
        Ok(rows)
    }

    /// Returns the first row of a query.
    pub(super) async fn fetch_first(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
    ) -> Result<Option<Row>, Error> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// Returns the integer in the first column of a query's only row.
    pub(super) async fn fetch_int(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<i64, Error> {
        match self.fetch_first(sql, args).await? {
            Some(Row::Sqlite(row)) => Ok(row.try_get(0)?),
            Some(Row::Postgres(row)) => Ok(row.try_get(0)?),
            None => Err(Error::no_row()),
        }
    }
}

impl Count {
    fn increment(self) {
        let counter = match self.label {
            Some((label, value)) => metrics::counter!(self.name, label => value),
            None => metrics::counter!(self.name),
        };
        counter.increment(self.by);
    }
}

// `AssertSqlSafe`: the texts are constants of this module's callers, or are concatenated from
// constant clauses; values are always bound.
fn bind_sqlite<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, Sqlite, SqliteArguments> {
    args.iter().fold(
        sqlx::query(AssertSqlSafe(sql.to_owned())),
        |query, arg| match *arg {
            Arg::Text(text) => query.bind(text.to_owned()),
            Arg::MaybeText(text) => query.bind(text.map(str::to_owned)),
            Arg::Int(int) => query.bind(int),
            Arg::MaybeInt(int) => query.bind(int),
            Arg::Bytes(bytes) => query.bind(bytes.to_vec()),
        },
    )
}

fn bind_postgres<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, Postgres, PgArguments> {
    args.iter().fold(
        sqlx::query(AssertSqlSafe(sql.to_owned())),
        |query, arg| match *arg {
            Arg::Text(text) => query.bind(text),
            Arg::MaybeText(text) => query.bind(text),
            Arg::Int(int) => query.bind(int),
            Arg::MaybeInt(int) => query.bind(int),
            Arg::Bytes(bytes) => query.bind(bytes),
        },
    )
}

/// The most values bound in one statement; more than some thousands bring no speed. The databases
/// would accept 32,766 (SQLite) and 65,535 (PostgreSQL).
pub(super) const BINDS: usize = 3_000;

/// Returns `($7, $8, $9)`.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count)
        .map(|number| format!("${number}"))
        .collect();
    format!("({})", places.join(", "))
}

/// Encodes ids or names as the keys of a JSON object, which `key IN (SELECT key FROM
/// json_each($1))` reads on both databases.
pub(super) fn set<T: Display>(members: impl IntoIterator<Item = T>) -> String {
    let members: BTreeMap<String, bool> = members
        .into_iter()
        .map(|member| (member.to_string(), true))
        .collect();
    serde_json::to_string(&members).expect("texts and truths have a JSON form")
}
