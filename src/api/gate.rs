//! The gate: a bearer token becomes a principal, a permit, or a refusal. Also the extractors of
//! paths and queries that answer with problems.

use axum::{
    extract::{FromRequestParts, Path, Query, rejection::QueryRejection},
    http::{HeaderMap, header, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{Api, client_ip::ClientIp, limits::RateLimitKey, problem::Problem};
use crate::{
    model::{access::Principal, id::RecordingId},
    policy::{Permit, PermitAction},
};

/// A principal with a valid bearer token (RFC 6750, section 2.1: in the header, never in the URL).
pub(super) struct Bearer(pub(super) Principal);

impl FromRequestParts<Api> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let ClientIp(address) = ClientIp::from_request_parts(parts, api).await?;
        let client = RateLimitKey::of(address);
        let Some(token) = bearer_token(&parts.headers) else {
            api.limits.record_failure(client)?;
            return Err(Problem::unauthorized());
        };
        api.limits.check_credential(client, token)?;
        let Some(principal) = api.flow.access.authenticate(token).await? else {
            api.limits.record_failure(client)?;
            return Err(Problem::unauthorized());
        };
        api.limits.record_success(token);
        Ok(Self(principal))
    }
}

/// Returns the token, if exactly one header has one.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut headers = headers.get_all(header::AUTHORIZATION).iter();
    // Two credentials at once are refused: which of them speaks would be a guess.
    let (Some(value), None) = (headers.next(), headers.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Bearer {
    /// Returns the permit for an action, or the refusal in the form that the bearer may see.
    pub(super) async fn permit<A: PermitAction>(
        &self,
        api: &Api,
        action: A,
        recording: Option<RecordingId>,
    ) -> Result<Permit<A>, Problem> {
        Ok(api.flow.access.permit(&self.0, action, recording).await?)
    }
}

/// An id from the path; an invalid id is not found.
pub(super) struct Id<T>(pub(super) T);

impl<T: std::str::FromStr + Send> FromRequestParts<Api> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// A query string; errors name the field.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, api).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection: QueryRejection| Problem::bad_request(rejection.body_text()))
    }
}
