//! Problem types: each has a name, a status, a title, and a page with its meaning and remedy.
//!
//! INVARIANT: every problem has one of these types, so no answer names an undocumented type.

use std::num::NonZeroU16;

use axum::http::StatusCode;

/// A problem type. `type` contains its name as `/problems/{name}`: a relative reference, the same
/// for every vault (RFC 9457, section 3.1.1). Every vault serves its page.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub(in crate::api) enum ProblemType {
    BadRequest,
    BadSignature,
    CiphertextMissing,
    Conflict,
    Crowded,
    DatabaseDisplaced,
    DatabaseOutOfDate,
    Denied,
    HeadTooLarge,
    Held,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    Internal,
    Late,
    MethodNotAllowed,
    NoWindow,
    NotDurableYet,
    NotFound,
    OwnRequest,
    PreconditionFailed,
    RangeNotSatisfiable,
    Shredded,
    TakenOver,
    TasksDead,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
}

/// The status and texts of a problem type.
pub(in crate::api) struct ProblemMeaning {
    pub(in crate::api) status: StatusCode,
    pub(in crate::api) title: &'static str,
    /// Its meaning and its remedy.
    pub(in crate::api) text: &'static str,
    /// Seconds after which a retry may succeed, for `Retry-After`; `None` if the request must be
    /// changed, or the delay depends on the occurrence.
    pub(in crate::api) retry_after_s: Option<NonZeroU16>,
}

impl ProblemType {
    /// Every problem type, by name.
    pub(in crate::api) const EVERY: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The last part of its address.
    pub(in crate::api) fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the value of `type`.
    pub(in crate::api) fn reference(self) -> String {
        format!("/problems/{}", self.name())
    }

