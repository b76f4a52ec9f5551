//! Conversations read under a grant over HTTP: as JSON, and as a page for people.
//!
//! Owns the JSON form; `document` is the page. Refuses to decide: what is not given comes as a
//! placeholder.

mod document;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    client_ip::ClientIp,
    gate::{Bearer, Id, QueryParams},
    media::{guarded, head_answer},
    page::{self, AskedList},
    problem::{Problem, ProblemReason},
    schemas::ContentKind,
};
use crate::{
    flow::{Asking, IssuedThreadGrant, ThreadContent, ThreadItem, ThreadPage, ThreadSession},
    model::{
        access::Ticket,
        id::{GrantId, ReceiptId, RecordingId},
        media::MediaKind,
        name::{LegName, Purpose},
        recording::RecordingState,
        subject::{Address, Conversation, ConversationKind},
        text::Justification,
        time::Timestamp,
        transcript::Said,
    },
    policy::ViewKind,
    secret::SecretBuffer,
    twilio::PublicUrl,
};

/// The purpose of a request to read a conversation.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ThreadGrantRequest {
    /// A purpose of the privacy policy.
    purpose: Purpose,
    /// The justification, where the purpose requires one; at most 1000 characters.
    #[schema(value_type = Option<String>, max_length = 1000, pattern = r"^[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$", examples("weekly sample"))]
    justification: Option<Justification>,
    /// The number of a case in another system, where the purpose requires one: 1 to 64 ASCII
    /// letters, digits and `-_./#:`. The audit log contains it.
    ticket: Option<Ticket>,
}

/// A grant over a conversation. The URLs contain its token: anyone with a URL may read until the
/// grant ends.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ThreadGrantBody {
    id: GrantId,
    conversation_id: Conversation,
    purpose: Purpose,
    /// SHA-256 of the deciding policy file.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    policy_digest: String,
    expires_at: Timestamp,
    /// What was written, as JSON.
    #[schema(format = "uri")]
    thread_url: String,
    /// The same as a page for people, which prints well.
    #[schema(format = "uri")]
    thread_html_url: String,
}

impl ThreadGrantBody {
    /// Returns a grant with its URLs below a public base URL.
    pub(crate) fn of(public: &PublicUrl, issued: IssuedThreadGrant) -> Self {
        let url = |file: &str| public.join(&format!("/v1/media/{}/{file}", issued.token.expose()));
        Self {
            id: issued.id,
            purpose: issued.purpose,
            policy_digest: issued.policy_digest,
            expires_at: issued.expires_at,
            thread_url: url("thread.json"),
            thread_html_url: url("thread.html"),
            conversation_id: issued.conversation,
        }
    }

    /// Returns the URLs that the grant gives.
    pub(crate) fn urls(&self) -> [&str; 2] {
        [&self.thread_url, &self.thread_html_url]
    }
}

/// Requests a grant over a conversation for a purpose: for every message that the policy allows.
///
/// It is given if the policy allows at least one message now. Each message is decided again when it
/// is read.
#[utoipa::path(post, path = "/v1/conversations/{id}/grants", operation_id = "createConversationGrant", tag = "conversations", params(("id" = String, Path)), security(("bearer" = [])),
    request_body = ThreadGrantRequest,
    responses((status = 201, body = ThreadGrantBody), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    Bearer(principal): Bearer,
    ClientIp(network): ClientIp,
    Id(id): Id<Conversation>,
    JsonBody(request): JsonBody<ThreadGrantRequest>,
) -> Result<(StatusCode, Json<ThreadGrantBody>), Problem> {
    let ThreadGrantRequest {
        purpose,
        justification,
        ticket,
    } = request;
    let asking = Asking {
        ticket,
        network,
        ..Asking::new(purpose, justification.as_ref().map(Justification::as_str))
    };
    let issued = api
        .flow
        .playback
        .grant_thread(&principal, &id, &asking)
        .await?;
    let body = ThreadGrantBody::of(&api.public, issued);
    Ok((StatusCode::CREATED, Json(body)))
}

