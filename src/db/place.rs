//! Where a database is: the setting, and its words for an error.
//!
//! INVARIANT: host, port, name or file, and never a user, a password or another part of the URL.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};

use super::error::Error;

/// How long is asked why the server cannot be reached.
const PATIENCE: Duration = Duration::from_secs(2);

/// `[database]`: which database.
#[derive(Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// `sqlite:PATH` (relative to the configuration file) or `postgres://…`.
    pub url: String,
    /// Connections for readers (SQLite) or in all (PostgreSQL), 1 to 64.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 64, _, _>")]
    pub connections: u32,
}

/// Without the URL, which may contain a password.
impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DatabaseSettings");
        shown.field("connections", &self.connections);
        shown.finish_non_exhaustive()
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: "sqlite:vault.db".into(),
            connections: 4,
        }
    }
}

impl DatabaseSettings {
    /// Whether a database may be there: a server is, as far as is known without asking it; a file is
    /// if it exists.
    pub fn may_exist(&self, base: &Path) -> bool {
        self.file(base).is_none_or(|file| file.exists())
    }

    /// The file, of a SQLite database.
    pub fn file(&self, base: &Path) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        Some(base.join(path.trim_start_matches("//")))
    }
}

/// An error of a file, with its path.
pub(super) fn of_file(path: &Path, error: sqlx::Error) -> Error {
    located(&format!("SQLite file `{}`", path.display()), error)
}

/// An error of a server that could not be reached, with host and database, and with the cause where
/// the pool only says that it waited.
pub(super) async fn of_server(options: &PgConnectOptions, error: sqlx::Error) -> Error {
    let error = match error {
        sqlx::Error::PoolTimedOut => reason(options).await.unwrap_or(sqlx::Error::PoolTimedOut),
        other => other,
    };
    located(&server(options), error)
}

/// The same of a server that was reached before.
pub(super) async fn of_pool(pool: &PgPool, error: sqlx::Error) -> Error {
    of_server(&pool.connect_options(), error).await
}

/// Why a single connection is not made; `None` if it is.
async fn reason(options: &PgConnectOptions) -> Option<sqlx::Error> {
    /// One at a time: under load, each request that waited would open one more connection.
    static ASKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    let _one = ASKING.try_lock().ok()?;
    match tokio::time::timeout(PATIENCE, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            None
        }
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    }
}

fn server(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    match options.get_database() {
        Some(name) => format!("PostgreSQL at `{host}`, database `{name}`"),
        None => format!("PostgreSQL at `{host}`"),
    }
}

fn located(place: &str, error: sqlx::Error) -> Error {
    if is_refused_user(&error) {
        return Error::Unavailable(format!(
            "{place}: the server refuses the user or the password; correct `database.url`"
        ));
    }
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Error::Unavailable(format!("{place}: no connection was free in time"));
    }
    match Error::from(error) {
        // To connect is no statement, whatever the server calls it.
        Error::Unavailable(cause) | Error::Statement(cause) => {
            Error::Unavailable(format!("{place}: {cause}"))
        }
        other => other,
    }
}

/// PostgreSQL's class 28, whose texts name the user.
fn is_refused_user(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("28"))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn a_server_is_named_without_user_and_password() {
        for (url, said) in [
            (
                "postgres://vault:hunter2@db.example.org:5433/recordings",
                "PostgreSQL at `db.example.org:5433`, database `recordings`",
            ),
            (
                "postgres://vault:hunter2@localhost",
                "PostgreSQL at `localhost:5432`",
            ),
            (
                "postgres:///recordings?host=/run/postgresql&user=vault&password=hunter2",
                "PostgreSQL at `/run/postgresql`, database `recordings`",
            ),
        ] {
            let options = PgConnectOptions::from_str(url).unwrap();
            assert_eq!(server(&options), said);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_named_with_the_cause() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let url = format!("postgres://vault:hunter2@127.0.0.1:{port}/recordings");
        let options = PgConnectOptions::from_str(&url).unwrap();
        let why = of_server(&options, sqlx::Error::PoolTimedOut)
            .await
            .to_string();
        assert!(
            why.contains(&format!("127.0.0.1:{port}")) && why.contains("refused"),
            "{why}"
        );
        assert!(!why.contains("hunter2") && !why.contains("vault"), "{why}");
    }

    /// The pool of a running service only says that it waited.
    #[tokio::test]
    async fn a_server_that_went_away_is_named_with_the_cause() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let url = format!("postgres://vault:hunter2@127.0.0.1:{port}/recordings");
        let pool = PgPool::connect_lazy(&url).unwrap();
        let error = of_pool(&pool, sqlx::Error::PoolTimedOut).await;
        let why = error.to_string();
        assert!(
            why.contains(&format!("127.0.0.1:{port}")) && why.contains("refused"),
            "{why}"
        );
        assert!(
            !why.contains("hunter2") && !why.contains("no connection was free"),
            "{why}"
        );
    }
}
