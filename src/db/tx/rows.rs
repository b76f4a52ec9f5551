//! Reads and writes whole rows of declared tables.
//!
//! Refuses to know any table: the callers pass the SQL texts.

use super::{Arg, Error, Tx};
use crate::db::table::{ColumnKind, TableRow, Value};

impl Tx {
    /// Returns all rows of a query that selects the columns of a table first.
    pub(in crate::db) async fn fetch_rows<R: TableRow>(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
    ) -> Result<Vec<R>, Error> {
        self.fetch_all(sql, args).await?.iter().map(R::of).collect()
    }

    /// Returns the first row of such a query.
    pub(in crate::db) async fn fetch_row<R: TableRow>(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
    ) -> Result<Option<R>, Error> {
        let row = self.fetch_first(sql, args).await?;
        row.as_ref().map(R::of).transpose()
    }

    /// Runs a statement that binds the columns of a row, followed by `more`. Returns the number of
    /// affected rows.
    pub(in crate::db) async fn insert_row<R: TableRow>(
        &mut self,
        sql: &str,
        row: &R,
        more: &[Arg<'_>],
    ) -> Result<u64, Error> {
        let values = row.values();
        let mut args = args::<R>(&values);
        args.extend_from_slice(more);
        self.execute(sql, &args).await
    }

    /// Runs a statement that binds the columns of a row and returns rows of the same table.
    pub(in crate::db) async fn insert_returning<R: TableRow>(
        &mut self,
        sql: &str,
        row: &R,
    ) -> Result<Vec<R>, Error> {
        let values = row.values();
        self.fetch_rows(sql, &args::<R>(&values)).await
    }

    /// Inserts rows by a statement that ends before `VALUES`, as many at a time as may be bound.
    pub(in crate::db) async fn insert_rows<R: TableRow>(
        &mut self,
        head: &str,
        rows: &[R],
    ) -> Result<u64, Error> {
        let values: Vec<_> = rows.iter().flat_map(R::values).collect();
        let args = args::<R>(&values);
        self.insert_all(head, R::TABLE.columns.len(), &args).await
    }
}

/// Returns the arguments for the values of one or more rows.
fn args<'a, R: TableRow>(values: &'a [Value<'_>]) -> Vec<Arg<'a>> {
    let columns = R::TABLE.columns;
    columns
        .iter()
        .cycle()
        .zip(values)
        .map(|(column, value)| Arg::of(value, column.kind))
        .collect()
}

impl<'a> Arg<'a> {
    /// Returns the argument for a value in a column of this kind.
    pub(in crate::db) fn of(value: &'a Value<'_>, kind: ColumnKind) -> Self {
        match (value, kind) {
            (Value::Text(text), _) => Self::Text(text),
            (Value::Int(int), _) => Self::Int(*int),
            (Value::Bytes(bytes), _) => Self::Bytes(bytes),
            // PostgreSQL needs the type of a null.
            (Value::Null, ColumnKind::Int | ColumnKind::MaybeInt) => Self::MaybeInt(None),
            (Value::Null, _) => Self::MaybeText(None),
        }
    }
}
