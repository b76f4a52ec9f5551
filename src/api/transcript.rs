//! Filing transcripts over HTTP.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    Api,
    body::TranscriptBody,
    gate::{Bearer, Id},
    problem::Problem,
    schemas::TranscriptForm,
};
use crate::{flow::FiledTranscript, model::id::RecordingId, policy::action};

/// Files the transcript of a sealed recording, and replaces an older one.
///
/// Its content can move the recording to a more sensitive tier. The answer states the tiers before and after, what was
/// found, and which grants ended.
#[utoipa::path(put, path = "/v1/recordings/{id}/transcript", operation_id = "fileTranscript", tag = "recordings", params(("id" = String, Path)), security(("bearer" = [])),
    request_body = TranscriptForm,
    responses((status = 201, description = "filed", body = FiledTranscript),
        (status = 200, description = "filed; it replaces an older transcript", body = FiledTranscript),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 410, body = Problem), (status = 413, body = Problem)))]
pub(super) async fn file(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<RecordingId>,
    body: TranscriptBody,
) -> Result<(StatusCode, Json<FiledTranscript>), Problem> {
    let permit = bearer.permit(&api, action::Transcribe, Some(id)).await?;
    let transcript = body.read()?;
    let filed = api
        .flow
        .transcripts
        .file_new(&permit, id, transcript)
        .await?;
    let status = if filed.replaced {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(filed)))
}
