//! Which revocations a list holds.
//!
//! Owns the filters and their conditions. Refuses to know who may ask: the permit says within which
//! accounts.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{COLUMNS, Revocation, StoredRevocation};
use crate::{
    db::{
        error::Error,
        query::{EXAMINED, ListOrder, ListQuery, is_full, text, time},
        table::TableRow as _,
        tx::Tx,
    },
    model::{
        id::RevocationId,
        sid::AccountSid,
        time::Timestamp,
        word::{UnknownWord, unknown},
    },
};

/// How far a revocation is.
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
pub enum RevocationProgress {
    /// Something that it reaches has no outcome yet.
    Running,
    /// Everything that it reaches has an outcome.
    Done,
}

recvault_core::word_set!(RevocationProgress);

/// Which revocations to list, the latest first. As JSON: what a place in the list depends on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RevocationFilter {
    /// Only in this state.
    pub state: Option<RevocationProgress>,
    /// Only those that are limited to this account, alone or among others, and those whose target is
    /// the account or one of its recordings.
    pub account: Option<AccountSid>,
    /// Only those begun at or after.
    pub since: Option<Timestamp>,
    /// Only those begun before.
    pub until: Option<Timestamp>,
    /// Only revocations that were limited to some of these accounts; empty means all. The accounts
    /// of the permit.
    #[serde(skip)]
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that come after this one in the list.
    #[serde(skip)]
    pub after: Option<(Timestamp, RevocationId)>,
}

impl Revocation {
    /// Whether it was limited to some of these accounts, so that who may know of them may know of
    /// it. Of no accounts: of all.
    pub fn is_within(&self, accounts: &BTreeSet<AccountSid>) -> bool {
        accounts.is_empty() || !self.accounts.is_empty() && self.accounts.is_subset(accounts)
    }

    /// How far it is.
    pub fn state(&self) -> RevocationProgress {
        if self.is_done {
            RevocationProgress::Done
        } else {
            RevocationProgress::Running
        }
    }

    /// Its place in a list.
    pub fn place(&self) -> (Timestamp, RevocationId) {
        (self.revoked_at, self.id)
    }
}

impl RevocationFilter {
    fn query(&self, after: Option<(Timestamp, RevocationId)>, limit: i64) -> ListQuery {
        const HEAD: &str =
            formatcp!("/* revocations.list */ SELECT {COLUMNS} FROM revocations WHERE true");
        // The accounts are a JSON array of texts without any quotation mark in them. `LIKE` would
        // not tell upper case from lower.
        const OF_ACCOUNT: &str =
            "(REPLACE(accounts, ?, '') <> accounts OR (reach = 'account' AND target = ?)
          OR (reach = 'recording' AND target IN (SELECT id FROM recordings WHERE account = ?)))";
        let mut query = ListQuery::of(HEAD);
        query.when("state = ?", self.state.map(text));
        if let Some(account) = &self.account {
            let member = text(format_args!("\"{account}\""));
            query.with(OF_ACCOUNT, [member, text(account), text(account)]);
        }
        query.when("revoked_at >= ?", self.since.map(time));
        query.when("revoked_at < ?", self.until.map(time));
        if !self.accounts.is_empty() {
            query.with("accounts <> '[]'", []);
        }
        let order = ListOrder {
            column: "revoked_at",
            id: "id",
            is_descending: true,
        };
        query.page(order, after.map(|(at, id)| (at, id.to_string())), limit);
        query
    }
}

/// A page of revocations.
pub async fn list(
    tx: &mut Tx,
    filter: &RevocationFilter,
    limit: i64,
) -> Result<Vec<Revocation>, Error> {
    let at_once = if filter.accounts.is_empty() {
        limit
    } else {
        limit.max(EXAMINED)
    };
    let mut found = Vec::new();
    let mut after = filter.after;
    loop {
        let rows = filter.query(after, at_once).rows(tx).await?;
        let seen = rows.len();
        for row in &rows {
            let revocation = Revocation::try_from(StoredRevocation::of(row)?)?;
            after = Some(revocation.place());
            if revocation.is_within(&filter.accounts) {
                found.push(revocation);
            }
        }
        if is_full(&mut found, seen, at_once, limit) {
            return Ok(found);
        }
    }
}
