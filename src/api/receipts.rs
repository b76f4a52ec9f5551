//! Receipts and the keys that verify them. Public.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::{Api, gate::Id, problem::Problem};
use crate::{evidence::KeySet, flow, model::id::ReceiptId};

/// Returns a receipt: a JWS in compact form (RFC 7515), signed with a key of
/// `/.well-known/jwks.json`.
#[utoipa::path(get, path = "/v1/receipts/{id}", operation_id = "getReceipt", tag = "receipts", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "application/jose"), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    Id(id): Id<ReceiptId>,
) -> Result<Response, Problem> {
    let jws = api.flow.shredding.receipt(id).await?;
    Ok(([(header::CONTENT_TYPE, "application/jose")], jws).into_response())
}

/// Returns the public keys of receipts, present and past, as a JWK set (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "getReceiptKeys", tag = "receipts", responses((status = 200, body = KeySet)))]
pub(super) async fn jwks(State(api): State<Api>) -> Result<Json<KeySet>, Problem> {
    let keys = api.flow.vault.keys().await;
    Ok(Json(keys.map_err(flow::Error::from)?))
}
