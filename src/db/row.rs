//! Rows of either database, read by column name. The error of an invalid value names table, column
//! and row.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::{Column as _, Row as _, postgres::PgRow, sqlite::SqliteRow};

use super::error::Error;
use crate::model::time::Timestamp;

/// One row.
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// Returns the name of the column at this position.
    pub(super) fn name(&self, at: usize) -> Option<&str> {
        match self {
            Self::Sqlite(row) => row.columns().get(at).map(|column| column.name()),
            Self::Postgres(row) => row.columns().get(at).map(|column| column.name()),
        }
    }

    pub(super) fn maybe_text(&self, column: &str) -> Result<Option<String>, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn maybe_int(&self, column: &str) -> Result<Option<i64>, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn text(&self, column: &str) -> Result<String, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn int(&self, column: &str) -> Result<i64, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, Error> {
        self.int(column).map(Timestamp::from_millis)
    }

    pub(super) fn maybe_time(&self, column: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.maybe_int(column)?.map(Timestamp::from_millis))
    }

    /// Parses a text column into a type; `table` and the `key` column name the row in the error.
    pub(super) fn parse<T: FromStr>(
        &self,
        table: &'static str,
        column: &'static str,
        key: &str,
    ) -> Result<T, Error> {
        self.text(column)?
            .parse()
            .map_err(|_| self.inconsistent(table, column, key))
    }

    /// Like [`Row::parse`], for a column that may be null.
    pub(super) fn maybe_parse<T: FromStr>(
        &self,
        table: &'static str,
        column: &'static str,
        key: &str,
    ) -> Result<Option<T>, Error> {
        self.maybe_text(column)?
            .map(|text| {
                text.parse()
                    .map_err(|_| self.inconsistent(table, column, key))
            })
            .transpose()
    }

    /// Deserialises a text column that holds JSON.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        table: &'static str,
        column: &'static str,
        key: &str,
    ) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?).map_err(|_| self.inconsistent(table, column, key))
    }

    /// Converts an integer column to a smaller or unsigned integer.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        table: &'static str,
        column: &'static str,
        key: &str,
    ) -> Result<T, Error> {
        T::try_from(self.int(column)?).map_err(|_| self.inconsistent(table, column, key))
    }

    pub(super) fn inconsistent(
        &self,
        table: &'static str,
        column: &'static str,
        key: &str,
    ) -> Error {
        let id = self
            .text(key)
            .or_else(|_| self.int(key).map(|number| number.to_string()));
        Error::Inconsistent {
            table,
            column,
            id: id.unwrap_or_default(),
        }
    }
}
