//! Lists in pages: the envelope of the 2010 interface, whose links are relative, and that of the
//! newer interfaces, whose links are absolute.
//!
//! INVARIANT: a page begins right behind the last item of the page before, even if items were added
//! or removed in between: its token holds that item's sort key, not an index.

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::answer::{Refused, StandInAnswer};

const DEFAULT_SIZE: usize = 50;
/// Larger page sizes are reduced to this.
const MAX_SIZE: usize = 1000;

/// Names and values of a query or a form, in order.
pub(super) struct FormPairs(Vec<(String, String)>);

impl FormPairs {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Returns a boolean, as Twilio's clients write it.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)
            .map(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// The items of one page, and the tokens of its neighbours.
struct Page<T> {
    items: Vec<T>,
    number: usize,
    size: usize,
    next: Option<String>,
    previous: Option<String>,
}

/// Selects a page of all items, each with its sort key.
fn cut<T>(
    mut all: Vec<(String, T)>,
    query: &FormPairs,
    max_size: usize,
) -> Result<Page<T>, Refused> {
    let number = |name: &'static str| {
        query
            .get(name)
            .map(|text| text.parse::<usize>().map_err(|_| Refused::invalid(name)))
            .transpose()
    };
    let size = match number("PageSize")? {
        Some(0) => return Err(Refused::invalid("PageSize")),
        size => size.unwrap_or(DEFAULT_SIZE).min(max_size),
    };
    let page = number("Page")?.unwrap_or_default();
    let token = query.get("PageToken");
    if page > 0 && token.is_none() {
        return Err(Refused::new(
            400,
            20006,
            "Page requires a PageToken; follow next_page_uri",
        ));
    }
    let mut is_first = true;
    match token.map(|token| (token.get(..2), token.get(2..).unwrap_or_default())) {
        None => {}
        Some((Some("PA"), last)) => {
            let everything = all.len();
            all.retain(|(place, _)| place.as_str() > last);
            is_first = all.len() == everything;
        }
        Some((Some("PB"), first)) => {
            all.sort_by(in_order);
            let start = all
                .partition_point(|(place, _)| place.as_str() < first)
                .saturating_sub(size);
            all.drain(..start);
            is_first = start == 0;
        }
        Some(_) => return Err(Refused::invalid("PageToken")),
    }
    let is_last = all.len() <= size;
    if !is_last {
        // A page of a long list: only its own items are sorted.
        all.select_nth_unstable_by(size, in_order);
        all.truncate(size);
    }
    all.sort_by(in_order);
    let token =
        |which: &str, item: Option<&(String, T)>| item.map(|(place, _)| format!("{which}{place}"));
    let next = if is_last {
        None
    } else {
        token("PA", all.last())
    };
    let previous = if is_first {
        None
    } else {
        token("PB", all.first())
    };
    Ok(Page {
        items: all.into_iter().map(|(_, item)| item).collect(),
        number: page,
        size,
        next,
        previous,
    })
}

fn in_order<T>((a, _): &(String, T), (b, _): &(String, T)) -> std::cmp::Ordering {
    a.cmp(b)
}

/// Returns the address of a page: the filters of the request with other page parameters.
fn address(path: &str, query: &FormPairs, size: usize, page: usize, token: Option<&str>) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query
        .pairs()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "Page" | "PageSize" | "PageToken"))
    {
        encoded.append_pair(name, value);
    }
    encoded
        .append_pair("PageSize", &size.to_string())
        .append_pair("Page", &page.to_string());
    if let Some(token) = token {
        encoded.append_pair("PageToken", token);
    }
    format!("{path}?{}", encoded.finish())
}

/// Returns a page of a list in the 2010 interface, under `key`. Items come with their sort keys.
pub(super) fn of_2010<T>(
    items: Vec<(String, T)>,
    key: &str,
    path: &str,
    query: &FormPairs,
    resource: impl Fn(&T) -> Value,
) -> Result<StandInAnswer, Refused> {
    let page = cut(items, query, MAX_SIZE)?;
    let to = |number: usize, token: Option<&str>| address(path, query, page.size, number, token);
    let start = page.number * page.size;
    let mut document = Map::new();
    document.insert(key.to_owned(), page.items.iter().map(resource).collect());
    document.extend([
        ("page".to_owned(), json!(page.number)),
        ("page_size".to_owned(), json!(page.size)),
        ("start".to_owned(), json!(start)),
        (
            "end".to_owned(),
            json!(start + page.items.len().saturating_sub(1)),
        ),
        (
            "uri".to_owned(),
            json!(to(page.number, query.get("PageToken"))),
        ),
        ("first_page_uri".to_owned(), json!(to(0, None))),
        (
            "next_page_uri".to_owned(),
            json!(
                page.next
                    .as_deref()
                    .map(|token| to(page.number + 1, Some(token)))
            ),
        ),
        (
            "previous_page_uri".to_owned(),
            json!(
                page.previous
                    .as_deref()
                    .map(|token| to(page.number.saturating_sub(1), Some(token)))
            ),
        ),
    ]);
    Ok(StandInAnswer::ok(Value::Object(document)))
}

