//! Lists over HTTP: one form for all of them.
//!
//! Owns `limit`, `items` and `next_cursor`. Refuses to know the items. INVARIANT: a cursor is valid
//! only for the list, the order and the filters for which it was issued.

use std::{fmt::Display, str::FromStr};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::Serialize;

use super::problem::Problem;
use crate::{
    flow::{HoldPlace, Page},
    model::{id::RecordingId, time::Timestamp},
};

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
    /// Returns the answer for a page of a list.
    pub(super) fn of<U: Into<T>, N: ListPlace>(page: Page<U, N>, list: &AskedList) -> Self {
        Self {
            items: page.items.into_iter().map(U::into).collect(),
            next_cursor: page.next.map(|place| list.cursor(&place)),
        }
    }
}

/// Checks the requested number of items in a page.
pub(super) fn limit(wanted: Option<u16>) -> Result<u16, Problem> {
    Some(wanted.unwrap_or(100))
        .filter(|limit| (1..=1000).contains(limit))
        .ok_or_else(|| Problem::bad_request("`limit` must be 1 to 1000"))
}

/// A requested list: its name, its order and its filters. A cursor belongs to one.
pub(super) struct AskedList(String);

impl AskedList {
    /// Identifies the list of this name with these filters.
    ///
    /// The filters are those of the database, in which a person is a keyed hash: a cursor is part
    /// of query strings, and a number must not be found by trying candidates against its digest.
    pub(super) fn of(name: &'static str, filter: &impl Serialize) -> Self {
        let filter = serde_json::to_vec(&(name, filter)).expect("a filter has a JSON form");
        let digest = digest::digest(&digest::SHA256, &filter);
        Self(hex::encode(&digest.as_ref()[..8]))
    }

    /// Returns the cursor of a position in the list. Opaque to clients.
    pub(super) fn cursor(&self, place: &impl ListPlace) -> String {
        BASE64URL.encode(format!("{}/{}", self.0, place.write()))
    }

    /// Parses a cursor.
    pub(super) fn place<P: ListPlace>(&self, cursor: Option<&str>) -> Result<Option<P>, Problem> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let plain = BASE64URL
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let parts = plain.as_deref().and_then(|plain| plain.split_once('/'));
        let (list, place) = parts.ok_or_else(no_cursor)?;
        let is_one = list.len() == self.0.len() && list.bytes().all(|b| b.is_ascii_hexdigit());
        if is_one && list != self.0 {
            return Err(Problem::bad_request(
                "`cursor` belongs to another list, order or filter: repeat the request that gave it, with the cursor, or begin \
                 without one",
            ));
        }
        let place = P::read(place).filter(|_| is_one);
        place.map(Some).ok_or_else(no_cursor)
    }
}

fn no_cursor() -> Problem {
    Problem::bad_request("`cursor` is not a `next_cursor` of this list")
}

/// A position in a list, as text.
pub(super) trait ListPlace: Sized {
    /// Serialises the position.
    fn write(&self) -> String;

    /// Parses a position; `None` if the text is not one.
    fn read(text: &str) -> Option<Self>;
}

impl ListPlace for i64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl ListPlace for RecordingId {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<T: Display + FromStr> ListPlace for (Timestamp, T) {
    fn write(&self) -> String {
        let (at, id) = self;
        format!("{}/{id}", at.as_millis())
    }

    fn read(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('/')?;
        let at = Timestamp::from_millis(at.parse().ok()?);
        Some((at, id.parse().ok()?))
    }
}

impl ListPlace for HoldPlace {
    fn write(&self) -> String {
        let (at, id, name) = self;
        format!("{}/{id}/{name}", at.as_millis())
    }

    fn read(text: &str) -> Option<Self> {
        let (at, rest) = text.split_once('/')?;
        let (id, name) = rest.split_once('/')?;
        let at = Timestamp::from_millis(at.parse().ok()?);
        Some((at, id.parse().ok()?, name.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::recordings::{RecordingFilter, RecordingSort},
        model::recording::RecordingState,
    };

    fn place() -> (Timestamp, RecordingId) {
        let at = Timestamp::from_millis(1_700_000_000_123);
        (at, RecordingId::random(&mut rand::rng()))
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let list = AskedList::of("recordings", &"");
        let place = place();
        let hold: HoldPlace = (place.0, place.1, "litigation".parse().unwrap());
        let cursor = list.cursor(&place);
        assert_eq!(list.place(Some(&cursor)).ok(), Some(Some(place)));
        let cursor = list.cursor(&hold);
        assert_eq!(list.place(Some(&cursor)).ok(), Some(Some(hold)));
        let cursor = list.cursor(&-7_i64);
        assert_eq!(list.place(Some(&cursor)).ok(), Some(Some(-7_i64)));
        assert_eq!(list.place::<RecordingId>(None).ok(), Some(None));
        proptest::proptest!(|(text in ".{0,80}")| {
            let _ = list.place::<RecordingId>(Some(&text));
        });
        for bad in [
            "".to_owned(),
            "AAAA".into(),
            "%%".into(),
            BASE64URL.encode(format!("{}/1/rec_0", list.0)),
            BASE64URL.encode(format!("{}/x/{}", list.0, place.1)),
            BASE64URL.encode(format!("x/1/{}", place.1)),
            BASE64URL.encode(format!("1/{}", place.1)),
        ] {
            let refused = list.place::<(Timestamp, RecordingId)>(Some(&bad));
            let refused = format!("{:?}", refused.unwrap_err());
            assert!(
                refused.contains("is not a `next_cursor`"),
                "{bad}: {refused}"
            );
        }
    }

    #[test]
    fn a_cursor_of_another_list_order_or_filter_is_refused() {
        let filter = RecordingFilter::default();
        let sorted = RecordingFilter {
            sort: RecordingSort::OldestSealed,
            ..filter.clone()
        };
        let filtered = RecordingFilter {
            state: Some(RecordingState::Sealed),
            ..filter.clone()
        };
        let cursor = AskedList::of("recordings", &filter).cursor(&place());
        for other in [
            AskedList::of("grants", &filter),
            AskedList::of("recordings", &sorted),
            AskedList::of("recordings", &filtered),
        ] {
            let refused = other.place::<(Timestamp, RecordingId)>(Some(&cursor));
            let refused = format!("{:?}", refused.unwrap_err());
            assert!(refused.contains("belongs to another list"), "{refused}");
        }
        // The position in the list is not part of its identity, nor is the bearer's permission.
        let further = RecordingFilter {
            after: Some(place()),
            ..filter
        };
        let same = AskedList::of("recordings", &further);
        assert!(
            same.place::<(Timestamp, RecordingId)>(Some(&cursor))
                .is_ok()
        );
    }
}
