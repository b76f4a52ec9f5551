//! Grants over HTTP: a stated purpose yields URLs for listening.

use std::{collections::BTreeSet, str::FromStr};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    client_ip::ClientIp,
    gate::{Bearer, Id, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
};
use crate::{
    db::grants::{GrantFilter, GrantState, ListedGrant},
    flow::{Asking, GrantLister, IssuedGrant, Page},
    model::{
        access::Ticket,
        artefact::Artefact,
        grant_object::GrantObject,
        id::{ApprovalId, GrantId, PrincipalId, RecordingId},
        name::Purpose,
        subject::Conversation,
        text::Justification,
        time::Timestamp,
    },
    policy::{View, ViewKind, action},
    twilio::PublicUrl,
};

/// The purpose of a request to listen.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantRequest {
    /// A purpose of the privacy policy.
    purpose: Purpose,
    /// The justification, where the purpose requires one; at most 1000 characters.
    #[schema(value_type = Option<String>, max_length = 1000, pattern = r"^[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$", examples("weekly sample"))]
    justification: Option<Justification>,
    /// The number of a case in another system, where the purpose requires one: 1 to 64 ASCII
    /// letters, digits and `-_./#:`. The audit log contains it.
    ticket: Option<Ticket>,
    /// Bypass the approval that the recording's tier requires, in an emergency. Only for some
    /// roles, only with a justification; it raises an alarm.
    #[serde(default)]
    break_glass: bool,
}

/// A grant. The URLs contain its token: anyone with a URL may listen until the grant ends.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GrantBody {
    id: GrantId,
    purpose: Purpose,
    /// SHA-256 of the deciding policy file.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    policy_digest: String,
    expires_at: Timestamp,
    view: ViewKind,
    /// The seconds of the audio, if the view gives only a part.
    window: Option<WindowBody>,
    /// The audio. Null if the view does not include it.
    #[schema(format = "uri")]
    audio_url: Option<String>,
    /// The message, every field as the source delivered it. Null if the view does not include it, or
    /// the recording is no message.
    #[schema(format = "uri")]
    message_url: Option<String>,
    /// The files of the message, in their order.
    #[schema(max_items = 256, value_type = Vec<FileUrl>)]
    file_urls: Vec<String>,
    /// The transcript, or the text of a message, as JSON. Null if the view does not include it, or there is none.
    #[schema(format = "uri")]
    transcript_url: Option<String>,
    /// The transcript as WebVTT, for a player.
    #[schema(format = "uri")]
    transcript_vtt_url: Option<String>,
    /// The participants, as JSON. Null if the view does not include them, or none are known.
    #[schema(format = "uri")]
    parties_url: Option<String>,
    /// Every state of an edited message, the first one first; empty if it was not edited. The other URLs give the latest.
    #[schema(max_items = 1000)]
    states: Vec<StateBody>,
}

/// One state of an edited message.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StateBody {
    /// When the edit was made; null for the first state.
    edited_at: Option<Timestamp>,
    /// The message in this state, every field. Null if the view does not include it.
    #[schema(format = "uri")]
    message_url: Option<String>,
    /// Its text as JSON.
    #[schema(format = "uri")]
    transcript_url: Option<String>,
}

/// The name of the first state in URLs.
pub(super) const FIRST_STATE: &str = "first";

