//! Comparisons with the source: whose turn it is, when each account was compared, and what came of
//! it.
//!
//! A turn is a lease. Who loses it stops at its next page; that two compare at once changes
//! nothing, so a person who asks takes the turn over.

use super::{
    error::Error,
    lease::Term,
    row::Row,
    tx::{Arg, Tx},
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
/// `unless_since`. Whether it is taken.
pub async fn take(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
    unless_since: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "/* reconciliations.take */
        INSERT INTO reconciliations (account, holder, until, tried_at) VALUES ($1, $2, $4, $3)
        ON CONFLICT (account) DO UPDATE SET holder = excluded.holder, until = excluded.until, tried_at = excluded.tried_at
        WHERE (reconciliations.until <= $3 OR reconciliations.until > $6)
          AND (reconciliations.tried_at < $5 OR reconciliations.tried_at > $6)";
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(&holder.to_string()),
        Arg::Int(term.now.as_millis()),
        Arg::Int(term.until.as_millis()),
        Arg::Int(unless_since.as_millis()),
        Arg::Int(term.beyond.as_millis()),
    ];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Takes the turn from whoever has it.
pub async fn seize(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
) -> Result<(), Error> {
    let Term { now, until, .. } = term;
    const SQL: &str = "/* reconciliations.seize */
        INSERT INTO reconciliations (account, holder, until, tried_at) VALUES ($1, $2, $4, $3)
        ON CONFLICT (account) DO UPDATE SET holder = excluded.holder, until = excluded.until, tried_at = excluded.tried_at";
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(&holder.to_string()),
        Arg::Int(now.as_millis()),
        Arg::Int(until.as_millis()),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Keeps the turn for a term.
///
/// # Errors
/// [`Error::Stale`] if somebody else has it now.
pub async fn keep(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    term: Term,
) -> Result<(), Error> {
    const SQL: &str = "/* reconciliations.keep */ UPDATE reconciliations SET until = $3 WHERE account = $1 AND holder = $2";
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(&holder.to_string()),
        Arg::Int(term.until.as_millis()),
    ];
    tx.execute_one(SQL, &args, LOST).await
}

/// Gives the turn back with what was found, or with why nothing was.
///
/// # Errors
/// [`Error::Stale`] if somebody else has it now.
pub async fn leave(
    tx: &mut Tx,
    account: &AccountSid,
    holder: HolderId,
    now: Timestamp,
    outcome: Result<&str, &str>,
) -> Result<(), Error> {
    const DONE: &str = "/* reconciliations.done */
        UPDATE reconciliations SET until = 0, done_at = $3, found = $4, fault = NULL WHERE account = $1 AND holder = $2";
    const FAILED: &str = "/* reconciliations.failed */
        UPDATE reconciliations SET until = 0, fault = $3 WHERE account = $1 AND holder = $2";
    let account = Arg::Text(account.as_str());
    let holder = holder.to_string();
    match outcome {
        Ok(found) => {
            tx.execute_one(
                DONE,
                &[
                    account,
                    Arg::Text(&holder),
                    Arg::Int(now.as_millis()),
                    Arg::Text(found),
                ],
                LOST,
            )
            .await
        }
        Err(fault) => {
            tx.execute_one(
                FAILED,
                &[account, Arg::Text(&holder), Arg::Text(fault)],
                LOST,
            )
            .await
        }
    }
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

const LOST: &str = "the comparison was taken over by another process";
