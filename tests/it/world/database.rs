//! The database of one world, and direct access to it.

use std::{
    path::{Path, PathBuf},
    thread,
};

use recvault::db::{
    DatabaseSettings, Db, audit,
    image::{self, Table},
    timelines,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection,
    sqlite::SqliteConnectOptions,
};

use super::digits;
use crate::needs;

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file in the vault's folder.
    Sqlite,
    /// A separate database on the server in `RECVAULT_TEST_POSTGRES`.
    Postgres,
}

/// A database that is removed on drop.
pub(crate) struct Ground {
    /// For `database.url`.
    pub(crate) url: String,
    file: PathBuf,
    /// Server and name of a database to drop.
    dropped: Option<(String, String)>,
}

const SERVER: &str = "RECVAULT_TEST_POSTGRES";

impl Database {
    /// Returns every available kind; SQLite, which always is, comes last.
    pub(crate) fn given() -> impl Iterator<Item = Self> {
        let postgres = needs::given(SERVER).map(|_| Self::Postgres);
        [postgres, Some(Self::Sqlite)].into_iter().flatten()
    }

    pub(crate) async fn ground(self, folder: &Path) -> Ground {
        let file = folder.join("vault.db");
        if self == Self::Sqlite {
            return Ground {
                url: "sqlite:vault.db".into(),
                file,
                dropped: None,
            };
        }
        let server = needs::required(SERVER);
        let name = format!("recvault_it_{}", digits());
        at_server(&server, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        Ground {
            url: format!("{base}/{name}"),
            file,
            dropped: Some((server, name)),
        }
    }
}

impl Ground {
    /// Copies every row into a database of the same kind, as a backup would.
    pub(crate) async fn copy(&self, base: &Path) -> (Self, Db) {
        let database = if self.is_postgres() {
            Database::Postgres
        } else {
            Database::Sqlite
        };
        let folder = base.join(format!("copy-{}", digits()));
        std::fs::create_dir(&folder).unwrap();
        let copy = database.ground(&folder).await;
        let opened = async |url: &str, base: &Path| {
            Db::open(
                &DatabaseSettings {
                    url: url.to_owned(),
                    connections: 2,
                },
                base,
            )
            .await
            .unwrap()
        };
        let from = opened(&self.url, base).await;
        let to = opened(&copy.url, &folder).await;
        let mut source = from.snapshot().await.unwrap();
        let copied = to.first_unit("copied", async |mut target| {
            target.without_entry("its entries are copied, too");
            image::defer_references(&mut target).await?;
            for table in Table::ALL {
                let rows = image::chunk(&mut source, table, None, 1_000_000).await?;
                image::insert(&mut target, table, &rows).await?;
            }
            let path = timelines::path(&mut source).await?;
            timelines::rebuild(&mut target, &path).await?;
            audit::advance_head(&mut target, audit::head(&mut source).await?).await
        });
        copied.await.unwrap();
        (copy, to)
    }

    /// Returns the tables of the vault.
    async fn tables(&self) -> Vec<String> {
        let all: Vec<String> = if self.is_postgres() {
            let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
            sqlx::query_scalar(sql)
                .fetch_all(&mut PgConnection::connect(&self.url).await.unwrap())
                .await
                .unwrap()
        } else {
            let sql =
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
            sqlx::query_scalar(sql)
                .fetch_all(&mut self.sqlite().await)
                .await
                .unwrap()
        };
        all.into_iter()
            .filter(|name| name != "_sqlx_migrations" && !name.starts_with("kept_"))
            .collect()
    }

    /// Saves every row, for [`Self::go_back`].
    pub(crate) async fn keep(&self) {
        let tables = self.tables().await;
        let kept: Vec<String> = tables
            .iter()
            .map(|name| format!("CREATE TABLE kept_{name} AS SELECT * FROM {name}"))
            .collect();
        self.run(&kept.join(";")).await;
    }

    /// Restores every saved row below the running processes, like a lagging replica that takes
    /// over.
    pub(crate) async fn go_back(&self) {
        let mut back = String::new();
        for name in self.tables().await {
            let columns = self.written_columns(&name).await;
            back.push_str(&format!(
                "DELETE FROM {name}; INSERT INTO {name} ({columns}) SELECT {columns} FROM kept_{name};"
            ));
        }
        if self.is_postgres() {
            return self
                .run(&format!(
                    "SET session_replication_role = replica; BEGIN; {back} COMMIT"
                ))
                .await;
        }
        let sql = "SELECT name || '\t' || sql FROM sqlite_master WHERE type = 'trigger'";
        let triggers: Vec<String> = sqlx::query_scalar(sql)
            .fetch_all(&mut self.sqlite().await)
            .await
            .unwrap();
        let triggers: Vec<(&str, &str)> = triggers
            .iter()
            .filter_map(|trigger| trigger.split_once('\t'))
            .collect();
        let dropped: String = triggers
            .iter()
            .map(|(name, _)| format!("DROP TRIGGER {name};"))
            .collect();
        let made: String = triggers.iter().map(|(_, sql)| format!("{sql};")).collect();
        self.run(&format!(
            "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {dropped} {back} {made} COMMIT"
        ))
        .await;
    }

