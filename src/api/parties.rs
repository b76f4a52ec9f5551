//! Parties over HTTP: the participants of a call, a conference or a video room.
//!
//! INVARIANT: a number is accepted but never returned here: only a grant shows it (`media`).

use axum::{Json, extract::State};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Api,
    body::JsonBody,
    gate::{Bearer, Id},
    problem::Problem,
};
use crate::{
    model::{
        name::LegName,
        sid::{CallSid, ConferenceSid, RoomSid},
        subject::{Address, Conversation, Party},
    },
    policy::action,
};

/// The participants of a conversation.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PartiesRequest {
    /// 1 to 250.
    #[schema(min_items = 1, max_items = 250)]
    parties: Vec<PartyRequest>,
}

/// One participant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyRequest {
    /// The participant's place, as named by the application: `caller`, `callee`, `channel-1`.
    #[serde(deserialize_with = "leg")]
    leg: LegName,
    /// The number in international form, or an address with `sip:` or `client:`. Absent: an unknown
    /// person. It is stored sealed, and matched by a keyed hash.
    number: Option<Address>,
}

impl From<PartyRequest> for (LegName, Option<Address>) {
    fn from(party: PartyRequest) -> Self {
        (party.leg, party.number)
    }
}

/// Parses a leg. The fault does not repeat the text: it may be a person's name in the wrong member.
fn leg<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LegName, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(
            "expected 1 to 64 lower-case letters, digits, `-` and `_`, starting with a letter",
        )
    })
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
    JsonBody(request): JsonBody<PartiesRequest>,
) -> Result<Json<PartiesBody>, Problem> {
    name(&api, &bearer, Conversation::Call(sid), request).await
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
    JsonBody(request): JsonBody<PartiesRequest>,
) -> Result<Json<PartiesBody>, Problem> {
    name(&api, &bearer, Conversation::Conference(sid), request).await
}

/// Lists the known participants of a video room.
#[utoipa::path(get, path = "/v1/rooms/{sid}/parties", operation_id = "listRoomParties", tag = "consent", params(("sid" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = PartiesBody), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_room(
    State(api): State<Api>,
    bearer: Bearer,
    Id(sid): Id<RoomSid>,
) -> Result<Json<PartiesBody>, Problem> {
    show(&api, &bearer, Conversation::Room(sid)).await
}

/// Names parties of a video room, each at the place that is the participant's id in lower case.
///
/// Repeating the request changes nothing.
#[utoipa::path(post, path = "/v1/rooms/{sid}/parties", operation_id = "nameRoomParties", tag = "consent", params(("sid" = String, Path)), security(("bearer" = [])),
    request_body = PartiesRequest,
    responses((status = 200, body = PartiesBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn name_of_room(
    State(api): State<Api>,
    bearer: Bearer,
    Id(sid): Id<RoomSid>,
    JsonBody(request): JsonBody<PartiesRequest>,
) -> Result<Json<PartiesBody>, Problem> {
    name(&api, &bearer, Conversation::Room(sid), request).await
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
    request: PartiesRequest,
) -> Result<Json<PartiesBody>, Problem> {
    let permit = bearer.permit(api, action::Consent, None).await?;
    let named: Vec<_> = request.parties.into_iter().map(Into::into).collect();
    Ok(Json(
        api.flow
            .parties
            .name(&permit, &conversation, &named)
            .await?
            .into(),
    ))
}

impl From<Vec<Party>> for PartiesBody {
    fn from(parties: Vec<Party>) -> Self {
        Self {
            parties: parties.into_iter().map(PartyBody::from).collect(),
        }
    }
}

impl From<Party> for PartyBody {
    fn from(party: Party) -> Self {
        Self {
            leg: party.leg,
            known: party.subject.is_some(),
            channel: party.channel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{consents::SearchRequest, corrections::CorrectionRequest},
        model::json,
    };

    fn why<T: serde::de::DeserializeOwned>(text: &str) -> String {
        let read = json::read::<T>(text.as_bytes()).map(drop);
        read.unwrap_err().to_string()
    }

    #[test]
    fn no_fault_repeats_a_number_or_a_name() {
        let values = [
            "491577777777",
            "-491577777777",
            "4915777777.77",
            "\"0049 1577777777\"",
            "\"tel:+491577777777\"",
            "{\"+491577777777\": 1}",
            "[491577777777]",
        ];
        for value in values {
            let party = format!("{{\"leg\": \"caller\", \"number\": {value}}}");
            let parties = format!("{{\"parties\": [{party}]}}");
            for told in [
                why::<PartiesRequest>(&parties),
                why::<CorrectionRequest>(&parties),
                why::<SearchRequest>(&format!("{{\"subject\": {value}}}")),
                why::<PartiesRequest>(&format!("{{\"parties\": {value}}}")),
            ] {
                assert!(!told.contains("577777"), "{value}: {told}");
            }
        }
        for leg in ["\"Erika Mustermann\"", "493012345678", "null"] {
            let told = why::<PartiesRequest>(&format!("{{\"parties\": [{{\"leg\": {leg}}}]}}"));
            assert!(told.contains("`parties[0].leg`"), "{told}");
            assert!(!told.contains("Erika") && !told.contains("4930"), "{told}");
        }
        let known = r#"{"parties": [{"leg": "caller", "number": "+49 30 12345678"}, {"leg": "callee", "number": null}, {"leg": "a"}]}"#;
        let parties = json::read::<PartiesRequest>(known.as_bytes())
            .unwrap()
            .parties;
        let known: Vec<bool> = parties.iter().map(|party| party.number.is_some()).collect();
        assert_eq!(known, [true, false, false]);
    }
}