impl GrantBody {
    /// Returns a grant with its URLs below a public base URL.
    pub(crate) fn of(public: &PublicUrl, issued: &IssuedGrant) -> Self {
        let IssuedGrant {
            id,
            grant,
            token,
            artefacts,
        } = issued;
        let join = |file: &str| public.join(&format!("/v1/media/{}/{file}", token.expose()));
        let url = |artefact: Artefact, file: &str| {
            artefact
                .latest(artefacts.iter().copied())
                .map(|_| join(file))
        };
        let state = |at: Option<u64>| {
            let name = at.map_or_else(|| FIRST_STATE.to_owned(), |at| at.to_string());
            let url = |first: Artefact, file: &str| {
                let there = artefacts.contains(&at.map_or(first, |at| first.after_edit(at)));
                there.then(|| join(&format!("states/{name}/{file}")))
            };
            StateBody {
                edited_at: at
                    .and_then(|at| i64::try_from(at).ok())
                    .map(Timestamp::from_millis),
                message_url: url(Artefact::Form, "message.json"),
                transcript_url: url(Artefact::Transcript, "transcript.json"),
            }
        };
        let edits: BTreeSet<u64> = artefacts
            .iter()
            .filter_map(|artefact| artefact.edited_at())
            .collect();
        let has_first = !edits.is_empty() && artefacts.contains(&Artefact::Transcript);
        let edits = edits.into_iter().map(Some);
        let window = match grant.view() {
            View::Window { from_s, to_s } => Some(WindowBody { from_s, to_s }),
            View::Audio | View::Transcript | View::RedactedTranscript => None,
        };
        Self {
            id: *id,
            purpose: grant.purpose().clone(),
            policy_digest: grant.policy_digest().to_owned(),
            expires_at: grant.expires_at(),
            view: grant.view().kind(),
            window,
            audio_url: url(Artefact::Audio, "audio.wav"),
            message_url: url(Artefact::Form, "message.json"),
            file_urls: artefacts
                .iter()
                .filter_map(|artefact| match artefact {
                    Artefact::Media(number) => url(*artefact, &format!("files/{number}")),
                    _ => None,
                })
                .collect(),
            transcript_url: url(Artefact::Transcript, "transcript.json"),
            transcript_vtt_url: url(Artefact::Transcript, "transcript.vtt"),
            parties_url: url(Artefact::Parties, "parties.json"),
            states: has_first
                .then_some(None)
                .into_iter()
                .chain(edits)
                .map(state)
                .collect(),
        }
    }

    /// Returns the URLs that the grant gives.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        [
            &self.audio_url,
            &self.message_url,
            &self.transcript_url,
            &self.transcript_vtt_url,
            &self.parties_url,
        ]
        .into_iter()
        .filter_map(Option::as_deref)
        .chain(self.file_urls.iter().map(String::as_str))
        .chain(self.states.iter().flat_map(|state| {
            [&state.message_url, &state.transcript_url]
                .into_iter()
                .filter_map(Option::as_deref)
        }))
    }
}

/// The address of a file.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = "uri", max_length = 2048)]
#[expect(dead_code, reason = "it says in the description what the text is")]
pub(super) struct FileUrl(String);

/// A part of the audio.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WindowBody {
    /// The first second, included.
    from_s: u32,
    /// The end, in seconds, excluded.
    to_s: u32,
}

/// Requests a grant for a purpose.
#[utoipa::path(post, path = "/v1/recordings/{id}/grants", operation_id = "createGrant", tag = "recordings", params(("id" = String, Path)), security(("bearer" = [])),
    request_body = GrantRequest,
    responses((status = 201, body = GrantBody), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    Bearer(principal): Bearer,
    ClientIp(network): ClientIp,
    Id(id): Id<RecordingId>,
    JsonBody(request): JsonBody<GrantRequest>,
) -> Result<(StatusCode, Json<GrantBody>), Problem> {
    let GrantRequest {
        purpose,
        justification,
        ticket,
        break_glass,
    } = request;
    let asking = Asking {
        ticket,
        break_glass,
        network,
        ..Asking::new(purpose, justification.as_ref().map(Justification::as_str))
    };
    let issued = api.flow.playback.grant(&principal, id, &asking).await?;
    let body = GrantBody::of(&api.public, &issued);
    Ok((StatusCode::CREATED, Json(body)))
}

/// The filter and page of a list of grants.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GrantListParams {
    /// Whose grants: a principal's id, or `all`. Your own if absent. Those of others require the
    /// action `revoke` or `audit`.
    #[param(value_type = Option<String>, pattern = "^(all|prn_[0-9a-f]{32})$", example = json!("all"))]
    principal: Option<GrantHolder>,
    /// Only grants for this recording.
    recording: Option<RecordingId>,
    /// Only grants over this conversation.
    conversation: Option<Conversation>,
    /// Only grants for this purpose.
    purpose: Option<Purpose>,
    /// Only grants in this state.
    state: Option<GrantState>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The holder of the listed grants.
#[derive(Clone, Copy, PartialEq, Eq, serde_with::DeserializeFromStr)]
enum GrantHolder {
    All,
    One(PrincipalId),
}

