//! Errors as RFC 9457 problem details: the one place where an error becomes an HTTP answer.
//!
//! Logs causes inside the vault once, and never sends them, in any build.

mod kind;

use std::{num::NonZeroU16, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use self::kind::ProblemMeaning;
pub(super) use self::kind::ProblemType;
use crate::{
    db::{self, ClosedFor},
    flow,
    model::{
        id::{ReceiptId, RecordingId},
        name::HoldName,
        time::Timestamp,
    },
    policy::PolicyRefusal,
    vault,
};

/// A problem, as `application/problem+json`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
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
    #[schema(value_type = String, max_length = 65536)]
    detail: Box<str>,
    /// Every reason of a refusal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reasons: Vec<ProblemReason>,
    /// The receipt of a shredded recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_id: Option<ReceiptId>,
    /// The holds that prevent the shred. In a box, because few problems have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<KeptBy>>)]
    holds: Option<Box<Kept>>,
    /// The time of the shred.
    #[serde(skip_serializing_if = "Option::is_none")]
    shredded_at: Option<Timestamp>,
    /// Seconds until a retry is allowed, for the header `Retry-After`.
    #[serde(skip)]
    retry_after_s: Option<NonZeroU16>,
}

/// One reason of a refusal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ProblemReason {
    /// Stable, for programs.
    #[schema(max_length = 64, examples("purpose-unknown"))]
    code: &'static str,
    /// The clause of the policy that decided, such as `purposes/training/when`; stable.
    #[schema(max_length = 300, examples("purposes/training/when"))]
    clause: String,
    /// For people.
    #[schema(max_length = 65536)]
    text: String,
}

/// Recordings that holds keep.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Kept(Vec<KeptBy>);

/// A recording and the holds that keep it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeptBy {
    recording_id: RecordingId,
    /// The names of the holds.
    holds: Vec<HoldName>,
}

impl Problem {
    pub(super) fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let ProblemMeaning { status, title, .. } = kind.meaning();
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into().into(),
            reasons: Vec::new(),
            receipt_id: None,
            holds: None,
            shredded_at: None,
            retry_after_s: None,
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

    /// Nothing is written to the database any more.
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

    /// Too many requests of this kind; the next may come after `wait`.
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

    /// Whether it is [`Self::limited`].
    pub(super) fn is_limit(&self) -> bool {
        self.kind == ProblemType::TooManyRequests
    }

    /// Another request with this key has no answer yet.
    pub(super) fn under_way() -> Self {
        let detail = "A request with this `Idempotency-Key` is under way. Repeat it after the number of seconds in `Retry-After` to get its answer.";
        Self {
            retry_after_s: Some(NonZeroU16::MIN),
            ..Self::new(ProblemType::IdempotencyKeyInUse, detail)
        }
    }

    /// The key was given with another request.
    pub(super) fn key_reused() -> Self {
        let detail = "This `Idempotency-Key` was used for another request: another method, address or body. Nothing was done. Send each request with a key of its own.";
        Self::new(ProblemType::IdempotencyKeyReused, detail)
    }

    /// One client has its share of the connections.
    pub(crate) fn crowded() -> Self {
        let detail = "This client has too many open requests. End some of them first.";
        Self::new(ProblemType::Crowded, detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "The vault met an unexpected condition; the operator's log states the cause.";
        Self::new(ProblemType::Internal, detail)
    }
}

impl From<flow::Error> for Problem {
    fn from(error: flow::Error) -> Self {
        match error {
            flow::Error::NotFound
            | flow::Error::Vault(vault::Error::Gone | vault::Error::GrantEnded) => {
                Self::not_found()
            }
            flow::Error::OwnRequest => {
                let detail = "Nobody may approve or refuse their own request: another principal with an approving role must decide.";
                Self::new(ProblemType::OwnRequest, detail)
            }
            flow::Error::Invalid(detail) => Self::bad_request(detail),
            flow::Error::Vault(vault::Error::Db(db::Error::Unstorable)) => Self::bad_request(
                "A text in the request contains the character U+0000, which cannot be stored: remove it.",
            ),
            flow::Error::Conflict(detail) => Self::new(ProblemType::Conflict, detail),
            flow::Error::Vault(vault::Error::NoWindow) => {
                let detail = "The purpose gives only a part of the audio, and no part can be cut from audio of this format. State a purpose with another view.";
                Self::new(ProblemType::NoWindow, detail)
            }
            flow::Error::Shredded { at, receipt } => {
                let detail = format!(
                    "The recording was shredded at {at}. Its receipt is at `/v1/receipts/{receipt}`."
                );
                let problem = Self::new(ProblemType::Shredded, detail);
                Self {
                    receipt_id: Some(receipt),
                    shredded_at: Some(at),
                    ..problem
                }
            }
            flow::Error::Held(ref recordings) => {
                let kept = recordings.iter().map(|(id, names)| KeptBy {
                    recording_id: *id,
                    holds: names.clone(),
                });
                let holds = Some(Box::new(Kept(kept.collect())));
                Self {
                    holds,
                    ..Self::new(ProblemType::Held, error.to_string())
                }
            }
            flow::Error::Denied(denial) => {
                let detail =
                    "The privacy policy does not allow this request; `reasons` lists every reason.";
                let reasons = denial.refusals().iter();
                let reason = |refusal: &PolicyRefusal| ProblemReason {
                    code: refusal.reason.code(),
                    clause: refusal.clause.to_string(),
                    text: refusal.sentence(),
                };
                let reasons = reasons.map(reason).collect();
                Self {
                    reasons,
                    ..Self::new(ProblemType::Denied, detail)
                }
            }
            flow::Error::Vault(vault::Error::NotDurable(cause)) => {
                tracing::warn!(cause, "something is done and not durable yet");
                Self::not_durable_yet()
            }
            flow::Error::Vault(vault::Error::Db(db::Error::Closed(closed))) => {
                Self::closed(closed.because)
            }
            flow::Error::Vault(
                vault::Error::ForgetfulDatabase { .. } | vault::Error::BehindCustody { .. },
            ) => Self::closed(ClosedFor::Forgetful),
            flow::Error::Vault(vault::Error::NotOwner { .. }) => Self::closed(ClosedFor::TakenOver),
            flow::Error::Vault(vault::Error::Db(
                error @ (db::Error::Unavailable(_) | db::Error::Conflict),
            )) => {
                tracing::error!(%error, "the database is not available");
                Self::unavailable()
            }
            flow::Error::Vault(error @ (vault::Error::Custody(_) | vault::Error::NoSlot(_))) => {
                tracing::error!(%error, "custody is not available");
                Self::unavailable()
            }
            flow::Error::Vault(error @ vault::Error::CiphertextMissing(_)) => {
                Self::new(ProblemType::CiphertextMissing, error.to_string())
            }
            flow::Error::Vault(vault::Error::Store(error)) => {
                tracing::error!(%error, "the store is not available");
                Self::unavailable()
            }
            other => {
                tracing::error!(error = %other, "internal error");
                Self::internal()
            }
        }
    }
}

impl Problem {
    /// Returns the problem of a request that cannot be read as HTTP; the reader gives the status.
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
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(seconds) = retry_after {
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
