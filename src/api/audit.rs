//! The audit log over HTTP.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    gate::{Bearer, QueryParams},
    problem::Problem,
};
use crate::{evidence::Entry, policy::action};

/// Which entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Entries with a higher number than this; 0 if not given.
    after: Option<i64>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
}

/// A page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditBody {
    /// In order, oldest first.
    #[schema(max_items = 1000)]
    items: Vec<Entry>,
    /// Give it as `after` for the next page; null on the last.
    next_after: Option<i64>,
}

/// Reads the audit log, oldest first.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listAuditEntries", tag = "audit", params(AuditParams), security(("bearer" = [])),
    responses((status = 200, body = AuditBody), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<AuditParams>,
) -> Result<Json<AuditBody>, Problem> {
    let permit = bearer.permit(&api, action::Audit, None).await?;
    let limit = params.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::bad_request("`limit` must be 1 to 1000"));
    }
    let after = params.after.unwrap_or(0);
    if after < 0 {
        return Err(Problem::bad_request("`after` must be 0 or more"));
    }
    let page = api.flow.catalogue.audit(&permit, after, limit).await?;
    Ok(Json(AuditBody {
        items: page.items,
        next_after: page.next,
    }))
}
