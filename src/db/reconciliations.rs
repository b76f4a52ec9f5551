//! Comparisons with the source: whose turn it is, when each account was compared, and what came of
//! it.
//!
//! A turn is a lease on work of the kind [`WorkKind::Comparison`]. Who loses it stops at its next
//! page; that two compare at once changes nothing, so a person who asks takes the turn over.

use super::{
    error::Error,
    lease::Term,
    row::Row,
    tx::{Arg, Tx},
    work::{self, Lease, WorkKind},
};
use crate::model::{id::HolderId, sid::AccountSid, time::Timestamp};

/// How the comparison of an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationRow {
    /// Whose.
    pub account: AccountSid,
    /// When the last comparison began.
    pub tried_at: Timestamp,
    /// When the last one ended that came to its end.
    pub done_at: Option<Timestamp>,
    /// What that one found: a JSON object of counts.
    pub found: Option<String>,
    /// Why the last one did not come to its end.
    pub fault: Option<String>,
}

/// Takes the turn for an account for a term, if nobody has it and the last comparison began before
/// `unless_since`.
pub async fn take(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
    unless_since: Timestamp,
) -> Result<Option<Lease<AccountSid>>, Error> {
    const SQL: &str = "/* reconciliations.take */
        INSERT INTO reconciliations (account, tried_at) VALUES ($1, $2)
        ON CONFLICT (account) DO UPDATE SET tried_at = excluded.tried_at
        WHERE reconciliations.tried_at < $3 OR reconciliations.tried_at > $4";
    let Some(lease) = work::claim(tx, WorkKind::Comparison, account, holder, term).await? else {
        return Ok(None);
    };
    let args = [
        Arg::Text(account.as_str()),
        Arg::Int(term.now.as_millis()),
        Arg::Int(unless_since.as_millis()),
        Arg::Int(term.beyond.as_millis()),
    ];
    if tx.execute(SQL, &args).await? == 1 {
        return Ok(Some(lease));
    }
    work::finish(tx, &lease).await?;
    Ok(None)
}

/// Takes the turn from whoever has it.
pub async fn seize(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
) -> Result<Lease<AccountSid>, Error> {
    const SQL: &str = "/* reconciliations.seize */
        INSERT INTO reconciliations (account, tried_at) VALUES ($1, $2)
        ON CONFLICT (account) DO UPDATE SET tried_at = excluded.tried_at";
    let lease = work::seize(tx, WorkKind::Comparison, account, holder, term).await?;
    let args = [Arg::Text(account.as_str()), Arg::Int(term.now.as_millis())];
    tx.execute(SQL, &args).await?;
    Ok(lease)
}

/// Gives the turn back with what was found, or with why nothing was.
///
/// # Errors
/// [`Error::Stale`] if somebody else has it now.
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

/// How each account's comparison stands, by account.
pub async fn all(tx: &mut Tx) -> Result<Vec<ReconciliationRow>, Error> {
    const SQL: &str = "/* reconciliations.all */ SELECT account, tried_at, done_at, found, fault FROM reconciliations ORDER BY account";
    let read = |row: &Row| {
        Ok(ReconciliationRow {
            account: row.parse("reconciliations", "account", "account")?,
            tried_at: row.time("tried_at")?,
            done_at: row.maybe_time("done_at")?,
            found: row.maybe_text("found")?,
            fault: row.maybe_text("fault")?,
        })
    };
    tx.fetch_all(SQL, &[]).await?.iter().map(read).collect()
}
