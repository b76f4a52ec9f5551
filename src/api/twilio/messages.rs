//! The status of outgoing messages. 204 means durable.

use axum::{extract::State, http::StatusCode};

use super::{Api, Problem, signed::Signed};
use crate::twilio::MessageStatusCallback;

/// Receives the status of an outgoing message: Twilio's `StatusCallback`.
///
/// It contains no text: the message is fetched from Twilio once it was sent.
#[utoipa::path(post, path = "/twilio/messages/status", operation_id = "receiveMessageStatus", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn status_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let status = MessageStatusCallback::parse(&verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.message_intake.announce(&status).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same with everything in the query.
#[utoipa::path(get, path = "/twilio/messages/status", operation_id = "receiveMessageStatusByGet", tag = "twilio",
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::api) async fn status_got(
    api: State<Api>,
    signed: Signed,
) -> Result<StatusCode, Problem> {
    status_posted(api, signed).await
}
