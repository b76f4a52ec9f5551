//! Databases of our own on somebody's PostgreSQL server.

use std::error::Error;

use rand::RngExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

type Failure = Box<dyn Error + Send + Sync>;

/// Databases that are dropped together.
pub(crate) struct Databases {
    server: String,
    prefix: String,
    names: Vec<String>,
}

impl Databases {
    /// On the server of this URL.
    pub(crate) fn on(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            prefix: format!("bench_{:016x}", rand::rng().random::<u64>()),
            names: Vec::new(),
        }
    }

    /// The URL of a new, empty database; `name` is of letters and digits.
    pub(crate) async fn create(&mut self, name: &str) -> Result<String, Failure> {
        let database = format!("{}_{name}", self.prefix);
        let mut url = self.server.parse::<url::Url>()?;
        self.execute(format!("CREATE DATABASE {database}")).await?;
        url.set_path(&database);
        self.names.push(database);
        Ok(url.into())
    }

    /// Drops them all.
    pub(crate) async fn drop(self) -> Result<(), Failure> {
        for name in &self.names {
            self.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                .await?;
        }
        Ok(())
    }

    async fn execute(&self, sql: String) -> Result<(), Failure> {
        let mut connection = PgConnection::connect(&self.server).await?;
        // The name is made of our own letters and digits.
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}