/// Returns a page of a list in a newer interface, under `key`; `url` is the absolute address of the
/// list.
pub(super) fn of_v2<T>(
    items: Vec<(String, T)>,
    key: &str,
    url: &str,
    query: &FormPairs,
    max_size: usize,
    resource: impl Fn(&T) -> Value,
) -> Result<StandInAnswer, Refused> {
    let page = cut(items, query, max_size)?;
    let to = |number: usize, token: Option<&str>| address(url, query, page.size, number, token);
    let mut document = Map::new();
    document.insert(key.to_owned(), page.items.iter().map(resource).collect());
    let meta = json!({
        "key": key,
        "page": page.number,
        "page_size": page.size,
        "url": to(page.number, query.get("PageToken")),
        "first_page_url": to(0, None),
        "next_page_url": page.next.as_deref().map(|token| to(page.number + 1, Some(token))),
        "previous_page_url": page.previous.as_deref().map(|token| to(page.number.saturating_sub(1), Some(token))),
    });
    document.insert("meta".to_owned(), meta);
    Ok(StandInAnswer::ok(Value::Object(document)))
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::{btree_set, vec},
        prelude::*,
    };

    use super::*;

    fn page(all: &[&str], query: &str) -> (Vec<String>, Option<String>, Option<String>) {
        let all = all
            .iter()
            .map(|item| ((*item).to_owned(), (*item).to_owned()))
            .collect();
        let page = cut(all, &FormPairs::parse(query.as_bytes()), MAX_SIZE)
            .unwrap_or_else(|refused| panic!("{refused:?}"));
        (page.items, page.next, page.previous)
    }

    #[test]
    fn pages_follow_each_other_while_items_come_and_go() {
        let (items, next, previous) = page(&["d", "b", "a", "c"], "PageSize=2");
        assert_eq!((items, previous), (vec!["a".into(), "b".into()], None));
        // `b`, the last item shown, is removed, and `aa` is added before it: neither moves the
        // rest.
        let (items, next, previous) = page(
            &["a", "aa", "c", "d"],
            &format!("PageSize=2&Page=1&PageToken={}", next.unwrap()),
        );
        assert_eq!((items, next), (vec!["c".into(), "d".into()], None));
        let (items, ..) = page(
            &["a", "aa", "c", "d"],
            &format!("PageSize=2&PageToken={}", previous.unwrap()),
        );
        assert_eq!(items, ["a", "aa"]);
    }

    proptest! {
        /// However a list changes while it is read, an item that stays is read once, in order, and
        /// no item is read twice.
        #[test]
        fn any_change_of_a_list_leaves_its_pages_whole(
            start in btree_set(0_u16..500, 0..60),
            changes in vec((btree_set(0_u16..500, 0..20), btree_set(0_u16..500, 0..20)), 0..20),
            size in 1_usize..8,
        ) {
            let mut held = start.clone();
            let mut always = start;
            let mut seen = Vec::new();
            let mut query = format!("PageSize={size}");
            let quiet = std::iter::repeat_with(Default::default).take(1000);
            for (number, (gone, new)) in (1..).zip(changes.into_iter().chain(quiet)) {
                let all: Vec<String> = held.iter().map(|item| format!("{item:05}")).collect();
                let (items, next, _) = page(&all.iter().map(String::as_str).collect::<Vec<_>>(), &query);
                prop_assert!(items.len() <= size);
                seen.extend(items);
                let Some(next) = next else { break };
                query = format!("PageSize={size}&Page={number}&PageToken={next}");
                // An item that was read and removed later was present as long as it mattered.
                always.retain(|item| !gone.contains(item) || seen.contains(&format!("{item:05}")));
                held = held.difference(&gone).chain(&new).copied().collect();
            }
            prop_assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
            let missed: Vec<_> = always.iter().filter(|item| !seen.contains(&format!("{item:05}"))).collect();
            prop_assert!(missed.is_empty(), "{missed:?}");
        }

        #[test]
        fn any_query_gives_a_page_or_an_error(query in "[PageSizeTokn=&%0-9A-F-]{0,40}", token in ".{0,8}") {
            let items = || vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
            let _ = cut(items(), &FormPairs::parse(query.as_bytes()), MAX_SIZE);
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("PageToken", &token).finish();
            let _ = of_2010(items(), "items", "/", &FormPairs::parse(query.as_bytes()), |item| json!(item));
        }
    }

    #[test]
    fn numbers_alone_lead_nowhere() {
        for bad in [
            "Page=1",
            "Page=x",
            "PageSize=0",
            "PageSize=-1",
            "PageToken=ZZ",
            "PageToken=%C3%A9",
        ] {
            assert!(
                cut(
                    vec![(String::new(), ())],
                    &FormPairs::parse(bad.as_bytes()),
                    MAX_SIZE
                )
                .is_err(),
                "{bad}"
            );
        }
        assert_eq!(page(&[], "PageSize=5000").0.len(), 0);
    }
}
