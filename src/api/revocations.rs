//! Revocations over HTTP.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::JsonBody,
    gate::{Bearer, Id, QueryParams},
    page::{self, AskedList, PageBody},
    problem::Problem,
};
use crate::{
    db::revocations::{
        OutcomeCounts, ReachedRecording, Revocation, RevocationFilter, RevocationProgress,
    },
    evidence::{CountedKind, RevocationReach, ShredReason},
    flow::RevocationStatus,
    model::{
        actor::Actor,
        id::{ReceiptId, RecordingId, RevocationId},
        name::Purpose,
        revocation::Target,
        sid::AccountSid,
        subject::Address,
        time::Timestamp,
    },
    policy::action,
};

/// The longest time for which an answer waits for the end of a revocation. A longer revocation
/// continues after the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Returns the time for which an answer waits, so that it is sent within the request's time limit.
fn wait_within(request_timeout: Duration) -> Duration {
    LONGEST_WAIT.min(request_timeout / 2)
}

/// The target of a revocation: exactly one of `subject`, `recording` and `account`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationRequest {
    /// A person: the number in international form, or a `sip:` or `client:` address.
    subject: Option<Address>,
    /// A recording.
    recording: Option<RecordingId>,
    /// An account.
    account: Option<AccountSid>,
    /// Only these purposes. Without it, or with `recording` among them, every reached recording is
    /// shredded.
    #[serde(default)]
    #[schema(value_type = Vec<Purpose>, required = false, max_items = 100)]
    purposes: BTreeSet<Purpose>,
    /// A short code such as `subject-request`. Receipts and the audit log contain it, so it must
    /// not name a person.
    reason: ShredReason,
}

/// The state of a revocation.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RevocationBody {
    id: RevocationId,
    state: RevocationProgress,
    revoked_at: Timestamp,
    /// The number of recordings with each outcome so far.
    counts: OutcomeCounts,
    /// The same numbers by kind of communication, and by whether the person made these recordings or
    /// received them from others.
    #[schema(max_items = 10)]
    kinds: Vec<CountedKind>,
    /// The number of recordings without an outcome yet.
    pending: u64,
    /// The receipts of shredded recordings, 1000 at most.
    #[schema(max_items = 1000)]
    receipts: Vec<ReceiptId>,
    /// Recordings that holds keep, 1000 at most: they are closed, and shredded when the last hold
    /// is lifted.
    #[schema(max_items = 1000)]
    held: Vec<RecordingId>,
    /// The signed receipt for the whole revocation, a JWS in compact form; null until it is done.
    #[schema(pattern = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")]
    receipt: Option<String>,
    /// The outcome of each recording, in the order of ids, if the request asks for a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<PageBody<ReachedRecording>>,
}

impl From<RevocationStatus> for RevocationBody {
    fn from(status: RevocationStatus) -> Self {
        let RevocationStatus {
            revocation,
            counts,
            kinds,
            pending,
            shredded,
            held,
        } = status;
        Self {
            id: revocation.id,
            state: revocation.state(),
            revoked_at: revocation.revoked_at,
            counts,
            kinds,
            pending,
            receipts: shredded
                .into_iter()
                .filter_map(|reached| reached.receipt)
                .collect(),
            held,
            receipt: revocation.jws.filter(|_| revocation.is_done),
            outcomes: None,
        }
    }
}

