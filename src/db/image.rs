//! Images: rows in a portable form, to be moved as lines of JSON from one database to another of
//! either kind.
//!
//! Owns the format of a line and the list of tables that are moved. Refuses to know what a snapshot
//! or a journal is, and what a row means. A line is one compact JSON array with a value for each
//! column, in order: text as string, integers as numbers, bytes as base64 string, null.
//!
//! INVARIANT: an image has as many values as its table has columns, and each column can hold its
//! value.

mod key_tree;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize as _,
    de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor},
    ser::{Serialize, Serializer},
};

pub use self::{
    key_tree::{entry_of, pack_of, page_of},
    rows::{
        announced, chunk, count, defer_references, find, find_all, first_row, insert, packs_of,
        unfilled, upsert,
    },
    table::Table,
};
use super::{
    shared_rows::SharedRows,
    table::{ColumnKind, TableRow as _, Value},
};

use crate::model::timeline::LogPoint;

/// The values of one row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Image {
    table: Table,
    values: Vec<Value<'static>>,
}

/// The error of bytes that are no image. The text never contains a row's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidImage {
    /// Not one JSON array with a value for each column.
    #[error(
        "not a row of table `{0}`: expected one JSON array with a value for each of its columns"
    )]
    Row(&'static str),
    /// A value that the column cannot hold, or a column that the table does not have.
    #[error("not a row of table `{table}`: column `{column}` cannot hold that")]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

impl Image {
    /// Parses a line into a row of this table. Whitespace around the values is ignored.
    ///
    /// # Errors
    /// [`InvalidImage`] for all other bytes.
    pub fn parse(table: Table, line: &[u8]) -> Result<Self, InvalidImage> {
        let mut at = None;
        let mut json = serde_json::Deserializer::from_slice(line);
        let read = json
            .deserialize_seq(Values { table, at: &mut at })
            .and_then(|values| json.end().map(|()| values));
        match (read, at) {
            (Ok(values), _) => Ok(Self { table, values }),
            (Err(error), Some(column)) if error.is_data() => Err(InvalidImage::Column {
                table: table.name(),
                column,
            }),
            (Err(_), _) => Err(InvalidImage::Row(table.name())),
        }
    }

    /// Returns the image of this row.
    pub fn of_shared(row: &SharedRows) -> Self {
        Self {
            table: Table::SharedRows,
            values: row.values().into_iter().map(Value::into_owned).collect(),
        }
    }

    /// Writes the line, without a line end.
    pub fn to_json(&self, out: impl std::io::Write) {
        serde_json::to_writer(out, self)
            .expect("texts, numbers and nulls have a JSON form, and a buffer takes all of it");
    }

    /// Returns the position right before the audit entries with numbers above `seq`, as the start
    /// of a [`chunk`].
    pub fn before_audit(seq: i64) -> Self {
        let [none, nothing] = [Value::Null, Value::Text("".into())];
        let values = vec![
            Value::Int(seq),
            Value::Int(0),
            nothing.clone(),
            nothing.clone(),
            none.clone(),
            nothing,
            none.clone(),
            none,
        ];
        Self {
            table: Table::Audit,
            values,
        }
    }

    /// Returns the same audit entry with another number, and with its original position if it had
    /// one.
    #[must_use]
    pub fn renumbered(self, seq: i64, told: Option<LogPoint>) -> Self {
        let int = |int: Option<i64>| int.map_or(Value::Null, Value::Int);
        self.put("seq", Value::Int(seq))
            .put(
                "told_timeline",
                int(told.map(|told| told.timeline.number())),
            )
            .put("told_seq", int(told.map(|told| told.seq)))
    }

    /// Returns the original position of an audit entry that was renumbered.
    pub fn told(&self) -> Option<LogPoint> {
        Some(LogPoint {
            timeline: self.int("told_timeline")?.try_into().ok()?,
            seq: self.int("told_seq")?,
        })
    }

    /// Returns the same tombstone without an entry number.
    #[must_use]
    pub fn unnumbered(self) -> Self {
        self.put("seq", Value::Null)
    }

    /// Returns the same row with this id in a text column; unchanged if the table has no such
    /// column.
    #[must_use]
    pub fn naming(self, column: &str, id: String) -> Self {
        self.put(column, Value::Text(id.into()))
    }

    /// Returns the same row with the value of `other` in a column where this row has null.
    #[must_use]
    pub fn filled_from(self, other: &Self, column: &str) -> Self {
        let value = other.value(column).cloned();
        match (self.value(column), value) {
            (Some(Value::Null), Some(value)) => self.put(column, value),
            _ => self,
        }
    }

    /// The table of the row.
    pub fn table(&self) -> Table {
        self.table
    }

    /// Returns the text in a column; `None` for null and for columns of other kinds.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.value(column)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the integer in a column; `None` for null and for columns of other kinds.
    pub fn int(&self, column: &str) -> Option<i64> {
        match self.value(column)? {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// Returns the bytes in a column; `None` for columns of other kinds.
    pub fn bytes(&self, column: &str) -> Option<&[u8]> {
        match self.value(column)? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns whether it has bytes that an image may leave out: small ciphertext.
    pub fn has_ciphertext(&self) -> bool {
        let column = self.table.declaration().left_out;
        let bytes = column.and_then(|(column, _)| self.bytes(column));
        bytes.is_some_and(|bytes| !bytes.is_empty())
    }

    /// Returns the same row with these bytes in a column of bytes; unchanged if the table has no
    /// such column.
    #[must_use]
    pub fn with_bytes(self, column: &str, bytes: Vec<u8>) -> Self {
        self.put(column, Value::Bytes(bytes.into()))
    }

    /// Returns the same row with this value; unchanged if the column cannot hold it.
    fn put(mut self, column: &str, value: Value<'static>) -> Self {
        let mut places = self.table.columns().iter().zip(&mut self.values);
        if let Some((known, place)) = places.find(|(known, _)| known.name == column)
            && can_hold(known.kind, &value)
        {
            *place = value;
        }
        self
    }

    fn value(&self, column: &str) -> Option<&Value<'static>> {
        self.table
            .columns()
            .iter()
            .zip(&self.values)
            .find_map(|(known, value)| (known.name == column).then_some(value))
    }
}

fn can_hold(kind: ColumnKind, value: &Value<'_>) -> bool {
    match value {
        Value::Null => matches!(kind, ColumnKind::MaybeText | ColumnKind::MaybeInt),
        Value::Text(_) => matches!(kind, ColumnKind::Text | ColumnKind::MaybeText),
        Value::Int(_) => matches!(kind, ColumnKind::Int | ColumnKind::MaybeInt),
        Value::Bytes(_) => kind == ColumnKind::Bytes,
    }
}

/// Tampered rows, for tests.
#[cfg(test)]
impl Image {
    /// Returns the same row with this text, or null, in a column.
    ///
    /// # Errors
    /// [`InvalidImage::Column`] if the table has no such column that can hold it.
    pub(super) fn with_text(
        self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Self, InvalidImage> {
        self.with(
            column,
            &[ColumnKind::Text, ColumnKind::MaybeText],
            text.map(|text| Value::Text(text.to_owned().into())),
        )
    }

    /// Returns the same row with this integer, or null, in a column.
    ///
    /// # Errors
    /// [`InvalidImage::Column`] if the table has no such column that can hold it.
    pub(super) fn with_int(
        self,
        column: &'static str,
        int: Option<i64>,
    ) -> Result<Self, InvalidImage> {
        self.with(
            column,
            &[ColumnKind::Int, ColumnKind::MaybeInt],
            int.map(Value::Int),
        )
    }

    fn with(
        mut self,
        column: &'static str,
        kinds: &[ColumnKind],
        value: Option<Value<'static>>,
    ) -> Result<Self, InvalidImage> {
        let refuse = InvalidImage::Column {
            table: self.table.name(),
            column,
        };
        let at = self
            .table
            .columns()
            .iter()
            .position(|known| known.name == column && kinds.contains(&known.kind))
            .ok_or(refuse)?;
        let is_nullable = matches!(
            self.table.columns().get(at).map(|column| column.kind),
            Some(ColumnKind::MaybeText | ColumnKind::MaybeInt)
        );
        match (value, self.values.get_mut(at)) {
            (Some(value), Some(place)) => *place = value,
            (None, Some(place)) if is_nullable => *place = Value::Null,
            _ => return Err(refuse),
        }
        Ok(self)
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.values)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
        }
    }
}

/// Reads the array. `at` is the column of the value being read, for the error.
struct Values<'a> {
    table: Table,
    at: &'a mut Option<&'static str>,
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<Value<'static>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array with a value for each column")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let columns = self.table.columns();
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            *self.at = Some(column.name);
            let value = array.next_element_seed(column.kind)?;
            *self.at = None;
            values.push(value.ok_or_else(|| A::Error::invalid_length(values.len(), &self))?);
        }
        // The parser reports further values as an error: it expects the end of the array.
        Ok(values)
    }
}

impl<'de> DeserializeSeed<'de> for ColumnKind {
    type Value = Value<'static>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Value<'static>, D::Error> {
        let text = |text: String| Value::Text(text.into());
        Ok(match self {
            Self::Text => text(String::deserialize(value)?),
            Self::MaybeText => Option::deserialize(value)?.map_or(Value::Null, text),
            Self::Int => Value::Int(i64::deserialize(value)?),
            Self::MaybeInt => Option::deserialize(value)?.map_or(Value::Null, Value::Int),
            Self::Bytes => Value::Bytes(
                STANDARD
                    .decode(String::deserialize(value)?)
                    .map_err(D::Error::custom)?
                    .into(),
            ),
        })
    }
}
