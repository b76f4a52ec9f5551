//! The header `Idempotency-Key`: a repeated `POST` gets the answer of the first one, and does not
//! take effect again (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Owns the requests that accept a key, and the stored form of an answer. Refuses to know the
//! effect of a request. INVARIANT: no route with a bearer token can omit it, because it is a layer
//! over all of them.

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Api, body,
    gate::{Authenticated, Bearer},
    problem::Problem,
};
use crate::{
    flow::{Attempt, ClaimedRequest},
    model::idempotency::{IdempotencyKey, InvalidIdempotencyKey},
};

/// The name of the header in lower case, as HTTP libraries compare it.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a repeated answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The effect of a key at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// The request takes effect once.
    Once,
    /// The request changes nothing, or is idempotent anyway: the key has no effect.
    Ignored,
    /// The answer is a stream, which is not stored.
    Refused,
}

/// Returns the effect of a key for a method and an address.
pub(super) fn key_use(method: &Method, path: &str) -> KeyUse {
    match path {
        _ if *method != Method::POST || !path.starts_with("/v1/") => KeyUse::Ignored,
        "/v1/recordings/search" | "/v1/consents/search" => KeyUse::Ignored,
        "/v1/exports" => KeyUse::Refused,
        _ => KeyUse::Once,
    }
}

/// The stored form of an answer.
#[derive(Serialize, Deserialize)]
struct KeptAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Answers a repeated request with the answer of the first one.
pub(super) async fn once(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let used = key_use(request.method(), request.uri().path());
    if used == KeyUse::Ignored {
        return Ok(next.run(request).await);
    }
    let Some(key) = key(request.headers())? else {
        return Ok(next.run(request).await);
    };
    if used == KeyUse::Refused {
        let detail = "The answer is a stream, which is not kept for a repeat: send the request without `Idempotency-Key`.";
        return Err(Problem::bad_request(detail));
    }
    let (mut parts, unread) = request.into_parts();
    let Bearer(principal) = Bearer::from_request_parts(&mut parts, &api).await?;
    let bearer = principal.credential;
    parts.extensions.insert(Authenticated(principal));
    let bytes = body::whole(unread, &parts.extensions).await?;
    let address = parts
        .uri
        .path_and_query()
        .map_or("", |address| address.as_str());
    let fields = [parts.method.as_str().as_bytes(), address.as_bytes(), &bytes];
    match api.flow.idempotency.claim(bearer, &key, &fields).await? {
        Attempt::First(claimed) => {
            let request = Request::from_parts(parts, Body::from(bytes));
            first(&api, claimed, request, next).await
        }
        Attempt::Answered(kept) => replayed(&kept),
        Attempt::Running => Err(Problem::under_way()),
        Attempt::OtherRequest => Err(Problem::key_reused()),
    }
}

/// Runs a request that has no answer yet, and stores the answer if it is final.
async fn first(
    api: &Api,
    claimed: ClaimedRequest,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let requests = &api.flow.idempotency;
    // Beside each other: a handler that holds the database's one writer must go on while the
    // extension of its own claim waits for that writer.
    let response = tokio::select! {
        biased;
        response = next.run(request) => response,
        never = requests.keep(&claimed) => match never {},
    };
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        requests.release(&claimed).await;
        return Ok(response);
    }
    let (parts, made) = response.into_parts();
    let bytes = body::answered(made).await?;
    match kept(status, &parts.headers, &bytes) {
        Some(answer) => requests.answer(&claimed, &answer).await,
        None => requests.release(&claimed).await,
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Returns the key of a request. Several headers are a fault.
fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut all = headers.get_all(&KEY).iter();
    let invalid = |fault: InvalidIdempotencyKey| {
        Problem::bad_request(format!("the header `Idempotency-Key` {fault}"))
    };
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "the header `Idempotency-Key` is there twice: send it once",
        )),
        (Some(only), None) => {
            let text = only.to_str().map_err(|_| invalid(InvalidIdempotencyKey))?;
            text.parse().map(Some).map_err(invalid)
        }
    }
}

/// Serialises an answer for storage; `None` if it is not text.
fn kept(status: StatusCode, headers: &HeaderMap, bytes: &Bytes) -> Option<String> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let answer = KeptAnswer {
        status: status.as_u16(),
        headers: headers.iter().map(header).collect::<Option<_>>()?,
        body: std::str::from_utf8(bytes).ok()?.to_owned(),
    };
    serde_json::to_string(&answer).ok()
}

/// Returns a stored answer.
fn replayed(kept: &str) -> Result<Response, Problem> {
    let read = || {
        let answer: KeptAnswer = serde_json::from_str(kept).ok()?;
        let status = StatusCode::from_u16(answer.status).ok()?;
        let mut response = (status, Body::from(answer.body)).into_response();
        for (name, value) in &answer.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            response
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).ok()?);
        }
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    };
    read().ok_or_else(Problem::internal)
}
