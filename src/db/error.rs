//! What can go wrong with a database, by what the caller can do about it.

use super::closed::Closed;

/// A database error. The text is for the operator's log; it never holds a row's content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Try the unit of work again: another writer was there first.
    #[error("another writer changed the same rows")]
    Conflict,
    /// The database cannot take it now: locked, full, read-only or unreachable. Nothing was
    /// written.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database was opened to be read.
    #[error(
        "nothing is written: this database was opened for reading and not compared with the store"
    )]
    Unproven,
    /// A statement that changes rows ran in a session that only reads; a fault of this program.
    #[error("a read-only session tried to write: nothing was written")]
    Reading,
    /// A unit of work changed rows and told the audit log nothing; a fault of this program.
    #[error("the unit of work `{0}` changed rows without an audit entry: nothing was written")]
    Untold(&'static str),
    /// A unit of work did not end with its closure; a fault of this program.
    #[error("the unit of work `{0}` outlives its closure: nothing was written")]
    Kept(&'static str),
    /// Nothing is written to the database any more.
    #[error("the database is no longer written: {0}")]
    Closed(Closed),
    /// A database that should be empty is not.
    #[error(
        "the database is not empty: table `{0}` has rows; name an empty database in `database.url`"
    )]
    NotEmpty(String),
    /// A row that should be there is not (or is not any more): the lease was lost, the recording
    /// was shredded meanwhile.
    #[error("{0}")]
    Stale(&'static str),
    /// A row that is there cannot be what it is.
    #[error("table `{table}` column `{column}` row `{id}` has an invalid value")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        id: String,
    },
    /// A text that no database takes. Types at the edge keep it out; this is the second wall.
    #[error("a text contains the character U+0000, which cannot be stored")]
    Unstorable,
    /// The database's schema is not this program's.
    #[error("{0}")]
    Schema(String),
    /// The configuration does not name a database that can be used.
    #[error("`database.url`: {0}")]
    Url(String),
    /// The statement failed; a fault of this program.
    #[error("a statement failed: {0}")]
    Statement(String),
}

impl Error {
    /// Whether the same unit of work may succeed when it is simply run again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// Whether it may be the fault of what was written, and not of the database's state: then
    /// others, in a unit of their own, may succeed.
    pub fn may_be_the_content(&self) -> bool {
        !matches!(
            self,
            Self::Conflict | Self::Unavailable(_) | Self::Schema(_) | Self::Url(_)
        )
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(|e| e.code())
            .unwrap_or_default()
            .into_owned();
        match &error {
            // PostgreSQL: serialization_failure, deadlock_detected, and unique_violation of two
            // writers that met.
            sqlx::Error::Database(_) if matches!(code.as_str(), "40001" | "40P01" | "23505") => {
                Self::Conflict
            }
            // PostgreSQL: character_not_in_repertoire, and untranslatable_character in a document.
            sqlx::Error::Database(_) if matches!(code.as_str(), "22021" | "22P05") => {
                Self::Unstorable
            }
            // SQLite's extended codes carry the primary code in their low byte: busy, locked,
            // read-only, I/O, full, cannot open. A corrupt file is not among them: trying again
            // does not help, and it must be loud.
            sqlx::Error::Database(e)
                if matches!(
                    code.parse::<u32>().map(|c| c & 0xff),
                    Ok(5 | 6 | 8 | 10 | 13 | 14)
                ) =>
            {
                Self::Unavailable(e.message().to_owned())
            }
            // PostgreSQL classes: connection, insufficient resources, operator intervention, system
            // error; read-only transaction, one that rested for too long, and a lock that was not
            // given in time.
            sqlx::Error::Database(e)
                if ["08", "53", "57", "58", "25006", "25P03", "55P03"]
                    .iter()
                    .any(|class| code.starts_with(class)) =>
            {
                Self::Unavailable(e.message().to_owned())
            }
            sqlx::Error::Database(e) => Self::Statement(e.message().to_owned()),
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_) => Self::Unavailable(error.to_string()),
            other => Self::Statement(other.to_string()),
        }
    }
}
