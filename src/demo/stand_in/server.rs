//! A server on a loopback port with the lifetime of its handle.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Stops accepting connections, and ends its slow answers, on drop.
pub(super) struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Starts the router of `routes`, which receives the token that is cancelled at the end.
pub(super) async fn start(routes: impl FnOnce(CancellationToken) -> Router) -> io::Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let serving = axum::serve(listener, routes(stop.clone()))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    #[expect(
        clippy::disallowed_methods,
        reason = "the stand-in plays another machine; its handle ends the task"
    )]
    tokio::spawn(serving.into_future());
    Ok(Server {
        address,
        _stop: stop.drop_guard(),
    })
}
