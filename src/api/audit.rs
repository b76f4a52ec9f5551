//! The audit log over HTTP.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    Api,
    gate::{Bearer, QueryParams},
    page::{self, PageBody},
    problem::Problem,
};
use crate::{evidence::Entry, policy::action};

/// The requested part of the audit log.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Only entries with a higher number; 0 if absent.
    after: Option<i64>,
    /// `next_cursor` of the page before, instead of `after`.
    cursor: Option<String>,
    /// 1 to 1000; 100 if not given.
    limit: Option<u16>,
}

/// Lists the audit log, oldest first.
///
/// `seq` counts 1, 2, 3 … without gaps, also across restores. An entry with `told` comes from a
/// lost database; `told` has its `timeline` and `seq` there.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listAuditEntries", tag = "audit", params(AuditParams), security(("bearer" = [])),
    responses((status = 200, body = PageBody<Entry>), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Bearer,
    QueryParams(params): QueryParams<AuditParams>,
) -> Result<Json<PageBody<Entry>>, Problem> {
    let permit = bearer.permit(&api, action::Audit, None).await?;
    let limit = page::limit(params.limit)?;
    let after = start(params.cursor.as_deref(), params.after)?;
    let page = api.flow.catalogue.audit(&permit, after, limit).await?;
    Ok(Json(PageBody::of(page, |last| last.to_string())))
}

/// Returns the number behind which the page begins.
fn start(cursor: Option<&str>, after: Option<i64>) -> Result<i64, Problem> {
    let number = match (cursor, after) {
        (None, None) => Some(0),
        (None, Some(after)) if after < 0 => {
            return Err(Problem::bad_request("`after` must be 0 or more"));
        }
        (None, after) => after,
        (Some(cursor), None) => cursor.parse().ok().filter(|number| *number >= 0),
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request("give `cursor` or `after`, not both"));
        }
    };
    number.ok_or_else(page::no_cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_parameter_that_was_given() {
        for (cursor, after, named) in [
            (Some("-5"), None, "`cursor`"),
            (Some("x"), None, "`cursor`"),
            (None, Some(-5), "`after`"),
            (Some("1"), Some(1), "not both"),
        ] {
            let told = start(cursor, after).unwrap_err().to_json();
            assert!(told.contains(named), "{told}");
        }
        let begins = |cursor, after| start(cursor, after).ok();
        assert_eq!(begins(None, None), Some(0));
        assert_eq!(begins(Some("7"), None), Some(7));
        assert_eq!(begins(None, Some(7)), Some(7));
    }
}
