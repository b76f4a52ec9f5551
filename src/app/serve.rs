//! The running service: sink, API, workers and watches, started together and stopped in order.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{App, Error, keys, listen, settings};
use crate::{
    api,
    config::Config,
    flow::{self, Flow, Reloaded},
    telemetry,
    twilio::PublicUrl,
};

/// A service that has started.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where metrics are, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Its stories, for who runs in the same process.
    pub flow: Flow,
    file: Option<PathBuf>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Service {
    /// Reads the accounts again, with every secret file, and puts them in the place of the present ones. Nothing else of the configuration is taken
    /// over; that takes a start.
    ///
    /// # Errors
    /// Every fault that was found; then the former accounts stay.
    pub async fn reload(&self) -> Result<Reloaded, Error> {
        let config = Config::read(self.file.as_deref().unwrap_or(Path::new("recvault.toml")))?;
        let mut accounts = config.twilio.resolve(&config.base).map_err(|faults| settings(&faults))?;
        keys::open_tokens(&mut accounts)?;
        Ok(self.flow.put_accounts(accounts).await?)
    }

    /// Stops gracefully: no new connections, running answers and work get their grace, everything accepted is committed.
    pub async fn stop(self) {
        let Self { flow, stop, task, .. } = self;
        // The queue of callbacks ends when the last holder of its other end is gone, and this is one.
        drop(flow);
        stop.cancel();
        if let Err(error) = task.await {
            tracing::error!(%error, "the service did not stop cleanly");
        }
    }
}

/// Starts the service and returns once it listens.
///
/// # Errors
/// Whatever keeps it from serving; nothing runs then.
#[expect(clippy::disallowed_methods, reason = "the service's own tasks, all ended by `stop`")]
pub async fn serve(mut app: App) -> Result<Service, Error> {
    let settings = app.config.server.clone();
    let (listener, address) = listen::bind(&settings.listen, "server.listen").await?;
    // For a port that the system chose, the public address follows it.
    let public = settings.public_url.replace(":0", &format!(":{}", address.port()));
    let public: PublicUrl = public.parse().map_err(|error| Error::Settings(format!("`server.public_url`: {error}")))?;
    let metrics = match settings.metrics_listen.as_str() {
        "" => None,
        bound => Some((listen::bind(bound, "server.metrics_listen").await?, counting()?)),
    };
    let (flow, committer) = app.flow().await?;
    flow.probe().await?;
    app.store.rehearse().await?;
    flow.vault().check_memory().await.map_err(flow::Error::from)?;
    // Only the service puts a policy in force; other commands read the file and change nothing. Not before it is sure of its memory: an old
    // copy of the ledger would be written to, and look newer than it is.
    flow::put_in_force(flow.vault(), flow.rulebook().current()).await?;
    // Before anybody can listen.
    let watch = flow.watch().await?;

    let stop = CancellationToken::new();
    let grace = app.grace();
    let router = api::router(flow.clone(), public, &settings);
    let committing = tokio::spawn(committer.run({
        let clock = app.clock.clone();
        move || clock.now()
    }));
    let mut tasks = vec![
        tokio::spawn(flow.clone().work(stop.clone(), grace)),
        tokio::spawn(flow.clone().transcribe(stop.clone(), grace)),
        tokio::spawn(watch.run(stop.clone(), grace)),
        tokio::spawn(flow.clone().sweep_hourly(stop.clone())),
        tokio::spawn(flow.clone().watch_recovery(stop.clone())),
        tokio::spawn(flow.clone().watch_epochs(stop.clone())),
        tokio::spawn(flow.clone().watch_revocations(stop.clone())),
        tokio::spawn(flow.clone().watch_sources(stop.clone())),
        tokio::spawn(listen::serve(listener, router, stop.clone(), grace)),
    ];
    let metrics = metrics.map(|((listener, address), handle)| {
        tasks.push(tokio::spawn(serve_metrics(listener, handle, flow.clone(), stop.clone())));
        address
    });
    let metrics_address = metrics.map_or_else(|| "none".to_owned(), |address| address.to_string());
    tracing::info!(%address, metrics = metrics_address, ledger = app.ledger.kind(), store = app.store.name(), vault = %flow.vault().id(), "serving");

    let (own, ending, ledger) = (flow.clone(), stop.clone(), app.ledger.clone());
    let task = tokio::spawn(async move {
        ending.cancelled().await;
        tracing::info!("stopping");
        for task in tasks {
            let _ = task.await;
        }
        // The queue of callbacks ends when the last holder of its other end is gone.
        drop(own);
        if tokio::time::timeout(grace + Duration::from_secs(5), committing).await.is_err() {
            tracing::warn!("somebody still holds the queue of callbacks");
        }
        ledger.close().await;
        tracing::info!("stopped");
    });
    Ok(Service { address, metrics, flow, file: app.config.file, stop, task })
}

/// One recorder a process: a second service of the same process counts into the first one's.
fn counting() -> Result<metrics_exporter_prometheus::PrometheusHandle, Error> {
    static HANDLE: std::sync::Mutex<Option<metrics_exporter_prometheus::PrometheusHandle>> = std::sync::Mutex::new(None);
    let mut handle = HANDLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if handle.is_none() {
        *handle = Some(telemetry::count().map_err(|error| Error::Metrics(error.to_string()))?);
    }
    handle.clone().ok_or_else(|| Error::Metrics("no recorder".into()))
}

/// `/metrics` on a listener of its own, so that it cannot leak to the public one.
async fn serve_metrics(listener: TcpListener, handle: metrics_exporter_prometheus::PrometheusHandle, flow: Flow, stop: CancellationToken) {
    let show = move || {
        let (handle, flow) = (handle.clone(), flow.clone());
        async move {
            if let Err(error) = flow.measure().await {
                tracing::warn!(%error, "gauges cannot be read");
            }
            handle.run_upkeep();
            handle.render()
        }
    };
    listen::serve(listener, Router::new().route("/metrics", get(show)), stop, Duration::from_secs(1)).await;
}
