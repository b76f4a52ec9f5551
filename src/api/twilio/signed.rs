//! Requests that a configured account has signed. Every callback passes through here.
//!
//! Owns the authentication of a request from Twilio: the signature, and the secret that an account
//! may require in the path of its callbacks. INVARIANT: the secret is compared in constant time,
//! and is in no log line and no answer; a wrong secret has the same answer as a wrong signature.

use axum::{
    RequestExt as _,
    body::Bytes,
    extract::{FromRequest, OriginalUri, RawPathParams, Request},
    http::{HeaderMap, Method, header},
};
use subtle::ConstantTimeEq as _;

use crate::{
    api::{Api, body, client_ip::ClientIp, limits::RateLimitKey, problem::Problem},
    twilio::{
        Account, Delivery, Malformed, Rejection, SIGNATURE_HEADER, SIGNATURE_SETTINGS_HEADER,
        SignedRequest, signature::Verified, verify,
    },
};

/// A request with a verified signature: a POST with its body, any other method with its query.
pub(in crate::api) struct Signed(pub(super) Verified);

impl FromRequest<Api> for Signed {
    type Rejection = Problem;

    async fn from_request(mut request: Request, api: &Api) -> Result<Self, Problem> {
        let path = request
            .extract_parts::<RawPathParams>()
            .await
            .map_err(|_| Problem::bad_signature())?;
        let carried = path
            .iter()
            .find(|(name, _)| *name == "secret")
            .map(|(_, secret)| secret);
        let Ok(OriginalUri(uri)) = request.extract_parts().await;
        let ClientIp(address) = request.extract_parts_with_state(api).await?;
        let headers = request.headers().clone();
        let is_post = request.method() == Method::POST;
        let bytes = if is_post {
            body::bytes(request, api).await?
        } else {
            Bytes::new()
        };
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let delivery = if is_post {
            Delivery::Body {
                content_type,
                bytes: &bytes,
            }
        } else {
            Delivery::Query
        };
        let path_and_query = uri.path_and_query().map_or("/", |text| text.as_str());
        let request = SignedRequest {
            path_and_query,
            signature: only(&headers, SIGNATURE_HEADER),
            settings: settings(&headers),
            delivery,
        };
        // Only requests without a valid signature are limited.
        match verified(api, &request, carried) {
            Ok(verified) => Ok(Self(verified)),
            Err(problem) => {
                api.limits.record_failure(RateLimitKey::of(address))?;
                Err(problem)
            }
        }
    }
}

/// Returns the signature settings of a request. Several headers, or one that is not text, yield an
/// empty text, which names no key; they do not count as absent.
fn settings(headers: &HeaderMap) -> Option<&str> {
    headers
        .contains_key(SIGNATURE_SETTINGS_HEADER)
        .then(|| only(headers, SIGNATURE_SETTINGS_HEADER).unwrap_or_default())
}

/// Returns the only value of a header; `None` if there are several.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    }
}

fn verified(
    api: &Api,
    request: &SignedRequest<'_>,
    carried: Option<&str>,
) -> Result<Verified, Problem> {
    let refuse = |why: &dyn std::fmt::Display| {
        metrics::counter!("recvault_callbacks_refused_total").increment(1);
        tracing::warn!(%why, "a callback was refused");
    };
    let accounts = api.flow.twilio.accounts();
    let verified = verify(&accounts, &api.public, request).map_err(|rejection| {
        refuse(&rejection);
        match rejection {
            Rejection::Malformed(Malformed::ContentType) => {
                body::unsupported(&["application/x-www-form-urlencoded", "application/json"])
            }
            Rejection::Malformed(fault) => Problem::bad_request(fault.to_string()),
            Rejection::Forbidden(_) => Problem::bad_signature(),
        }
    })?;
    if !accounts
        .get(verified.account())
        .is_some_and(|account| fits(account, carried))
    {
        refuse(
            &"its path does not carry the `callback_secret` of its account, or carries one though the account has none",
        );
        return Err(Problem::bad_signature());
    }
    Ok(verified)
}

/// Whether a path carries the account's secret, and none if the account has none.
fn fits(account: &Account, carried: Option<&str>) -> bool {
    match (account.callback_secret(), carried) {
        (Some(wanted), Some(carried)) => {
            wanted.expose().as_bytes().ct_eq(carried.as_bytes()).into()
        }
        (wanted, carried) => wanted.is_none() && carried.is_none(),
    }
}
