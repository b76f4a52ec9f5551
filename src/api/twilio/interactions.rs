//! Texts and calls through sessions of Proxy. 204 means durable.

use axum::{extract::State, http::StatusCode};

use super::{Api, Problem, signed::Signed};
use crate::twilio::InteractionCallback;

/// Receives an interaction of a Proxy session: Twilio's `CallbackUrl`.
///
/// The signature is checked with the auth token of `interactionAccountSid`.
#[utoipa::path(post, path = "/twilio/proxy", operation_id = "receiveInteraction", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "sealed and durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn interaction_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let told = InteractionCallback::parse(&verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.message_intake.keep_interaction(&told).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same with everything in the query.
#[utoipa::path(get, path = "/twilio/proxy", operation_id = "receiveInteractionByGet", tag = "twilio",
    responses((status = 204, description = "sealed and durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::api) async fn interaction_got(
    api: State<Api>,
    signed: Signed,
) -> Result<StatusCode, Problem> {
    interaction_posted(api, signed).await
}
