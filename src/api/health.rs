//! For those who restart and those who route.

use axum::{extract::State, http::StatusCode};

use super::{Api, Problem};

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "operators", responses((status = 200)))]
pub(super) async fn alive() -> StatusCode {
    StatusCode::OK
}

/// Ledger and store answer, and the ledger has forgotten nothing, so requests can be served now.
#[utoipa::path(get, path = "/readyz", tag = "operators", responses((status = 200), (status = 503, body = Problem)))]
pub(super) async fn ready(State(api): State<Api>) -> Result<StatusCode, Problem> {
    api.flow.probe().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        if api.flow.has_forgotten() { Problem::out_of_date() } else { Problem::unavailable() }
    })?;
    Ok(StatusCode::OK)
}
