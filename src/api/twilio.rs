//! Twilio's callbacks. 204 means durable.

pub(super) mod consent;
pub(super) mod conversations;
pub(super) mod events;
pub(super) mod interactions;
pub(super) mod messages;
mod signed;
pub(super) mod transcripts;
pub(super) mod video;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{MethodRouter, post},
};

use self::signed::Signed;
use super::{Api, problem::Problem, without_head};
use crate::twilio::{CallbackParties, RecordingCallback};

/// Returns the routes that Twilio calls, below their prefix.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route(
            "/recordings",
            told(post(recording_posted).get(recording_got)),
        )
        .route(
            "/consent/voice",
            told(post(consent::voice_posted).get(consent::voice_got)),
        )
        .route(
            "/messages",
            told(post(consent::message_posted).get(consent::message_got)),
        )
        .route(
            "/messages/status",
            told(post(messages::status_posted).get(messages::status_got)),
        )
        .route(
            "/conversations",
            told(post(conversations::event_posted).get(conversations::event_got)),
        )
        .route(
            "/proxy",
            told(post(interactions::interaction_posted).get(interactions::interaction_got)),
        )
        .route(
            "/intelligence",
            told(post(transcripts::intelligence_posted).get(transcripts::intelligence_got)),
        )
        .route("/events", post(events::batch_posted))
        .route("/transcriptions", post(transcripts::transcription_posted))
        .route("/video", post(video::video_posted))
        .route("/realtime", post(transcripts::real_time_posted))
}

/// Returns routes that Twilio calls by `POST` or `GET`, without `HEAD`.
fn told(routes: MethodRouter<Api>) -> MethodRouter<Api> {
    without_head(routes, "GET, POST")
}

/// Receives the status of a recording: Twilio's `recordingStatusCallback`.
///
/// For an account with a `callback_secret`, the path is `/twilio/{secret}/recordings`.
#[utoipa::path(post, path = "/twilio/recordings", operation_id = "receiveRecordingStatus", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn recording_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let callback = RecordingCallback::parse(&verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow
        .ingest
        .accept(callback, CallbackParties::parse(&verified))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Receives the status of a recording in the query: `recordingStatusCallbackMethod=GET`.
#[utoipa::path(get, path = "/twilio/recordings", operation_id = "receiveRecordingStatusByGet", tag = "twilio",
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn recording_got(api: State<Api>, signed: Signed) -> Result<StatusCode, Problem> {
    recording_posted(api, signed).await
}
