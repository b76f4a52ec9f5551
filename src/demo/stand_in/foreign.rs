//! Another host, the target of a redirect: storage, or an attacker who collects credentials.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    http::{HeaderMap, header},
};
use bytes::Bytes;

use super::server::{self, Server};

/// A server that answers every GET with the same WAV file and records the requests. Stops on drop.
pub struct ForeignHost {
    server: Server,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    authorization: AtomicBool,
}

impl ForeignHost {
    /// Listens on a loopback port that the system chooses.
    pub async fn start(wav: Bytes) -> io::Result<Self> {
        let seen = Arc::new(Seen::default());
        let witness = Arc::clone(&seen);
        let answer = async move |headers: HeaderMap| {
            witness.requests.fetch_add(1, Ordering::SeqCst);
            if headers.contains_key(header::AUTHORIZATION) {
                witness.authorization.store(true, Ordering::SeqCst);
            }
            (
                [(header::CONTENT_TYPE, "application/octet-stream")],
                wav.clone(),
            )
        };
        let server = server::start(|_| Router::new().fallback(answer)).await?;
        Ok(Self { server, seen })
    }

    /// `http://127.0.0.1:<port>`; every path below it returns the file.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Returns the number of requests.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// Whether any request carried an `Authorization` header.
    pub fn saw_authorization(&self) -> bool {
        self.seen.authorization.load(Ordering::SeqCst)
    }
}
