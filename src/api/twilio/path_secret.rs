//! The secret that callbacks of an account may have to carry in their path.
//!
//! Owns how it comes from the path to the place where callbacks are verified. INVARIANT: it is compared in constant time, and is in no log line and
//! no answer; whatever is wrong with it looks like a wrong signature.

use axum::{
    extract::{RawPathParams, Request},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq as _;

use crate::{secret::SecretText, twilio::Account};

tokio::task_local! {
    /// What the path of the present request carries. Handlers run in the task of their request.
    static CARRIED: SecretText;
}

/// For the routes below `/twilio/{secret}`: what is called there carries that.
pub(in crate::api) async fn carrying(params: RawPathParams, request: Request, next: Next) -> Response {
    let secret = params.iter().find(|(name, _)| *name == "secret").map(|(_, value)| value).unwrap_or_default();
    CARRIED.scope(SecretText::new(secret.to_owned()), next.run(request)).await
}

/// Whether the present request carries what the account wants, and nothing if it wants nothing.
pub(super) fn fits(account: &Account) -> bool {
    let wanted = account.callback_secret();
    let compare =
        |carried: &SecretText| wanted.is_some_and(|wanted| bool::from(wanted.expose().as_bytes().ct_eq(carried.expose().as_bytes())));
    CARRIED.try_with(compare).unwrap_or(wanted.is_none())
}
