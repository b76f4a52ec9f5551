//! Twilio's callbacks. 204 means durable.

pub(super) mod consent;
mod path_secret;
pub(super) mod transcripts;

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    routing::post,
};

pub(super) use path_secret::carrying;

use super::{Api, Problem, gate::too_large};
use crate::twilio::{
    CallbackParties, Delivery, RecordingCallback, Rejection, SIGNATURE_HEADER, SignedRequest, signature::Verified, verify,
};

/// Everything that Twilio calls, below its prefix.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/recordings", post(recording_posted).get(recording_got))
        .route("/consent/voice", post(consent::voice_posted).get(consent::voice_got))
        .route("/messages", post(consent::message_posted).get(consent::message_got))
        .route("/intelligence", post(transcripts::intelligence_posted).get(transcripts::intelligence_got))
        .route("/transcriptions", post(transcripts::transcription_posted))
        .route("/realtime", post(transcripts::real_time_posted))
}

/// Tells of a recording: Twilio's `recordingStatusCallback`. Of an account with a `callback_secret`, the path is `/twilio/{secret}/recordings`.
#[utoipa::path(post, path = "/twilio/recordings", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn recording_posted(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let bytes = body?;
    accept(&api, &uri, &headers, posted(&headers, &bytes)).await
}

/// The same with everything in the query: `recordingStatusCallbackMethod=GET`.
#[utoipa::path(get, path = "/twilio/recordings", tag = "twilio",
    responses((status = 204, description = "durable"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn recording_got(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    accept(&api, &uri, &headers, Delivery::Query).await
}

async fn accept(api: &Api, uri: &axum::http::Uri, headers: &HeaderMap, delivery: Delivery<'_>) -> Result<StatusCode, Problem> {
    let verified = verified(api, uri, headers, delivery)?;
    let callback = RecordingCallback::parse(&verified).map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.accept(callback, CallbackParties::parse(&verified)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => Self::bad_request("the body broke off"),
        }
    }
}

/// A body as it is signed.
fn posted<'a>(headers: &'a HeaderMap, bytes: &'a [u8]) -> Delivery<'a> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Delivery::Body { content_type, bytes }
}

/// What an account of ours has signed; every callback comes through here.
fn verified(api: &Api, uri: &axum::http::Uri, headers: &HeaderMap, delivery: Delivery<'_>) -> Result<Verified, Problem> {
    let mut signatures = headers.get_all(SIGNATURE_HEADER).iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let path_and_query = uri.path_and_query().map_or("/", |text| text.as_str());
    let request = SignedRequest { path_and_query, signature, delivery };
    let accounts = api.flow.accounts();
    let refuse = |why: &dyn std::fmt::Display| {
        metrics::counter!("recvault_callbacks_refused_total").increment(1);
        tracing::warn!(%why, "a callback was refused");
    };
    let verified = verify(&accounts, &api.public, &request).map_err(|rejection| {
        refuse(&rejection);
        match rejection {
            Rejection::Malformed(fault) => Problem::bad_request(fault.to_string()),
            Rejection::Forbidden(_) => Problem::bad_signature(),
        }
    })?;
    if !accounts.get(verified.account()).is_some_and(path_secret::fits) {
        refuse(&"its path does not carry the `callback_secret` of its account, or carries one though the account has none");
        return Err(Problem::bad_signature());
    }
    Ok(verified)
}
