//! Twilio's callbacks about transcripts. 204 means durable.

use axum::{extract::State, http::StatusCode};

use super::signed::Signed;
use crate::{
    api::{Api, problem::Problem},
    twilio::{IntelligenceEvent, RealTimeEvent, TranscriptionCallback, signature::Verified},
};

/// Receives the webhook of Conversational Intelligence, a form or signed JSON: a transcript is
/// available.
///
/// Other events are accepted and ignored.
#[utoipa::path(post, path = "/twilio/intelligence", operation_id = "receiveTranscriptAvailable", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable, or nothing to do"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn intelligence_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    intelligence(&api, &verified).await
}

/// Receives the same webhook in the query, for a service with `webhook_http_method` GET.
#[utoipa::path(get, path = "/twilio/intelligence", operation_id = "receiveTranscriptAvailableByGet", tag = "twilio",
    responses((status = 204, description = "durable, or nothing to do"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(in crate::api) async fn intelligence_got(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    intelligence(&api, &verified).await
}

async fn intelligence(api: &Api, verified: &Verified) -> Result<StatusCode, Problem> {
    let event = IntelligenceEvent::parse(verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    if let Some(event) = event {
        api.flow.transcript_news.told_of_transcript(event).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Receives the result of a transcription: the `transcribeCallback` of `<Record>`.
///
/// Also accepts the webhook of Conversational Intelligence.
#[utoipa::path(post, path = "/twilio/transcriptions", operation_id = "receiveTranscription", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn transcription_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    if IntelligenceEvent::is_one(&verified) {
        return intelligence(&api, &verified).await;
    }
    let callback = TranscriptionCallback::parse(&verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow
        .transcript_news
        .told_of_transcription(callback)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Receives the transcript of a running call: the `statusCallbackUrl` of `<Transcription>`.
#[utoipa::path(post, path = "/twilio/realtime", operation_id = "receiveRealTimeTranscription", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn real_time_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<StatusCode, Problem> {
    let event =
        RealTimeEvent::parse(&verified).map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.transcript_news.told_in_real_time(event).await?;
    Ok(StatusCode::NO_CONTENT)
}
