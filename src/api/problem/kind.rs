//! Kinds of problems: each has a name, a status, a title, and a page that says what it means and
//! what to do.
//!
//! INVARIANT: a problem is of one of these kinds, so that no answer names a kind that is not
//! documented.

use axum::http::StatusCode;

/// A kind of problem. Its name stands in `type`, as `/problems/{name}`: a reference that is the
/// same for every vault (RFC 9457, section 3.1.1), and whose page each of them serves.
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

/// What is said of a kind.
pub(in crate::api) struct ProblemMeaning {
    pub(in crate::api) status: StatusCode,
    pub(in crate::api) title: &'static str,
    /// What it means, and what to do.
    pub(in crate::api) text: &'static str,
}

impl ProblemType {
    /// Every kind, by name.
    pub(in crate::api) const EVERY: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The last part of its address.
    pub(in crate::api) fn name(self) -> &'static str {
        self.into()
    }

    /// What stands in `type`.
    pub(in crate::api) fn reference(self) -> String {
        format!("/problems/{}", self.name())
    }

    pub(in crate::api) const fn meaning(self) -> ProblemMeaning {
        let (status, title, text) = match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "The request cannot be understood",
                "The path, the query, the headers or the body are not as `/openapi.json` describes them. `detail` names what is wrong. Change \
                 the request; sending it again as it was has the same answer.",
            ),
            Self::BadSignature => (
                StatusCode::FORBIDDEN,
                "Not signed",
                "A callback carries no signature of an account that is configured, or not the secret that the account's callbacks carry in their \
                 path. The operator's log says why. Usually `server.public_url` is not the address that Twilio calls, or the auth token was \
                 changed.",
            ),
            Self::CiphertextMissing => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The sealed object is missing",
                "The store does not have the sealed object of this recording, though its key lives. Asking again does not help. The operator brings \
                 the object back from a copy of the store; `recvault status` counts such recordings.",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "Conflict",
                "What is asked for does not fit the present state: the recording is not sealed yet, somebody else has a place in the conversation, \
                 or a request was decided already. `detail` says what it is. Look at the state, and ask for what fits it.",
            ),
            Self::Crowded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many open requests",
                "This client has as many requests open as `server.limits.connections_per_address` allows. End some of them, and ask again.",
            ),
            Self::DatabaseDisplaced => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database was replaced or removed",
                "The file of the vault's database was replaced or removed under the running service. Nothing opens and nothing is written. The \
                 operator stops the service, puts the file back, and starts it again; the log names the file.",
            ),
            Self::DatabaseOutOfDate => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is out of date",
                "The vault's database is older than what the vault has done: it was put back from an old copy, or a replica that lagged took over. \
                 Nothing opens and nothing is written. The operator restores it; the log says more.",
            ),
            Self::Denied => (
                StatusCode::FORBIDDEN,
                "Denied",
                "The privacy policy does not allow this. `reasons` lists every reason, each with a code for programs, the clause of the policy \
                 that decided, and a sentence. The decision stands in the audit log. `/v1/policy` has the policy.",
            ),
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Head too large",
                "The request line and the headers together have more than 64 KiB, or there are more than 100 headers. Send fewer. The connection is \
                 closed.",
            ),
            Self::Held => (
                StatusCode::CONFLICT,
                "Held",
                "Holds keep what would be shredded; `holds` names them. Lift them first, if you may. A revocation closes at once what a hold keeps, \
                 and shreds it when the last hold is lifted.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error",
                "The vault found something that it did not expect. The operator's log has the cause; no answer ever has it.",
            ),
            Self::Late => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too late",
                "No answer was ready within `server.request_timeout_s`. What was asked for may still be done. Asking again does no harm.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "The address does not take this method. `Allow` lists what it takes, and `/openapi.json` says what for.",
            ),
            Self::NoWindow => (
                StatusCode::CONFLICT,
                "No part can be given",
                "The purpose gives only a part of the sound, and the sound is of a format of which no part can be cut out. Ask for a purpose with \
                 another view.",
            ),
            Self::NotDurableYet => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not durable yet",
                "It has taken effect: nothing that was shredded opens any more. But it is not in the store yet, so that a vault rebuilt from there \
                 would not know of it. It completes by itself. Ask again to be sure, and for the receipt.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing at this address, or it is not yours to know: the answer is the same, so that nobody learns what exists. A grant \
                 that has ended is not found, either.",
            ),
            Self::OwnRequest => (
                StatusCode::FORBIDDEN,
                "Your own request",
                "Nobody approves or refuses their own request, whatever their roles. Somebody else with a role that may approve it must.",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "Precondition failed",
                "`If-Match` names none of the entity tags that this address has now. Ask without it for what is there, and go on from there.",
            ),
            Self::RangeNotSatisfiable => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "Range not satisfiable",
                "`Range` begins behind the last byte. `Content-Range` says how many there are.",
            ),
            Self::Shredded => (
                StatusCode::GONE,
                "Shredded",
                "The recording was shredded: its key is destroyed, and it never comes back. `receipt_id` names the receipt, which anybody may read \
                 at `/v1/receipts/{id}`.",
            ),
            Self::TakenOver => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Another database has taken over",
                "Another database was restored and has taken over this vault; the service on that one answers. Nothing opens and nothing is written \
                 here. The operator's log names it.",
            ),
            Self::TasksDead => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Tasks do not live",
                "A long-lived task of the service has ended; `detail` names it. It is started again by itself; the operator's log says why it ended.",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Body too large",
                "The body is larger than this address takes; `detail` says how large it may be. Send it in parts, where there are parts. The \
                 connection is closed, because the rest of the body is not read.",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "This client has sent too many requests, or too many that were not authorised. `Retry-After` says in how many seconds the next may \
                 come.",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "No valid bearer token",
                "There is no `Authorization: Bearer …`, there are several, or the token is unknown, revoked or expired. The operator makes tokens \
                 with `recvault token create`.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Another content type is expected",
                "The body does not have the content type that this address reads, or has several. `detail` names the type that is expected. Send the \
                 body with that one header.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available",
                "The database, the store or the root key cannot be reached. Nothing was changed. Try again after `Retry-After`.",
            ),
        };
        ProblemMeaning {
            status,
            title,
            text,
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
                "What kind of problem: a reference to the page that explains it.",
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
