//! The check of a list and of a single resource, whatever product they are of.
//!
//! Owns what must hold when answers are generated from a schema. Refuses to know the requests.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value, json};

use super::kind::{Kind, Schema, resource};
use crate::twilio::rest::{RestError, tests::Other};

/// What becomes of items that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// They are counted.
    Counted,
    /// They are left out: nothing relies on their number.
    LeftOut,
    /// There is none: an item that tells nothing is somebody.
    None,
    /// The list is refused: what cannot be read must not look like nothing.
    Refuses,
}

/// A list and its schema.
#[derive(Clone, Copy)]
pub(super) struct ListSchema {
    pub(super) name: &'static str,
    /// The member with the items.
    pub(super) items: &'static str,
    pub(super) schema: Schema,
    /// The field by which an item is known.
    pub(super) by: &'static str,
    /// What an item must have besides.
    pub(super) needs: &'static [&'static str],
    pub(super) unreadable: Unreadable,
}

/// Returns the id of what a request is about.
pub(super) fn fixed(prefix: &str) -> String {
    format!("{prefix}{}", "4".repeat(32))
}

/// Has the server answer with two pages of the list at this path.
fn tell(other: &Other, path: &str, items: &str, pages: &[Vec<Value>]) {
    let next = Some(format!("https://host{path}?Page=1"));
    for (page, next) in pages.iter().zip([next, None]) {
        let relative = next.as_ref().map(|next| next.replace("https://host", ""));
        let page =
            json!({ items: page, "next_page_uri": relative, "meta": { "next_page_url": next } });
        other.tells(200, page.to_string());
    }
}

/// Returns an item that can be read, and by what it is known.
fn bare(list: &ListSchema, number: usize) -> (String, Value) {
    let kind = |name: &str| {
        let mut fields = list.schema.iter();
        fields.find(|(field, _)| *field == name).unwrap().1
    };
    let name = match kind(list.by) {
        Kind::Sid(prefix) => format!("{prefix}{number:032x}"),
        _ => format!("said {number}"),
    };
    let mut item = json!({ list.by: name });
    for need in list.needs {
        let (Kind::Fixed(prefix) | Kind::Sid(prefix)) = kind(need) else {
            panic!("{need}")
        };
        item[*need] = json!(fixed(prefix));
    }
    (name, item)
}

/// Draws pages of a list, two for each case.
fn drawn(list: &ListSchema, runner: &mut TestRunner) -> Vec<[Vec<Value>; 2]> {
    let some = prop::collection::vec(
        prop_oneof![9 => resource(list.schema), 1 => Just(Value::Null)],
        0..5,
    );
    let mut draw = || some.new_tree(runner).unwrap().current();
    (0..64).map(|_| [draw(), draw()]).collect()
}

/// Checks that an item that tells nothing costs no other of its list. `listed` reads a list, and returns
/// by what its items are known and how many were unreadable.
pub(super) async fn check_lists(
    lists: &[ListSchema],
    path_of: impl Fn(&str) -> String,
    listed: impl AsyncFn(&Other, &str) -> Result<(Vec<String>, usize), RestError>,
) {
    let other = Other::start().await;
    let mut runner = TestRunner::default();
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for list in lists {
        let name = list.name;
        for (case, mut pages) in drawn(list, &mut runner).into_iter().enumerate() {
            let mut names = Vec::new();
            for (number, page) in pages.iter_mut().enumerate() {
                let (name, item) = bare(list, 2 * case + number + 1);
                page.insert(page.len() / 2, item);
                names.push(name);
            }
            let total: usize = pages.iter().map(Vec::len).sum();
            let told = serde_json::to_string(&pages).unwrap();
            tell(&other, &path_of(name), list.items, &pages);
            let (found, unreadable) = match listed(&other, name).await {
                Err(RestError::Shape(_)) if list.unreadable == Unreadable::Refuses => {
                    *met.entry(name).or_default() += 1;
                    continue;
                }
                listed => listed.unwrap_or_else(|error| panic!("{name}: {error}: {told}")),
            };
            assert!(
                names.iter().all(|name| found.contains(name)),
                "{name}: {names:?} are not in {found:?}: {told}"
            );
            if list.unreadable == Unreadable::LeftOut {
                assert!(found.len() <= total, "{name}: {told}");
                *met.entry(name).or_default() += total - found.len();
            } else {
                assert_eq!(found.len() + unreadable, total, "{name}: {told}");
                *met.entry(name).or_default() += unreadable;
            }
        }
    }
    for list in lists {
        let is_met = met.get(list.name).is_some_and(|met| *met > 0);
        assert_eq!(
            is_met,
            list.unreadable != Unreadable::None,
            "{}: it met something that cannot be read: {met:?}",
            list.name
        );
    }
}

/// Checks that what is asked for by its id is read whatever else is told of it, and that an answer
/// about something else is none. `needs` are the fields without which it cannot be placed.
pub(super) async fn check_resources(
    resources: &[(&'static str, Schema, String, &'static [&'static str])],
    read: impl AsyncFn(&Other, &str) -> Result<(), RestError>,
) {
    let other = Other::start().await;
    let mut runner = TestRunner::default();
    for (what, schema, sid, needs) in resources {
        let kind = |name: &str| schema.iter().find(|(field, _)| *field == name).unwrap().1;
        for _ in 0..64 {
            let mut told = resource(schema).new_tree(&mut runner).unwrap().current();
            told["sid"] = json!(sid);
            for need in *needs {
                let (Kind::Fixed(prefix) | Kind::Sid(prefix)) = kind(need) else {
                    panic!("{need}")
                };
                told[*need] = json!(fixed(prefix));
            }
            other.tells(200, told.to_string());
            assert_eq!(read(&other, what).await, Ok(()), "{what}: {told}");
            let another = format!("{}{}", &sid[..2], "5".repeat(32));
            told["sid"] = json!(another);
            other.tells(200, told.to_string());
            let read = read(&other, what).await;
            assert!(matches!(read, Err(RestError::Shape(_))), "{what}: {read:?}");
        }
    }
}
