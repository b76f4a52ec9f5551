//! Review and reload of the configured Twilio accounts while the service runs.
//!
//! Owns the order: a change is in the audit log before it takes effect. Refuses to know files;
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

/// The changes of a reload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    /// New accounts.
    pub added: Vec<AccountSid>,
    /// Removed accounts, whose callbacks are refused from now on.
    pub removed: Vec<AccountSid>,
    /// The number of accounts now.
    pub accounts: usize,
}

/// The state of comparing an account with Twilio's list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountStatus {
    /// The account.
    pub account: AccountSid,
    /// When it was last compared.
    pub done_at: Option<Timestamp>,
    /// The result of that comparison.
    pub found: Option<Reconciled>,
    /// Why the last comparison was not completed; `None` if it was.
    pub fault: Option<String>,
}

/// Reviews and replaces the configured accounts.
pub struct AccountReview {
    db: Db,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
}

impl AccountReview {
    pub(in crate::flow) fn new(db: Db, clock: Clock, twilio: Arc<TwilioAccess>) -> Self {
        Self { db, clock, twilio }
    }

    /// Replaces the configured accounts. Running work finishes with the accounts with which it
    /// began.
    ///
    /// # Errors
    /// Any database error; then the former accounts stay.
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

    /// Returns the state of comparing each account with Twilio's list.
    pub(super) async fn status(&self) -> Result<Vec<AccountStatus>, Error> {
        let rows = crate::db::reconciliations::all(&mut self.db.read().await?).await?;
        let status = |row: crate::db::reconciliations::ReconciliationRow| AccountStatus {
            account: row.account,
            done_at: row.done_at,
            found: row.found.and_then(|text| serde_json::from_str(&text).ok()),
            fault: row.fault,
        };
        let accounts = self.twilio.accounts();
        // Accounts that are no longer configured are no longer compared.
        Ok(rows
            .into_iter()
            .filter(|row| accounts.get(&row.account).is_some())
            .map(status)
            .collect())
    }
}
