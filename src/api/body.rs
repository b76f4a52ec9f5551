//! Request bodies: the only way in which a handler reads a body.
//!
//! Owns the accepted content types and the strict reading of JSON ([`json`]). Refuses to know the
//! meaning of a request. `twilio::signed` takes the raw bytes from here, because the signature of a
//! callback covers them. INVARIANT: nothing else in `api` reads a body; `tests/tidy.rs` enforces this.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{DefaultBodyLimit, FromRequest, MatchedPath, Request, rejection::BytesRejection},
    http::{Extensions, HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use serde::de::DeserializeOwned;

use super::{
    Api,
    problem::{Problem, ProblemType},
};
use crate::model::{
    json,
    transcript::{MAX_BYTES as MAX_TRANSCRIPT, Transcript},
};

/// The largest request body in bytes, where a route has no limit of its own.
const DEFAULT_LIMIT: usize = 64 * 1024;
/// The largest batch of events, in bytes.
const MAX_EVENTS: usize = 1024 * 1024;
/// The largest request body with many statements of consent, in bytes.
const MAX_STATEMENTS: usize = 1024 * 1024;

/// The largest request body of a route, in bytes.
#[derive(Clone, Copy)]
struct BodyLimit(usize);

impl BodyLimit {
    /// The one rule: whoever reads a body, a handler or a layer before it, has the limit from here.
    fn of_route(route: &str) -> Self {
        Self(match route {
            "/v1/recordings/{id}/transcript" => MAX_TRANSCRIPT,
            "/v1/consents" => MAX_STATEMENTS,
            "/twilio/events" | "/twilio/{secret}/events" => MAX_EVENTS,
            _ => DEFAULT_LIMIT,
        })
    }

    fn of(extensions: &Extensions) -> Self {
        let limit = extensions.get::<Self>().copied();
        limit.unwrap_or(Self(DEFAULT_LIMIT))
    }
}

/// Limits the body of each request by its route. It is a layer over all routes, outside of every
/// layer that may read a body.
pub(super) async fn limited(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let limit = BodyLimit::of_route(route.map_or("", MatchedPath::as_str));
    DefaultBodyLimit::max(limit.0).apply(&mut request);
    request.extensions_mut().insert(limit);
    next.run(request).await
}

/// A JSON object; errors name the field.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = json_bytes(request, api).await?;
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
        Ok(Self(json_bytes(request, api).await))
    }
}

impl TranscriptBody {
    /// Parses the transcript.
    pub(super) fn read(self) -> Result<Transcript, Problem> {
        Transcript::parse(&self.0?).map_err(|fault| Problem::bad_request(fault.to_string()))
    }
}

async fn json_bytes(request: Request, api: &Api) -> Result<Bytes, Problem> {
    // RFC 9110, section 8.4: a coding that is not supported.
    let coding = request.headers().get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "Send the body without a `Content-Encoding`.";
        return Err(Problem::new(ProblemType::UnsupportedMediaType, detail));
    }
    if !is_json(request.headers()) {
        return Err(unsupported(&["application/json"]));
    }
    bytes(request, api).await
}

/// Reads a body up to the limit of its route.
pub(super) async fn bytes(request: Request, api: &Api) -> Result<Bytes, Problem> {
    let BodyLimit(limit) = BodyLimit::of(request.extensions());
    let read = Bytes::from_request(request, api).await;
    read.map_err(|rejection| unread(&rejection, limit))
}

fn unread(rejection: &BytesRejection, limit: usize) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail =
            format!("The request body is larger than the limit of this address, {limit} B.");
        Problem::new(ProblemType::TooLarge, detail)
    } else {
        Problem::bad_request("the body broke off")
    }
}

/// Returns a request's body unchanged, up to the limit of its route, which is among its
/// `extensions`: for a layer that reads a request before its handler.
pub(super) async fn whole(body: Body, extensions: &Extensions) -> Result<Bytes, Problem> {
    let BodyLimit(most) = BodyLimit::of(extensions);
    let mut carrier = Request::new(body);
    DefaultBodyLimit::max(most).apply(&mut carrier);
    let read = Bytes::from_request(carrier, &()).await;
    read.map_err(|rejection| unread(&rejection, most))
}

/// Returns the whole body of a handler's answer.
pub(super) async fn answered(body: Body) -> Result<Bytes, Problem> {
    let read = to_bytes(body, usize::MAX).await;
    read.map_err(|_| Problem::internal())
}

/// Whether there is one content type and it is JSON: `application/json`, or another type in its
/// syntax (RFC 6839, section 3.1).
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
pub(super) fn unsupported(expected: &[&str]) -> Problem {
    let expected = expected.join("` or `");
    let detail = format!("Send the body with one header `Content-Type: {expected}`.");
    Problem::new(ProblemType::UnsupportedMediaType, detail)
}
