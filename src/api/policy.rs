//! The privacy policy as data: the file from which the rules are made, in every published version.
//!
//! Public, because the promises to recorded people are not secret.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{
    Api, documents,
    gate::{Id, QueryParams},
    problem::Problem,
};
use crate::{flow::Published, model::text::PolicyVersion, policy::Rules};

/// The requested form of a policy.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FormatParams {
    /// `toml`, `json`, `cedar` or `cedar-schema`. Absent: the form in `Accept`, otherwise the file.
    #[param(inline)]
    format: Option<PolicyFormat>,
}

/// The forms of a policy.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum PolicyFormat {
    /// The file, byte for byte.
    Toml,
    /// The content of the file, as JSON-LD with the terms of the Data Privacy Vocabulary.
    Json,
    /// The rules of the file, in the syntax of Cedar.
    Cedar,
    /// The attributes for these rules, in the syntax of Cedar.
    CedarSchema,
}

/// The published versions.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(super) struct PoliciesBody {
    /// Newest first.
    items: Vec<Published>,
}

/// Returns the policy file in force, byte for byte; its SHA-256 is the `policy_digest` of grants.
///
/// `Accept: application/json` or `?format=json` selects JSON.
#[utoipa::path(get, path = "/v1/policy", operation_id = "getPolicy", tag = "policy", params(FormatParams),
    responses((status = 200, content((String = "application/toml"), (Object = "application/json"), (String = "text/plain"))), (status = 400, body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    headers: HeaderMap,
    QueryParams(params): QueryParams<FormatParams>,
) -> Response {
    written(&api, api.flow.rulebook.current(), &headers, &params)
}

/// Lists the published versions, newest first.
#[utoipa::path(get, path = "/v1/policies", operation_id = "listPolicies", tag = "policy", responses((status = 200, body = PoliciesBody)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<PoliciesBody>, Problem> {
    Ok(Json(PoliciesBody {
        items: api.flow.policies.all().await?,
    }))
}

/// Returns one version of the policy file, in the forms of `/v1/policy`.
#[utoipa::path(get, path = "/v1/policies/{version}", operation_id = "getPolicyVersion", tag = "policy", params(("version" = String, Path), FormatParams),
    responses((status = 200, content((String = "application/toml"), (Object = "application/json"), (String = "text/plain"))), (status = 404, body = Problem)))]
pub(super) async fn version(
    State(api): State<Api>,
    Id(version): Id<PolicyVersion>,
    headers: HeaderMap,
    QueryParams(params): QueryParams<FormatParams>,
) -> Result<Response, Problem> {
    let (_, rules) = api.flow.policies.find(version.as_str()).await?;
    Ok(written(&api, &rules, &headers, &params))
}

/// Returns the signed statement that this vault published a version: a JWS in compact form
/// (RFC 7515), signed with a key of `/.well-known/jwks.json`.
#[utoipa::path(get, path = "/v1/policies/{version}/statement", operation_id = "getPolicyStatement", tag = "policy", params(("version" = String, Path)),
    responses((status = 200, body = String, content_type = "application/jose"), (status = 404, body = Problem)))]
pub(super) async fn statement(
    State(api): State<Api>,
    Id(version): Id<PolicyVersion>,
) -> Result<Response, Problem> {
    let jws = api.flow.policies.statement(version.as_str()).await?;
    Ok(([(header::CONTENT_TYPE, "application/jose")], jws).into_response())
}

/// Returns the format: the file, unless `Accept` names JSON; browsers and `curl` accept any type.
fn negotiate_format(headers: &HeaderMap, params: &FormatParams) -> PolicyFormat {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let names_json = accept
        .split(',')
        .filter_map(|range| range.split(';').next())
        .any(|range| {
            let range = range.trim();
            range.eq_ignore_ascii_case("application/json")
                || range.eq_ignore_ascii_case("application/ld+json")
        });
    params.format.unwrap_or(if names_json {
        PolicyFormat::Json
    } else {
        PolicyFormat::Toml
    })
}

fn written(api: &Api, rules: &Rules, headers: &HeaderMap, params: &FormatParams) -> Response {
    // Two formats are two representations with two tags (RFC 9110, section 8.8.3.3).
    let (kind, suffix, make): (_, _, fn(&Rules) -> String) = match negotiate_format(headers, params)
    {
        PolicyFormat::Toml => ("application/toml", "", |rules| rules.text().to_owned()),
        PolicyFormat::Json => ("application/json", "-json", |rules| {
            rules.to_json().to_string()
        }),
        PolicyFormat::Cedar => ("text/plain; charset=utf-8", "-cedar", Rules::cedar),
        PolicyFormat::CedarSchema => ("text/plain; charset=utf-8", "-cedar-schema", Rules::schema),
    };
    let etag = format!("\"{}{suffix}\"", rules.digest());
    let document = api.documents.get(&etag, || make(rules));
    let mut response = documents::answer(headers, kind, &etag, document);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    response
}
