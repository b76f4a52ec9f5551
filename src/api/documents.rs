//! Public, immutable documents: cached, with entity tags.
//!
//! Owns the cache. `conditions` decides whether a document is sent.
//! INVARIANT: an entity tag identifies one document forever.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::conditions::{self, Precondition};

/// The most cached documents; there are a few for each version of the policy.
const KEPT: usize = 64;

/// Documents by their entity tags.
#[derive(Default)]
pub(super) struct DocumentCache(Mutex<HashMap<String, Bytes>>);

impl DocumentCache {
    /// Returns the document with this tag, made if it is not cached.
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

/// Returns the tag of a document: a digest of its bytes.
pub(super) fn etag(document: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document);
    format!("\"{}\"", hex::encode(digest))
}

/// Returns 200, 304 or 412. A client may store the document, but must revalidate it before each
/// use.
pub(super) fn answer(
    asked: &HeaderMap,
    content_type: &'static str,
    etag: &str,
    document: Bytes,
) -> Response {
    let mut response = match conditions::evaluate(asked, etag) {
        Err(problem) => return problem.into_response(),
        Ok(Precondition::NotModified) => StatusCode::NOT_MODIFIED.into_response(),
        Ok(Precondition::Met) => ([(header::CONTENT_TYPE, content_type)], document).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_may_be_kept_and_is_asked_for_again() {
        for held in ["\"a\"", "\"b\""] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, held.parse().unwrap());
            let answer = answer(&headers, "text/plain", "\"a\"", Bytes::from("x"));
            assert_eq!(
                answer.headers()[header::CACHE_CONTROL],
                "no-cache",
                "{held}"
            );
            assert_eq!(answer.headers()[header::ETAG], "\"a\"");
        }
    }

    #[test]
    fn a_document_is_made_once_and_few_are_kept() {
        let documents = DocumentCache::default();
        assert_eq!(documents.get("a", || "x".into()), "x");
        assert_eq!(documents.get("a", || unreachable!("it is kept")), "x");
        for number in 0..1000 {
            documents.get(&number.to_string(), String::new);
        }
        assert!(documents.0.lock().unwrap().len() <= KEPT);
    }
}
