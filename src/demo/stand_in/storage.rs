//! The storage host of redirected media: objects behind signed links.
//!
//! Like S3, it answers 400 to a request with a second kind of authentication; and it records
//! whether there was one.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{
    StandIn, lock,
    server::{self, Server},
};

pub(super) struct Storage {
    server: Server,
    shelf: Arc<Shelf>,
}

#[derive(Default)]
struct Shelf {
    objects: Mutex<HashMap<String, (Bytes, HeaderMap)>>,
    requests: AtomicU64,
    authorization: AtomicBool,
}

impl Storage {
    pub(super) async fn start() -> io::Result<Self> {
        let shelf = Arc::new(Shelf::default());
        let own = Arc::clone(&shelf);
        let server = server::start(|_| {
            Router::new()
                .fallback(async move |uri: Uri, headers: HeaderMap| own.answer(&uri, &headers))
        })
        .await?;
        Ok(Self { server, shelf })
    }

    /// Stores an object and returns its signed URL.
    pub(super) fn put(&self, path: &str, object: Bytes) -> String {
        self.put_with(path, object, Vec::new())
    }

    /// Stores an object with further headers.
    pub(super) fn put_with(
        &self,
        path: &str,
        object: Bytes,
        headers: Vec<(String, String)>,
    ) -> String {
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            Some((name, HeaderValue::try_from(value).ok()?))
        });
        let held = (object, headers.collect());
        lock(&self.shelf.objects).insert(path.to_owned(), held);
        format!(
            "{}{path}?X-Amz-Signature={}",
            self.server.base_url(),
            super::new_sid("")
        )
    }

    /// Returns a URL without an object.
    pub(super) fn nowhere(&self) -> String {
        format!("{}/elsewhere", self.server.base_url())
    }
}

impl Shelf {
    fn answer(&self, uri: &Uri, headers: &HeaderMap) -> Response {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if headers.contains_key(header::AUTHORIZATION) {
            self.authorization.store(true, Ordering::SeqCst);
            return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
        }
        match lock(&self.objects).get(uri.path()) {
            Some((object, further)) => {
                let kind = [(header::CONTENT_TYPE, "binary/octet-stream")];
                (kind, further.clone(), object.clone()).into_response()
            }
            None => (StatusCode::FORBIDDEN, "AccessDenied").into_response(),
        }
    }
}

impl StandIn {
    /// Stores an object in the storage beside Twilio and returns its URL, for
    /// [`StandIn::add_external_recording`]. `path` begins with `/`.
    pub fn store_elsewhere(&self, path: &str, object: Bytes) -> String {
        self.world.storage.put(path, object)
    }

    /// Returns the number of requests at the other host, the target of redirects.
    pub fn requests_elsewhere(&self) -> u64 {
        self.world.storage.shelf.requests.load(Ordering::SeqCst)
    }

    /// Whether any request at the other host carried an `Authorization` header.
    pub fn saw_authorization_elsewhere(&self) -> bool {
        self.world
            .storage
            .shelf
            .authorization
            .load(Ordering::SeqCst)
    }
}
