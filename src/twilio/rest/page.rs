//! Lists, page by page, in both of Twilio's envelopes.
//!
//! INVARIANT: the next page is the one that the other side names, because its token cannot be computed; it is asked for on the list's own root
//! and path only.

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Account, Client, RestError, Root};

/// Some of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// In the order in which the other side told them.
    pub items: Vec<T>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Next>,
}

/// Where a list goes on.
#[derive(Clone, Debug)]
pub struct Next(Url);

impl Client {
    /// A page of a list of version 2010-04-01: `items` is the name of the array, `next_page_uri` is relative.
    pub(super) async fn page<T: DeserializeOwned>(&self, account: &Account, url: Url, items: &'static str) -> Result<Page<T>, RestError> {
        let mut envelope: Value = self.get(account, url.clone()).await?;
        let next = envelope.get("next_page_uri").and_then(Value::as_str).map(str::to_owned);
        page(&mut envelope, items, next.as_deref(), &url)
    }

    /// A page of a list of Conversational Intelligence: `meta.next_page_url` is absolute.
    pub(super) async fn page_v2<T: DeserializeOwned>(
        &self,
        account: &Account,
        url: Url,
        items: &'static str,
    ) -> Result<Page<T>, RestError> {
        let mut envelope: Value = self.get(account, url.clone()).await?;
        let next = envelope.pointer("/meta/next_page_url").and_then(Value::as_str).map(str::to_owned);
        // A server behind another host or scheme names itself; what counts is path and query.
        let next = next.as_deref().and_then(|next| Url::parse(next).ok());
        let next = next.map(|next| format!("{}?{}", next.path(), next.query().unwrap_or_default()));
        page(&mut envelope, items, next.as_deref(), &url)
    }

    /// All of a list that is known to be short: at most 50 pages are walked.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        account: &Account,
        root: Root,
        url: Url,
        items: &'static str,
    ) -> Result<Vec<T>, RestError> {
        let (mut all, mut url) = (Vec::new(), url);
        for _ in 0..50 {
            let page = match root {
                Root::Api => self.page(account, url, items).await?,
                Root::Intelligence => self.page_v2(account, url, items).await?,
            };
            all.extend(page.items);
            match page.next {
                Some(Next(next)) => url = next,
                None => return Ok(all),
            }
        }
        Err(RestError::Shape("the list does not end"))
    }
}

impl Next {
    pub(super) fn into_url(self) -> Url {
        self.0
    }
}

pub(super) fn page<T: DeserializeOwned>(
    envelope: &mut Value,
    items: &'static str,
    next: Option<&str>,
    from: &Url,
) -> Result<Page<T>, RestError> {
    const NO_LIST: RestError = RestError::Shape("the list is not in its envelope");
    let items = envelope.get_mut(items).map(Value::take).ok_or(NO_LIST)?;
    let items = serde_json::from_value(items).map_err(|_| NO_LIST)?;
    let next = match next {
        None => None,
        Some(next) => {
            let next = from.join(next).map_err(|_| RestError::Shape("the next page has no readable address"))?;
            if next.origin() != from.origin() || next.path() != from.path() {
                return Err(RestError::Shape("the next page is elsewhere"));
            }
            if next == *from {
                return Err(RestError::Shape("the next page is this page"));
            }
            Some(Next(next))
        }
    };
    Ok(Page { items, next })
}
