//! The running service: sink, API, workers and watches, started together and stopped in order.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, routing::get};
use futures_util::{FutureExt as _, future::BoxFuture};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{App, Error, keys, listen, settings, supervise::Tasks};
use crate::{
    api,
    config::Config,
    db::Db,
    flow::{self, Flow, Reloaded, Task, Watch},
    telemetry,
    twilio::PublicUrl,
};

/// A service that has started.
pub struct RunningService {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where metrics are, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Its stories, for who runs in the same process.
    pub flow: Flow,
    file: Option<PathBuf>,
    stop: CancellationToken,
    tasks: Tasks,
    committing: Tasks,
    grace: Duration,
    db: Db,
}

impl RunningService {
    /// Reads the accounts again, with every secret file, and puts them in the place of the present
    /// ones. Nothing else of the configuration is taken over; that takes a start.
    ///
    /// # Errors
    /// Every fault that was found; then the former accounts stay.
    pub async fn reload(&self) -> Result<Reloaded, Error> {
        let config = Config::read(self.file.as_deref().unwrap_or(Path::new("recvault.toml")))?;
        let mut accounts = config
            .twilio
            .resolve(&config.base)
            .map_err(|faults| settings(&faults))?;
        keys::open_tokens(&mut accounts)?;
        Ok(self.flow.accounts.put(accounts).await?)
    }

    /// Stops gracefully: no new connections, running answers and work get their grace, everything
    /// accepted is committed.
    pub async fn stop(self) {
        let Self {
            flow,
            stop,
            tasks,
            committing,
            grace,
            db,
            ..
        } = self;
        stop.cancel();
        tracing::info!("stopping");
        tasks.ended().await;
        if tokio::time::timeout(grace, flow.running.idle())
            .await
            .is_err()
        {
            tracing::warn!("running requests are aborted");
        }
        // The queue of callbacks ends when the last holder of its other end is gone, and this is
        // one.
        drop(flow);
        if tokio::time::timeout(grace + Duration::from_secs(5), committing.ended())
            .await
            .is_err()
        {
            tracing::warn!("the queue of callbacks is still in use");
        }
        db.close().await;
        tracing::info!("stopped");
    }
}

/// Starts the service and returns once it listens.
///
/// # Errors
/// Whatever keeps it from serving; nothing runs then.
pub async fn serve(mut app: App) -> Result<RunningService, Error> {
    let settings = app.config.server.clone();
    let (listener, address) = listen::bind(&settings.listen, "server.listen").await?;
    // For a port that the system chose, the public address follows it.
    let public = settings
        .public_url
        .replace(":0", &format!(":{}", address.port()));
    let public: PublicUrl = public
        .parse()
        .map_err(|error| Error::Settings(format!("`server.public_url`: {error}")))?;
    let metrics = match settings.metrics_listen.as_str() {
        "" => None,
        bound => Some((
            listen::bind(bound, "server.metrics_listen").await?,
            counting()?,
        )),
    };
    let (flow, committer) = app.flow().await?;
    flow.health.probe().await?;
    app.store.check_permissions().await?;
    // Only the service puts a policy in force; other commands read the file and change nothing.
    flow::put_in_force(&app.db, &flow.vault, flow.rulebook.current()).await?;
    // Before anybody can listen.
    let watch = flow.playback.watch().await?;

    let stop = CancellationToken::new();
    let grace = app.grace();
    let bounds = listen::Bounds::of(&settings);
    let router = api::router(flow.clone(), public, &settings, bounds.connections);
    tracing::info!(
        connections = bounds.connections,
        of_one_address = settings.limits.share_of(bounds.connections),
        "connection limits"
    );
    // It ends when its queue does, which is after all others have.
    let mut committing = Tasks::until(stop.clone(), flow.liveness.clone());
    let committer = Arc::new(committer);
    let clock = app.clock.clone();
    committing.keep(Task::Callbacks, move || {
        let committer = Arc::clone(&committer);
        let clock = clock.clone();
        async move { committer.run(|| clock.now()).await }
    });
    let mut tasks = Tasks::until(stop.clone(), flow.liveness.clone());
    let mut keep =
        |task: Task, run: fn(Flow, CancellationToken, Duration) -> BoxFuture<'static, ()>| {
            let flow = flow.clone();
            let stop = stop.clone();
            tasks.keep(task, move || run(flow.clone(), stop.clone(), grace));
        };
    keep(Task::Work, |flow, stop, grace| {
        flow.worker.work(stop, grace).boxed()
    });
    keep(Task::Sweep, |flow, stop, _| {
        flow.sweeper.hourly(stop).boxed()
    });
    keep(Task::Memory, |flow, stop, _| {
        flow.recovery.watch_memory(stop).boxed()
    });
    keep(Task::Recovery, |flow, stop, _| {
        flow.recovery.watch(stop).boxed()
    });
    keep(Task::Epochs, |flow, stop, _| {
        flow.epochs.watch(stop).boxed()
    });
    keep(Task::Revocations, |flow, stop, _| {
        flow.revocations.watch_released(stop).boxed()
    });
    keep(Task::Reconciliation, |flow, stop, _| {
        flow.reconciliation.watch(stop).boxed()
    });
    tasks.keep(Task::Tombstones, {
        let flow = flow.clone();
        let stop = stop.clone();
        let first = Arc::new(Mutex::new(Some(watch)));
        move || watch_tombstones(flow.clone(), Arc::clone(&first), stop.clone(), grace)
    });
    tasks.keep(
        Task::Requests,
        serving(listener, router, bounds.clone(), &stop, grace),
    );
    let metrics = metrics.map(|((listener, address), handle)| {
        let router = Router::new()
            .route("/metrics", get(show_metrics))
            .with_state((handle, flow.clone()));
        tasks.keep(
            Task::Metrics,
            serving(
                listener,
                router,
                listen::Bounds::of(&settings),
                &stop,
                Duration::from_secs(1),
            ),
        );
        address
    });
    let metrics_address = metrics.map_or_else(|| "none".to_owned(), |address| address.to_string());
    tracing::info!(%address, metrics = metrics_address, db = app.db.kind(), store = app.store.name(), vault = %flow.vault.id(), "serving");
    Ok(RunningService {
        address,
        metrics,
        flow,
        file: app.config.file,
        stop,
        tasks,
        committing,
        grace,
        db: app.db,
    })
}

