//! The approval of a second person over HTTP: request, list and decision.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    client_ip::ClientIp,
    gate::{Bearer, Id, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
};
use crate::{
    db::approvals::{ApprovalRow, ApprovalState},
    flow::{Asking, PendingApproval},
    model::{
        access::Ticket,
        id::{ApprovalId, PrincipalId, RecordingId},
        name::{Purpose, Tier},
        text::Justification,
        time::Timestamp,
    },
};

/// The purpose and the justification of a request for approval.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalRequest {
    /// A purpose of the privacy policy.
    purpose: Purpose,
    /// The justification for the approving person; at most 1000 characters. It is stored sealed,
    /// and is destroyed with the recording.
    #[schema(value_type = String, max_length = 1000, pattern = r"^[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$", examples("a complaint about this call"))]
    justification: Justification,
    /// The number of a case in another system, where the purpose requires one.
    ticket: Option<Ticket>,
}

/// A request for approval.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ApprovalBody {
    id: ApprovalId,
    recording_id: RecordingId,
    purpose: Purpose,
    /// The requesting principal's id, `prn_…`; it is the same for all tokens of one principal.
    requested_by: PrincipalId,
    state: ApprovalState,
    requested_at: Timestamp,
    /// The time at which the request expires, and once approved, the approval.
    expires_at: Timestamp,
    decided_at: Option<Timestamp>,
    /// The deciding principal's id, never the requesting one.
    decided_by: Option<PrincipalId>,
}

/// A request for approval, with the details for the approving person.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WaitingBody {
    #[serde(flatten)]
    approval: ApprovalBody,
    tier: Tier,
    /// The requester's justification. The audit log records that it was shown to you.
    #[schema(max_length = 8192)]
    justification: Option<String>,
}

/// Which requests to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApprovalsParams {
    /// Only requests in this state; of the waiting ones, only those that have not expired.
    state: Option<ApprovalState>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A decision.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalVerdict {
    /// Whether the request is approved. `false` also withdraws an approval.
    approve: bool,
}

/// Requests the approval of a second person.
///
/// Returns the existing request if one waits already.
#[utoipa::path(post, path = "/v1/recordings/{id}/approvals", operation_id = "requestApproval", tag = "approvals", params(("id" = String, Path)), security(("bearer" = [])),
    request_body = ApprovalRequest,
    responses((status = 201, body = ApprovalBody), (status = 200, body = ApprovalBody), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn request(
    State(api): State<Api>,
    Bearer(principal): Bearer,
    ClientIp(network): ClientIp,
    Id(id): Id<RecordingId>,
    JsonBody(request): JsonBody<ApprovalRequest>,
) -> Result<(StatusCode, Json<ApprovalBody>), Problem> {
    let ApprovalRequest {
        purpose,
        justification,
        ticket,
    } = request;
    let asking = Asking {
        ticket,
        network,
        ..Asking::new(purpose, Some(justification.as_str()))
    };
    let (row, is_new) = api.flow.approvals.ask(&principal, id, &asking).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(row.into())))
}

/// Lists the requests that the bearer may decide on, oldest first.
#[utoipa::path(get, path = "/v1/approvals", operation_id = "listApprovals", tag = "approvals", params(ApprovalsParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<WaitingBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Bearer(principal): Bearer,
    QueryParams(params): QueryParams<ApprovalsParams>,
) -> Result<Json<PageBody<WaitingBody>>, Problem> {
    let limit = page::limit(params.limit)?;
    let list = AskedList::of("approvals", &params.state);
    let after = list.place(params.cursor.as_deref())?;
    let page = api
        .flow
        .approvals
        .list(&principal, params.state, after, limit)
        .await?;
    Ok(Json(PageBody::of(page, &list)))
}

/// Decides the request of another principal.
///
/// Repeating the decision changes nothing.
#[utoipa::path(post, path = "/v1/approvals/{id}", operation_id = "decideApproval", tag = "approvals", params(("id" = String, Path)), security(("bearer" = [])), request_body = ApprovalVerdict,
    responses((status = 200, body = ApprovalBody), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn decide(
    State(api): State<Api>,
    Bearer(principal): Bearer,
    Id(id): Id<ApprovalId>,
    JsonBody(verdict): JsonBody<ApprovalVerdict>,
) -> Result<Json<ApprovalBody>, Problem> {
    Ok(Json(
        api.flow
            .approvals
            .decide(&principal, id, verdict.approve)
            .await?
            .into(),
    ))
}

impl From<ApprovalRow> for ApprovalBody {
    fn from(row: ApprovalRow) -> Self {
        Self {
            id: row.id,
            recording_id: row.recording,
            purpose: row.purpose,
            requested_by: row.requested_by,
            state: row.stage,
            requested_at: row.requested_at,
            expires_at: row.expires_at,
            decided_at: row.decided_at,
            decided_by: row.decided_by,
        }
    }
}

impl From<PendingApproval> for WaitingBody {
    fn from(request: PendingApproval) -> Self {
        let justification = request.justification.map(|text| text.to_string());
        Self {
            approval: request.row.into(),
            tier: request.tier,
            justification,
        }
    }
}
