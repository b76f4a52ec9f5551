//! Tracing and metrics.
//!
//! Owns the destination and the form of logs, and the names and descriptions of metrics. INVARIANT:
//! neither holds personal data, a key, a token or a URL with one; log lines and labels hold ids,
//! counts and fixed words.

mod lines;

pub use lines::{flush, lost};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// `[telemetry]`: the form and the level of logs.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// The form of log lines.
    pub format: LogFormat,
    /// The least level that is logged, or a `tracing` filter.
    pub level: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// Lines for programs: one JSON object per line.
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

/// The kind of process that logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrator {
    /// The service: its log reports the events of recordings.
    Service,
    /// A command, which prints its own results.
    Command,
}

/// Starts logging to standard error. Does nothing if a subscriber is installed already.
///
/// # Errors
/// A text that names the fault of `telemetry.level`.
pub fn log(settings: &TelemetrySettings, narrator: Narrator) -> Result<(), String> {
    let filter = filter(settings.level.trim(), narrator)?;
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
    // An error means that a subscriber is installed already (tests).
    drop(begun);
    Ok(())
}

/// Returns the filter of `telemetry.level`.
fn filter(level: &str, narrator: Narrator) -> Result<EnvFilter, String> {
    // A filter takes any unknown word for the name of a module, and then logs nothing else.
    if !level.contains(['=', ',', '['])
        && (level.is_empty() || level.parse::<LevelFilter>().is_err())
    {
        return Err(format!(
            "`telemetry.level`: `{level}` is no level; expected `error`, `warn`, `info`, `debug`, \
             `trace` or `off`, or a filter such as `info,recvault::flow=debug`"
        ));
    }
    let directives = format!("{},{level}", quiet(narrator));
    EnvFilter::try_new(directives).map_err(|error| format!("`telemetry.level`: {error}"))
}

/// Returns the directives before the configured ones; a later directive overrides one of these.
fn quiet(narrator: Narrator) -> &'static str {
    // The database driver's own words, such as notices of PostgreSQL and waits for a connection,
    // only say once more what the program says with its cause.
    match narrator {
        Narrator::Service => "sqlx=error",
        Narrator::Command => "sqlx=error,recvault::story=off",
    }
}

/// Logs every later panic with its location. The message is included only if it is a fixed text,
/// because an unexpected value may be personal data.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let text = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(at, text, "a panic");
    }));
}

/// Starts counting metrics. The returned handle renders them.
///
/// # Errors
/// If a recorder is installed already in this process.
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
        "Time from the callback to the sealed recording."
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
        "Callbacks that are malformed, or lack a valid signature or the callback secret.",
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
        "Times the database was found to lack audit entries.",
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
        "Shredded recordings that were stopped at the source during the call.",
    ),
    (
        "recvault_source_not_deletable_total",
        "Deletions that Twilio refused because the resource was not complete yet.",
    ),
    (
        "recvault_source_stuck_total",
        "Deletions at the source that need an operator, or failed many times.",
    ),
    ("recvault_work_dead_total", "Work set aside as dead."),
    (
        "recvault_labels_left_out_total",
        "Label values left out of an announcement because of an invalid character.",
    ),
    (
        "recvault_log_lines_lost_total",
        "Log lines that could not be written.",
    ),
    (
        "recvault_task_restarts_total",
        "Long-lived tasks that ended unexpectedly and were restarted, by task.",
    ),
    (
        "recvault_reconciled_total",
        "Recordings found by comparing Twilio's lists with the vault, by outcome.",
    ),
    (
        "recvault_limited_total",
        "Requests and connections refused by a limit, by limit.",
    ),
    (
        "recvault_connections_cut_total",
        "Connections that were reset, by reason: a stream had to end, or the other end accepted no \
         bytes.",
    ),
    (
        "recvault_reconcile_failures_total",
        "Comparisons of an account that were not completed.",
    ),
    (
        "recvault_break_glass_total",
        "Grants that bypassed a required approval in an emergency.",
    ),
    (
        "recvault_ciphertext_missing_total",
        "Requests that found the sealed object of a recording missing in the store.",
    ),
    (
        "recvault_consent_answers_total",
        "Answers to the question of consent in calls, by answer.",
    ),
    (
        "recvault_consent_messages_total",
        "Messages that stated or withdrew consent, by answer.",
    ),
    (
        "recvault_consents_recorded_total",
        "Statements of consent recorded.",
    ),
    (
        "recvault_exports_total",
        "Exports of a person's data that were begun.",
    ),
    (
        "recvault_journal_failures_total",
        "Times the journal could not be written to the store.",
    ),
    (
        "recvault_parties_looked_up_total",
        "Conversations whose participants Twilio named.",
    ),
    (
        "recvault_notices_total",
        "Notices to people that their messages are kept, by outcome.",
    ),
    (
        "recvault_events_total",
        "Events of Event Streams, by result.",
    ),
    (
        "recvault_parties_taken_total",
        "Participants whose place another participant already had.",
    ),
    (
        "recvault_parties_unknown_total",
        "Recordings sealed without known participants.",
    ),
    (
        "recvault_recordings_not_kept_total",
        "Recordings that the policy discarded, by reason.",
    ),
    (
        "recvault_revocation_failures_total",
        "Times a revocation could not continue and was scheduled for a retry.",
    ),
    ("recvault_revocations_total", "Revocations begun."),
    (
        "recvault_pack_failures_total",
        "Times that small ciphertext was not packed, so that a snapshot has it itself.",
    ),
    (
        "recvault_snapshot_failures_total",
        "Snapshots that could not be written.",
    ),
    (
        "recvault_transcripts_dead_total",
        "Transcripts that were given up.",
    ),
    ("recvault_transcripts_sealed_total", "Transcripts sealed."),
    (
        "recvault_transcripts_told_total",
        "Transcripts that Twilio announced, by kind.",
    ),
    (
        "recvault_turn_failures_total",
        "Turns of the epoch that failed and are retried.",
    ),
    (
        "recvault_turns_total",
        "Turns of the epoch: a root key was replaced and the old one destroyed.",
    ),
    (
        "recvault_twilio_unreadable_total",
        "Items of Twilio's lists that could not be read, by list.",
    ),
    (
        "recvault_utterances_total",
        "Sentences of real-time transcription received, by fate.",
    ),
];

