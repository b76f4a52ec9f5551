//! Parties over HTTP: who takes part in a call or a conference.
//!
//! INVARIANT: a number goes in and never comes out here: only a grant shows it (`media`).

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::Value;

use super::{
    Api,
    body::JsonBody,
    gate::{Bearer, Id},
    problem::Problem,
};
use crate::{
    model::{
        name::LegName,
        sid::{CallSid, ConferenceSid},
        subject::{Address, Conversation, Party},
    },
    policy::action,
};

/// The participants of a conversation.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by hand, so that no fault repeats a number")]
pub(super) struct PartiesRequest {
    /// 1 to 250.
    #[schema(min_items = 1, max_items = 250)]
    parties: Vec<PartyRequest>,
}

/// One participant.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by hand, so that no fault repeats a number")]
pub(super) struct PartyRequest {
    /// The participant's place, as named by the application: `caller`, `callee`, `channel-1`.
    #[schema(value_type = LegName)]
    leg: String,
    /// The number in international form, or an address with `sip:` or `client:`. Absent: an unknown
    /// person. It is stored sealed, and matched by a keyed hash.
    #[schema(
        pattern = r"^(\+[1-9][0-9]{5,14}|(sip|client):[!-:<->@-~]{1,240})$",
        examples("+493012345678")
    )]
    number: Option<String>,
}

/// The participants of a conversation, without numbers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PartiesBody {
    parties: Vec<PartyBody>,
}

/// A participant, without the number.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PartyBody {
    leg: LegName,
    /// Whether the number is known, so that the vault matches the person in other conversations.
    known: bool,
    /// The channel of a two-channel recording that carries this participant, 1 or 2; absent if
    /// unknown or not exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2)]
    channel: Option<u8>,
}

/// Lists the known participants of a call.
#[utoipa::path(get, path = "/v1/calls/{sid}/parties", operation_id = "listCallParties", tag = "consent", params(("sid" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = PartiesBody), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_call(
    State(api): State<Api>,
    bearer: Bearer,
    Id(sid): Id<CallSid>,
) -> Result<Json<PartiesBody>, Problem> {
    show(&api, &bearer, Conversation::Call(sid)).await
}

/// Names parties of a call, before, during or after its recording.
///
/// Repeating the request changes nothing.
#[utoipa::path(post, path = "/v1/calls/{sid}/parties", operation_id = "nameCallParties", tag = "consent", params(("sid" = String, Path)), security(("bearer" = [])),
    request_body = PartiesRequest,
    responses((status = 200, body = PartiesBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn name_of_call(
    State(api): State<Api>,
    bearer: Bearer,
    Id(sid): Id<CallSid>,
    JsonBody(request): JsonBody<Value>,
) -> Result<Json<PartiesBody>, Problem> {
    name(&api, &bearer, Conversation::Call(sid), &request).await
}

/// Lists the known participants of a conference.
#[utoipa::path(get, path = "/v1/conferences/{sid}/parties", operation_id = "listConferenceParties", tag = "consent", params(("sid" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = PartiesBody), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_conference(
    State(api): State<Api>,
    bearer: Bearer,
    Id(sid): Id<ConferenceSid>,
) -> Result<Json<PartiesBody>, Problem> {
    show(&api, &bearer, Conversation::Conference(sid)).await
}

/// Names parties of a conference.
///
/// Repeating the request changes nothing.
#[utoipa::path(post, path = "/v1/conferences/{sid}/parties", operation_id = "nameConferenceParties", tag = "consent", params(("sid" = String, Path)), security(("bearer" = [])),
    request_body = PartiesRequest,
    responses((status = 200, body = PartiesBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn name_of_conference(
    State(api): State<Api>,
    bearer: Bearer,
    Id(sid): Id<ConferenceSid>,
    JsonBody(request): JsonBody<Value>,
) -> Result<Json<PartiesBody>, Problem> {
    name(&api, &bearer, Conversation::Conference(sid), &request).await
}

async fn show(
    api: &Api,
    bearer: &Bearer,
    conversation: Conversation,
) -> Result<Json<PartiesBody>, Problem> {
    let permit = bearer.permit(api, action::Consent, None).await?;
    Ok(Json(
        api.flow.parties.of(&permit, &conversation).await?.into(),
    ))
}

async fn name(
    api: &Api,
    bearer: &Bearer,
    conversation: Conversation,
    request: &Value,
) -> Result<Json<PartiesBody>, Problem> {
    let permit = bearer.permit(api, action::Consent, None).await?;
    let named = read(request).map_err(Problem::bad_request)?;
    Ok(Json(
        api.flow
            .parties
            .name(&permit, &conversation, &named)
            .await?
            .into(),
    ))
}

/// Reads the parties of a request. Not by `serde`, whose faults repeat what they found.
fn read(request: &Value) -> Result<Vec<(LegName, Option<Address>)>, String> {
    let members = request.as_object().filter(|members| members.len() == 1);
    let parties = members
        .and_then(|members| members.get("parties"))
        .filter(|parties| parties.is_array());
    read_all(parties.ok_or("expected `{\"parties\": [{\"leg\": …, \"number\": …}, …]}`")?)
}

/// Reads an array of parties.
pub(super) fn read_all(parties: &Value) -> Result<Vec<(LegName, Option<Address>)>, String> {
    let parties = parties
        .as_array()
        .ok_or("`parties`: expected an array of objects with `leg` and `number`")?;
    (1..)
        .zip(parties)
        .map(|(number, party)| {
            one(party).map_err(|why| format!("`parties`, number {number}: {why}"))
        })
        .collect()
}

fn one(party: &Value) -> Result<(LegName, Option<Address>), String> {
    let members = party
        .as_object()
        .filter(|members| members.keys().all(|name| name == "leg" || name == "number"));
    let members = members.ok_or("expected an object with `leg` and `number`, and nothing else")?;
    let leg = members
        .get("leg")
        .and_then(Value::as_str)
        .and_then(|leg| leg.parse().ok());
    let leg = leg.ok_or(
        "`leg`: expected 1 to 64 lower-case letters, digits, `-` and `_`, starting with a letter",
    )?;
    let address = match members.get("number") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => {
            Some(Address::parse(text).map_err(|error| format!("`number`: {error}"))?)
        }
        Some(_) => return Err("`number`: expected a text".into()),
    };
    Ok((leg, address))
}

impl From<Vec<Party>> for PartiesBody {
    fn from(parties: Vec<Party>) -> Self {
        let party = |party: Party| PartyBody {
            leg: party.leg,
            known: party.subject.is_some(),
            channel: party.channel,
        };
        Self {
            parties: parties.into_iter().map(party).collect(),
        }
    }
}
