//! Which grants a list holds.
//!
//! Owns the filters, their conditions, and what makes a grant living. Refuses to know who may ask.

use std::collections::BTreeSet;

use const_format::{concatcp, formatcp};

use super::GrantRow;
use crate::{
    db::{
        error::Error,
        query::{ListOrder, ListQuery, members, text, time},
        row::Row,
        table::TableRow as _,
        tx::Tx,
    },
    model::{
        grant_object::GrantObject,
        id::{GrantId, PrincipalId},
        name::Purpose,
        sid::AccountSid,
        time::Timestamp,
        word::{UnknownWord, unknown},
    },
};

/// Whether a grant can open anything.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum GrantState {
    /// It holds, unless the policy decides otherwise at an opening.
    Living,
    /// It expired, was ended, or ended with its token or its recording.
    Ended,
}

recvault_core::word_set!(GrantState);

/// Which grants to list, the latest issued first. As JSON: what a place in the list depends on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct GrantFilter {
    /// Only to tokens of this principal.
    pub principal: Option<PrincipalId>,
    /// Only for this recording or conversation.
    pub object: Option<GrantObject>,
    /// Only for this purpose.
    pub purpose: Option<Purpose>,
    /// Only in this state.
    pub state: Option<GrantState>,
    /// Only for what is of these accounts; empty means all. What the asker may know of.
    #[serde(skip)]
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that come after this one in the list.
    #[serde(skip)]
    pub after: Option<(Timestamp, GrantId)>,
}

/// A grant in a list.
#[derive(Clone, Debug)]
pub struct ListedGrant {
    /// The grant.
    pub row: GrantRow,
    /// To whom it was given.
    pub principal: PrincipalId,
    /// Whether it can open anything.
    pub state: GrantState,
}

impl GrantFilter {
    fn query(&self, now: Timestamp, limit: i64) -> ListQuery {
        const QUALIFIED: &str = GrantRow::QUALIFIED;
        const LIVING: &str = "(grants.ended_at IS NULL AND grants.expires_at > ? AND tokens.revoked_at IS NULL AND tokens.expires_at > ?
          AND (recordings.state IS NULL OR recordings.state <> 'shredded'))";
        const ENDED: &str = concatcp!("NOT ", LIVING);
        const HEAD: &str = formatcp!(
            "/* grants.list */ SELECT {QUALIFIED}, tokens.principal_id, tokens.expires_at AS token_expires_at,
              tokens.revoked_at AS token_revoked_at, recordings.state
            FROM grants JOIN tokens ON tokens.id = grants.token_id LEFT JOIN recordings ON recordings.id = grants.object WHERE true"
        );
        let mut query = ListQuery::of(HEAD);
        query.when("tokens.principal_id = ?", self.principal.map(text));
        query.when("grants.object = ?", self.object.as_ref().map(text));
        query.when("grants.purpose = ?", self.purpose.as_ref().map(text));
        match self.state {
            Some(GrantState::Living) => query.with(LIVING, [time(now), time(now)]),
            Some(GrantState::Ended) => query.with(ENDED, [time(now), time(now)]),
            None => {}
        }
        query.when(
            "grants.account IN (SELECT key FROM json_each(?))",
            members(&self.accounts),
        );
        let order = ListOrder {
            column: "grants.issued_at",
            id: "grants.id",
            is_descending: true,
        };
        let after = self.after.map(|(at, id)| (at, id.to_string()));
        query.page(order, after, limit);
        query
    }
}

/// A page of grants, as they stand at `now`.
pub async fn list(
    tx: &mut Tx,
    filter: &GrantFilter,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<ListedGrant>, Error> {
    let rows = filter.query(now, limit).rows(tx).await?;
    rows.iter().map(|row| listed(row, now)).collect()
}

fn listed(row: &Row, now: Timestamp) -> Result<ListedGrant, Error> {
    let grant = GrantRow::of(row)?;
    let is_living = grant.ended_at.is_none()
        && now < grant.expires_at
        && row.maybe_time("token_revoked_at")?.is_none()
        && now < row.time("token_expires_at")?
        && row.maybe_text("state")?.as_deref() != Some("shredded");
    let state = if is_living {
        GrantState::Living
    } else {
        GrantState::Ended
    };
    Ok(ListedGrant {
        row: grant,
        principal: row.parse("tokens", "principal_id", "id")?,
        state,
    })
}
