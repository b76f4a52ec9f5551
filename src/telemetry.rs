//! Tracing and metrics.
//!
//! Owns where logs go and in which form, and the names and texts of metrics. INVARIANT: neither
//! holds personal data, a key, a token or a URL with one; log lines and labels carry ids, counts
//! and fixed words.

mod lines;

pub use lines::{flush, lost};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// `[telemetry]`: how the service talks of itself.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// The form of log lines.
    pub format: LogFormat,
    /// The least level that is logged, or a filter of `tracing`.
    pub level: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".into(),
        }
    }
}

/// Begins to log to standard error. Does nothing if something logs already.
///
/// # Errors
/// A text that names the fault of `telemetry.level`.
pub fn log(settings: &TelemetrySettings) -> Result<(), String> {
    // What PostgreSQL notices (a table that is there already) is asked for by name; a directive
    // that comes later takes the place of this one.
    let level = format!("sqlx::postgres::notice=warn,{}", settings.level);
    let filter =
        EnvFilter::try_new(level).map_err(|error| format!("`telemetry.level`: {error}"))?;
    let lines = lines::to_standard_error()
        .map_err(|error| format!("log lines cannot be written: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(lines);
    let begun = match settings.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Another subscriber of the same process, as in tests, is as good.
    drop(begun);
    Ok(())
}

/// From now on a panic is a log line that says where it was. What it says is left out unless it is
/// a fixed text: the value that was not as expected may be anybody's.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let text = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(at, text, "a panic");
    }));
}

/// Begins to count. The handle renders what was counted.
///
/// # Errors
/// If something counts already in this process.
pub fn count() -> Result<PrometheusHandle, BuildError> {
    let seconds = [
        0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full("recvault_ingest_lag_seconds".into()),
            &seconds,
        )?
        .install_recorder()?;
    for (name, text) in COUNTERS {
        metrics::describe_counter!(*name, *text);
    }
    for (name, text) in GAUGES {
        metrics::describe_gauge!(*name, *text);
    }
    metrics::describe_histogram!(
        "recvault_ingest_lag_seconds",
        "From the callback to the sealed recording."
    );
    Ok(handle)
}

const COUNTERS: &[(&str, &str)] = &[
    (
        "recvault_callbacks_accepted_total",
        "Callbacks made durable and answered 204.",
    ),
    (
        "recvault_callbacks_refused_total",
        "Callbacks that were not signed or could not be read.",
    ),
    (
        "recvault_fetched_bytes_total",
        "Bytes of media received from the source.",
    ),
    (
        "recvault_sealed_bytes_total",
        "Bytes of plaintext sealed into recordings.",
    ),
    ("recvault_recordings_sealed_total", "Recordings sealed."),
    (
        "recvault_decisions_total",
        "Decisions to listen, by outcome.",
    ),
    ("recvault_openings_total", "Byte ranges opened."),
    (
        "recvault_shreds_total",
        "Recordings whose shred is durable in the database and in the store.",
    ),
    (
        "recvault_database_refused_total",
        "Times the database was found to have forgotten something.",
    ),
    (
        "recvault_recovery_files_unreadable_total",
        "Files among snapshots and journal that do not open.",
    ),
    (
        "recvault_removals_total",
        "Shredded recordings whose bytes were removed.",
    ),
    (
        "recvault_source_deleted_total",
        "Copies deleted at the source, by kind.",
    ),
    (
        "recvault_source_stopped_total",
        "Shredded recordings that were stopped at the source while they were made.",
    ),
    (
        "recvault_source_stuck_total",
        "Attempts to delete at the source that failed and wait for somebody, or failed many times.",
    ),
    ("recvault_work_dead_total", "Work set aside as dead."),
    (
        "recvault_labels_left_out_total",
        "Values of labels that were left out of an announcement because of a character in them.",
    ),
    (
        "recvault_log_lines_lost_total",
        "Log lines that could not be written.",
    ),
    (
        "recvault_task_restarts_total",
        "Long-lived tasks that ended unexpectedly and were started again, by task.",
    ),
    (
        "recvault_reconciled_total",
        "Recordings found by comparing Twilio's lists with the vault, by what became of them.",
    ),
    (
        "recvault_limited_total",
        "Requests and connections that were one too many of their client, by what was limited.",
    ),
    (
        "recvault_connections_cut_total",
        "Connections that were reset, by why: a stream had to fall silent, or the other end took nothing.",
    ),
    (
        "recvault_reconcile_failures_total",
        "Comparisons of an account that did not come to their end.",
    ),
];

const GAUGES: &[(&str, &str)] = &[
    ("recvault_work", "Pieces of work, by kind and state."),
    (
        "recvault_work_oldest_seconds",
        "Age of the oldest piece of work, by kind and state.",
    ),
    ("recvault_streams", "Streams running now."),
    (
        "recvault_database_refused",
        "1 while nothing is written because the database has forgotten something.",
    ),
    (
        "recvault_restore_gaps",
        "Gaps in the journal that restores went without.",
    ),
    (
        "recvault_task_alive",
        "1 for a long-lived task that runs and gives signs of life, otherwise 0; by task.",
    ),
    (
        "recvault_clock_refused",
        "1 while the clock is not believed and nothing is destroyed by date; 0 otherwise.",
    ),
    (
        "recvault_ghosts",
        "Recordings that nobody can have: announced and gone at Twilio.",
    ),
    (
        "recvault_reconcile_age_seconds",
        "Since the account that waits longest was compared with Twilio's list.",
    ),
];
