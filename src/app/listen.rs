//! Connections: accepted, bounded in number and in patience, and drained when the service stops.
//!
//! Owns how many there are at once and how many of them one client may have. Refuses to know what
//! is said on them; `wire` carries it.

mod unread;
mod wire;

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use rustix::process::{Resource, getrlimit};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::util::ServiceExt as _;

use self::{
    unread::{Explained, crowded},
    wire::{Wire, WireState},
};
use super::Error;
use crate::api::{
    self,
    limits::{ClientAddress, Share, Shares},
};

/// Connections open at once, at most.
const CONNECTIONS: usize = 4096;
/// Files that the service opens beside connections: database, store, log, downloads.
const OTHER_FILES: u64 = 256;
/// Files of one connection: its socket, and an object or a connection to the database that it waits
/// for.
const FILES_EACH: u64 = 2;
/// A client must send its headers within this time, also the next ones on a connection that it
/// keeps.
const HEADERS: Duration = Duration::from_secs(10);
/// How many connections there may be, whose, and for how long.
#[derive(Clone)]
pub(super) struct Bounds {
    /// At once.
    pub(super) connections: usize,
    shares: Shares,
    /// Their connections are those of many clients.
    proxies: Arc<[api::network::TrustedProxies]>,
    /// With a client that takes nothing.
    patience: Duration,
    /// Bytes a second of one media answer.
    pace: Option<NonZeroU32>,
}

impl Bounds {
    /// What the settings ask for, as far as the process may have files for it.
    pub(super) fn of(settings: &api::ServerSettings) -> Self {
        let limits = &settings.limits;
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let fit = usize::try_from(files.saturating_sub(OTHER_FILES) / FILES_EACH)
            .unwrap_or(usize::MAX)
            .max(1);
        let wanted = match limits.max_connections {
            0 => CONNECTIONS,
            wanted => usize::try_from(wanted).unwrap_or(usize::MAX),
        };
        let connections = wanted.min(fit).min(Semaphore::MAX_PERMITS);
        if wanted > fit && limits.max_connections > 0 {
            tracing::warn!(
                wanted,
                connections,
                files,
                "`server.limits.max_connections` is more than the limit on open files allows: raise it"
            );
        }
        Self {
            connections,
            shares: Shares::new(limits.share_of(connections)),
            proxies: settings.proxies(),
            patience: Duration::from_secs(limits.write_timeout_s.clamp(1, 3600)),
            pace: NonZeroU32::new(limits.media_bytes_per_s),
        }
    }

    /// One more connection from there, unless it has its share.
    fn share(&self, peer: IpAddr) -> Result<Option<Share>, Crowded> {
        if self
            .proxies
            .iter()
            .any(|proxy| proxy.contains(peer.to_canonical()))
        {
            return Ok(None);
        }
        self.shares
            .enter(ClientAddress::at(Some(peer)))
            .map(Some)
            .ok_or(Crowded)
    }
}

/// A client has its share.
struct Crowded;

/// Binds an address; port 0 lets the system choose.
pub(super) async fn bind(address: &str, key: &str) -> Result<(TcpListener, SocketAddr), Error> {
    let io = |cause| Error::Io {
        what: format!("`{key}` = `{address}`"),
        cause,
    };
    let listener = TcpListener::bind(address).await.map_err(io)?;
    let local = listener.local_addr().map_err(io)?;
    Ok((listener, local))
}

/// A bound address that a task may begin to listen at again, until it is given up. Clones share it.
#[derive(Clone)]
pub(super) struct Door(Arc<Mutex<Option<Arc<TcpListener>>>>);

impl Door {
    pub(super) fn of(listener: TcpListener) -> Self {
        Self(Arc::new(Mutex::new(Some(Arc::new(listener)))))
    }

    fn listener(&self) -> Option<Arc<TcpListener>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on the system lets nobody in.
    fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Serves within bounds until `stop`; then lets running answers end, for `grace`.
#[expect(
    clippy::disallowed_methods,
    reason = "one task a connection, drained by the graceful shutdown"
)]
pub(super) async fn serve(
    door: Door,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
    grace: Duration,
) {
    let Some(listener) = door.listener() else {
        return;
    };
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(64 * 1024);
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let (socket, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: a short pause lets connections end.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(share) = bounds.share(peer.ip()) else {
            let _ = socket.try_write(crowded());
            continue;
        };
        // A player's seek is a small request: it must not wait for more.
        let _ = socket.set_nodelay(true);
        let line = Arc::new(WireState::default());
        let wire = Explained::over(Wire::new(socket, Arc::clone(&line), bounds.patience));
        let router = router.clone();
        let pace = bounds.pace;
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let router = router.clone();
            let line = Arc::clone(&line);
            async move {
                router
                    .oneshot(request)
                    .await
                    .map(|response| line.carry(response, pace))
            }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(wire), service));
        let cut = cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                // How a client leaves is its own business.
                _ = connection => {}
                () = cut.cancelled() => {}
            }
            drop((slot, share));
        });
    }
    drop(listener);
    door.close();
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("running answers are aborted");
        cut.cancel();
    }
}
