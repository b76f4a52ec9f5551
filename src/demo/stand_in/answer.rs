//! Answers of the interface: JSON, with errors in JSON, or in XML for media URLs.

use std::{convert::Infallible, io};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{behaviour::TwilioProblem, wrong::RequestFault};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a request.
pub(super) enum StandInAnswer {
    /// A document.
    Json(StatusCode, Value),
    /// 204.
    Empty,
}

impl StandInAnswer {
    pub(super) fn ok(value: Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }

    pub(super) fn created(value: Value) -> Self {
        Self::Json(StatusCode::CREATED, value)
    }
}

impl IntoResponse for StandInAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::Json(status, value) => {
                (status, [(header::CONTENT_TYPE, JSON)], value.to_string()).into_response()
            }
            Self::Empty => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

/// An error of the interface.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    status: u16,
    code: u32,
    message: String,
    retry_after: Option<u64>,
}

impl Refused {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn of(problem: &TwilioProblem, message: &str) -> Self {
        Self::new(problem.status, problem.code, message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, 20404, "The requested resource was not found")
    }

    pub(super) fn unauthorised() -> Self {
        Self::new(401, 20003, "Authenticate")
    }

    pub(super) fn not_active() -> Self {
        Self::new(403, 20005, "Account not active")
    }

    pub(super) fn too_many(retry_after: Option<u64>) -> Self {
        Self {
            retry_after,
            ..Self::new(429, 20429, "Too Many Requests")
        }
    }

    pub(super) fn server_error() -> Self {
        Self::new(500, 20500, "An internal server error has occurred")
    }

    pub(super) fn invalid(parameter: &str) -> Self {
        Self::new(400, 20001, format!("Invalid value of {parameter}"))
    }

    /// `{code, message, more_info, status}`.
    pub(super) fn json(self) -> Response {
        let document = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        });
        let status = self.http_status();
        self.with_headers(
            (status, [(header::CONTENT_TYPE, JSON)], document.to_string()).into_response(),
        )
    }

    pub(super) fn xml(self) -> Response {
        let status = self.http_status();
        let document = self.xml_as(status);
        self.with_headers(document)
    }

    /// Returns the XML of this error with another HTTP status.
    pub(super) fn xml_as(&self, status: StatusCode) -> Response {
        let Self {
            status: inner,
            code,
            message,
            ..
        } = self;
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException><Code>{code}</Code><Message>{message}</Message>\
             <MoreInfo>https://www.twilio.com/docs/errors/{code}</MoreInfo><Status>{inner}</Status></RestException></TwilioResponse>"
        );
        (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    }

    fn http_status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn with_headers(self, mut response: Response) -> Response {
        if self.status == 401 {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Twilio API\""),
            );
        }
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Returns the error, or another wrong answer, of a faulty request.
pub(super) fn wrong(
    wrong: &RequestFault,
    elsewhere: &str,
    stop: &CancellationToken,
) -> Result<Response, Refused> {
    Err(match wrong {
        RequestFault::NotFound => Refused::not_found(),
        RequestFault::Unauthorised => Refused::unauthorised(),
        RequestFault::Forbidden => Refused::not_active(),
        RequestFault::TooMany { retry_after } => Refused::too_many(*retry_after),
        RequestFault::Refused { status, code } => Refused::new(*status, *code, "Refused"),
        RequestFault::ServerError
        | RequestFault::DoneThenServerError
        | RequestFault::Silence
        | RequestFault::DoneThenSilence => Refused::server_error(),
        RequestFault::CutBody => {
            return Ok(stated(
                JSON,
                4096,
                Body::from_stream(cut(Bytes::from_static(b"{\"sid\": \"RE"))),
            ));
        }
        RequestFault::NotJson => {
            return Ok((
                [(header::CONTENT_TYPE, "text/html")],
                "<html><body>Be right back</body></html>",
            )
                .into_response());
        }
        RequestFault::HugeBody => {
            return Ok((
                [(header::CONTENT_TYPE, JSON)],
                Body::from_stream(huge(stop.clone())),
            )
                .into_response());
        }
        RequestFault::WrongShape => {
            return Ok(StandInAnswer::ok(
                json!({ "sid": [1, 2], "page": "first", "recordings": { "a": null } }),
            )
            .into_response());
        }
        RequestFault::NothingDone => return Ok(StandInAnswer::Empty.into_response()),
        RequestFault::RedirectAway => {
            return Ok((
                StatusCode::TEMPORARY_REDIRECT,
                [(header::LOCATION, elsewhere.to_owned())],
            )
                .into_response());
        }
    })
}

/// Returns an answer with this `Content-Length`, whatever the length of the body.
pub(super) fn stated(content_type: HeaderValue, length: u64, body: Body) -> Response {
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::CONTENT_LENGTH, HeaderValue::from(length)),
        ],
        body,
    )
        .into_response()
}

/// Returns a body that breaks after its start.
pub(super) fn cut(start: Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let breaks = stream::once(async {
        // Lets the connection write what it has before it is closed.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    stream::iter((!start.is_empty()).then_some(Ok(start))).chain(breaks)
}

/// Returns 256 MiB of valid JSON.
fn huge(stop: CancellationToken) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let blank = Bytes::from_static(&[b' '; 64 * 1024]);
    let body = stream::repeat(blank).take(4096);
    let start = Bytes::from_static(b"{\"recordings\": [");
    let end = Bytes::from_static(b"]}");
    stream::once(async { start })
        .chain(body)
        .chain(stream::once(async { end }))
        .map(Ok)
        .take_until(stop.cancelled_owned())
}