impl FromStr for GrantHolder {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "all" {
            return Ok(Self::All);
        }
        let one = text.parse().map(Self::One);
        one.map_err(|_| "must be a principal's id (`prn_…`) or `all`")
    }
}

/// A grant in a list, without its token.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ListedGrantBody {
    id: GrantId,
    /// The recording; null if it is over a conversation.
    recording_id: Option<RecordingId>,
    /// The conversation; null if it is for one recording.
    conversation_id: Option<Conversation>,
    /// The principal to whom it was given.
    principal: PrincipalId,
    purpose: Purpose,
    /// `living`, or `ended`: expired, ended early, or ended with its token or its recording.
    state: GrantState,
    issued_at: Timestamp,
    expires_at: Timestamp,
    /// When it was first used; null if it was not.
    opened_at: Option<Timestamp>,
    /// When it was ended early; null if it was not.
    ended_at: Option<Timestamp>,
    /// The number of a case in another system, from the request.
    #[schema(value_type = Option<Ticket>)]
    ticket: Option<String>,
    /// Whether it bypasses the approval that the tier requires.
    break_glass: bool,
    /// The approval on which it rests; null if there is none.
    approval_id: Option<ApprovalId>,
    /// SHA-256 of the deciding policy file.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    policy_digest: String,
}

impl From<ListedGrant> for ListedGrantBody {
    fn from(listed: ListedGrant) -> Self {
        let row = listed.row;
        Self {
            id: row.id,
            recording_id: row.object.recording(),
            conversation_id: row.object.conversation().cloned(),
            principal: listed.principal,
            purpose: row.purpose,
            state: listed.state,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            opened_at: row.opened_at,
            ended_at: row.ended_at,
            ticket: row.ticket.map(|ticket| ticket.as_str().to_owned()),
            break_glass: row.break_glass,
            approval_id: row.approval,
            policy_digest: row.policy_digest,
        }
    }
}

/// Lists grants, the latest issued first: your own, by whichever of your tokens.
///
/// With the action `revoke` or `audit`, also those of others. A grant is kept for seven days after
/// it expires; the audit log keeps what it was used for.
#[utoipa::path(get, path = "/v1/grants", operation_id = "listGrants", tag = "recordings", params(GrantListParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<ListedGrantBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<GrantListParams>,
) -> Result<Json<PageBody<ListedGrantBody>>, Problem> {
    let own = GrantHolder::One(bearer.0.id);
    let holder = params.principal.unwrap_or(own);
    let lister = match bearer.may(&api, action::Audit) {
        _ if holder == own => GrantLister::Holder(bearer.0),
        Some(permit) => GrantLister::Auditor(permit),
        None => GrantLister::Ender(bearer.permit(&api, action::Revoke, None).await?),
    };
    let limit = page::limit(params.limit)?;
    let recording = params.recording.map(GrantObject::from);
    let conversation = params.conversation.map(GrantObject::from);
    // No grant is for a recording and over a conversation.
    let is_nothing = recording.is_some() && conversation.is_some();
    let mut filter = GrantFilter {
        principal: match holder {
            GrantHolder::All => None,
            GrantHolder::One(one) => Some(one),
        },
        object: recording.or(conversation),
        purpose: params.purpose,
        state: params.state,
        ..GrantFilter::default()
    };
    let list = AskedList::of("grants", &filter);
    filter.after = list.place(params.cursor.as_deref())?;
    let mut page = api.flow.playback.list(&lister, filter, limit).await?;
    if is_nothing {
        page = Page {
            items: Vec::new(),
            next: None,
        };
    }
    Ok(Json(PageBody::of(page, &list)))
}

/// Ends a grant early, and every running stream under it.
///
/// Grants of others require the action `revoke`. Repeating the request changes nothing.
#[utoipa::path(delete, path = "/v1/grants/{id}", operation_id = "endGrant", tag = "recordings", params(("id" = String, Path)), security(("bearer" = [])),
    responses((status = 204, description = "ended"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn end(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<GrantId>,
) -> Result<StatusCode, Problem> {
    if !api.flow.playback.end_own(&bearer.0, id).await? {
        let permit = bearer.permit(&api, action::Revoke, None).await?;
        api.flow.playback.end(&permit, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
