//! One process of the vault: HTTP on a loopback port, and its use cases.

use std::net::SocketAddr;

use recvault::{
    api,
    app::{self, App, RunningService},
    db::Db,
    flow::Flow,
    store::Store,
};
use tokio::{net::TcpListener, task::JoinSet};

use super::Caller;

/// A running process. A drop has the effect of a kill.
pub(crate) struct Process {
    pub(crate) flow: Flow,
    pub(crate) db: Db,
    pub(crate) store: Store,
    /// A client without a token.
    pub(crate) api: Caller,
    /// The address of its metrics, if it is served.
    pub(crate) metrics: Option<SocketAddr>,
    public: String,
    service: Option<RunningService>,
    _tasks: JoinSet<()>,
}

impl Process {
    /// Starts HTTP and the committer, without workers.
    pub(super) async fn by_hand(mut app: App, public: Option<&str>) -> Self {
        let mut tasks = JoinSet::new();
        let (flow, committer) = app.flow().await.unwrap();
        let clock = app.clock.clone();
        tasks.spawn(async move { committer.run(|| clock.now()).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let public = public.map_or_else(|| format!("http://{address}"), str::to_owned);
        let router = api::router(
            flow.clone(),
            public.parse().unwrap(),
            &app.config.server,
            4096,
        );
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let db = app.db;
        let store = app.store;
        Self {
            flow,
            db,
            store,
            api: Caller::at(address),
            metrics: None,
            public,
            service: None,
            _tasks: tasks,
        }
    }

    /// Starts everything, as `recvault serve` does.
    pub(super) async fn served(app: App) -> Self {
        let db = app.db.clone();
        let store = app.store.clone();
        let public = app.config.server.public_url.clone();
        let service = app::serve(app).await.unwrap();
        let flow = service.flow.clone();
        let address = service.address;
        let metrics = service.metrics;
        let public = public.with_bound_port(address.port()).to_string();
        Self {
            flow,
            db,
            store,
            api: Caller::at(address),
            metrics,
            public,
            service: Some(service),
            _tasks: JoinSet::new(),
        }
    }

    /// Stops a served process gracefully.
    pub(crate) async fn stop(self) {
        let Self { flow, service, .. } = self;
        drop(flow);
        service
            .expect("only a served process can be stopped")
            .stop()
            .await;
    }

    /// Returns the public URL of a path.
    pub(crate) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.public)
    }

    /// Returns the address of a served process.
    pub(crate) fn address(&self) -> SocketAddr {
        self.service.as_ref().expect("it is served").address
    }

    /// Returns the path of a public URL.
    pub(crate) fn path_of(&self, url: &str) -> String {
        url.strip_prefix(&self.public)
            .expect("a URL below the public one")
            .to_owned()
    }
}
