//! Request bodies: the only way in which a handler reads a body.
//!
//! Owns the accepted content types and the strict reading of JSON ([`json`]). Refuses to know the
//! meaning of a request. Callbacks are read by `twilio::signed`, because their signature covers the
//! raw body. INVARIANT: nothing else in `api` reads a body; `tests/tidy.rs` enforces this.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{DefaultBodyLimit, FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;

use super::{
    Api,
    problem::{Problem, ProblemType},
};
use crate::model::{json, transcript::Transcript};

/// A JSON object; errors name the field.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = json_bytes(request, api, too_large).await?;
        json::read(&bytes)
            .map(Self)
            .map_err(|fault| Problem::bad_request(format!("the JSON body: {fault}")))
    }
}

/// A transcript that is not parsed yet: the permission to file one is checked first.
pub(super) struct TranscriptBody(Result<Bytes, Problem>);

impl FromRequest<Api> for TranscriptBody {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Self::Rejection> {
        Ok(Self(
            json_bytes(request, api, || larger_than("8 MiB")).await,
        ))
    }
}

impl TranscriptBody {
    /// Reads it.
    pub(super) fn read(self) -> Result<Transcript, Problem> {
        Transcript::parse(&self.0?).map_err(|fault| Problem::bad_request(fault.to_string()))
    }
}

async fn json_bytes(
    request: Request,
    api: &Api,
    too_large: impl FnOnce() -> Problem,
) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(unsupported("application/json"));
    }
    let bytes = Bytes::from_request(request, api).await;
    bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Problem::bad_request("the body broke off"),
    })
}

/// Returns a request's body as it is, of at most so many bytes: for what looks at a request before
/// its handler reads it.
pub(super) async fn whole(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut carrier = Request::new(body);
    DefaultBodyLimit::max(most).apply(&mut carrier);
    Ok(Bytes::from_request(carrier, &()).await?)
}

/// Returns the body of an answer that a handler has made as a whole.
pub(super) async fn answered(body: Body) -> Result<Bytes, Problem> {
    let read = to_bytes(body, usize::MAX).await;
    read.map_err(|_| Problem::internal())
}

/// Whether the one content type says JSON: `application/json`, or another type in its syntax
/// (RFC 6839, section 3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return false;
    };
    let kind = only.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// Returns the problem of a body with another content type.
pub(super) fn unsupported(expected: &'static str) -> Problem {
    let detail = format!("Send the body with one header `Content-Type: {expected}`.");
    Problem::new(ProblemType::UnsupportedMediaType, detail)
}

/// Returns the problem of a body over the limit.
pub(super) fn too_large() -> Problem {
    larger_than("64 KiB here, and 1 MiB where it holds many statements of consent")
}

/// Returns the problem of a body over another limit.
fn larger_than(most: &str) -> Problem {
    let detail = format!("A request body has at most {most}.");
    Problem::new(ProblemType::TooLarge, detail)
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => Self::bad_request("the body broke off"),
        }
    }
}
