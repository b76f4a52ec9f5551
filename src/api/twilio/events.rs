//! Batches of Event Streams. 204 means durable.

use axum::{extract::State, http::StatusCode};

use super::{Api, Problem, signed::Signed};
use crate::twilio::EventBatch;

/// Receives a batch of Event Streams: a JSON array of CloudEvents, from a webhook sink.
///
/// Events about messages deliver them, or announce them where they lack the text. Events of other
/// types are acknowledged. An event that cannot be read costs no other one of its batch.
#[utoipa::path(post, path = "/twilio/events", operation_id = "receiveEvents", tag = "twilio",
    request_body(content = Vec<serde_json::Value>, content_type = "application/json"),
    responses((status = 204, description = "durable, or nothing to do"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn batch_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let batch = EventBatch::parse(&verified, &api.flow.twilio.accounts())
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.events.take(&batch).await?;
    Ok(StatusCode::NO_CONTENT)
}
