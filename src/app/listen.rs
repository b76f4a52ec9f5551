//! Connections: accepted, bounded in number and in patience, and drained when the service stops.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::util::ServiceExt as _;

use super::Error;

/// Connections open at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;
/// A client must send its headers within this time.
const HEADERS: Duration = Duration::from_secs(10);

/// Binds an address; port 0 lets the system choose.
pub(super) async fn bind(address: &str, key: &str) -> Result<(TcpListener, SocketAddr), Error> {
    let io = |cause| Error::Io { what: format!("`{key}` = `{address}`"), cause };
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on the system lets nobody in.
    fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Serves until `stop`; then lets running answers end, for `grace`.
#[expect(clippy::disallowed_methods, reason = "one task a connection, drained by the graceful shutdown")]
pub(super) async fn serve(door: Door, router: Router, stop: CancellationToken, grace: Duration) {
    let Some(listener) = door.listener() else { return };
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let (graceful, cut) = (GracefulShutdown::new(), CancellationToken::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 * 1024);
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
        // A player's seek is a small request: it must not wait for more.
        let _ = socket.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone().map_request(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        }));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(socket), service));
        let cut = cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                // How a client leaves is its own business.
                _ = connection => {}
                () = cut.cancelled() => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    door.close();
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("answers that were still running are cut off");
        cut.cancel();
    }
}