/// Goes on with the watch that began before anybody could listen; after a restart, with a new one,
/// which ends the streams that the former covered.
async fn watch_tombstones(
    flow: Flow,
    first: Arc<Mutex<Option<Watch>>>,
    stop: CancellationToken,
    grace: Duration,
) {
    let begun = first.lock().unwrap_or_else(PoisonError::into_inner).take();
    let watch = match begun {
        Some(watch) => Ok(watch),
        None => flow.playback.watch().await,
    };
    match watch {
        Ok(watch) => watch.run(stop, grace).await,
        Err(error) => tracing::warn!(%error, "tombstones cannot be watched"),
    }
}

/// Connections wait in the system's queue while their task is started again.
fn serving(
    listener: TcpListener,
    router: Router,
    bounds: listen::Bounds,
    stop: &CancellationToken,
    grace: Duration,
) -> impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static {
    let door = listen::Door::of(listener);
    let stop = stop.clone();
    move || {
        listen::serve(
            door.clone(),
            router.clone(),
            bounds.clone(),
            stop.clone(),
            grace,
        )
        .boxed()
    }
}

/// One recorder a process: a second service of the same process counts into the first one's.
fn counting() -> Result<PrometheusHandle, Error> {
    static HANDLE: std::sync::Mutex<Option<PrometheusHandle>> = std::sync::Mutex::new(None);
    let mut handle = HANDLE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if handle.is_none() {
        *handle = Some(telemetry::count().map_err(|error| Error::Metrics(error.to_string()))?);
    }
    handle
        .clone()
        .ok_or_else(|| Error::Metrics("no recorder".into()))
}

/// `/metrics` on a listener of its own, so that it cannot leak to the public one.
async fn show_metrics(State((handle, flow)): State<(PrometheusHandle, Flow)>) -> String {
    metrics::counter!("recvault_log_lines_lost_total").absolute(telemetry::lost());
    for (task, is_alive) in flow.liveness.all() {
        metrics::gauge!("recvault_task_alive", "task" => task.as_str())
            .set(f64::from(u8::from(is_alive)));
    }
    if let Err(error) = flow.monitoring.measure().await {
        tracing::warn!(%error, "metrics gauges cannot be read");
    }
    handle.run_upkeep();
    handle.render()
}
