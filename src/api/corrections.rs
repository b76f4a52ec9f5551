//! Corrections over HTTP.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    Api,
    body::JsonBody,
    catalogue::RecordingBody,
    gate::{Bearer, Id},
    parties::PartyRequest,
    problem::Problem,
};
use crate::{
    flow::Correction,
    model::{id::RecordingId, name::Label, text::LabelValue},
    policy::action,
};

/// The corrected catalogue data of a recording.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CorrectionRequest {
    /// New values for labels that the policy declares, 1 to 64 characters, never personal data.
    /// Null removes a label; labels that are not named stay unchanged.
    #[schema(value_type = BTreeMap<Label, Option<String>>, required = false)]
    #[serde(default)]
    labels: BTreeMap<Label, Option<LabelValue>>,
    /// The corrected participants of its conversation, by `leg` and `number`. Without a number: an
    /// unknown person.
    #[schema(max_items = 250)]
    parties: Option<Vec<PartyRequest>>,
}

/// Corrects the catalogue data of a recording.
///
/// The audit log records the names of the fields, not their values.
#[utoipa::path(patch, path = "/v1/recordings/{id}", operation_id = "correctRecording", tag = "recordings", params(("id" = String, Path)), security(("bearer" = [])),
    request_body = CorrectionRequest,
    responses((status = 200, body = RecordingBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn correct(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<RecordingId>,
    JsonBody(request): JsonBody<CorrectionRequest>,
) -> Result<Json<RecordingBody>, Problem> {
    let permit = bearer.permit(&api, action::Correct, Some(id)).await?;
    let parties = request.parties.unwrap_or_default();
    let correction = Correction {
        labels: request.labels,
        parties: parties.into_iter().map(Into::into).collect(),
    };
    Ok(Json(
        api.flow
            .corrections
            .correct(&permit, id, &correction)
            .await?
            .into(),
    ))
}
