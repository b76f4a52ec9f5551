//! Conversations over HTTP: which there are, and what belongs to one.
//!
//! INVARIANT: a person's number is accepted in a body only, as for recordings (`search`).

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    catalogue::RecordingBody,
    gate::{Bearer, Id, QueryParams},
    page::{self, AskedList, PageBody},
    parties::PartyBody,
    problem::Problem,
    search,
    unread::UnreadAddress,
};
use crate::{
    db::{
        conversations::{ConversationFilter, ConversationSort, ListedConversation},
        recordings::{RecordingSort, SubjectFilter},
    },
    flow::ConversationDetails,
    model::{
        sid::AccountSid,
        subject::{Address, Conversation, ConversationKind},
        time::Timestamp,
    },
    policy::action,
};

/// The filters, the order and the page of a list of conversations.
#[derive(Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConversationQuery {
    /// Only conversations in which this person has a place: a number in international form, or an
    /// address with `sip:` or `client:`. Requires the action `consent`.
    #[param(ignore)]
    #[schema(value_type = Address, required = false)]
    #[serde(default, deserialize_with = "search::given")]
    subject: Option<UnreadAddress>,
    /// Only conversations of this account.
    account: Option<AccountSid>,
    /// Only conversations of this kind.
    kind: Option<ConversationKind>,
    /// Only conversations at or after this time, RFC 3339: of the time that `sort` names.
    since: Option<Timestamp>,
    /// Only conversations before this time, RFC 3339: of the time that `sort` names.
    until: Option<Timestamp>,
    /// The order: by `began_at` or `latest_at`, the times of the first and the latest recording;
    /// with `-` before it, the latest first. `-latest_at` if absent.
    sort: Option<ConversationSort>,
    /// 1 to 1000; 100 if not given.
    #[schema(minimum = 1, maximum = 1000, examples(100))]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,512}$")]
    cursor: Option<String>,
}

/// A conversation in a list, without personal data.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ListedConversationBody {
    id: Conversation,
    kind: ConversationKind,
    account_sid: AccountSid,
    /// When its first recording was recorded.
    began_at: Timestamp,
    /// When its latest recording was recorded.
    latest_at: Timestamp,
}

/// A conversation with a page of its recordings.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ConversationBody {
    #[serde(flatten)]
    conversation: ListedConversationBody,
    /// Its participants, without numbers; null without the action `consent`.
    #[schema(max_items = 250)]
    parties: Option<Vec<PartyBody>>,
    /// Its recordings.
    recordings: PageBody<RecordingBody>,
}

/// Lists conversations, the one with the latest recording first unless `sort` names another order.
///
/// A conversation is listed by the recordings that the token may see. A recording that belongs to
/// several is listed under the widest: a chat, thread, room or session before a conference, and that
/// before a call.
#[utoipa::path(get, path = "/v1/conversations", operation_id = "listConversations", tag = "conversations", params(ConversationQuery), security(("bearer" = [])),
    responses((status = 200, body = PageBody<ListedConversationBody>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(query): QueryParams<ConversationQuery>,
) -> Result<Json<PageBody<ListedConversationBody>>, Problem> {
    if query.subject.is_some() {
        let detail = "`subject` is not taken in a query string, which proxies log: send it in the body of `POST /v1/conversations/search`";
        return Err(Problem::bad_request(detail));
    }
    page_of(&api, &bearer, query).await
}

/// Lists conversations as `GET /v1/conversations` does, with the filters in the body, which proxies
/// do not log; also by a person.
#[utoipa::path(post, path = "/v1/conversations/search", operation_id = "searchConversations", tag = "conversations", security(("bearer" = [])), request_body = ConversationQuery,
    responses((status = 200, body = PageBody<ListedConversationBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn search(
    State(api): State<Api>,
    bearer: Bearer,
    JsonBody(query): JsonBody<ConversationQuery>,
) -> Result<Json<PageBody<ListedConversationBody>>, Problem> {
    page_of(&api, &bearer, query).await
}

async fn page_of(
    api: &Api,
    bearer: &Bearer,
    query: ConversationQuery,
) -> Result<Json<PageBody<ListedConversationBody>>, Problem> {
    let permit = bearer.permit(api, action::Catalogue, None).await?;
    let subject = match &query.subject {
        Some(given) => Some(search::person(api, bearer, given).await?),
        None => None,
    };
    let limit = page::limit(query.limit)?;
    let cursor = query.cursor.clone();
    let mut filter = query.filter(subject);
    let list = AskedList::of("conversations", &filter);
    filter.after = list.place(cursor.as_deref())?;
    let page = api
        .flow
        .catalogue
        .conversations(&permit, filter, limit)
        .await?;
    Ok(Json(PageBody::of(page, &list)))
}

impl ConversationQuery {
    fn filter(self, subject: Option<SubjectFilter>) -> ConversationFilter {
        ConversationFilter {
            account: self.account,
            kind: self.kind,
            subject,
            since: self.since,
            until: self.until,
            sort: self.sort.unwrap_or_default(),
            ..ConversationFilter::default()
        }
    }
}

/// The order and the page of the recordings of a conversation.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConversationParams {
    /// The order of its recordings: by `announced_at`, `recorded_at` or `sealed_at`; with `-` before
    /// it, the latest first. `recorded_at` if absent.
    sort: Option<RecordingSort>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
    /// `next_cursor` of the page of recordings before.
    cursor: Option<String>,
}

/// Identifies the list of the recordings of a conversation in an order.
fn recordings_of(id: &Conversation, sort: RecordingSort) -> AskedList {
    AskedList::of("conversation", &(id, sort))
}

/// Shows one conversation, with a page of its recordings.
#[utoipa::path(get, path = "/v1/conversations/{id}", operation_id = "getConversation", tag = "conversations", params(("id" = String, Path), ConversationParams), security(("bearer" = [])),
    responses((status = 200, body = ConversationBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<Conversation>,
    QueryParams(params): QueryParams<ConversationParams>,
) -> Result<Json<ConversationBody>, Problem> {
    let permit = bearer.permit(&api, action::Catalogue, None).await?;
    let limit = page::limit(params.limit)?;
    let sort = params.sort.unwrap_or(RecordingSort::OldestRecorded);
    let list = recordings_of(&id, sort);
    let after = list.place(params.cursor.as_deref())?;
    let details = api
        .flow
        .catalogue
        .conversation(&permit, id, sort, after, limit)
        .await?;
    Ok(Json(ConversationBody::of(details)))
}

impl ConversationBody {
    /// Returns a conversation with the page of its recordings that was read.
    pub(crate) fn of(details: ConversationDetails) -> Self {
        let list = &recordings_of(&details.id, details.sort);
        let parties = details.parties;
        Self {
            conversation: ListedConversationBody {
                kind: details.id.kind(),
                id: details.id,
                account_sid: details.account,
                began_at: details.began_at,
                latest_at: details.latest_at,
            },
            parties: parties.map(|parties| parties.into_iter().map(PartyBody::from).collect()),
            recordings: PageBody::of(details.recordings, list),
        }
    }
}

impl From<ListedConversation> for ListedConversationBody {
    fn from(listed: ListedConversation) -> Self {
        Self {
            kind: listed.id.kind(),
            id: listed.id,
            account_sid: listed.account,
            began_at: listed.began_at,
            latest_at: listed.latest_at,
        }
    }
}
