//! For those who restart and those who route.

use axum::{extract::State, http::StatusCode};

use super::{Api, problem::Problem};
use crate::flow::Task;

/// The process runs.
#[utoipa::path(get, path = "/healthz", operation_id = "getLiveness", tag = "operators", responses((status = 200)))]
pub(super) async fn alive() -> StatusCode {
    StatusCode::OK
}

/// Database and store answer, the database has forgotten nothing, and every task of the service lives,
/// so requests can be served now.
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
