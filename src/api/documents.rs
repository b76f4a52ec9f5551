//! Documents that anybody may read and that do not change: made once, and not sent to who has them.
//!
//! Owns what is kept of them. `conditions` says whether one is sent.
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

use super::conditions::{self, Precondition};

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

/// The tag of a document that is made by nothing but this program.
pub(super) fn etag(document: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document);
    format!("\"{}\"", hex::encode(digest))
}

/// A document, or that the asker has it, or that it is not the one they mean.
pub(super) fn answer(
    asked: &HeaderMap,
    content_type: &'static str,
    etag: &str,
    document: Bytes,
) -> Response {
    let mut response = match conditions::asked(asked, etag) {
        Err(problem) => return problem.into_response(),
        Ok(Precondition::Known) => StatusCode::NOT_MODIFIED.into_response(),
        Ok(Precondition::Met) => ([(header::CONTENT_TYPE, content_type)], document).into_response(),
    };
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
