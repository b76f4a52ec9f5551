//! Requests that are to take effect once: who works on which, and what was answered.
//!
//! Owns their rows. Refuses to know requests, keys and answers: it has hashes, and sealed bytes.
//! INVARIANTS
//! - A row is one attempt's, by its fencing token, until its lease has passed by the database's time.
//!   What an attempt writes whose row is another's by then touches nothing.
//! - An answer is never replaced.

use std::time::Duration;

use const_format::formatcp;

use super::{
    error::Error,
    lease::Term,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::time::Timestamp;

table! {
    "idempotency" {}

    #[derive(Debug)]
    pub(super) struct StoredRequest {
        key {
            id: String = "id",
        }
        fingerprint: String = "fingerprint",
        token: i64 = "token",
        running_until: Option<Timestamp> = "running_until",
        sealed: Vec<u8> = "sealed",
        claimed_at: Timestamp = "claimed_at",
    }
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestClaim {
    /// It is the caller's, under this fencing token.
    Taken(i64),
    /// Another attempt works on it.
    Running,
    /// It was answered.
    Answered(Vec<u8>),
    /// The id was used for another request.
    OtherRequest,
}

/// Claims a request for a term. What was claimed longer ago than `kept` is forgotten.
///
/// # Errors
/// [`Error::Conflict`] if another took it over just now.
pub async fn claim(
    tx: &mut Tx,
    (id, fingerprint): (&str, &str),
    term: Term,
    kept: Duration,
) -> Result<RequestClaim, Error> {
    const ENTER: &str = formatcp!(
        "/* idempotency.enter */ {} ON CONFLICT (id) DO NOTHING",
        StoredRequest::INSERT
    );
    const FIND: &str = formatcp!(
        "/* idempotency.find */ SELECT {} FROM idempotency WHERE id = $1",
        StoredRequest::COLUMNS
    );
    const TAKE: &str = formatcp!(
        "/* idempotency.take */ {} ON CONFLICT (id) DO UPDATE
        SET fingerprint = excluded.fingerprint, token = excluded.token, running_until = excluded.running_until, sealed = excluded.sealed,
          claimed_at = excluded.claimed_at
        WHERE idempotency.token = $7",
        StoredRequest::INSERT
    );
    let mut claimed = StoredRequest {
        id: id.to_owned(),
        fingerprint: fingerprint.to_owned(),
        token: term.now.as_millis(),
        running_until: Some(term.until),
        sealed: Vec::new(),
        claimed_at: term.now,
    };
    if tx.insert_row(ENTER, &claimed, &[]).await? == 1 {
        return Ok(RequestClaim::Taken(claimed.token));
    }
    let found: Option<StoredRequest> = tx.fetch_row(FIND, &[Arg::Text(id)]).await?;
    // Removed since.
    let found = found.ok_or(Error::Conflict)?;
    if found.claimed_at >= term.now.before(kept) {
        if found.fingerprint != fingerprint {
            return Ok(RequestClaim::OtherRequest);
        }
        match found.running_until {
            None => return Ok(RequestClaim::Answered(found.sealed)),
            // A lease that no honest clock gave holds nobody back.
            Some(until) if until > term.now && until <= term.beyond => {
                return Ok(RequestClaim::Running);
            }
            Some(_) => {}
        }
    }
    claimed.token = claimed.token.max(found.token.saturating_add(1));
    match tx
        .insert_row(TAKE, &claimed, &[Arg::Int(found.token)])
        .await?
    {
        1 => Ok(RequestClaim::Taken(claimed.token)),
        _ => Err(Error::Conflict),
    }
}

/// Keeps a claim for another term. Whether it is still the caller's.
pub async fn extend(tx: &mut Tx, (id, token): (&str, i64), term: Term) -> Result<bool, Error> {
    const SQL: &str = "/* idempotency.extend */
        UPDATE idempotency SET running_until = $3 WHERE id = $1 AND token = $2 AND running_until IS NOT NULL";
    let until = Arg::Int(term.until.as_millis());
    Ok(tx
        .execute(SQL, &[Arg::Text(id), Arg::Int(token), until])
        .await?
        == 1)
}

/// Keeps the answer. Whether the claim was still the caller's.
pub async fn answer(tx: &mut Tx, (id, token): (&str, i64), sealed: &[u8]) -> Result<bool, Error> {
    const SQL: &str = "/* idempotency.answer */
        UPDATE idempotency SET running_until = NULL, sealed = $3 WHERE id = $1 AND token = $2 AND running_until IS NOT NULL";
    let args = [Arg::Text(id), Arg::Int(token), Arg::Bytes(sealed)];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Gives a claim back, as if nobody had asked.
pub async fn release(tx: &mut Tx, (id, token): (&str, i64)) -> Result<(), Error> {
    const SQL: &str = "/* idempotency.release */
        DELETE FROM idempotency WHERE id = $1 AND token = $2 AND running_until IS NOT NULL";
    tx.execute(SQL, &[Arg::Text(id), Arg::Int(token)]).await?;
    Ok(())
}

/// Forgets what was claimed before `before`.
pub async fn remove_older(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str =
        "/* idempotency.remove_older */ DELETE FROM idempotency WHERE claimed_at < $1";
    tx.execute(SQL, &[Arg::Int(before.as_millis())]).await
}
