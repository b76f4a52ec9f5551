//! Media over HTTP: what a player asks for, under a grant's token.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{
    Api, Problem,
    gate::Id,
    network::Network,
    range::{Wanted, wanted},
};

/// The sound under a grant, whole or in part (RFC 9110, section 14). `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/audio.wav", tag = "media", params(("token" = String, Path), ("Range" = Option<String>, Header)),
    responses((status = 200, content_type = "audio/wav"), (status = 206, content_type = "audio/wav"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem), (status = 416, body = Problem)))]
pub(super) async fn audio(
    State(api): State<Api>,
    Network(network): Network,
    Id(token): Id<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let heard = api.flow.redeem(&token, network).await?;
    let (len, etag) = (heard.playable.len(), format!("\"{}\"", heard.playable.etag()));
    let wanted = wanted(range_header(&headers, &etag), len);
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => return Ok(unsatisfiable(len)),
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, heard.playable.content_type())
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .header(header::CONTENT_DISPOSITION, "inline; filename=\"recording.wav\"")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag);
    if status == StatusCode::PARTIAL_CONTENT {
        response = response.header(header::CONTENT_RANGE, format!("bytes {}-{}/{len}", range.start, range.end - 1));
    }
    let body = if method == Method::HEAD { Body::empty() } else { Body::from_stream(api.flow.listen(&heard, range).await?) };
    response.body(body).map_err(|_| Problem::internal())
}

/// The `Range` header, if it counts: with an `If-Range` only while the representation is still the one it names (section 13.1.5).
fn range_header<'a>(headers: &'a HeaderMap, etag: &str) -> Option<&'a str> {
    let current = headers.get(header::IF_RANGE).is_none_or(|validator| validator.as_bytes() == etag.as_bytes());
    headers.get(header::RANGE).filter(|_| current).and_then(|value| value.to_str().ok())
}

fn unsatisfiable(len: u64) -> Response {
    let mut response = Problem::unsatisfiable().into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{len}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}
