//! Accounts that change while the service runs, and what can be said of them.
//!
//! Owns the order: what changed is in the audit log before it takes effect. Refuses to know files;
//! `app` reads them.

mod examine;

use std::{collections::BTreeSet, sync::Arc};

pub use self::examine::{AccountFinding, AccountVerdict};
use super::{error::Error, twilio_access::TwilioAccess, units::note};
use crate::{
    db::Db,
    evidence::NewEntry,
    model::{
        reconciled::Reconciled,
        sid::AccountSid,
        time::{Clock, Timestamp},
    },
    twilio::Accounts,
};

/// What changed when the accounts were read again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    /// Accounts that are new.
    pub added: Vec<AccountSid>,
    /// Accounts whose callbacks are refused from now on.
    pub removed: Vec<AccountSid>,
    /// Accounts there are now.
    pub accounts: usize,
}

/// How the comparison of an account with Twilio's list stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountStatus {
    /// The account.
    pub account: AccountSid,
    /// When it was compared last.
    pub done_at: Option<Timestamp>,
    /// What was found then.
    pub found: Option<Reconciled>,
    /// Why the last comparison did not come to its end; `None`: it did.
    pub fault: Option<String>,
}

/// The accounts, seen to and changed while the service runs.
pub struct AccountReview {
    db: Db,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
}

impl AccountReview {
    pub(in crate::flow) fn new(db: Db, clock: Clock, twilio: Arc<TwilioAccess>) -> Self {
        Self { db, clock, twilio }
    }

    /// Puts other accounts in the place of the present ones. Work that runs ends with those it
    /// began with.
    ///
    /// # Errors
    /// The database's; then the former accounts stay.
    pub async fn put(&self, accounts: Accounts) -> Result<Reloaded, Error> {
        let sids = |accounts: &Accounts| {
            accounts
                .iter()
                .map(|account| account.sid().clone())
                .collect::<BTreeSet<_>>()
        };
        let before = sids(&self.twilio.accounts());
        let after = sids(&accounts);
        let reloaded = Reloaded {
            added: after.difference(&before).cloned().collect(),
            removed: before.difference(&after).cloned().collect(),
            accounts: after.len(),
        };
        let now = self.clock.now();
        note(&self.db, || {
            NewEntry::accounts_reloaded(now, &reloaded.added, &reloaded.removed, reloaded.accounts)
        })
        .await?;
        self.twilio.put(accounts);
        Ok(reloaded)
    }

    /// How the comparisons with Twilio's lists stand, by account.
    pub(super) async fn status(&self) -> Result<Vec<AccountStatus>, Error> {
        let rows = crate::db::reconciliations::all(&mut self.db.read().await?).await?;
        let status = |row: crate::db::reconciliations::ReconciliationRow| AccountStatus {
            account: row.account,
            done_at: row.done_at,
            found: row.found.and_then(|text| serde_json::from_str(&text).ok()),
            fault: row.fault,
        };
        let accounts = self.twilio.accounts();
        // What is not configured any more is not compared any more.
        Ok(rows
            .into_iter()
            .filter(|row| accounts.get(&row.account).is_some())
            .map(status)
            .collect())
    }
}
