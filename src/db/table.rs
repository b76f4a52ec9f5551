//! Declarations of tables: the struct of a table's rows, from which its column lists, the reader,
//! the bound values and the image are derived.
//!
//! Owns the macro [`table!`](table) and its output. Refuses to know any table; each is declared in
//! the module that has its queries:
//!
//! ```text
//! table! {
//!     "holds" { subject: Some("recording_id") }      the table, and its options
//!
//!     /// A hold, standing or lifted.
//!     pub struct HoldRow {
//!         key {                                       the primary key, which comes first
//!             /// The recording that it keeps.
//!             pub recording: RecordingId = "recording_id",
//!         }
//!         /// When it was lifted; `None` while it stands.
//!         pub lifted_at: Option<Timestamp> = "lifted_at",
//!     }
//! }
//! ```
//!
//! The order is that of `schema/tables.sql`, which explains the columns. The stored form of each
//! type is in `table/value.rs`. INVARIANT: rows are read by position. A query that reads rows of a
//! table selects its `COLUMNS` first; further columns follow.

pub(in crate::db) mod value;

use std::fmt::Display;

use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

pub(super) use self::value::{ColumnKind, ColumnValue, Value, texts};
use super::{error::Error, row::Row};

/// The properties of a table.
#[derive(Debug)]
pub(super) struct Declaration {
    /// Its name in the databases.
    pub(super) name: &'static str,
    /// Its columns, in the databases' order.
    pub(super) columns: &'static [Column],
    /// How many of them are the primary key; they are the first ones.
    pub(super) key: usize,
    /// The column that identifies the recording, principal, token, policy, page, conversation,
    /// statement or revocation to which a row belongs.
    pub(super) subject: Option<&'static str>,
    /// The condition on the rows that are moved.
    pub(super) travels: &'static str,
    /// Whether rows are never changed or removed; the databases enforce it.
    pub(super) only_grows: bool,
    /// A column of bytes that an image leaves empty, and the condition on which it does.
    pub(super) left_out: Option<(&'static str, &'static str)>,
}

impl Declaration {
    /// A table without columns, all of whose rows are moved.
    pub(super) const PLAIN: Self = Self {
        name: "",
        columns: &[],
        key: 0,
        subject: None,
        travels: "1 = 1",
        only_grows: false,
        left_out: None,
    };
}

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Column {
    /// Its name in the databases.
    pub(super) name: &'static str,
    /// The kind of its values.
    pub(super) kind: ColumnKind,
}

impl Column {
    /// A column for values of this type.
    pub(super) const fn of<T: ColumnValue>(name: &'static str) -> Self {
        Self {
            name,
            kind: T::KIND,
        }
    }
}

/// A row of a table that is declared by [`table!`](table).
pub(super) trait TableRow: Sized + Send + Sync {
    /// The table.
    const TABLE: Declaration;
    /// `a, b, c`: the columns, as a query selects them.
    const COLUMNS: &'static str;
    /// `t.a, t.b, t.c`: the same, qualified, for joins.
    const QUALIFIED: &'static str;
    /// `INSERT INTO t (a, b, c)`: the beginning of an insert of several rows.
    const INSERT_INTO: &'static str;
    /// `INSERT INTO t (a, b, c) VALUES ($1, $2, $3)`: one row.
    const INSERT: &'static str;
    /// `ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = excluded.c`: replaces an existing row.
    /// Not for a table whose columns are all in the key; it uses `DO NOTHING`.
    const OR_REPLACE: &'static str;

    /// Reads a row from cells.
    fn read(cells: &mut Cells<'_>) -> Result<Self, Error>;

    /// Returns the values, in the order of the columns.
    fn values(&self) -> Vec<Value<'_>>;

    /// Reads a row from the first columns of a query's row.
    fn of(row: &Row) -> Result<Self, Error> {
        debug_assert!(
            Self::TABLE.begins(row),
            "a query that reads rows of `{}` does not select its columns first",
            Self::TABLE.name
        );
        Self::read(&mut Cells {
            table: &Self::TABLE,
            source: Source::Row(row),
            at: 0,
        })
    }

    /// Reads a row from these values, one for each column.
    fn of_values(values: &[Value<'_>]) -> Result<Self, Error> {
        Self::read(&mut Cells {
            table: &Self::TABLE,
            source: Source::Values(values),
            at: 0,
        })
    }
}

/// A cursor over the columns of a row.
pub(super) struct Cells<'a> {
    table: &'static Declaration,
    source: Source<'a>,
    at: usize,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Row(&'a Row),
    Values(&'a [Value<'a>]),
}

impl Cells<'_> {
    /// Reads the value in the next column.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if the value is not of this type.
    pub(super) fn next<T: ColumnValue>(&mut self) -> Result<T, Error> {
        let at = self.at;
        self.at += 1;
        let value = self.source.value(at, T::KIND);
        value
            .and_then(T::read)
            .ok_or_else(|| self.table.wrong(at, self.source.key(self.table)))
    }
}

