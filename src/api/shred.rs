//! Shredding over HTTP.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    gate::{Bearer, Id},
    problem::Problem,
};
use crate::{
    evidence::ShredReason,
    model::{
        id::{ReceiptId, RecordingId},
        time::Timestamp,
    },
    policy::action,
};

/// The reason of a shred.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShredRequest {
    /// A short code such as `subject-request`: lower-case letters, digits and `-`, at most 64. The
    /// receipt and the audit log contain it, so it must not name a person.
    reason: ShredReason,
}

/// A completed shred.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ShreddedBody {
    recording_id: RecordingId,
    receipt_id: ReceiptId,
    shredded_at: Timestamp,
    /// The signed receipt, a JWS in compact form (RFC 7515).
    #[schema(pattern = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")]
    receipt: String,
    #[schema(format = "uri")]
    receipt_url: String,
}

/// Destroys the key of a recording.
///
/// Repeating the request returns the same receipt.
#[utoipa::path(delete, path = "/v1/recordings/{id}", operation_id = "shredRecording", tag = "recordings", params(("id" = String, Path)), security(("bearer" = [])),
    request_body = ShredRequest,
    responses((status = 200, body = ShreddedBody), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "A hold keeps it")))]
pub(super) async fn shred(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<RecordingId>,
    JsonBody(request): JsonBody<ShredRequest>,
) -> Result<Json<ShreddedBody>, Problem> {
    let permit = bearer.permit(&api, action::Shred, Some(id)).await?;
    let shredded = api
        .flow
        .shredding
        .shred(&permit, id, &request.reason)
        .await?;
    Ok(Json(ShreddedBody {
        recording_id: shredded.recording,
        receipt_id: shredded.receipt,
        shredded_at: shredded.tombstoned_at,
        receipt_url: api
            .public
            .join(&format!("/v1/receipts/{}", shredded.receipt)),
        receipt: shredded.jws,
    }))
}
