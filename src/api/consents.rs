//! Statements of consent over HTTP.
//!
//! INVARIANT: an answer holds no number and no evidence, and a fault does not repeat its input.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Api,
    body::JsonBody,
    gate::{Bearer, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
};
use crate::{
    db::consents::ConsentRow,
    flow::NewStatement,
    model::{
        actor::Actor,
        consent::{Answer, Method, Whom},
        id::ConsentId,
        name::{LegName, Purpose},
        numerals,
        sid::{CallSid, ConferenceSid},
        subject::{Address, Conversation},
        text::PolicyVersion,
        time::Timestamp,
    },
    policy::action,
};

/// The most statements in one request.
const MAX_ITEMS: usize = 1000;

/// A statement of consent. About a person: `subject`. About the participants of a conversation:
/// `call` or `conference`, with `leg` for one participant, without it for all.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "`NewStatement::from_json` reads it, because it reports several faults at once"
)]
pub(super) struct StatementRequest {
    /// A number in international form, or an address with `sip:` or `client:`. It is stored as a
    /// keyed hash, and sealed.
    subject: Option<Address>,
    /// A call's SID.
    call: Option<CallSid>,
    /// A conference's SID.
    conference: Option<ConferenceSid>,
    /// A participant's place in the conversation, as named in its list of parties.
    leg: Option<LegName>,
    /// Purposes of the policy, or `recording`. Empty or absent: all.
    #[schema(max_items = 100)]
    purposes: Option<Vec<Purpose>>,
    answer: Answer,
    method: Method,
    /// The location of the evidence; at most 1000 characters. It is stored sealed.
    #[schema(
        max_length = 1000,
        pattern = r"^[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*[^\s\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069][^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$",
        examples("letter of 3 May")
    )]
    evidence: Option<String>,
    /// The text of the disclosure; its SHA-256 is stored.
    #[schema(max_length = 32768, examples("This call is recorded."))]
    disclosure: Option<String>,
    /// The SHA-256 of the disclosure, instead of its text.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    disclosure_sha256: Option<String>,
    /// The policy version in force at the statement. Absent: the present version, if `at` is absent
    /// too.
    policy_version: Option<PolicyVersion>,
    /// The time of the statement, RFC 3339. Absent: now. The method `import` requires it.
    at: Option<Timestamp>,
}

/// Recorded statements.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RecordedBody {
    /// Their ids, in the order of the request. A repeated statement has one id.
    #[schema(max_items = 1000)]
    ids: Vec<ConsentId>,
    /// The number of statements that are new.
    #[schema(maximum = 1000)]
    recorded: usize,
    /// The number of recordings released from quarantine.
    released: u64,
    /// The number of recordings put in quarantine.
    quarantined: u64,
}

/// The person whose statements are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConsentListParams {
    /// A number or address. Proxies log query strings; the body of `POST /v1/consents/search` is
    /// not logged.
    #[param(value_type = Address)]
    subject: String,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The person whose statements are listed.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchRequest {
    /// A number or address.
    subject: Address,
    /// 1 to 1000; 100 if not given.
    #[schema(minimum = 1, maximum = 1000, examples(100))]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,512}$")]
    cursor: Option<String>,
}

/// A statement, without address and evidence.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct StatementBody {
    id: ConsentId,
    /// The conversation of the statement; null if it covers the person in every conversation.
    #[schema(value_type = Option<String>, pattern = "^(CA|CF)[0-9a-fA-F]{32}$", examples("CA0123456789abcdef0123456789abcdef"))]
    conversation: Option<Conversation>,
    /// The participant's place in the conversation; null: every participant.
    leg: Option<LegName>,
    /// The purposes; empty: all.
    purposes: Vec<Purpose>,
    answer: Answer,
    method: Method,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    disclosure_sha256: Option<String>,
    #[schema(value_type = Option<PolicyVersion>)]
    policy_version: Option<String>,
    at: Timestamp,
    recorded_at: Timestamp,
    /// A token's id, `operator` or `vault`.
    #[schema(value_type = String, max_length = 80, examples("vault"))]
    recorded_by: Actor,
}

/// Records statements of consent: one, or up to 1000 as `{"items": […]}`; all or none.
///
/// A withdrawal also requires the action `revoke`.
#[utoipa::path(post, path = "/v1/consents", operation_id = "recordConsents", tag = "consent", security(("bearer" = [])), request_body = StatementRequest,
    responses((status = 201, body = RecordedBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 413, body = Problem)))]
