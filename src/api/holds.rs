//! Holds over HTTP.

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    gate::{Bearer, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
};
use crate::{
    db::holds::{HoldFilter, HoldRow},
    evidence::ShredReason,
    flow::{ListedHold, NewHold},
    model::{
        hold::Authority,
        id::{ReceiptId, RecordingId},
        name::{HoldName, Purpose},
        time::Timestamp,
    },
    policy::action,
};

/// A recording and the name of a hold, from the path. An invalid id is not found. An invalid name
/// is a bad request, because the client chooses it.
pub(super) struct HoldPath(RecordingId, HoldName);

impl FromRequestParts<Api> for HoldPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path((id, name)) = Path::<(String, String)>::from_request_parts(parts, api)
            .await
            .map_err(|_| Problem::not_found())?;
        let id = id.parse().map_err(|_| Problem::not_found())?;
        Ok(Self(
            id,
            name.parse()
                .map_err(|error: crate::model::name::InvalidName| {
                    Problem::bad_request(error.to_string())
                })?,
        ))
    }
}

/// The content of a hold.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldRequest {
    /// The purpose of the policy that the hold keeps open when all others are closed.
    purpose: Purpose,
    /// A short code such as `litigation`: lower-case letters, digits and `-`, at most 64.
    reason: ShredReason,
    /// The authority that demands the hold, such as a court with its file number: 1 to 200
    /// characters in one line. It must not name a person.
    authority: Authority,
    /// When the need for the hold must be reviewed; RFC 3339.
    review_at: Timestamp,
}

/// A hold.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HoldBody {
    name: HoldName,
    purpose: Purpose,
    reason: ShredReason,
    authority: Authority,
    review_at: Timestamp,
    placed_at: Timestamp,
    /// Null while the hold is in force.
    lifted_at: Option<Timestamp>,
}

impl From<HoldRow> for HoldBody {
    fn from(hold: HoldRow) -> Self {
        Self {
            name: hold.name,
            purpose: hold.purpose,
            reason: hold.reason,
            authority: hold.authority,
            review_at: hold.review_at,
            placed_at: hold.placed_at,
            lifted_at: hold.lifted_at,
        }
    }
}

/// A hold that was lifted.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LiftedBody {
    #[serde(flatten)]
    hold: HoldBody,
    /// The number of holds that remain in force on the recording.
    #[schema(minimum = 0, examples(0))]
    holds_left: i64,
    /// The receipt, if the recording was revoked and this was its last hold.
    receipt_id: Option<ReceiptId>,
}

/// Places a hold, or changes its content.
///
/// Repeating the request changes nothing.
#[utoipa::path(put, path = "/v1/recordings/{id}/holds/{name}", operation_id = "placeHold", tag = "holds", params(("id" = String, Path), ("name" = String, Path)),
    security(("bearer" = [])), request_body = HoldRequest,
    responses((status = 200, body = HoldBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn place(
    State(api): State<Api>,
    bearer: Bearer,
    HoldPath(id, name): HoldPath,
    JsonBody(request): JsonBody<HoldRequest>,
) -> Result<Json<HoldBody>, Problem> {
    let permit = bearer.permit(&api, action::Hold, Some(id)).await?;
    let HoldRequest {
        purpose,
        reason,
        authority,
        review_at,
    } = request;
    let placed = api
        .flow
        .holds
        .place(
            &permit,
            id,
            &NewHold {
                name,
                purpose,
                reason,
                authority,
                review_at,
            },
        )
        .await?;
    Ok(Json(placed.into()))
}

/// Lifts a hold.
///
/// A recording that was revoked meanwhile is shredded when its last hold is lifted.
#[utoipa::path(delete, path = "/v1/recordings/{id}/holds/{name}", operation_id = "liftHold", tag = "holds", params(("id" = String, Path), ("name" = String, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = LiftedBody), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn lift(
    State(api): State<Api>,
    bearer: Bearer,
    HoldPath(id, name): HoldPath,
) -> Result<Json<LiftedBody>, Problem> {
    let permit = bearer.permit(&api, action::Hold, Some(id)).await?;
    let lifted = api.flow.holds.lift(&permit, id, &name, false).await?;
    Ok(Json(LiftedBody {
        hold: lifted.hold.into(),
        holds_left: lifted.left,
        receipt_id: lifted.receipt,
    }))
}

/// Which holds to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HoldParams {
    /// Only holds on recordings that would be shredded without them.
    #[serde(default)]
    conflicts: bool,
    /// Only holds whose review is due before this time; RFC 3339.
    review_before: Option<Timestamp>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A hold with the recording that it keeps.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ListedHoldBody {
    recording_id: RecordingId,
    /// Since when the recording would be shredded without its holds; null if no shred is pending.
    revoked_at: Option<Timestamp>,
    #[serde(flatten)]
    hold: HoldBody,
}

/// Lists the holds in force.
#[utoipa::path(get, path = "/v1/holds", operation_id = "listHolds", tag = "holds", params(HoldParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<ListedHoldBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<HoldParams>,
) -> Result<Json<PageBody<ListedHoldBody>>, Problem> {
    let permit = bearer.permit(&api, action::Hold, None).await?;
    let limit = page::limit(params.limit)?;
    let list = AskedList::of("holds", &(params.conflicts, params.review_before));
    let after = list.place(params.cursor.as_deref())?;
    let filter = HoldFilter {
        conflicts: params.conflicts,
        review_before: params.review_before,
        after,
        ..HoldFilter::default()
    };
    let page = api.flow.holds.list(&permit, filter, limit).await?;
    Ok(Json(PageBody::of(page, &list)))
}

impl From<ListedHold> for ListedHoldBody {
    fn from((hold, revoked_at): ListedHold) -> Self {
        Self {
            recording_id: hold.recording,
            revoked_at,
            hold: hold.into(),
        }
    }
}
