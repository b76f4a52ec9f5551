//! Lists, page by page, in both of Twilio's envelopes.
//!
//! Owns the detection of a list's end, and of a list that never ends. INVARIANT: the next page is
//! the one that the server names, because its token cannot be computed. It is requested on the
//! list's own root and path only, and no page is requested twice. Only an absent, `null` or empty
//! address ends a list: any other address that cannot be followed is an error, so that a part of a
//! list never looks like all of it.

use std::{collections::HashSet, marker::PhantomData};

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Account, ApiUrl, RestApi, RestError, TwilioClient};

/// The most pages of one list: for recordings, five million items.
const MOST_PAGES: usize = 10_000;
/// The most consecutive pages without a readable item.
const MOST_EMPTY: u32 = 50;
/// The most pages of a list that is known to be short.
const MOST_OF_SHORT: usize = 50;

const NO_LIST: RestError = RestError::Shape("the list lacks its documented envelope");
const UNREADABLE: RestError = RestError::Shape("the next page has no readable address");
const ELSEWHERE: RestError =
    RestError::Shape("the address of the next page leads to another place");
const CIRCLE: RestError = RestError::Shape("the list leads back to an earlier page");
const ENDLESS: RestError = RestError::Shape("the list does not end");

/// One page of a list.
#[derive(Debug)]
pub struct ListPage<T> {
    /// The items, in the server's order.
    pub items: Vec<T>,
    /// The number of further items that are unreadable.
    pub unreadable: usize,
}

/// A whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// The items, in the server's order.
    pub items: Vec<T>,
    /// The number of further items that are unreadable.
    pub unreadable: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            unreadable: 0,
        }
    }
}

/// An iteration over a list.
#[derive(Debug)]
pub struct Pages<T> {
    items: &'static str,
    next: Result<Option<ApiUrl>, RestError>,
    asked: HashSet<String>,
    empty: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pages<T> {
    /// Starts an iteration at this address; `items` is the name of the array.
    pub(super) fn new(first: ApiUrl, items: &'static str) -> Self {
        Self {
            items,
            asked: HashSet::from([key(&first.url)]),
            next: Ok(Some(first)),
            empty: 0,
            kind: PhantomData,
        }
    }

    /// Returns the next page; `None` after the last. After a transient error it may be called
    /// again.
    ///
    /// # Errors
    /// [`RestError::Shape`] also for a list that leads elsewhere, has a cycle or never ends. All
    /// pages before that were returned.
    pub async fn next(
        &mut self,
        client: &TwilioClient,
        account: &Account,
    ) -> Result<Option<ListPage<T>>, RestError> {
        let Some(url) = self.next.clone()? else {
            return Ok(None);
        };
        let mut envelope: Value = client.get(account, url.clone()).await?;
        let page = page(&mut envelope, self.items)?;
        self.empty = if page.items.is_empty() {
            self.empty.saturating_add(1)
        } else {
            0
        };
        self.next =
            next(&envelope, &url).and_then(|next| next.map(|next| self.advance(next)).transpose());
        if page.unreadable > 0 {
            metrics::counter!("recvault_twilio_unreadable_total", "list" => self.items)
                .increment(u64::try_from(page.unreadable).unwrap_or(u64::MAX));
            tracing::warn!(
                account = %account.sid(), list = self.items, items = page.unreadable,
                "a list of Twilio has items that cannot be read"
            );
        }
        Ok(Some(page))
    }

    /// Checks the next page against the limits and the pages already requested.
    fn advance(&mut self, next: ApiUrl) -> Result<ApiUrl, RestError> {
        if self.empty >= MOST_EMPTY || self.asked.len() >= MOST_PAGES {
            return Err(ENDLESS);
        }
        if !self.asked.insert(key(&next.url)) {
            return Err(CIRCLE);
        }
        Ok(next)
    }
}

impl TwilioClient {
    /// Returns a whole list that is known to be short.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        account: &Account,
        first: ApiUrl,
        items: &'static str,
    ) -> Result<List<T>, RestError> {
        let mut all = List::default();
        let mut pages = Pages::new(first, items);
        for _ in 0..MOST_OF_SHORT {
            let Some(page) = pages.next(self, account).await? else {
                return Ok(all);
            };
            all.items.extend(page.items);
            all.unreadable += page.unreadable;
        }
        match pages.next {
            Ok(None) => Ok(all),
            Ok(Some(_)) => Err(ENDLESS),
            Err(error) => Err(error),
        }
    }
}

fn key(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// Parses the items of a page.
pub(super) fn page<T: DeserializeOwned>(
    envelope: &mut Value,
    items: &'static str,
) -> Result<ListPage<T>, RestError> {
    let Some(Value::Array(told)) = envelope.get_mut(items).map(Value::take) else {
        return Err(NO_LIST);
    };
    let count = told.len();
    let items: Vec<T> = told
        .into_iter()
        .filter_map(|item| serde_json::from_value(item).ok())
        .collect();
    Ok(ListPage {
        unreadable: count - items.len(),
        items,
    })
}

/// Returns the address of the next page: in version 2010-04-01 `next_page_uri`, relative or on the
/// same root; in the newer interfaces `meta.next_page_url`, which is absolute.
pub(super) fn next(envelope: &Value, from: &ApiUrl) -> Result<Option<ApiUrl>, RestError> {
    let told = match from.root {
        RestApi::Api => envelope.get("next_page_uri"),
        _ => envelope
            .get("meta")
            .filter(|meta| meta.is_object())
            .ok_or(NO_LIST)?
            .get("next_page_url"),
    };
    let told = match told {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(told)) if told.is_empty() => return Ok(None),
        Some(Value::String(told)) => told,
        Some(_) => return Err(UNREADABLE),
    };
    let url = match from.root {
        RestApi::Api => from.url.join(told).map_err(|_| UNREADABLE)?,
        _ => {
            // A server behind another host or scheme names itself; only path and query matter.
            let told = Url::parse(told).map_err(|_| UNREADABLE)?;
            let mut url = from.url.clone();
            url.set_path(told.path());
            url.set_query(told.query());
            url
        }
    };
    if url.origin() != from.url.origin() || url.path() != from.url.path() {
        return Err(ELSEWHERE);
    }
    Ok(Some(ApiUrl {
        root: from.root,
        url,
    }))
}
