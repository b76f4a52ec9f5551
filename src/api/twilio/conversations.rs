//! The events of chats. 204 means durable.

use axum::{extract::State, http::StatusCode};

use super::{Api, Problem, signed::Signed};
use crate::{flow::ChatNews, twilio::ConversationCallback};

/// Receives an event of a chat: the post webhook of Conversations.
///
/// Messages are sealed before the answer. Events before a change are refused, because Twilio waits
/// for their answer.
#[utoipa::path(post, path = "/twilio/conversations", operation_id = "receiveConversationEvent", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn event_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let told = ConversationCallback::parse(&verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    let news = ChatNews {
        account: &told.account,
        event: &told.event,
        source: told.source.as_deref(),
        form: told.form.as_bytes(),
        query: &told.query,
    };
    api.flow.chat_intake.take(news).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same with everything in the query.
#[utoipa::path(get, path = "/twilio/conversations", operation_id = "receiveConversationEventByGet", tag = "twilio",
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::api) async fn event_got(
    api: State<Api>,
    signed: Signed,
) -> Result<StatusCode, Problem> {
    event_posted(api, signed).await
}
