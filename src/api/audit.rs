//! The audit log over HTTP.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    Api,
    gate::{Bearer, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
};
use crate::{
    db::audit::{AuditFilter, AuditOrder},
    evidence::{AuditEvent, Entry},
    model::{
        actor::Actor,
        id::{PrincipalId, RecordingId},
        time::Timestamp,
    },
    policy::action,
};

/// The filter, order and page of a list of entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Only entries about this recording.
    recording: Option<RecordingId>,
    /// Only what this principal did, and entries about their tokens and their requests for approval.
    principal: Option<PrincipalId>,
    /// Only what this actor did: a principal's id, `operator:<user>` or `vault`.
    #[param(value_type = Option<String>, pattern = r"^(prn_[0-9a-f]{32}|operator:(uid:(0|[1-9][0-9]{0,8})|[A-Za-z0-9_.@$+\\-]{1,64})|vault)$", example = json!("vault"))]
    actor: Option<Actor>,
    /// Only these events; the parameter may be repeated.
    #[serde(default)]
    #[param(required = false, max_items = 100, example = json!(["grant.ended"]))]
    event: Vec<AuditEvent>,
    /// Only entries written at or after this time; RFC 3339.
    since: Option<Timestamp>,
    /// Only entries written before this time; RFC 3339.
    until: Option<Timestamp>,
    /// `oldest` first (the default) or `newest` first.
    order: Option<AuditOrder>,
    /// Only entries with a higher number; 0 if absent. Not with `order=newest`.
    after: Option<i64>,
    /// `next_cursor` of the page before, instead of `after`.
    cursor: Option<String>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
}

/// Lists the audit log, oldest first unless `order=newest`.
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
    let mut filter = AuditFilter {
        recording: params.recording,
        principal: params.principal,
        actor: params.actor,
        events: params.event,
        since: params.since,
        until: params.until,
        order: params.order.unwrap_or_default(),
        ..AuditFilter::default()
    };
    let list = AskedList::of("audit", &filter);
    filter.after = match (params.cursor, params.after, filter.order) {
        (Some(_), Some(_), _) => {
            return Err(Problem::bad_request("give `cursor` or `after`, not both"));
        }
        (_, Some(_), AuditOrder::Newest) => {
            let detail = "`after` goes with `order=oldest`; with `order=newest`, use `since`";
            return Err(Problem::bad_request(detail));
        }
        (_, Some(..0), _) => return Err(Problem::bad_request("`after` must be 0 or more")),
        (None, after, _) => after,
        (cursor, None, _) => list.place(cursor.as_deref())?,
    };
    let page = api.flow.catalogue.audit(&permit, filter, limit).await?;
    Ok(Json(PageBody::of(page, &list)))
}
