//! The audit log over HTTP.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    gate::{Bearer, QueryParams},
    page,
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
    /// `next_cursor` of the page before, instead of `after`.
    cursor: Option<String>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
}

/// A page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditBody {
    /// In order, oldest first; `seq` counts 1, 2, 3 … without gaps, whatever was restored. An entry
    /// with `told` comes from a lost database, which told it in this `timeline` as this `seq`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Entry>,
    /// Give it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// Reads the audit log, oldest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditParams), security(("bearer" = [])),
    responses((status = 200, body = AuditBody), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<AuditParams>,
) -> Result<Json<AuditBody>, Problem> {
    let permit = bearer.permit(&api, action::Audit, None).await?;
    let limit = page::limit(params.limit)?;
    let after = match (params.cursor, params.after) {
        (None, after) => after.unwrap_or(0),
        (Some(cursor), None) => cursor.parse().map_err(|_| page::no_cursor())?,
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request("give `cursor` or `after`, not both"));
        }
    };
    let page = api.flow.catalogue.audit(&permit, after, limit).await?;
    Ok(Json(AuditBody {
        items: page.items,
        next_cursor: page.next.map(|last| last.to_string()),
    }))
}
