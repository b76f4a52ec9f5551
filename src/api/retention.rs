//! The report of kept recordings, for principals who may list recordings.

use axum::{Json, extract::State};

use super::{Api, gate::Bearer, problem::Problem};
use crate::{flow::RetentionReport, policy::action};

/// Reports the kept recordings of each tier and policy version: due dates with the deciding clause,
/// holds, and conflicts between a hold and a due shred.
#[utoipa::path(get, path = "/v1/retention", operation_id = "getRetention", tag = "recordings", security(("bearer" = [])),
    responses((status = 200, body = RetentionReport), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    bearer: Bearer,
) -> Result<Json<RetentionReport>, Problem> {
    let permit = bearer.permit(&api, action::Catalogue, None).await?;
    Ok(Json(api.flow.retention.report(&permit).await?))
}
