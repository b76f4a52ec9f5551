//! The list of recordings over HTTP: filtered, sorted, and searched for a person.
//!
//! Owns the filters' names, which are the same in the query string and in the body of a search.
//! INVARIANT: a person's number is accepted in a body only, because proxies and logs store query
//! strings; and it is read only for a principal with the action `consent`.

use std::{collections::BTreeMap, str::FromStr};

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    Api,
    body::JsonBody,
    catalogue::RecordingBody,
    gate::{Bearer, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
    unread::UnreadAddress,
};
use crate::{
    db::recordings::{RecordingFilter, RecordingSort, SubjectFilter},
    model::{
        media::MediaKind,
        name::{Label, Tier},
        recording::RecordingState,
        sid::{AccountSid, CallSid, ConferenceSid, RoomSid, SourceSid},
        subject::{Address, ThreadId},
        text::LabelValue,
        time::Timestamp,
    },
    policy::action,
};

/// The filters, the order and the page of a list of recordings.
#[derive(Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordingQuery {
    /// Only recordings of conversations in which this person has a place: a number in international
    /// form, or an address with `sip:` or `client:`. Requires the action `consent`.
    #[param(ignore)]
    #[schema(value_type = Address, required = false)]
    #[serde(default, deserialize_with = "given")]
    subject: Option<UnreadAddress>,
    /// Only recordings in this state.
    state: Option<RecordingState>,
    /// Only recordings of this tier.
    tier: Option<Tier>,
    /// Only recordings of this account.
    account: Option<AccountSid>,
    /// Only recordings of this call.
    call: Option<CallSid>,
    /// Only recordings of this conference.
    conference: Option<ConferenceSid>,
    /// Only the messages of this thread.
    thread: Option<ThreadId>,
    /// Only the tracks and compositions of this video room.
    room: Option<RoomSid>,
    /// Only recordings of this kind.
    kind: Option<MediaKind>,
    /// Only the recording with this SID.
    recording_sid: Option<SourceSid>,
    /// Only recordings with this label, as `name:value`. Several: with all of them, each named once.
    #[serde(default)]
    #[param(required = false, max_items = 32, example = json!(["queue:support"]))]
    #[schema(required = false, max_items = 32)]
    label: Vec<LabelFilter>,
    /// Only recordings at or after this time, RFC 3339: of the time that `sort` names.
    since: Option<Timestamp>,
    /// Only recordings before this time, RFC 3339: of the time that `sort` names.
    until: Option<Timestamp>,
    /// The order: by `announced_at`, `recorded_at` or `sealed_at`; with `-` before it, the latest
    /// first. `-announced_at` if absent. By `sealed_at`, only recordings that were sealed.
    sort: Option<RecordingSort>,
    /// 1 to 1000; 100 if not given.
    #[schema(minimum = 1, maximum = 1000, examples(100))]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,512}$")]
    cursor: Option<String>,
}

/// Reads a value that is present, `null` included: a search for nobody must not list everybody.
pub(super) fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<UnreadAddress>, D::Error> {
    UnreadAddress::deserialize(deserializer).map(Some)
}

/// A label and its value, as `name:value`.
#[derive(Debug, serde_with::DeserializeFromStr)]
struct LabelFilter(Label, LabelValue);

impl FromStr for LabelFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (label, value) = text
            .split_once(':')
            .ok_or("expected a label and its value, such as `queue:support`")?;
        let label = label
            .parse()
            .map_err(|fault: crate::model::name::InvalidName| fault.to_string())?;
        let value = value
            .parse()
            .map_err(|fault| format!("the value of label `{label}` {fault}"))?;
        Ok(Self(label, value))
    }
}

impl utoipa::ToSchema for LabelFilter {}

impl utoipa::PartialSchema for LabelFilter {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("A label and its value, as `name:value`."))
            .pattern(Some(
                r"^[a-z][a-z0-9_-]{0,63}:[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\s]{1,64}$",
            ))
            .examples(["queue:support"])
            .into()
    }
}

/// Lists recordings, the latest announced first unless `sort` names another order.
///
/// The filters are combined. To find the recordings of a person, use `POST /v1/recordings/search`:
/// a number in an address would be logged.
#[utoipa::path(get, path = "/v1/recordings", operation_id = "listRecordings", tag = "recordings", params(RecordingQuery), security(("bearer" = [])),
    responses((status = 200, body = PageBody<RecordingBody>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(query): QueryParams<RecordingQuery>,
) -> Result<Json<PageBody<RecordingBody>>, Problem> {
    if query.subject.is_some() {
        let detail = "`subject` is not taken in a query string, which proxies log: send it in the body of `POST /v1/recordings/search`";
        return Err(Problem::bad_request(detail));
    }
    page_of(&api, &bearer, query).await
}

/// Lists recordings as `GET /v1/recordings` does, with the filters in the body, which proxies do not
/// log; also by a person.
#[utoipa::path(post, path = "/v1/recordings/search", operation_id = "searchRecordings", tag = "recordings", security(("bearer" = [])), request_body = RecordingQuery,
    responses((status = 200, body = PageBody<RecordingBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn search(
    State(api): State<Api>,
    bearer: Bearer,
    JsonBody(query): JsonBody<RecordingQuery>,
) -> Result<Json<PageBody<RecordingBody>>, Problem> {
    page_of(&api, &bearer, query).await
}

async fn page_of(
    api: &Api,
    bearer: &Bearer,
    query: RecordingQuery,
) -> Result<Json<PageBody<RecordingBody>>, Problem> {
    let permit = bearer.permit(api, action::Catalogue, None).await?;
    let subject = match &query.subject {
        Some(given) => Some(person(api, bearer, given).await?),
        None => None,
    };
    let limit = page::limit(query.limit)?;
    let cursor = query.cursor.clone();
    let mut filter = query.filter(subject)?;
    let list = AskedList::of("recordings", &filter);
    filter.after = list.place(cursor.as_deref())?;
    let page = api.flow.catalogue.list(&permit, filter, limit).await?;
    Ok(Json(PageBody::of(page, &list)))
}

/// Returns the person by whom a list is searched. A principal without permission is refused before
/// the number is read.
pub(super) async fn person(
    api: &Api,
    bearer: &Bearer,
    given: &UnreadAddress,
) -> Result<SubjectFilter, Problem> {
    let permit = bearer.permit(api, action::Consent, None).await?;
    let address = given.read()?;
    Ok(SubjectFilter::by(&permit, api.flow.vault.subject(&address)))
}

impl RecordingQuery {
    fn filter(self, subject: Option<SubjectFilter>) -> Result<RecordingFilter, Problem> {
        let count = self.label.len();
        let pairs = self.label.into_iter();
        let labels: BTreeMap<Label, LabelValue> = pairs
            .map(|LabelFilter(label, value)| (label, value))
            .collect();
        if labels.len() != count {
            return Err(Problem::bad_request(
                "`label` names a label twice: name each once",
            ));
        }
        Ok(RecordingFilter {
            state: self.state,
            tier: self.tier,
            account: self.account,
            call: self.call,
            conference: self.conference,
            thread: self.thread,
            room: self.room,
            kind: self.kind,
            recording_sid: self.recording_sid,
            labels,
            subject,
            since: self.since,
            until: self.until,
            sort: self.sort.unwrap_or_default(),
            ..RecordingFilter::default()
        })
    }
}
