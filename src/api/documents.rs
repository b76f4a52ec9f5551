//! Documents that anybody may read and that do not change: made once, and not sent to who has them.
//!
//! Owns what is kept of them and the answer to `If-None-Match` (RFC 9110, section 13.1.2).
//! INVARIANT: an entity tag names one document for good.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// Documents kept; there are a few for each version of the policy.
const KEPT: usize = 64;

/// Documents by their entity tags.
#[derive(Default)]
pub(super) struct Documents(Mutex<HashMap<String, Bytes>>);

impl Documents {
    /// The document with this tag, made if it is not kept.
    pub(super) fn get(&self, etag: &str, make: impl FnOnce() -> String) -> Bytes {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = kept.get(etag) {
            return document.clone();
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let document = Bytes::from(make());
        kept.insert(etag.to_owned(), document.clone());
        document
    }
}

/// A document, or that the asker has it.
pub(super) fn answer(
    asked: &HeaderMap,
    content_type: &'static str,
    etag: &str,
    document: Bytes,
) -> Response {
    let mut response = if has_it(asked, etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], document).into_response()
    };
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// By the weak comparison that `If-None-Match` asks for.
fn has_it(asked: &HeaderMap, etag: &str) -> bool {
    let tags = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_not_sent_it() {
        for (asked, has) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("a", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, asked.parse().unwrap());
            assert_eq!(has_it(&headers, "\"a\""), has, "{asked}");
        }
        assert!(!has_it(&HeaderMap::new(), "\"a\""));
    }

    #[test]
    fn a_document_is_made_once_and_few_are_kept() {
        let documents = Documents::default();
        assert_eq!(documents.get("a", || "x".into()), "x");
        assert_eq!(documents.get("a", || unreachable!("it is kept")), "x");
        for number in 0..1000 {
            documents.get(&number.to_string(), String::new);
        }
        assert!(documents.0.lock().unwrap().len() <= KEPT);
    }
}