    /// Returns the columns of a table without computed ones.
    async fn written_columns(&self, table: &str) -> String {
        // SQLite's `table_info` leaves computed columns out.
        let sql = if self.is_postgres() {
            "SELECT column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'"
        } else {
            "SELECT name FROM pragma_table_info($1)"
        };
        let columns: Vec<String> = if self.is_postgres() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            let found = sqlx::query_scalar(sql).bind(table);
            found.fetch_all(&mut connection).await.unwrap()
        } else {
            let found = sqlx::query_scalar(sql).bind(table);
            found.fetch_all(&mut self.sqlite().await).await.unwrap()
        };
        assert!(!columns.is_empty(), "{table} has columns");
        columns.join(", ")
    }

    /// Runs statements directly.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if !self.is_postgres() {
            let mut connection = self.sqlite().await;
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }

    /// Returns the integer of a query.
    pub(crate) async fn integer(&self, sql: &str) -> Option<i64> {
        if !self.is_postgres() {
            let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
            return query
                .fetch_optional(&mut self.sqlite().await)
                .await
                .unwrap();
        }
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        query
            .fetch_optional(&mut PgConnection::connect(&self.url).await.unwrap())
            .await
            .unwrap()
    }

    /// Opens a separate connection, for holding a lock.
    pub(crate) async fn sqlite(&self) -> SqliteConnection {
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&self.file))
            .await
            .unwrap()
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.dropped.is_some()
    }

    /// Returns every row of every table as text; empty for SQLite, whose file can be read.
    pub(crate) async fn all_rows(&self) -> String {
        if !self.is_postgres() {
            return String::new();
        }
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let tables =
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
        let tables: Vec<String> = sqlx::query_scalar(tables)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let mut text = String::new();
        for table in tables {
            let rows = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t")));
            let rows: Vec<String> = rows.fetch_all(&mut connection).await.unwrap();
            text.extend(rows);
        }
        assert!(text.contains("decision.allowed"));
        text
    }

    /// Refuses all inserts into a table from now on.
    pub(crate) async fn refuse_rows_of(&self, table: &str) {
        self.run(&match self.dropped {
            None => format!("CREATE TRIGGER refused BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"),
            Some(_) => format!(
                "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$; \
                 CREATE TRIGGER refused BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refused()"
            ),
        })
        .await;
    }

    /// Undoes [`Ground::refuse_rows_of`].
    pub(crate) async fn take_rows_of(&self, table: &str) {
        self.run(&match self.dropped {
            None => "DROP TRIGGER refused".to_owned(),
            Some(_) => format!("DROP TRIGGER refused ON {table}; DROP FUNCTION refused()"),
        })
        .await;
    }

    /// Makes the tables inaccessible to the vault.
    pub(crate) async fn take_away(&self) {
        match &self.dropped {
            None => {
                self.run("ALTER TABLE audit_head RENAME TO audit_head_away")
                    .await
            }
            Some((server, name)) => {
                let sql = format!(
                    "ALTER DATABASE {name} ALLOW_CONNECTIONS false; \
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                );
                at_server(server, &sql).await;
            }
        }
    }

    /// Undoes [`Ground::take_away`].
    pub(crate) async fn bring_back(&self) {
        match &self.dropped {
            None => {
                self.run("ALTER TABLE audit_head_away RENAME TO audit_head")
                    .await
            }
            Some((server, name)) => {
                at_server(
                    server,
                    &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
                )
                .await
            }
        }
    }
}

/// Runs statements one after another, each by itself.
async fn at_server(server: &str, statements: &str) {
    let mut admin = PgConnection::connect(server).await.unwrap();
    for statement in statements.split(';') {
        admin
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let Some((server, name)) = self.dropped.take() else {
            return;
        };
        // A separate thread: this may be dropped inside a runtime, which cannot wait for itself.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(at_server(
                &server,
                &format!("DROP DATABASE {name} WITH (FORCE)"),
            ));
        });
        let _ = dropping.join();
    }
}

/// Declares each test for both databases.
macro_rules! on_both_databases {
    ($($story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::world::Database::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            #[ignore = "needs PostgreSQL: run `tests/run`"]
            async fn $story() {
                super::$story($crate::world::Database::Postgres).await;
            })+
        }
    };
}
