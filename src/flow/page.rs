//! Paging of lists.
//!
//! Owns the page type and how a page is cut: a list queries one row more than it returns, and so
//! knows whether there are more.

/// A page of a list of `T`; `N` is a position in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T, N> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// The position of the last item, after which the next page begins, if there is one.
    pub next: Option<N>,
}

/// Returns the number of rows to query for a page of `limit` items.
pub(super) fn rows(limit: u16) -> i64 {
    i64::from(limit) + 1
}

impl<T, N> Page<T, N> {
    /// Cuts a page from these rows.
    pub(super) fn cut(mut rows: Vec<T>, limit: u16, place: impl FnOnce(&T) -> N) -> Self {
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(limit.into());
        let next = rows.last().filter(|_| has_more).map(place);
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_behind_its_last_item_as_long_as_there_is_more() {
        for (rows, limit, items, next) in [
            (0, 2, 0, None),
            (1, 2, 1, None),
            (2, 2, 2, None),
            (3, 2, 2, Some(1)),
            (2, 1, 1, Some(0)),
        ] {
            let page = Page::cut((0..rows).collect(), limit, |last: &i32| *last);
            assert_eq!(page.items.len(), items, "{rows} rows, {limit} at most");
            assert_eq!(page.next, next, "{rows} rows, {limit} at most");
        }
        assert_eq!(rows(u16::MAX), 65_536);
    }
}