/// The page of a conversation.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ThreadParams {
    /// The most recordings of the page, 1 to 1000; it ends earlier when it has a mebibyte of text.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A part of a conversation, the earliest first.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ThreadBody {
    conversation_id: Conversation,
    kind: ConversationKind,
    purpose: Purpose,
    /// The participants; null if no view of this page shows them.
    #[schema(max_items = 250)]
    parties: Option<Vec<ThreadPartyBody>>,
    /// What was written, and what stands for the rest.
    #[schema(max_items = 1000)]
    items: Vec<ThreadItemBody>,
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// A participant of a conversation, in plain text.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ThreadPartyBody {
    /// The participant's place: `contact`, or as named by the application.
    leg: LegName,
    /// A number in E.164, or another address; null for an unknown person.
    #[schema(value_type = Option<Address>)]
    address: Option<Said>,
    /// The participant's name as reported by the source.
    #[schema(value_type = Option<String>, max_length = 256)]
    name: Option<Said>,
}

/// One recording of a conversation: its text, or a placeholder.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ThreadItemBody {
    recording_id: RecordingId,
    kind: MediaKind,
    state: RecordingState,
    recorded_at: Timestamp,
    /// Who wrote it, by their place in the conversation: `contact`, or `line` for the account's own.
    author: Option<LegName>,
    /// How many files belong to it. A grant for the recording gives them.
    files: u8,
    /// The text, in the view; null if it is not given.
    #[schema(value_type = Option<String>, max_length = 8388608)]
    text: Option<Said>,
    /// The view in which the text is given.
    view: Option<ViewKind>,
    /// The kinds of content that are redacted in the text, each character with `█`; empty if
    /// nothing was found.
    #[schema(max_items = 16, value_type = Vec<ContentKind>)]
    redacted: Vec<&'static str>,
    /// Why no text is given; null if it is.
    withheld: Option<WithheldBody>,
}

/// What stands for a text that is not given.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WithheldBody {
    /// Why.
    why: WithheldWhy,
    /// Every reason of the policy, if it refuses.
    #[schema(max_items = 100)]
    reasons: Vec<ProblemReason>,
    /// When it was shredded.
    shredded_at: Option<Timestamp>,
    /// The receipt of the shred; null until a restore would find the shred.
    receipt_id: Option<ReceiptId>,
}

/// Why a text is not given.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum WithheldWhy {
    /// The policy refuses it.
    Denied,
    /// It was shredded.
    Shredded,
    /// The view of the purpose has no text.
    OtherView,
    /// Its text cannot be read at the moment.
    Unreadable,
    /// It was not written: request a grant for the recording.
    NotWritten,
}

/// Returns what was written in a conversation, under a grant over it.
///
/// What the policy does not allow comes as a placeholder with the reasons, what was shredded with its
/// receipt. A long conversation comes page by page: all pages of a day are one opening. `HEAD` opens
/// nothing.
#[utoipa::path(get, path = "/v1/media/{token}/thread.json", operation_id = "getThread", tag = "media", params(("token" = String, Path), ThreadParams),
    responses((status = 200, body = ThreadBody), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn json(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    QueryParams(params): QueryParams<ThreadParams>,
    method: Method,
) -> Result<Response, Problem> {
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::CONTENT_DISPOSITION,
            "inline; filename=\"thread.json\"",
        );
    let Some(read) = read(&api, &token, network, &params, &method).await? else {
        return head_answer(response);
    };
    let body = SecretBuffer::json(&read.body()).map_err(|_| Problem::internal())?;
    guarded(response, read.page.release(body))
}