impl<'a> Source<'a> {
    fn value(self, at: usize, kind: ColumnKind) -> Option<Value<'a>> {
        match self {
            Self::Row(row) => cell(row, at, kind),
            Self::Values(values) => values.get(at).map(Value::borrowed),
        }
    }

    /// Returns the first column, which names the row in an error.
    fn key(self, table: &Declaration) -> Option<Value<'a>> {
        let first = table.columns.first()?;
        self.value(0, first.kind)
    }
}

impl Declaration {
    /// Returns whether the query of a row selected this table's columns first.
    fn begins(&self, row: &Row) -> bool {
        let mut columns = self.columns.iter().enumerate();
        columns.all(|(at, column)| row.name(at) == Some(column.name))
    }

    /// Returns the error of a row, named by its key, with an invalid value in this column.
    pub(super) fn inconsistent(&self, column: &'static str, key: impl Display) -> Error {
        Error::Inconsistent {
            table: self.name,
            column,
            id: key.to_string(),
        }
    }

    /// Returns the error of a row with an invalid value at this position.
    pub(super) fn inconsistent_at(&self, at: usize, row: &Row) -> Error {
        self.wrong(at, Source::Row(row).key(self))
    }

    fn wrong(&self, at: usize, key: Option<Value<'_>>) -> Error {
        let column = self.columns.get(at).map_or("", |column| column.name);
        match key {
            Some(Value::Text(text)) => self.inconsistent(column, text),
            Some(Value::Int(int)) => self.inconsistent(column, int),
            _ => self.inconsistent(column, ""),
        }
    }
}

/// Returns the value at this position of a row; `None` if it is not of this kind. By number,
/// because a name would be looked up for each value of each row.
pub(super) fn cell(row: &Row, at: usize, kind: ColumnKind) -> Option<Value<'static>> {
    let value = match kind {
        ColumnKind::Text | ColumnKind::MaybeText => {
            get::<String>(row, at)?.map(|text| Value::Text(text.into()))
        }
        ColumnKind::Int | ColumnKind::MaybeInt => get(row, at)?.map(Value::Int),
        ColumnKind::Bytes => get::<Vec<u8>>(row, at)?.map(|bytes| Value::Bytes(bytes.into())),
    };
    match (value, kind) {
        (Some(value), _) => Some(value),
        (None, ColumnKind::MaybeText | ColumnKind::MaybeInt) => Some(Value::Null),
        (None, _) => None,
    }
}

fn get<T>(row: &Row, at: usize) -> Option<Option<T>>
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    match row {
        Row::Sqlite(row) => row.try_get(at),
        Row::Postgres(row) => row.try_get(at),
    }
    .ok()
}

/// Removes the leading comma of a list; an empty list stays empty.
pub(super) const fn list(commas: &'static str) -> &'static str {
    match commas.is_empty() {
        true => "",
        false => commas.split_at(", ".len()).1,
    }
}

/// Returns that many placeholders: `$1, $2, $3`.
pub(super) const fn places(count: usize) -> &'static str {
    const PLACES: &str = "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
        $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, \
        $33, $34, $35, $36, $37, $38, $39, $40";
    let width = match count {
        0..10 => "$1, ".len() * count,
        _ => "$1, ".len() * 9 + "$10, ".len() * (count - 9),
    };
    PLACES.split_at(width - ", ".len()).0
}

