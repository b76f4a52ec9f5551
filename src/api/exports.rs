//! Exports over HTTP: everything about one person, as an archive.

use axum::{extract::State, http::header, response::Response};
use serde::Deserialize;

use super::{
    Api, body::JsonBody, client_ip::ClientIp, gate::Bearer, media::guarded, problem::Problem,
    unread::UnreadAddress,
};
use crate::{
    flow::Asking,
    model::{access::Ticket, name::Purpose, subject::Address, text::Justification},
    policy::action,
};

/// The person and the purpose of an export.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportRequest {
    /// The person's telephone number in international form, or their `sip:` or `client:` address.
    #[schema(value_type = Address)]
    subject: UnreadAddress,
    /// A purpose of the privacy policy, such as `subject-request`.
    purpose: Purpose,
    /// The justification, where the purpose requires one; at most 1000 characters.
    #[schema(value_type = Option<String>, max_length = 1000, pattern = r"^[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$", examples("weekly sample"))]
    justification: Option<Justification>,
    /// The number of a case in another system, where the purpose requires one.
    ticket: Option<Ticket>,
}

/// Exports all data about a person: a tar archive with a manifest, statements of consent,
/// recordings, and every access with its reason.
///
/// The archive is created while it is read; without its final two blocks of zeros it is incomplete.
#[utoipa::path(post, path = "/v1/exports", operation_id = "createExport", tag = "subjects", security(("bearer" = [])), request_body = ExportRequest,
    responses((status = 200, content_type = "application/x-tar"), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    bearer: Bearer,
    ClientIp(network): ClientIp,
    JsonBody(request): JsonBody<ExportRequest>,
) -> Result<Response, Problem> {
    let permit = bearer.permit(&api, action::Export, None).await?;
    let address = request.subject.read()?;
    let ExportRequest {
        purpose,
        justification,
        ticket,
        ..
    } = request;
    let asking = Asking {
        ticket,
        network,
        ..Asking::new(purpose, justification.as_ref().map(Justification::as_str))
    };
    let archive = api
        .flow
        .exports
        .person(&permit, &bearer.0, &address, &asking)
        .await?;
    let response = Response::builder().header(header::CONTENT_TYPE, "application/x-tar");
    guarded(
        response.header(
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"export.tar\"",
        ),
        archive,
    )
}