/// Revokes consent.
///
/// Repeating the request is safe. A long revocation continues after the answer, which then has
/// status 202.
#[utoipa::path(post, path = "/v1/revocations", operation_id = "createRevocation", tag = "revocations", security(("bearer" = [])), request_body = RevocationRequest,
    responses((status = 200, body = RevocationBody), (status = 202, body = RevocationBody), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    bearer: Bearer,
    JsonBody(request): JsonBody<RevocationRequest>,
) -> Result<Response, Problem> {
    let permit = bearer
        .permit(&api, action::Revoke, request.recording)
        .await?;
    let target = match (request.subject, request.recording, request.account) {
        (Some(address), None, None) => Target::Subject(api.flow.vault.subject(&address)),
        (None, Some(recording), None) => Target::Recording(recording),
        (None, None, Some(account)) => Target::Account(account),
        _ => {
            return Err(Problem::bad_request(
                "name exactly one of `subject`, `recording` and `account`",
            ));
        }
    };
    let begun = api
        .flow
        .revocations
        .begin(&permit, target, request.purposes, &request.reason)
        .await?;
    let wait = wait_within(api.request_timeout);
    api.flow.revocations.go_on_for(begun.id, wait).await?;
    let status = api.flow.revocations.status(&permit, begun.id).await?;
    let code = if status.revocation.is_done {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((code, Json(RevocationBody::from(status))).into_response())
}

/// The filter and page of a list of revocations.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RevocationListParams {
    /// Only revocations in this state.
    state: Option<RevocationProgress>,
    /// Only revocations that are limited to this account, alone or among others, and those of the
    /// account itself or of one of its recordings.
    account: Option<AccountSid>,
    /// Only revocations begun at or after this time; RFC 3339.
    since: Option<Timestamp>,
    /// Only revocations begun before this time; RFC 3339.
    until: Option<Timestamp>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A revocation in a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ListedRevocationBody {
    id: RevocationId,
    state: RevocationProgress,
    /// What was revoked: `subject`, `recording`, `account` or `conversation`.
    #[schema(value_type = RevocationReach)]
    reach: &'static str,
    /// The id of the recording, account or conversation; null if it is of a person, because not even
    /// the hash of a number is shown.
    #[schema(max_length = 64, examples("AC0123456789abcdef0123456789abcdef"))]
    target: Option<String>,
    /// The revoked purposes; empty: all.
    #[schema(max_items = 100)]
    purposes: BTreeSet<Purpose>,
    /// The accounts to which it is limited; empty: all.
    accounts: BTreeSet<AccountSid>,
    reason: ShredReason,
    /// A principal's id, `operator:<user>` or `vault`.
    #[schema(value_type = String, max_length = 80, examples("vault"))]
    actor: Actor,
    revoked_at: Timestamp,
    /// When everything that it reached had an outcome last; null before that.
    finished_at: Option<Timestamp>,
}

/// Lists revocations, the latest first.
#[utoipa::path(get, path = "/v1/revocations", operation_id = "listRevocations", tag = "revocations", params(RevocationListParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<ListedRevocationBody>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<RevocationListParams>,
) -> Result<Json<PageBody<ListedRevocationBody>>, Problem> {
    let permit = bearer.permit(&api, action::Revoke, None).await?;
    let limit = page::limit(params.limit)?;
    let mut filter = RevocationFilter {
        state: params.state,
        account: params.account,
        since: params.since,
        until: params.until,
        ..RevocationFilter::default()
    };
    let list = AskedList::of("revocations", &filter);
    filter.after = list.place(params.cursor.as_deref())?;
    let page = api.flow.revocations.list(&permit, filter, limit).await?;
    Ok(Json(PageBody::of(page, &list)))
}

impl From<Revocation> for ListedRevocationBody {
    fn from(revocation: Revocation) -> Self {
        let target = match &revocation.target {
            Target::Subject(_) => None,
            other => Some(other.id()),
        };
        Self {
            id: revocation.id,
            state: revocation.state(),
            reach: revocation.target.kind(),
            target,
            purposes: revocation.purposes,
            accounts: revocation.accounts,
            reason: revocation.reason,
            actor: revocation.actor,
            revoked_at: revocation.revoked_at,
            finished_at: revocation.finished_at,
        }
    }
}

/// The page of outcomes to show.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OutcomeParams {
    /// Outcomes in one page, 1 to 1000; none are shown if neither this nor `cursor` is given.
    limit: Option<u16>,
    /// `next_cursor` of the page of outcomes before.
    cursor: Option<String>,
}

/// Shows the state of a revocation, and page by page the outcome of each recording.
#[utoipa::path(get, path = "/v1/revocations/{id}", operation_id = "getRevocation", tag = "revocations", params(("id" = String, Path), OutcomeParams),
    security(("bearer" = [])),
    responses((status = 200, body = RevocationBody), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<RevocationId>,
    QueryParams(params): QueryParams<OutcomeParams>,
) -> Result<Json<RevocationBody>, Problem> {
    let permit = bearer.permit(&api, action::Revoke, None).await?;
    let mut body = RevocationBody::from(api.flow.revocations.status(&permit, id).await?);
    if params.limit.is_some() || params.cursor.is_some() {
        let limit = page::limit(params.limit)?;
        let list = AskedList::of("outcomes", &id);
        let after = list.place(params.cursor.as_deref())?;
        let page = api
            .flow
            .revocations
            .outcomes(&permit, id, after, limit)
            .await?;
        body.outcomes = Some(PageBody::of(page, &list));
    }
    Ok(Json(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_revocation_is_answered_before_the_time_limit() {
        for seconds in [1, 5, 8, 14, 300] {
            let limit = Duration::from_secs(seconds);
            assert!(wait_within(limit) < limit, "{seconds}");
        }
        assert_eq!(wait_within(Duration::from_secs(300)), LONGEST_WAIT);
    }
}
