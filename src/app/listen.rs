//! Connections: accepted, bounded in number and in patience, and drained when the service stops.

mod wire;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::util::ServiceExt as _;

use self::wire::{Line, Wire};
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

/// Serves until `stop`; then lets running answers end, for `grace`.
#[expect(clippy::disallowed_methods, reason = "one task a connection, drained by the graceful shutdown")]
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, grace: Duration) {
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
        let line = Arc::new(Line::default());
        let wire = Wire::new(socket, Arc::clone(&line), Duration::from_secs(30));
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let (router, line) = (router.clone(), Arc::clone(&line));
            async move { router.oneshot(request).await.map(|response| line.carry(response, None)) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(wire), service));
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
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("answers that were still running are cut off");
        cut.cancel();
    }
}
