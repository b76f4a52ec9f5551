//! Lists over HTTP: one shape for all of them.
//!
//! Owns `limit`, `items` and `next_cursor`. Refuses to know what is listed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::Serialize;

use super::problem::Problem;
use crate::{flow::Page, model::time::Timestamp};

/// A page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PageBody<T: utoipa::ToSchema> {
    /// The items of this page, in the order of the list.
    #[schema(max_items = 1000)]
    items: Vec<T>,
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<String>,
}

impl<T: utoipa::ToSchema> PageBody<T> {
    /// Returns the answer for a page; `cursor` turns a place into text.
    pub(super) fn of<U: Into<T>, N>(page: Page<U, N>, cursor: impl FnOnce(N) -> String) -> Self {
        Self {
            items: page.items.into_iter().map(U::into).collect(),
            next_cursor: page.next.map(cursor),
        }
    }
}

/// Returns the number of items in a page.
pub(super) fn limit(wanted: Option<u16>) -> Result<u16, Problem> {
    Some(wanted.unwrap_or(100))
        .filter(|limit| (1..=1000).contains(limit))
        .ok_or_else(|| Problem::bad_request("`limit` must be 1 to 1000"))
}

/// A cursor is opaque to callers: the place of the last item, in base64url.
pub(super) fn cursor((at, id): (Timestamp, impl std::fmt::Display)) -> String {
    BASE64URL.encode(format!("{}/{id}", at.as_millis()))
}

/// Returns the place that a cursor names.
pub(super) fn parse_cursor<T: std::str::FromStr>(text: &str) -> Result<(Timestamp, T), Problem> {
    let plain = BASE64URL
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let parsed = plain
        .as_deref()
        .and_then(|plain| plain.split_once('/'))
        .and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    let (at, id) = parsed.ok_or_else(no_cursor)?;
    Ok((Timestamp::from_millis(at), id))
}

/// Returns the answer to an invalid cursor.
pub(super) fn no_cursor() -> Problem {
    Problem::bad_request("`cursor` is not a `next_cursor` of this list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RecordingId;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let place = (
            Timestamp::from_millis(1_700_000_000_123),
            RecordingId::random(&mut rand::rng()),
        );
        assert_eq!(parse_cursor(&cursor(place)).ok(), Some(place));
        proptest::proptest!(|(text in ".{0,80}")| {
            let _ = parse_cursor::<RecordingId>(&text);
        });
        for bad in [
            "",
            "AAAA",
            "%%",
            &BASE64URL.encode("1/rec_0"),
            &BASE64URL.encode(format!("x/{}", place.1)),
        ] {
            assert!(parse_cursor::<RecordingId>(bad).is_err(), "{bad}");
        }
    }
}
