//! Comparisons of accounts with the source: when each account was last compared, and the result.
//!
//! A comparison runs under a lease on work of the kind [`WorkKind::Comparison`]. A process that
//! loses it stops at its next page. Two concurrent comparisons do no harm, so an operator's request
//! may take the lease over.

use const_format::formatcp;

use super::{
    error::Error,
    lease::Term,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
    work::{self, Lease, WorkKind},
};
use crate::model::{id::HolderId, sid::AccountSid, time::Timestamp};

table! {
    "reconciliations" {}

    /// The state of an account's comparison.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReconciliationRow {
        key {
            /// The account.
            pub account: AccountSid = "account",
        }
        /// When the last comparison began.
        pub tried_at: Timestamp = "tried_at",
        /// When the last completed comparison ended.
        pub done_at: Option<Timestamp> = "done_at",
        /// The result of that comparison: a JSON object of counts.
        pub found: Option<String> = "found",
        /// Why the last comparison was not completed.
        pub fault: Option<String> = "fault",
    }
}

impl ReconciliationRow {
    /// Creates the row of an account's first comparison.
    fn first(account: &AccountSid, now: Timestamp) -> Self {
        Self {
            account: account.clone(),
            tried_at: now,
            done_at: None,
            found: None,
            fault: None,
        }
    }
}

/// Takes the lease on an account for a term, if no other holder has it and the last comparison
/// began before `unless_since`.
pub async fn take(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
    unless_since: Timestamp,
) -> Result<Option<Lease<AccountSid>>, Error> {
    const SQL: &str = formatcp!(
        "/* reconciliations.take */ {}
        ON CONFLICT (account) DO UPDATE SET tried_at = excluded.tried_at
        WHERE reconciliations.tried_at < $6 OR reconciliations.tried_at > $7",
        ReconciliationRow::INSERT
    );
    let Some(lease) = work::claim(tx, WorkKind::Comparison, account, holder, term).await? else {
        return Ok(None);
    };
    let row = ReconciliationRow::first(account, term.now);
    let bounds = [
        Arg::Int(unless_since.as_millis()),
        Arg::Int(term.beyond.as_millis()),
    ];
    if tx.insert_row(SQL, &row, &bounds).await? == 1 {
        return Ok(Some(lease));
    }
    work::finish(tx, &lease).await?;
    Ok(None)
}

/// Takes the lease from any holder.
pub async fn seize(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
) -> Result<Lease<AccountSid>, Error> {
    const SQL: &str = formatcp!(
        "/* reconciliations.seize */ {}
        ON CONFLICT (account) DO UPDATE SET tried_at = excluded.tried_at",
        ReconciliationRow::INSERT
    );
    let lease = work::seize(tx, WorkKind::Comparison, account, holder, term).await?;
    let row = ReconciliationRow::first(account, term.now);
    tx.insert_row(SQL, &row, &[]).await?;
    Ok(lease)
}

/// Ends the lease and records the result, or the reason why there is none.
///
/// # Errors
/// [`Error::LeaseLost`].
pub async fn leave(
    tx: &mut Tx,
    lease: &Lease<AccountSid>,
    now: Timestamp,
    outcome: Result<&str, &str>,
) -> Result<(), Error> {
    const DONE: &str = "/* reconciliations.done */
        UPDATE reconciliations SET done_at = $2, found = $3, fault = NULL WHERE account = $1";
    const FAILED: &str =
        "/* reconciliations.failed */ UPDATE reconciliations SET fault = $2 WHERE account = $1";
    work::finish(tx, lease).await?;
    let account = Arg::Text(lease.subject.as_str());
    let left = match outcome {
        Ok(found) => {
            let args = [account, Arg::Int(now.as_millis()), Arg::Text(found)];
            tx.execute(DONE, &args).await
        }
        Err(fault) => tx.execute(FAILED, &[account, Arg::Text(fault)]).await,
    };
    left.map(|_| ())
}

/// Returns the state of each account's comparison, by account.
pub async fn all(tx: &mut Tx) -> Result<Vec<ReconciliationRow>, Error> {
    const SQL: &str = formatcp!(
        "/* reconciliations.all */ SELECT {} FROM reconciliations ORDER BY account",
        ReconciliationRow::COLUMNS
    );
    tx.fetch_rows(SQL, &[]).await
}
