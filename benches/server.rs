//! Temporary databases on an existing PostgreSQL server.

use std::error::Error;

use rand::RngExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

type Failure = Box<dyn Error + Send + Sync>;

/// A group of databases that are dropped together.
pub(crate) struct Databases {
    server: String,
    prefix: String,
    names: Vec<String>,
}

impl Databases {
    /// Uses the server of this URL.
    pub(crate) fn on(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            prefix: format!("bench_{:016x}", rand::rng().random::<u64>()),
            names: Vec::new(),
        }
    }

    /// Creates a new, empty database and returns its URL; `name` consists of letters and digits.
    pub(crate) async fn create(&mut self, name: &str) -> Result<String, Failure> {
        let database = format!("{}_{name}", self.prefix);
        let mut url = self.server.parse::<url::Url>()?;
        self.execute(format!("CREATE DATABASE {database}")).await?;
        url.set_path(&database);
        self.names.push(database);
        Ok(url.into())
    }

    /// Drops all of them.
    pub(crate) async fn drop(self) -> Result<(), Failure> {
        for name in &self.names {
            self.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                .await?;
        }
        Ok(())
    }

    async fn execute(&self, sql: String) -> Result<(), Failure> {
        let mut connection = PgConnection::connect(&self.server).await?;
        // The name consists of our own letters and digits.
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}
