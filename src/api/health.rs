//! Liveness and readiness probes.

use axum::{extract::State, http::StatusCode};

use super::{Api, problem::Problem};
use crate::flow::Task;

/// Reports that the process runs.
#[utoipa::path(get, path = "/healthz", operation_id = "getLiveness", tag = "operators", responses((status = 200)))]
pub(super) async fn alive() -> StatusCode {
    StatusCode::OK
}

/// Reports whether requests can be served now: the database and the store answer, the database
/// lacks no change, and every task of the service runs.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "operators", responses((status = 200), (status = 503, body = Problem)))]
pub(super) async fn ready(State(api): State<Api>) -> Result<StatusCode, Problem> {
    api.flow.health.probe().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        api.flow
            .health
            .refusal()
            .map_or_else(Problem::unavailable, Problem::closed)
    })?;
    let dead: Vec<&str> = api
        .flow
        .liveness
        .dead()
        .into_iter()
        .map(Task::as_str)
        .collect();
    if dead.is_empty() {
        Ok(StatusCode::OK)
    } else {
        Err(Problem::tasks_dead(&dead))
    }
}
