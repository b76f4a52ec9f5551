//! The gate: turns a bearer token into a principal, and a principal into a permit or a refusal.
//! Also the extractors of paths and queries that answer with problems.

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, header, request::Parts},
};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::{Api, client_ip::ClientIp, limits::RateLimitKey, problem::Problem};
use crate::{
    model::{access::Principal, id::RecordingId},
    policy::{Permit, PermitAction},
};

/// A principal with a valid bearer token (RFC 6750, section 2.1: in the header, never in the URL).
pub(super) struct Bearer(pub(super) Principal);

/// The principal that a layer before the handler has authenticated, so that the token is looked up
/// and counted once.
#[derive(Clone)]
pub(super) struct Authenticated(pub(super) Principal);

impl FromRequestParts<Api> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if let Some(Authenticated(principal)) = parts.extensions.get() {
            return Ok(Self(principal.clone()));
        }
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

/// Returns the token, if exactly one header holds one.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut headers = headers.get_all(header::AUTHORIZATION).iter();
    // Two credentials at once are refused: the choice between them would be a guess.
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

    /// Returns the permit for an action if the rules give it, otherwise `None`: for actions that
    /// have several sufficient permits. A refusal is that of [`Self::permit`].
    pub(super) fn may<A: PermitAction>(&self, api: &Api, action: A) -> Option<Permit<A>> {
        api.flow.access.may(&self.0, action)
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

/// A query string. Errors name the parameter, and never repeat its value.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        query_params(query).map(Self).map_err(Problem::bad_request)
    }
}

/// Parses a query string, in which the name of a list parameter may be repeated.
///
/// # Errors
/// A sentence without any part of the input: the input may have a number in the place of a name.
fn query_params<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let read = serde_path_to_error::deserialize(serde_html_form::Deserializer::new(pairs));
    read.map_err(|fault| {
        let path = fault.path().to_string();
        let text = fault.into_inner().to_string();
        let expected = text.rsplit_once("expected ").map(|(_, expected)| expected);
        match expected {
            _ if text.starts_with("unknown field ") => {
                let known = expected.map_or("none is known", |known| {
                    known.strip_prefix("one of ").unwrap_or(known)
                });
                format!("the query string has an unknown parameter; known are: {known}")
            }
            // `serde` quotes the input before the expected form.
            Some(expected) if text.starts_with("invalid ") || text.starts_with("unknown ") => {
                format!("the query string, `{path}`: expected {expected}")
            }
            _ => format!("the query string, `{path}`: {text}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{recording::RecordingState, time::Timestamp};

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        state: Option<RecordingState>,
        since: Option<Timestamp>,
        limit: Option<u16>,
        #[serde(default)]
        is_so: bool,
        #[serde(default)]
        event: Vec<String>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    #[test]
    fn a_query_is_read_and_its_faults_repeat_nothing_of_it() {
        let read = query_params::<Params>("state=sealed&limit=7&is_so=true&event=a&event=b&event=");
        let read = read.unwrap();
        assert_eq!(read.state, Some(RecordingState::Sealed));
        assert_eq!((read.limit, read.is_so), (Some(7), true));
        assert_eq!(read.event, ["a", "b", ""]);
        assert_eq!(query_params::<Params>("").unwrap().event, [""; 0]);
        let number = "4930123456";
        for (query, said) in [
            (format!("{number}=1"), "known are: `state`, `since`"),
            (format!("%2B{number}"), "known are: `state`, `since`"),
            (format!("limit=1&x{number}=2"), "known are: `state`"),
            (
                format!("state={number}"),
                "`state`: expected one of `announced`",
            ),
            (
                format!("since={number}"),
                "`since`: expected an RFC 3339 time",
            ),
            (format!("limit={number}"), "`limit`: "),
            (format!("limit=x{number}"), "`limit`: invalid digit"),
            (format!("is_so={number}"), "`is_so`: "),
            (format!("limit=1&limit={number}"), "`limit`"),
        ] {
            let fault = query_params::<Params>(&query).unwrap_err();
            assert!(fault.contains(said), "{query}: {fault}");
            assert!(!fault.contains(number), "{query}: {fault}");
        }
        let fault = query_params::<Nothing>(&format!("{number}=1")).unwrap_err();
        assert!(
            fault.contains("unknown parameter") && !fault.contains(number),
            "{fault}"
        );
    }
}
