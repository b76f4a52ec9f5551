//! The query of a list: constant conditions, put together by the filters in use.
//!
//! Owns how conditions become one statement that both databases understand. A condition is a
//! constant text with `?` in the place of each value, and every value is bound, so the planner sees
//! exactly the filters in use and walks an index. Refuses to know any table.
//!
//! INVARIANT: nothing that came from outside is ever a part of the text.

use std::{borrow::Cow, fmt::Display};

use super::{
    error::Error,
    row::Row,
    table::{ColumnKind, Value},
    tx::{Arg, Tx, set},
};
use crate::model::time::Timestamp;

/// The order of a list: by a column, and by an id among rows that have the same value there.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListOrder {
    /// By what; it never changes while a row is in the list.
    pub(super) column: &'static str,
    /// The id.
    pub(super) id: &'static str,
    /// Whether the highest come first.
    pub(super) is_descending: bool,
}

/// A query that is being put together.
pub(super) struct ListQuery {
    sql: String,
    values: Vec<Value<'static>>,
}

/// A text as a bound value.
pub(super) fn text(value: impl Display) -> Value<'static> {
    Value::Text(Cow::Owned(value.to_string()))
}

/// A time as a bound value.
pub(super) fn time(at: Timestamp) -> Value<'static> {
    Value::Int(at.as_millis())
}

/// The least number of rows that one query of a list examines whose callers may see only some.
pub(super) const EXAMINED: i64 = 500;

/// Returns whether a list is complete after a query that examined `seen` of at most `at_once` rows,
/// and cuts it to `limit`.
pub(super) fn is_full<T>(found: &mut Vec<T>, seen: usize, at_once: i64, limit: i64) -> bool {
    let reaches = |count: usize, of: i64| i64::try_from(count).is_ok_and(|count| count >= of);
    let is_full = !reaches(seen, at_once) || reaches(found.len(), limit);
    if is_full {
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    is_full
}

/// Members of a set as a bound value, for `IN (SELECT key FROM json_each(?))`; `None` for an empty
/// set, which restricts nothing.
pub(super) fn members<T: Display>(
    members: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> Option<Value<'static>> {
    let members = members.into_iter();
    (members.len() > 0).then(|| text(set(members)))
}

impl ListQuery {
    /// Begins with a statement that ends behind its first condition.
    pub(super) fn of(head: &'static str) -> Self {
        Self {
            sql: head.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds a condition, which must hold, too.
    pub(super) fn with(
        &mut self,
        condition: &'static str,
        values: impl IntoIterator<Item = Value<'static>>,
    ) {
        self.sql.push_str(" AND ");
        self.push(condition, values);
    }

    /// Adds a condition with one value, if there is a value.
    pub(super) fn when(&mut self, condition: &'static str, value: Option<Value<'static>>) {
        if let Some(value) = value {
            self.with(condition, [value]);
        }
    }

    /// Ends the query: a page in this order, behind a place of it.
    pub(super) fn page(
        &mut self,
        order: ListOrder,
        behind: Option<(Timestamp, String)>,
        limit: i64,
    ) {
        let ListOrder {
            column,
            id,
            is_descending,
        } = order;
        let (sign, direction) = if is_descending {
            ("<", "DESC")
        } else {
            (">", "ASC")
        };
        if let Some((at, after)) = behind {
            // Both: SQLite walks an index by the first, the second cuts off what was shown.
            self.push(&format!(" AND {column} {sign}= ?"), [time(at)]);
            let place = [time(at), text(after)];
            self.push(&format!(" AND ({column}, {id}) {sign} (?, ?)"), place);
        }
        let order = format!(" ORDER BY {column} {direction}, {id} {direction} LIMIT ?");
        self.push(&order, [Value::Int(limit)]);
    }

    /// Adds a constant text with as many `?` as values, which get the next numbers.
    pub(super) fn add(
        &mut self,
        text: &'static str,
        values: impl IntoIterator<Item = Value<'static>>,
    ) {
        self.push(text, values);
    }

    fn push(&mut self, text: &str, values: impl IntoIterator<Item = Value<'static>>) {
        let mut parts = text.split('?');
        self.sql.push_str(parts.next().unwrap_or_default());
        let before = self.values.len();
        self.values.extend(values);
        for (number, part) in (before + 1..).zip(parts) {
            self.sql.push_str(&format!("${number}{part}"));
        }
        debug_assert_eq!(
            text.matches('?').count(),
            self.values.len() - before,
            "a value for each `?` of `{text}`"
        );
    }

    /// The rows that it finds.
    pub(super) async fn rows(&self, tx: &mut Tx) -> Result<Vec<Row>, Error> {
        let args: Vec<Arg<'_>> = self
            .values
            .iter()
            .map(|value| Arg::of(value, ColumnKind::Text))
            .collect();
        tx.fetch_all(&self.sql, &args).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_get_the_next_numbers_and_values_are_never_text() {
        let mut query = ListQuery::of("SELECT a FROM b WHERE true");
        query.when("c = ?", Some(text("$1' OR '?'")));
        query.when("d = ?", None);
        query.with(
            "(e = ? OR e IN (SELECT key FROM json_each(?)))",
            [Value::Int(7), text("{}")],
        );
        let order = ListOrder {
            column: "at",
            id: "id",
            is_descending: true,
        };
        query.page(order, Some((Timestamp::from_millis(3), "x".into())), 10);
        assert_eq!(
            query.sql,
            "SELECT a FROM b WHERE true AND c = $1 AND (e = $2 OR e IN (SELECT key FROM json_each($3))) \
             AND at <= $4 AND (at, id) < ($5, $6) ORDER BY at DESC, id DESC LIMIT $7"
        );
        assert_eq!(query.values.len(), 7);
        let mut rising = ListQuery::of("SELECT a FROM b WHERE true");
        rising.page(
            ListOrder {
                is_descending: false,
                ..order
            },
            None,
            1,
        );
        assert_eq!(
            rising.sql,
            "SELECT a FROM b WHERE true ORDER BY at ASC, id ASC LIMIT $1"
        );
    }
}
