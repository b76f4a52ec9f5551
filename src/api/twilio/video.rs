//! Callbacks of video rooms. 204 means durable.

use axum::{extract::State, http::StatusCode};

use super::{Api, Problem, signed::Signed};
use crate::twilio::VideoCallback;

/// Receives what happens in a video room: Twilio's `StatusCallback` of rooms, compositions and
/// composition hooks.
///
/// It contains no media: a complete track or composition is fetched from Twilio.
#[utoipa::path(post, path = "/twilio/video", operation_id = "receiveVideoStatus", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn video_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let callback =
        VideoCallback::parse(&verified).map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.video_intake.accept(&callback).await?;
    Ok(StatusCode::NO_CONTENT)
}