/// Declares a table and the struct of its rows; see the head of this module.
macro_rules! table {
    (
        $table:literal { $($option:ident: $said:expr),* $(,)? }

        $(#[$meta:meta])*
        $vis:vis struct $row:ident {
            key {
                $(
                    $(#[$key_meta:meta])*
                    $key_vis:vis $key:ident: $key_type:ty = $key_column:literal
                ),+ $(,)?
            }
            $(
                $(#[$field_meta:meta])*
                $field_vis:vis $field:ident: $type:ty = $column:literal
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $row {
            $($(#[$key_meta])* $key_vis $key: $key_type,)+
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::db::table::TableRow for $row {
            const TABLE: $crate::db::table::Declaration = $crate::db::table::Declaration {
                name: $table,
                columns: &[
                    $($crate::db::table::Column::of::<$key_type>($key_column),)+
                    $($crate::db::table::Column::of::<$type>($column),)*
                ],
                key: [$($key_column),+].len(),
                $($option: $said,)*
                ..$crate::db::table::Declaration::PLAIN
            };
            const COLUMNS: &'static str =
                $crate::db::table::list(concat!($(", ", $key_column,)+ $(", ", $column),*));
            const QUALIFIED: &'static str = $crate::db::table::list(concat!(
                $(", ", $table, ".", $key_column,)+
                $(", ", $table, ".", $column),*
            ));
            const INSERT_INTO: &'static str = const_format::concatcp!(
                "INSERT INTO ",
                $table,
                " (",
                <$row as $crate::db::table::TableRow>::COLUMNS,
                ")"
            );
            const INSERT: &'static str = const_format::concatcp!(
                <$row as $crate::db::table::TableRow>::INSERT_INTO,
                " VALUES (",
                $crate::db::table::places([$($key_column,)+ $($column),*].len()),
                ")"
            );
            const OR_REPLACE: &'static str = const_format::concatcp!(
                "ON CONFLICT (",
                $crate::db::table::list(concat!($(", ", $key_column),+)),
                ") DO UPDATE SET ",
                $crate::db::table::list(concat!($(", ", $column, " = excluded.", $column),*))
            );

            fn read(
                cells: &mut $crate::db::table::Cells<'_>,
            ) -> Result<Self, $crate::db::error::Error> {
                Ok(Self {
                    $($key: cells.next()?,)+
                    $($field: cells.next()?,)*
                })
            }

            fn values(&self) -> Vec<$crate::db::table::Value<'_>> {
                use $crate::db::table::ColumnValue;
                vec![
                    $(ColumnValue::write(&self.$key),)+
                    $(ColumnValue::write(&self.$field),)*
                ]
            }
        }
    };
}

pub(super) use table;

#[cfg(test)]
mod tests {
    use super::*;

    table! {
        "things" { subject: Some("owner") }

        #[derive(Debug, PartialEq)]
        struct Thing {
            key {
                id: String = "id",
                number: i64 = "number",
            }
            owner: Option<String> = "owner",
            is_new: bool = "is_new",
            sealed: Vec<u8> = "sealed",
        }
    }

    #[test]
    fn a_declaration_gives_the_columns_their_lists_and_the_insert() {
        let table = Thing::TABLE;
        let kinds: Vec<_> = table.columns.iter().map(|column| column.kind).collect();
        assert_eq!(
            kinds,
            [
                ColumnKind::Text,
                ColumnKind::Int,
                ColumnKind::MaybeText,
                ColumnKind::Int,
                ColumnKind::Bytes
            ]
        );
        assert_eq!(
            (table.name, table.key, table.subject),
            ("things", 2, Some("owner"))
        );
        assert_eq!(Thing::COLUMNS, "id, number, owner, is_new, sealed");
        assert_eq!(
            Thing::QUALIFIED,
            "things.id, things.number, things.owner, things.is_new, things.sealed"
        );
        assert_eq!(
            Thing::INSERT,
            "INSERT INTO things (id, number, owner, is_new, sealed) VALUES ($1, $2, $3, $4, $5)"
        );
        assert_eq!(
            Thing::OR_REPLACE,
            "ON CONFLICT (id, number) DO UPDATE SET owner = excluded.owner, is_new = excluded.is_new, \
             sealed = excluded.sealed"
        );
    }

    #[test]
    fn a_row_comes_back_from_its_values_and_a_wrong_one_is_named() {
        let thing = Thing {
            id: "a".into(),
            number: -1,
            owner: None,
            is_new: true,
            sealed: vec![0, 255],
        };
        let values = thing.values();
        assert_eq!(Thing::of_values(&values).unwrap(), thing);
        for (at, wrong) in [
            (0, Value::Null),
            (1, Value::Text("1".into())),
            (2, Value::Int(1)),
            (3, Value::Int(2)),
            (4, Value::Text("".into())),
        ] {
            let mut values = values.clone();
            values[at] = wrong;
            let error = Thing::of_values(&values).unwrap_err().to_string();
            let column = Thing::TABLE.columns[at].name;
            let id = if at == 0 { "" } else { "a" };
            assert_eq!(
                error,
                format!("table `things` column `{column}` row `{id}` has an invalid value")
            );
        }
        assert!(Thing::of_values(&values[..4]).is_err());
    }

    #[test]
    fn placeholders_are_counted_from_one() {
        for count in 1..=32 {
            let all: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
            assert_eq!(places(count), all.join(", "));
        }
    }
}
