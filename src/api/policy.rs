//! The privacy policy in force, as it is: the file that the rules are made from.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};

use super::Api;

/// The policy file in force, byte for byte; its SHA-256 is the `policy_digest` of grants.
#[utoipa::path(get, path = "/v1/policy", tag = "policy", responses((status = 200, body = String, content_type = "application/toml")))]
pub(super) async fn show(State(api): State<Api>) -> Response {
    let rules = api.flow.rulebook().current();
    let etag = format!("\"{}\"", rules.digest());
    ([(header::CONTENT_TYPE, "application/toml".to_owned()), (header::ETAG, etag)], rules.text().to_owned()).into_response()
}
