//! Errors as RFC 9457 problem details: the one place where an error becomes an HTTP answer.
//!
//! Logs the causes of internal errors once, and never sends them, in any build.

mod causes;
mod kind;

use std::{num::NonZeroU16, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};

use self::kind::ProblemMeaning;
pub(super) use self::kind::ProblemType;
use crate::{
    db::ClosedFor,
    model::{
        id::{ReceiptId, RecordingId},
        name::HoldName,
        time::Timestamp,
    },
    policy::PolicyRefusal,
};

/// An error as an answer. The title and the status follow from the type and are not stored.
#[derive(Debug)]
pub struct Problem {
    kind: ProblemType,
    detail: Box<str>,
    /// Boxed, because few problems have any.
    extensions: Option<Box<ProblemExtensions>>,
    /// Seconds until a retry is allowed, if the type does not define them.
    retry_after_s: Option<NonZeroU16>,
}

/// The members of only some problem types.
#[derive(Debug, Default)]
struct ProblemExtensions {
    reasons: Vec<ProblemReason>,
    receipt_id: Option<ReceiptId>,
    holds: Option<Vec<HeldBy>>,
    shredded_at: Option<Timestamp>,
}

/// A problem, as `application/problem+json`.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
struct ProblemBody<'a> {
    /// The problem type; stable, for programs.
    #[serde(rename = "type")]
    kind: ProblemType,
    /// The name of the problem type, for people.
    #[schema(max_length = 100)]
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The cause of this occurrence, and the remedy.
    #[schema(max_length = 65536)]
    detail: &'a str,
    /// Every reason of a refusal.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<ProblemReason>, required = false)]
    reasons: &'a [ProblemReason],
    /// The receipt of a shredded recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_id: Option<ReceiptId>,
    /// The holds that prevent the shred.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<HeldBy>>)]
    holds: Option<&'a [HeldBy]>,
    /// The time of the shred.
    #[serde(skip_serializing_if = "Option::is_none")]
    shredded_at: Option<Timestamp>,
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ProblemMeaning { status, title, .. } = self.kind.meaning();
        let extensions = self.extensions.as_deref();
        let body = ProblemBody {
            kind: self.kind,
            title,
            status: status.as_u16(),
            detail: &self.detail,
            reasons: extensions.map_or(&[], |extensions| extensions.reasons.as_slice()),
            receipt_id: extensions.and_then(|extensions| extensions.receipt_id),
            holds: extensions.and_then(|extensions| extensions.holds.as_deref()),
            shredded_at: extensions.and_then(|extensions| extensions.shredded_at),
        };
        body.serialize(serializer)
    }
}

impl utoipa::PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemBody::schema()
    }
}

impl utoipa::ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <ProblemBody<'_> as utoipa::ToSchema>::schemas(schemas);
    }
}

/// One reason of a refusal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProblemReason {
    /// Stable, for programs.
    #[schema(max_length = 64, examples("purpose-unknown"))]
    code: &'static str,
    /// The clause of the policy that decided, such as `purposes/training/when`; stable.
    #[schema(max_length = 300, examples("purposes/training/when"))]
    pub(super) clause: String,
    /// For people.
    #[schema(max_length = 65536)]
    pub(super) text: String,
}

/// A recording and the holds that keep it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct HeldBy {
    recording_id: RecordingId,
    /// The names of the holds.
    holds: Vec<HoldName>,
}

