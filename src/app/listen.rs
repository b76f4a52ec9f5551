//! Connections: accepted, limited in number and time, and drained when the service stops.
//!
//! Owns the number of connections, in total and per client. Refuses to know the bytes on them; see
//! `wire`.

mod protocol_errors;
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
    protocol_errors::{ProblemBodies, crowded},
    wire::{GuardedSocket, SocketState},
};
use super::Error;
use crate::api::{
    self,
    client_ip::TrustedProxies,
    limits::{RateLimitKey, Share, Shares},
};

/// The most connections at once.
const CONNECTIONS: usize = 4096;
/// The number of files that the service opens besides connections: database, store, log, downloads.
const OTHER_FILES: u64 = 256;
/// The number of files per connection: its socket, and an object or a database connection for it.
const FILES_EACH: u64 = 2;
/// The time within which a client must send its headers, also those of later requests on the same
/// connection.
const HEADERS: Duration = Duration::from_secs(10);
/// The limits of connections.
#[derive(Clone)]
pub(super) struct ConnectionLimits {
    /// The most connections at once.
    pub(super) connections: usize,
    shares: Shares,
    /// The proxies, whose connections carry the requests of many clients.
    proxies: TrustedProxies,
    /// The longest time for which a client may accept no byte.
    patience: Duration,
    /// The rate of one media answer, in bytes per second.
    pace: Option<NonZeroU32>,
}

impl ConnectionLimits {
    /// Returns the configured limits, reduced to the number of files that the process may open.
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
            proxies: settings.trusted_proxies.clone(),
            patience: limits.write_timeout_s.duration(),
            pace: NonZeroU32::new(limits.media_bytes_per_s),
        }
    }

    /// Counts one more connection of this peer, unless it has reached its limit.
    fn share(&self, peer: IpAddr) -> Result<Option<Share>, Crowded> {
        if self.proxies.contains(peer) {
            return Ok(None);
        }
        self.shares
            .enter(RateLimitKey::of(Some(peer)))
            .map(Some)
            .ok_or(Crowded)
    }
}

/// The client has reached its limit of connections.
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

/// A bound listener that a restarted task can use again, until it is closed. Clones share it.
#[derive(Clone)]
pub(super) struct SharedListener(Arc<Mutex<Option<Arc<TcpListener>>>>);

impl SharedListener {
    pub(super) fn of(listener: TcpListener) -> Self {
        Self(Arc::new(Mutex::new(Some(Arc::new(listener)))))
    }

    fn listener(&self) -> Option<Arc<TcpListener>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Closes the listener: the system accepts no more connections.
    fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Serves within the limits until `stop`, then waits up to `grace` for running answers.
#[expect(
    clippy::disallowed_methods,
    reason = "one task a connection, drained by the graceful shutdown"
)]
pub(super) async fn serve(
    door: SharedListener,
    router: Router,
    bounds: ConnectionLimits,
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
                    // Most likely out of file descriptors: a short pause lets connections end.
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
        // A seek in a player is a small request, which must not wait to be coalesced.
        let _ = socket.set_nodelay(true);
        let line = Arc::new(SocketState::default());
        let wire = ProblemBodies::over(GuardedSocket::new(
            socket,
            Arc::clone(&line),
            bounds.patience,
        ));
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
                // A client may disconnect in any way.
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
