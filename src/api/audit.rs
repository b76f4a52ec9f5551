//! The audit log over HTTP.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    Api,
    gate::{Bearer, QueryParams},
    page::{self, PageBody},
    problem::Problem,
};
use crate::{db::audit::AuditFilter, evidence::Entry, policy::action};

/// The requested part of the audit log.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Only entries with a higher number; 0 if absent.
    after: Option<i64>,
    /// `next_cursor` of the page before, instead of `after`.
    cursor: Option<String>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
}

/// Lists the audit log, oldest first.
///
/// `seq` counts 1, 2, 3 … without gaps, also across restores. An entry with `told` comes from a
/// lost database; `told` has its `timeline` and `seq` there.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listAuditEntries", tag = "audit", params(AuditParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<Entry>), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<AuditParams>,
) -> Result<Json<PageBody<Entry>>, Problem> {
    let permit = bearer.permit(&api, action::Audit, None).await?;
    let limit = page::limit(params.limit)?;
    let after = match (params.cursor, params.after) {
        (None, after) => after.unwrap_or(0),
        (Some(cursor), None) => cursor.parse().map_err(|_| page::no_cursor())?,
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request("give `cursor` or `after`, not both"));
        }
    };
    if after < 0 {
        return Err(Problem::bad_request("`after` must be 0 or more"));
    }
    let filter = AuditFilter {
        after: Some(after),
        ..AuditFilter::default()
    };
    let page = api.flow.catalogue.audit(&permit, filter, limit).await?;
    Ok(Json(PageBody::of(page, |last| last.to_string())))
}
