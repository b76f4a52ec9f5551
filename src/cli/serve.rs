//! `recvault serve`: runs the service until a signal ends it.
//!
//! Owns the signals. Refuses to know the tasks of the service.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use crate::{
    app::{self, App},
    config::Config,
    model::{sid::AccountSid, time::Clock},
    telemetry::{self, Narrator},
};

pub(super) async fn serve(config: Config) -> Result<ExitCode, Failure> {
    telemetry::log(&config.telemetry, Narrator::Service)?;
    telemetry::log_panics();
    let mut terminate = signal(SignalKind::terminate())?;
    // Before serving: without a handler, this signal would end the process.
    let mut hangup = signal(SignalKind::hangup())?;
    let service = app::serve(App::open(config, Clock::System).await?).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
            _ = hangup.recv() => reload(&service).await,
        }
    }
    service.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Reloads the accounts. On a fault the former accounts stay.
async fn reload(service: &app::RunningService) {
    let list = |sids: &[AccountSid]| {
        sids.iter()
            .map(AccountSid::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    match service.reload().await {
        Ok(done) => {
            tracing::info!(
                accounts = done.accounts,
                added = list(&done.added),
                removed = list(&done.removed),
                "accounts reloaded"
            );
        }
        Err(error) => {
            let faults = error.to_string();
            // The first of several lines is a heading.
            for fault in faults.lines().skip(usize::from(faults.lines().count() > 1)) {
                tracing::error!(
                    fault = fault.trim(),
                    "accounts not reloaded; the former accounts stay"
                );
            }
        }
    }
}
