//! Database errors, grouped by what the caller can do about them.

use sqlx::postgres::PgDatabaseError;

use super::closed::Closed;

/// A database error. The text is for the operator's log; it never holds a row's content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Try the unit of work again: another writer was there first.
    #[error("another writer changed the same rows")]
    Conflict,
    /// The database cannot serve the request now: locked, full, read-only or unreachable. Nothing
    /// was written, except if the database's file could not be examined right after a commit.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database was opened for reading only.
    #[error(
        "nothing is written: this database was opened for reading and not compared with the store"
    )]
    Unproven,
    /// A statement that changes rows ran in a read-only session; a bug in this program.
    #[error("a read-only session tried to write: nothing was written")]
    Reading,
    /// A unit of work changed rows without an audit entry; a bug in this program.
    #[error("the unit of work `{0}` changed rows without an audit entry: nothing was written")]
    Untold(&'static str),
    /// A unit of work was kept beyond its closure; a bug in this program.
    #[error("the unit of work `{0}` outlives its closure: nothing was written")]
    Kept(&'static str),
    /// The database is no longer written.
    #[error("the database is no longer written: {0}")]
    Closed(Closed),
    /// A database that must be empty is not.
    #[error(
        "the database is not empty: table `{0}` has rows; name an empty database in `database.url`"
    )]
    NotEmpty(String),
    /// The lease ended or another worker holds it. Nothing done under the lease is committed.
    #[error("the lease was lost to another worker")]
    LeaseLost,
    /// A row is not, or no longer, in the state that the unit needs: the recording was shredded
    /// meanwhile, or the approval was withdrawn.
    #[error("{0}")]
    Stale(&'static str),
    /// A stored value is invalid.
    #[error("table `{table}` column `{column}` row `{id}` has an invalid value")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        id: String,
    },
    /// A text that no database accepts. Types at the edge exclude it; this is a second check.
    #[error("a text contains the character U+0000, which cannot be stored")]
    Unstorable,
    /// The database's schema is not this program's.
    #[error("{0}")]
    Schema(String),
    /// The configuration does not name a database that can be used.
    #[error("`database.url`: {0}")]
    Url(String),
    /// The statement failed; a bug in this program.
    #[error("a statement failed: {0}")]
    Statement(String),
}

impl Error {
    /// Returns whether the same unit of work may succeed when it is retried.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// Returns whether the data to be written, and not the state of the database, may be the cause.
    /// Then other rows may be written in a unit of their own.
    pub fn may_be_caused_by_data(&self) -> bool {
        matches!(
            self,
            Self::Unstorable | Self::Inconsistent { .. } | Self::Stale(_) | Self::Statement(_)
        )
    }

    /// The error of a query that returned no row although it always returns one.
    pub(super) fn no_row() -> Self {
        Self::Statement("the query gave no row".to_owned())
    }

    /// The error of a missing row to which another row refers.
    pub(super) fn dangling(table: &'static str, id: impl Into<String>) -> Self {
        Self::Inconsistent {
            table,
            column: "id",
            id: id.into(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                let message = error.message().to_owned();
                // The two databases number their errors differently: `42501` is PostgreSQL's
                // insufficient_privilege, and would be "busy" in SQLite.
                match error.try_downcast_ref::<PgDatabaseError>() {
                    Some(_) => of_postgres(&code, message),
                    None => of_sqlite(&code, message),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_) => Self::Unavailable(error.to_string()),
            other => Self::Statement(other.to_string()),
        }
    }
}

/// Converts an error by its SQLSTATE (PostgreSQL, appendix A).
fn of_postgres(code: &str, message: String) -> Error {
    // Classes: connection, insufficient resources, operator intervention, system error. Codes:
    // read-only transaction, idle transaction timeout, lock not available.
    const UNAVAILABLE: [&str; 7] = ["08", "53", "57", "58", "25006", "25P03", "55P03"];
    match code {
        // serialization_failure, deadlock_detected, and unique_violation of two concurrent writers.
        "40001" | "40P01" | "23505" => Error::Conflict,
        // character_not_in_repertoire, and untranslatable_character in a document.
        "22021" | "22P05" => Error::Unstorable,
        _ if UNAVAILABLE.iter().any(|class| code.starts_with(class)) => Error::Unavailable(message),
        _ => Error::Statement(message),
    }
}

/// Converts an error by its result code (SQLite, "Result and Error Codes"). Extended codes have the
/// primary one in their low byte.
fn of_sqlite(code: &str, message: String) -> Error {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // Busy, locked, read-only, I/O, full, cannot open. A corrupt file is not among them: a
        // retry does not help, and it must be reported.
        Ok(5 | 6 | 8 | 10 | 13 | 14) => Error::Unavailable(message),
        _ => Error::Statement(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_on_postgresql_is_not_a_busy_database() {
        // 42501 & 0xff is SQLite's "busy", 21000 & 0xff its "read-only".
        for (code, name) in [
            ("42501", "insufficient_privilege"),
            ("21000", "cardinality_violation"),
        ] {
            let error = of_postgres(code, name.to_owned());
            assert!(matches!(error, Error::Statement(_)), "{name}: {error}");
        }
        let busy = of_sqlite("5", "database is locked".to_owned());
        assert!(matches!(busy, Error::Unavailable(_)));
    }

    #[test]
    fn a_closed_database_is_not_the_fault_of_a_row() {
        assert!(!Error::Unproven.may_be_caused_by_data());
        assert!(!Error::LeaseLost.may_be_caused_by_data());
        assert!(Error::Unstorable.may_be_caused_by_data());
    }
}
