//! The running service: the HTTP interface, the workers and the watches, started together and
//! stopped in order.

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

use super::{App, Committers, Error, keys, listen, settings, supervise::Tasks};
use crate::{
    api,
    config::Config,
    db::Db,
    flow::{self, Flow, Reloaded, Task, Watch},
    model::time::Clock,
    policy::Rules,
    telemetry,
    twilio::PublicUrl,
};

/// A service that has started.
pub struct RunningService {
    /// The address of the interface.
    pub address: SocketAddr,
    /// The address of the metrics, if any.
    pub metrics: Option<SocketAddr>,
    /// The use cases, for callers in the same process.
    pub flow: Flow,
    file: Option<PathBuf>,
    stop: CancellationToken,
    tasks: Tasks,
    committing: Tasks,
    grace: Duration,
    db: Db,
}

impl RunningService {
    /// Reads the accounts again, with every secret file, and replaces the present ones. Other
    /// changes of the configuration require a restart.
    ///
    /// # Errors
    /// All faults; the former accounts then stay.
    pub async fn reload(&self) -> Result<Reloaded, Error> {
        let config = Config::read(self.file.as_deref().unwrap_or(Path::new("recvault.toml")))?;
        let mut accounts = config
            .twilio
            .resolve(&config.base)
            .map_err(|faults| settings(&faults))?;
        keys::open_tokens(&mut accounts)?;
        Ok(self.flow.accounts.put(accounts).await?)
    }