pub(super) async fn record(
    State(api): State<Api>,
    bearer: Bearer,
    JsonBody(request): JsonBody<Value>,
) -> Result<(StatusCode, Json<RecordedBody>), Problem> {
    let permit = bearer.permit(&api, action::Consent, None).await?;
    let statements = read(&request).map_err(Problem::bad_request)?;
    if statements
        .iter()
        .any(|told| told.answer == Answer::Withdrawn)
    {
        bearer.permit(&api, action::Revoke, None).await?;
    }
    let recorded = api.flow.consents.record(&permit, statements).await?;
    let released = recorded.settled.released;
    let quarantined = recorded.settled.quarantined;
    Ok((
        StatusCode::CREATED,
        Json(RecordedBody {
            ids: recorded.ids,
            recorded: recorded.fresh,
            released,
            quarantined,
        }),
    ))
}

/// Lists the statements of a person, oldest first, including those for the person's places in
/// conversations.
#[utoipa::path(get, path = "/v1/consents", operation_id = "listConsents", tag = "consent", params(ConsentListParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<StatementBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<ConsentListParams>,
) -> Result<Json<PageBody<StatementBody>>, Problem> {
    let subject = Address::parse(&params.subject);
    let subject = subject.map_err(|why| Problem::bad_request(format!("`subject`: {why}")));
    let cursor = params.cursor.as_deref();
    statements(&api, &bearer, subject, params.limit, cursor).await
}

/// Lists the statements of a person, with the number in the body, which proxies do not log.
#[utoipa::path(post, path = "/v1/consents/search", operation_id = "searchConsents", tag = "consent", security(("bearer" = [])), request_body = SearchRequest,
    responses((status = 200, body = PageBody<StatementBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn search(
    State(api): State<Api>,
    bearer: Bearer,
    JsonBody(request): JsonBody<SearchRequest>,
) -> Result<Json<PageBody<StatementBody>>, Problem> {
    let cursor = request.cursor.as_deref();
    statements(&api, &bearer, Ok(request.subject), request.limit, cursor).await
}

async fn statements(
    api: &Api,
    bearer: &Bearer,
    subject: Result<Address, Problem>,
    limit: Option<u16>,
    after: Option<&str>,
) -> Result<Json<PageBody<StatementBody>>, Problem> {
    let permit = bearer.permit(api, action::Consent, None).await?;
    let limit = page::limit(limit)?;
    let subject = subject?;
    let list = AskedList::of("consents", &api.flow.vault.subject(&subject));
    let after = list.place(after)?;
    let statements = api.flow.consents.of(&permit, &subject, after, limit);
    Ok(Json(PageBody::of(statements.await?, &list)))
}

/// Parses the statements of a request. Reports every fault with the number of its item.
fn read(request: &Value) -> Result<Vec<NewStatement>, String> {
    let Some(items) = request.get("items") else {
        return NewStatement::from_json(request)
            .map(|told| vec![told])
            .map_err(|faults| sentences(None, &faults).join("; "));
    };
    let items = items.as_array().filter(|_| {
        request
            .as_object()
            .is_some_and(|members| members.len() == 1)
    });
    let items = items.filter(|items| (1..=MAX_ITEMS).contains(&items.len()));
    let items = items.ok_or_else(|| {
        format!(
            "expected one statement, or `{{\"items\": […]}}` with 1 to {MAX_ITEMS} and nothing else"
        )
    })?;
    let mut statements = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (number, item) in (1..).zip(items) {
        match NewStatement::from_json(item) {
            Ok(told) => statements.push(told),
            Err(found) => faults.extend(sentences(Some(number), &found)),
        }
    }
    match faults.len() {
        0 => Ok(statements),
        count => Err(format!(
            "{}; nothing was recorded: {}",
            numerals::counted(count, "fault", "faults"),
            faults.into_iter().take(100).collect::<Vec<_>>().join("; ")
        )),
    }
}

fn sentences(number: Option<usize>, faults: &[crate::flow::FieldFault]) -> Vec<String> {
    let place = number
        .map(|number| format!("item {number}, "))
        .unwrap_or_default();
    faults
        .iter()
        .map(|fault| format!("{place}{fault}"))
        .collect()
}

impl From<ConsentRow> for StatementBody {
    fn from(row: ConsentRow) -> Self {
        let said = row.statement;
        let (conversation, leg) = match said.whom {
            Whom::Subject(_) => (None, None),
            Whom::Leg(conversation, leg) => (Some(conversation), leg),
        };
        Self {
            id: said.id,
            conversation,
            leg,
            purposes: said.purposes.into_iter().collect(),
            answer: said.answer,
            method: said.method,
            disclosure_sha256: said.disclosure,
            policy_version: said.policy_version,
            at: said.at,
            recorded_at: said.recorded_at,
            recorded_by: row.recorded_by,
        }
    }
}