const GAUGES: &[(&str, &str)] = &[
    ("recvault_work", "Work items, by kind and state."),
    (
        "recvault_work_oldest_seconds",
        "Age of the oldest work item, by kind and state.",
    ),
    ("recvault_streams", "Streams running now."),
    (
        "recvault_database_refused",
        "1 while the database is not written because it lacks audit entries.",
    ),
    (
        "recvault_restore_gaps",
        "Gaps in the journal that restores accepted.",
    ),
    (
        "recvault_revocations_unvouched",
        "Recordings that revocations do not reach until somebody who may revoke vouches for a name.",
    ),
    (
        "recvault_task_alive",
        "1 for a long-lived task that is running and reports progress, otherwise 0; by task.",
    ),
    (
        "recvault_clock_refused",
        "1 while the clock is not believed and nothing is destroyed by date; 0 otherwise.",
    ),
    (
        "recvault_ghosts",
        "Ghosts: recordings that were announced and no longer exist at Twilio.",
    ),
    (
        "recvault_reconcile_age_seconds",
        "Time since the longest-waiting account was compared with Twilio's list.",
    ),
    (
        "recvault_custody_trouble",
        "1 while custody of the root key has a problem, otherwise 0.",
    ),
    (
        "recvault_deletion_horizon_seconds",
        "Longest time from a shred to the end of every older copy, as published.",
    ),
    ("recvault_epoch", "Number of the present epoch."),
    (
        "recvault_oldest_recoverable_shred_seconds",
        "Age of the oldest shred that an older copy could still undo.",
    ),
    (
        "recvault_outbox_rows",
        "Rows that wait to be written to the journal.",
    ),
    (
        "recvault_recoverable_shreds",
        "Shreds that an older copy could still undo.",
    ),
    (
        "recvault_snapshot_age_seconds",
        "Age of the newest snapshot.",
    ),
];

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled, subscriber::with_default};
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;

    #[test]
    fn the_database_driver_is_heard_only_when_it_is_asked_for() {
        let service = filter("info", Narrator::Service).unwrap();
        with_default(Registry::default().with(service), || {
            assert!(enabled!(target: "recvault", Level::INFO));
            assert!(enabled!(target: "sqlx::pool", Level::ERROR));
            assert!(!enabled!(target: "sqlx::pool::acquire", Level::WARN));
            assert!(!enabled!(target: "sqlx::postgres::notice", Level::INFO));
        });
        let asked = filter("info,sqlx=warn", Narrator::Command).unwrap();
        with_default(Registry::default().with(asked), || {
            assert!(enabled!(target: "sqlx::pool::acquire", Level::WARN));
        });
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_before_it_silences_the_log() {
        for level in ["warning", "chatty", "", " "] {
            let settings = TelemetrySettings {
                level: level.into(),
                ..TelemetrySettings::default()
            };
            let fault = log(&settings, Narrator::Command).unwrap_err();
            assert!(fault.contains("telemetry.level"), "{fault}");
        }
    }
}
