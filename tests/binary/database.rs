//! The database of one test, accessed from outside: its own SQLite file or its own PostgreSQL
//! database, removed after the test.

use std::path::{Path, PathBuf};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::needs;

/// The kind of database of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A database.
pub(crate) enum Database {
    /// A file in the vault folder.
    Sqlite(PathBuf),
    /// A separate database on the server of `admin`.
    Postgres {
        admin: String,
        name: String,
        url: String,
    },
}

impl Kind {
    /// Returns every available kind.
    pub(crate) fn given() -> impl Iterator<Item = Self> {
        let postgres = needs::given("RECVAULT_TEST_POSTGRES").map(|_| Self::Postgres);
        [Some(Self::Sqlite), postgres].into_iter().flatten()
    }
}

impl Database {
    pub(crate) async fn create_postgres(admin: &str) -> Self {
        let name = format!("binary_{}", crate::world::digits());
        let mut server = PgConnection::connect(admin)
            .await
            .expect("the PostgreSQL server for tests answers");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut server)
            .await
            .expect("a database of our own");
        let mut url: url::Url = admin
            .parse()
            .expect("the URL of the server for tests is one");
        url.set_path(&name);
        Self::Postgres {
            admin: admin.to_owned(),
            name,
            url: url.into(),
        }
    }

    /// Returns its URL for the configuration.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!(
                "sqlite:{}",
                path.file_name().and_then(|name| name.to_str()).unwrap()
            ),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// Returns the first column, which must be text, of every row of a query in portable SQL.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let query = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(path) => {
                let mut connection =
                    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path))
                        .await
                        .unwrap();
                sqlx::query_scalar(query)
                    .fetch_all(&mut connection)
                    .await
                    .unwrap()
            }
            Self::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query_scalar(query)
                    .fetch_all(&mut connection)
                    .await
                    .unwrap()
            }
        }
    }

    /// Opens a separate PostgreSQL session, runs this statement in it, and keeps it open until
    /// drop.
    pub(crate) async fn holding(&self, sql: &str) -> PgConnection {
        let Self::Postgres { url, .. } = self else {
            panic!("only PostgreSQL has such locks")
        };
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {sql}")))
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// Copies it while there are no connections: into a file below `folder`, or another database.
    pub(crate) async fn copied(&self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => {
                let copy = folder.join(format!("copy-{}.db", crate::world::digits()));
                std::fs::copy(path, &copy).unwrap();
                Self::Sqlite(copy)
            }
            Self::Postgres { admin, name, url } => {
                let copy = format!("binary_{}", crate::world::digits());
                let mut server = PgConnection::connect(admin).await.unwrap();
                sqlx::query(AssertSqlSafe(format!(
                    "CREATE DATABASE {copy} TEMPLATE {name}"
                )))
                .execute(&mut server)
                .await
                .unwrap();
                let url = url.replace(name, &copy);
                Self::Postgres {
                    admin: admin.clone(),
                    name: copy,
                    url,
                }
            }
        }
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, sql: &str) {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(path) => {
                let mut connection =
                    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path))
                        .await
                        .unwrap();
                sqlx::query(AssertSqlSafe(sql.to_owned()))
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            Self::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                query.execute(&mut connection).await.unwrap();
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Postgres { admin, name, .. } = self else {
            return;
        };
        let admin = admin.clone();
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // A separate runtime, because the test's own may be shutting down.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let mut server = PgConnection::connect(&admin).await?;
                sqlx::query(AssertSqlSafe(drop)).execute(&mut server).await
            })
        });
        let _ = dropping.join();
    }
}