    /// Stops gracefully: accepts no new connections, waits for running answers and work within the
    /// grace period, and commits all accepted callbacks.
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
        // The queue of callbacks ends when the last acceptor is dropped, and `flow` holds one.
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

/// Starts the service and returns when it listens.
///
/// # Errors
/// The reason why it cannot serve; then nothing runs.
pub async fn serve(mut app: App) -> Result<RunningService, Error> {
    let settings = app.config.server.clone();
    let Listeners {
        requests,
        metrics,
        public,
    } = Listeners::bind(&settings).await?;
    let (listener, address) = requests;
    let (flow, committer) = app.flow().await?;
    check_time_limits(&settings, flow.rulebook.current())?;
    check_backends(&app, &flow).await?;
    // Starts before the first connection.
    let watch = flow.playback.watch().await?;

    let stop = CancellationToken::new();
    let grace = settings.grace_s.duration();
    let bounds = listen::ConnectionLimits::of(&settings);
    let router = api::router(flow.clone(), public, &settings, bounds.connections);
    tracing::info!(
        connections = bounds.connections,
        of_one_address = settings.limits.share_of(bounds.connections),
        "connection limits"
    );
    // These tasks end with the queue of callbacks, after all others.
    let committing = committer_tasks(committer, app.clock.clone(), &flow, &stop);
    let mut tasks = flow_tasks(&flow, watch, &stop, grace);
    tasks.keep(
        Task::Requests,
        serving(listener, router, bounds, &stop, grace),
    );
    let metrics = metrics.map(|metrics| {
        let address = metrics.address;
        let serving = serving_metrics(metrics, &flow, &settings, &stop);
        tasks.keep(Task::Metrics, serving);
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

/// The bound addresses of the service.
struct Listeners {
    requests: (TcpListener, SocketAddr),
    metrics: Option<MetricsListener>,
    /// The public address, with the port that the system chose if the configured one is 0.
    public: PublicUrl,
}

/// The bound address of `/metrics`, and the recorder.
struct MetricsListener {
    listener: TcpListener,
    address: SocketAddr,
    recorder: PrometheusHandle,
}

impl Listeners {
    async fn bind(settings: &api::ServerSettings) -> Result<Self, Error> {
        let requests = listen::bind(&settings.listen, "server.listen").await?;
        let metrics = match settings.metrics_listen.as_str() {
            "" => None,
            address => {
                let (listener, address) = listen::bind(address, "server.metrics_listen").await?;
                let recorder = metrics_recorder()?;
                Some(MetricsListener {
                    listener,
                    address,
                    recorder,
                })
            }
        };
        let public = settings
            .public_url
            .clone()
            .with_bound_port(requests.1.port());
        Ok(Self {
            requests,
            metrics,
            public,
        })
    }
}

/// Checks the time limit: a call that is asked for consent is answered with TwiML, so its steps
/// must fit into the limit, with two seconds for the rest.
fn check_time_limits(settings: &api::ServerSettings, rules: &Rules) -> Result<(), Error> {
    let least = flow::CONSENT_STEP_LIMIT + Duration::from_secs(2);
    let is_asked = rules.document().consent.voice.is_some();
    if is_asked && settings.request_timeout_s.duration() < least {
        return Err(Error::Settings(format!(
            "`server.request_timeout_s`: expected at least {}, because the policy asks for consent in calls (`[consent.voice]`)",
            least.as_secs()
        )));
    }
    Ok(())
}

/// Checks that database and store are usable, and puts the policy in force.
async fn check_backends(app: &App, flow: &Flow) -> Result<(), Error> {
    flow.health.probe().await?;
    app.store.check_permissions().await?;
    // Only the service puts a policy in force; other commands read the file and change nothing.
    flow::put_in_force(&app.db, &flow.vault, flow.rulebook.current()).await?;
    Ok(())
}

/// Starts the task that makes callbacks durable.
fn committer_tasks(
    committer: Committers,
    clock: Clock,
    flow: &Flow,
    stop: &CancellationToken,
) -> Tasks {
    let mut tasks = Tasks::until(stop.clone(), flow.liveness.clone());
    let committer = Arc::new(committer);
    tasks.keep(Task::Callbacks, move || {
        let committer = Arc::clone(&committer);
        let clock = clock.clone();
        async move { committer.run(|| clock.now()).await }
    });
    tasks
}

/// Starts the long-lived tasks of the use cases.
fn flow_tasks(flow: &Flow, watch: Watch, stop: &CancellationToken, grace: Duration) -> Tasks {
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
    let flow = flow.clone();
    let stop = stop.clone();
    let first = Arc::new(Mutex::new(Some(watch)));
    tasks.keep(Task::Tombstones, move || {
        watch_tombstones(flow.clone(), Arc::clone(&first), stop.clone(), grace)
    });
    tasks
}

/// Serves `/metrics` on a listener of its own.
fn serving_metrics(
    metrics: MetricsListener,
    flow: &Flow,
    settings: &api::ServerSettings,
    stop: &CancellationToken,
) -> impl Fn() -> BoxFuture<'static, ()> + Send + Sync + use<> {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .with_state((metrics.recorder, flow.clone()));
    let bounds = listen::ConnectionLimits::of(settings);
    let grace = Duration::from_secs(1);
    serving(metrics.listener, router, bounds, stop, grace)
}

/// Continues the watch that began before the first connection. After a restart, a new watch ends
/// the streams that the former one covered.
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

/// Serves a listener. Connections wait in the system's queue while the task is restarted.
fn serving(
    listener: TcpListener,
    router: Router,
    bounds: listen::ConnectionLimits,
    stop: &CancellationToken,
    grace: Duration,
) -> impl Fn() -> BoxFuture<'static, ()> + Send + Sync + use<> {
    let door = listen::SharedListener::of(listener);
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

/// Returns the recorder of the process: a second service in the same process shares that of the
/// first.
fn metrics_recorder() -> Result<PrometheusHandle, Error> {
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut handle = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if handle.is_none() {
        *handle = Some(telemetry::count().map_err(|error| Error::Metrics(error.to_string()))?);
    }
    handle
        .clone()
        .ok_or_else(|| Error::Metrics("no recorder".into()))
}

/// Renders `/metrics`, on a listener of its own, so that the public one cannot expose it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_asks_in_calls_needs_time_for_an_answer() {
        let asking = Rules::parse("p", &crate::samples::asking()).unwrap();
        let silent = Rules::parse("p", crate::config::SHIPPED_POLICY).unwrap();
        assert!(silent.document().consent.voice.is_none());
        for (seconds, fits) in [(1, false), (9, false), (10, true), (14, true)] {
            let toml = format!("request_timeout_s = {seconds}");
            let settings: api::ServerSettings = toml::from_str(&toml).unwrap();
            let checked = check_time_limits(&settings, &asking);
            assert_eq!(checked.is_ok(), fits, "{seconds}: {checked:?}");
            check_time_limits(&settings, &silent).unwrap();
        }
    }
}