/// Returns what was written in a conversation as a page for people, under a grant over it. It has no
/// script, and prints well.
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/thread.html", operation_id = "getThreadPage", tag = "media", params(("token" = String, Path), ThreadParams),
    responses((status = 200, body = String, content_type = "text/html"), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn html(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    QueryParams(params): QueryParams<ThreadParams>,
    method: Method,
) -> Result<Response, Problem> {
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(document::CONTENT_SECURITY),
        );
    let Some(read) = read(&api, &token, network, &params, &method).await? else {
        return head_answer(response);
    };
    let html = document::rendered(&read.shown(&params))?;
    guarded(response, read.page.release(html))
}

/// A page of a conversation that was read.
struct ReadThread {
    session: ThreadSession,
    page: ThreadPage,
    list: AskedList,
}

/// Reads a page; `None` for a `HEAD`, which opens nothing.
async fn read(
    api: &Api,
    token: &str,
    network: Option<std::net::IpAddr>,
    params: &ThreadParams,
    method: &Method,
) -> Result<Option<ReadThread>, Problem> {
    let session = api.flow.playback.redeem_thread(token, network).await?;
    let limit = page::limit(params.limit)?;
    let list = AskedList::of("thread", &session.conversation);
    let after = list.place(params.cursor.as_deref())?;
    if *method == Method::HEAD {
        return Ok(None);
    }
    let page = api
        .flow
        .playback
        .read_thread(&session, after, limit)
        .await?;
    Ok(Some(ReadThread {
        session,
        page,
        list,
    }))
}

impl ReadThread {
    fn next_cursor(&self) -> Option<String> {
        self.page.next.map(|place| self.list.cursor(&place))
    }

    fn body(&self) -> ThreadBody {
        let parties = self.page.parties.as_ref().map(|parties| {
            let party = parties.iter().map(|party| ThreadPartyBody {
                leg: party.leg.clone(),
                address: party
                    .address
                    .as_ref()
                    .map(|known| Said::new(known.expose().to_owned())),
                name: party.name.clone().map(Said::new),
            });
            party.collect()
        });
        let conversation = &self.session.conversation;
        ThreadBody {
            conversation_id: conversation.clone(),
            kind: conversation.kind(),
            purpose: self.session.purpose().clone(),
            parties,
            items: self.page.items.iter().map(ThreadItemBody::of).collect(),
            next_cursor: self.next_cursor(),
        }
    }
}

impl ThreadItemBody {
    fn of(item: &ThreadItem) -> Self {
        let recording = &item.recording;
        let shown = match &item.content {
            ThreadContent::Shown(shown) => Some(shown),
            _ => None,
        };
        let redacted = shown.map(|shown| shown.redacted.iter().copied().collect());
        Self {
            recording_id: recording.id,
            kind: recording.kind(),
            state: recording.state,
            recorded_at: recording.collected_at,
            author: recording.author.clone(),
            files: recording.files,
            text: shown.map(|shown| shown.text.clone()),
            view: shown.map(|shown| shown.view),
            redacted: redacted.unwrap_or_default(),
            withheld: WithheldBody::of(&item.content),
        }
    }
}

impl WithheldBody {
    fn of(content: &ThreadContent) -> Option<Self> {
        let because = |why| Self {
            why,
            reasons: Vec::new(),
            shredded_at: None,
            receipt_id: None,
        };
        match content {
            ThreadContent::Shown(_) => None,
            ThreadContent::Refused(denial) => Some(Self {
                reasons: denial.refusals().iter().map(ProblemReason::of).collect(),
                ..because(WithheldWhy::Denied)
            }),
            ThreadContent::Shredded(tombstone) => {
                let (shredded_at, receipt_id) = tombstone.unzip();
                Some(Self {
                    shredded_at,
                    receipt_id,
                    ..because(WithheldWhy::Shredded)
                })
            }
            ThreadContent::OtherView => Some(because(WithheldWhy::OtherView)),
            ThreadContent::Unreadable => Some(because(WithheldWhy::Unreadable)),
            ThreadContent::Unwritten => Some(because(WithheldWhy::NotWritten)),
        }
    }
}