impl Problem {
    pub(super) fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into().into(),
            extensions: None,
            retry_after_s: None,
        }
    }

    fn with(self, extensions: ProblemExtensions) -> Self {
        Self {
            extensions: Some(Box::new(extensions)),
            ..self
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::BadRequest, detail)
    }

    pub(super) fn not_found() -> Self {
        let detail = "Not found, or you lack permission to see it.";
        Self::new(ProblemType::NotFound, detail)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "Send a valid token as `Authorization: Bearer …`.";
        Self::new(ProblemType::Unauthorized, detail)
    }

    pub(super) fn bad_signature() -> Self {
        let detail = "The request is not signed by a known account.";
        Self::new(ProblemType::BadSignature, detail)
    }

    pub(super) fn precondition_failed() -> Self {
        let detail = "`If-Match` names no present entity tag of this address.";
        Self::new(ProblemType::PreconditionFailed, detail)
    }

    pub(super) fn unsatisfiable() -> Self {
        let detail =
            "The range begins after the last byte; `Content-Range` states the number of bytes.";
        Self::new(ProblemType::RangeNotSatisfiable, detail)
    }

    pub(super) fn late() -> Self {
        let detail =
            "The answer took too long. The request may still take effect; repeating it is safe.";
        Self::new(ProblemType::Late, detail)
    }

    pub(super) fn unavailable() -> Self {
        let detail =
            "The vault cannot do this now. The request may have taken effect; repeat it later.";
        Self::new(ProblemType::Unavailable, detail)
    }

    pub(super) fn not_durable_yet() -> Self {
        let detail = "The request has taken effect: no shredded recording opens any more. The change is not in the store yet, so a vault that is \
                      restored from the store would lack it. It completes by itself; repeat the request to confirm it.";
        Self::new(ProblemType::NotDurableYet, detail)
    }

    /// The database accepts no more writes.
    pub(super) fn closed(because: ClosedFor) -> Self {
        let (kind, detail) = match because {
            ClosedFor::Forgetful => (
                ProblemType::DatabaseOutOfDate,
                "The vault's database is missing changes that this vault has made: it was restored from an old copy, or a replica that lagged took \
                 over. Nothing is opened or confirmed. A change that this request made may not be kept. The operator's log has the details.",
            ),
            ClosedFor::Displaced => (
                ProblemType::DatabaseDisplaced,
                "The database file of the vault was replaced or removed under the running service. Nothing is opened or confirmed. A \
                 change that this request made may not be kept. The operator stops the service, puts the file back, and starts the service again; the log names the file.",
            ),
            ClosedFor::TakenOver => (
                ProblemType::TakenOver,
                "Another database was restored and has taken over this vault; the service on that database answers. Nothing is opened or \
                 confirmed here. A change that this request made here may be missing in the vault that took over. The operator's log names the other database.",
            ),
        };
        Self::new(kind, detail)
    }

    pub(super) fn tasks_dead(tasks: &[&str]) -> Self {
        let detail = format!(
            "These tasks of the service are not running: {}. The service restarts them; the operator's log states the reason.",
            tasks.join(", ")
        );
        Self::new(ProblemType::TasksDead, detail)
    }

    /// Too many requests of this kind; the next is permitted after `wait`.
    pub(super) fn limited(what: &'static str, wait: Duration) -> Self {
        metrics::counter!("recvault_limited_total", "what" => what).increment(1);
        let seconds = u16::try_from(wait.as_secs()).unwrap_or(u16::MAX);
        let retry_after_s = Some(NonZeroU16::MIN.saturating_add(seconds));
        let detail = "This client has sent too many requests, or too many unauthorised ones. Repeat the request after the number of seconds in `Retry-After`.";
        let problem = Self::new(ProblemType::TooManyRequests, detail);
        Self {
            retry_after_s,
            ..problem
        }
    }

    /// Another request with this key has no answer yet.
    pub(super) fn under_way() -> Self {
        let detail = "A request with this `Idempotency-Key` is under way. Repeat it after the number of seconds in `Retry-After` to get its answer.";
        Self {
            retry_after_s: Some(NonZeroU16::MIN),
            ..Self::new(ProblemType::IdempotencyKeyInUse, detail)
        }
    }

    /// The key was used for another request.
    pub(super) fn key_reused() -> Self {
        let detail = "This `Idempotency-Key` was used for another request: another method, address or body. Nothing was done. Send each request with a key of its own.";
        Self::new(ProblemType::IdempotencyKeyReused, detail)
    }

    /// The client has reached its limit of open connections or requests.
    pub(crate) fn crowded() -> Self {
        let detail = "This client has too many open requests. End some of them first.";
        Self::new(ProblemType::Crowded, detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "The vault met an unexpected condition; the operator's log states the cause.";
        Self::new(ProblemType::Internal, detail)
    }
}

impl ProblemReason {
    pub(crate) fn of(refusal: &PolicyRefusal) -> Self {
        Self {
            code: refusal.reason.code(),
            clause: refusal.clause.to_string(),
            text: refusal.sentence(),
        }
    }
}

impl Problem {
    /// Returns the problem of a request that is not valid HTTP, for the status of the HTTP parser.
    pub(crate) fn unreadable(status: StatusCode) -> Option<Self> {
        let (kind, detail) = match status {
            StatusCode::BAD_REQUEST => (
                ProblemType::BadRequest,
                "The request is not valid HTTP/1.1: its first line or a header is malformed, or its length is stated in two ways.",
            ),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                ProblemType::HeadTooLarge,
                "The request line and the headers are too large.",
            ),
            _ => return None,
        };
        Some(Self::new(kind, detail))
    }

    /// Returns an example of this type.
    pub(super) fn example(kind: ProblemType) -> serde_json::Value {
        let detail = kind.meaning().text.split_inclusive(". ").next();
        serde_json::to_value(Self::new(kind, detail.unwrap_or_default().trim())).unwrap_or_default()
    }

    /// Returns its JSON, for answers without a router.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let ProblemMeaning {
            status,
            retry_after_s,
            ..
        } = self.kind.meaning();
        let retry_after_s = self.retry_after_s.or(retry_after_s);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        response
    }
}

/// Answers a path without a route.
pub(super) async fn no_such_route() -> Problem {
    Problem::not_found()
}

/// Answers a method that the route lacks.
pub(super) async fn no_such_method() -> Problem {
    let detail = "This address does not accept this method; `Allow` lists the accepted methods.";
    Problem::new(ProblemType::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(problem: Problem) -> Option<String> {
        let response = problem.into_response();
        let value = response.headers().get(header::RETRY_AFTER)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_retry_is_soon_where_the_fault_passes_and_late_where_an_operator_must_act() {
        let soon = [
            Problem::unavailable(),
            Problem::late(),
            Problem::crowded(),
            Problem::not_durable_yet(),
            Problem::tasks_dead(&["work"]),
        ];
        for problem in soon {
            assert_eq!(retry_after(problem).as_deref(), Some("1"));
        }
        for because in [
            ClosedFor::Forgetful,
            ClosedFor::Displaced,
            ClosedFor::TakenOver,
        ] {
            assert_eq!(retry_after(Problem::closed(because)).as_deref(), Some("60"));
        }
        let limited = Problem::limited("anonymous", Duration::from_secs(7));
        assert_eq!(retry_after(limited).as_deref(), Some("8"));
        for problem in [Problem::not_found(), Problem::internal()] {
            assert_eq!(retry_after(problem), None);
        }
    }

    #[test]
    fn every_answer_that_may_pass_says_when_to_ask_again() {
        for kind in ProblemType::EVERY {
            let meaning = kind.meaning();
            let says = retry_after(Problem::new(*kind, "x")).is_some();
            let passes = meaning.status == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(says, passes, "{}", kind.name());
        }
    }
}