    pub(in crate::api) const fn meaning(self) -> ProblemMeaning {
        let (status, title, text) = match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "The request cannot be understood",
                "The path, the query, the headers or the body do not match `/openapi.json`. `detail` names the fault. Change the \
                 request; repeating it unchanged gives the same answer.",
            ),
            Self::BadSignature => (
                StatusCode::FORBIDDEN,
                "Not signed",
                "The callback has no valid signature of a configured account, or its path lacks the callback secret of the account. The \
                 operator's log states the reason. Usually `server.public_url` differs from the address that Twilio calls, or the auth \
                 token was changed.",
            ),
            Self::CiphertextMissing => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The sealed object is missing",
                "The store does not have the sealed object of this recording, though its key lives. Asking again does not help. The operator brings \
                 the object back from a copy of the store; `recvault status` counts those that a request found missing.",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "Conflict",
                "The request does not fit the present state: the recording is not sealed yet, another party has this place in the \
                 conversation, or the request was decided already. `detail` states the reason. Read the state, then send a request that \
                 fits it.",
            ),
            Self::Crowded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many open requests",
                "This client has as many open requests as `server.limits.connections_per_address` allows. End some of them, then repeat \
                 the request.",
            ),
            Self::DatabaseDisplaced => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database was replaced or removed",
                "The database file of the vault was replaced or removed under the running service. Nothing is opened and nothing is \
                 written. The log names the file. The operator stops the service, puts the file back, and starts the service again.",
            ),
            Self::DatabaseOutOfDate => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is out of date",
                "The vault's database is missing changes that this vault has made: it was restored from an old copy, or a replica that lagged took over. \
                 Nothing is opened and nothing is written. The operator restores the vault; the log has the details.",
            ),
            Self::Denied => (
                StatusCode::FORBIDDEN,
                "Denied",
                "The privacy policy does not allow this request. `reasons` lists every reason, each with a code for programs, the \
                 deciding clause of the policy, and a sentence. The audit log records the decision. The policy is at `/v1/policy`.",
            ),
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Head too large",
                "The request line and the headers together exceed 64 KiB, or there are more than 100 headers. Send fewer headers. The \
                 connection is closed.",
            ),
            Self::Held => (
                StatusCode::CONFLICT,
                "Held",
                "Holds prevent the shred; `holds` names them. Lift them first, if you have permission. A revocation closes a held \
                 recording immediately, and shreds it when the last hold is lifted.",
            ),
            Self::IdempotencyKeyInUse => (
                StatusCode::CONFLICT,
                "The request is under way",
                "A request with this `Idempotency-Key` is under way and has no answer yet. Repeat it after the number of seconds in \
                 `Retry-After` to get that answer. If the service died meanwhile, the repeat takes effect after half a minute.",
            ),
            Self::IdempotencyKeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "The key was used for another request",
                "Within the last 24 hours, this bearer token sent another request with the same `Idempotency-Key`: another method, \
                 address or body. Nothing was done. Send each request with a key of its own, such as a random UUID.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error",
                "The vault met an unexpected condition. The operator's log states the cause; no answer contains it.",
            ),
            Self::Late => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too late",
                "No answer was ready within `server.request_timeout_s`. The request may still take effect. Repeating it is safe.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "The address does not accept this method. `Allow` lists the accepted methods, and `/openapi.json` describes them.",
            ),
            Self::NoWindow => (
                StatusCode::CONFLICT,
                "No part can be given",
                "The purpose gives only a part of the audio, and no part can be cut from audio of this format. State a purpose with \
                 another view.",
            ),
            Self::NotDurableYet => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not durable yet",
                "The request has taken effect, unless another fault is in the log: no shredded recording opens any more. The change is not in the store yet, so a vault \
                 that is restored from the store would lack it. It completes by itself. Repeat the request to confirm it and to get the \
                 receipt.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "Not found, or you lack permission to see it. Both cases have the same answer, so that it does not disclose which \
                 recordings exist. A grant that has ended is not found either.",
            ),
            Self::OwnRequest => (
                StatusCode::FORBIDDEN,
                "Your own request",
                "Nobody may approve or refuse their own request, whatever their roles. Another principal with an approving role must \
                 decide.",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "Precondition failed",
                "`If-Match` names no present entity tag of this address. Repeat the request without `If-Match` to get the present \
                 representation and its tag.",
            ),
            Self::RangeNotSatisfiable => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "Range not satisfiable",
                "`Range` begins after the last byte. `Content-Range` states the number of bytes.",
            ),
            Self::Shredded => (
                StatusCode::GONE,
                "Shredded",
                "The recording was shredded: its key is destroyed, and the recording cannot be recovered. `receipt_id` names the \
                 receipt, which is public at `/v1/receipts/{id}`.",
            ),
            Self::TakenOver => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Another database has taken over",
                "Another database was restored and has taken over this vault; the service on that database answers. Nothing is opened \
                 or confirmed here. A change that this request made here may be missing in the vault that took over. The operator's log \
                 names the other database.",
            ),
            Self::TasksDead => (
                StatusCode::SERVICE_UNAVAILABLE,
                "A task is not running",
                "A long-lived task of the service has ended; `detail` names it. The service restarts it; the operator's log states the \
                 reason.",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Body too large",
                "The body is larger than this address accepts; `detail` states the limit. Split the body, where the address accepts \
                 parts. The connection is closed, because the rest of the body is not read.",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "This client has sent too many requests, or too many unauthorised ones. Repeat the request after the number of seconds \
                 in `Retry-After`.",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "No valid bearer token",
                "The request has no `Authorization: Bearer …` header or several, or the token is unknown, revoked or expired. The \
                 operator creates tokens with `recvault token create`.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Another content type is expected",
                "The body has no content type, several, or not the one that this address reads. `detail` names the expected type. Send \
                 the body with exactly one header of that type.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available",
                "The database, the store or the root key cannot be reached. The request may have taken effect. Repeat it after \
                 `Retry-After`.",
            ),
        };
        ProblemMeaning {
            status,
            title,
            text,
            retry_after_s: self.retry_after_s(),
        }
    }

    const fn retry_after_s(self) -> Option<NonZeroU16> {
        match self {
            // Temporary conditions.
            Self::Crowded
            | Self::Late
            | Self::NotDurableYet
            | Self::TasksDead
            | Self::Unavailable => NonZeroU16::new(1),
            // An operator must act.
            Self::DatabaseDisplaced | Self::DatabaseOutOfDate | Self::TakenOver => {
                NonZeroU16::new(60)
            }
            Self::BadRequest
            | Self::BadSignature
            | Self::CiphertextMissing
            | Self::Conflict
            | Self::Denied
            | Self::HeadTooLarge
            | Self::Held
            | Self::IdempotencyKeyInUse
            | Self::IdempotencyKeyReused
            | Self::Internal
            | Self::MethodNotAllowed
            | Self::NoWindow
            | Self::NotFound
            | Self::OwnRequest
            | Self::PreconditionFailed
            | Self::RangeNotSatisfiable
            | Self::Shredded
            | Self::TooLarge
            | Self::TooManyRequests
            | Self::Unauthorized
            | Self::UnsupportedMediaType => None,
        }
    }
}

impl utoipa::ToSchema for ProblemType {}

impl utoipa::PartialSchema for ProblemType {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::Custom(
                "uri-reference".into(),
            )))
            .description(Some(
                "The problem type: a reference to the page that explains it.",
            ))
            .enum_values(Some(Self::EVERY.iter().map(|kind| kind.reference())))
            .into()
    }
}

impl serde::Serialize for ProblemType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reference())
    }
}
