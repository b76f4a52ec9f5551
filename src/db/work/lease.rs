//! Leases on work.
//!
//! Owns the only statements that take, extend or end a lease. A lease is the row's `due_at` in the
//! future, with the holder's id and a fencing token. A worker that dies or sleeps loses the lease
//! by doing nothing; its later commit finds another holder, another token, or no row.
//!
//! INVARIANTS
//! - The token grows with each lease taken for a row. It comes from the database's clock, so that
//!   it also grows after the row was deleted and inserted again.
//! - Changes made under a lease are committed in one unit with [`finish`], [`extend`],
//!   [`postpone`], [`release`] or [`bury`], each of which fails with [`Error::LeaseLost`] when the
//!   lease is lost.

use std::{
    fmt::{Display, Write as _},
    str::FromStr,
};

use super::{kind::WorkKind, stored::StoredWork};
use crate::{
    db::{
        error::Error,
        lease::Term,
        table::TableRow as _,
        tx::{Arg, Tx},
    },
    model::{id::HolderId, time::Timestamp},
};

/// A lease on a piece of work; `K` is the type of its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease<K> {
    /// The kind of work.
    pub kind: WorkKind,
    /// The subject of the work.
    pub subject: K,
    /// The number of leases taken for this work so far, including this one.
    pub attempts: i64,
    /// When the work was first enqueued.
    pub enqueued_at: Timestamp,
    /// When the lease ends unless it is extended.
    pub until: Timestamp,
    holder: HolderId,
    token: i64,
}

impl<K> Lease<K> {
    /// The holder that took it.
    pub const fn holder(&self) -> HolderId {
        self.holder
    }

    /// Its fencing token.
    pub const fn token(&self) -> i64 {
        self.token
    }

    fn of(row: &StoredWork, kind: WorkKind, subject: K, holder: HolderId, term: Term) -> Self {
        Self {
            kind,
            subject,
            attempts: row.attempts,
            enqueued_at: row.enqueued_at,
            until: term.until,
            holder,
            token: row.token,
        }
    }
}

#[cfg(test)]
impl<K> Lease<K> {
    /// A lease without a row.
    pub fn of_test(kind: WorkKind, subject: K, attempts: i64, enqueued_at: Timestamp) -> Self {
        Self {
            kind,
            subject,
            attempts,
            enqueued_at,
            until: enqueued_at,
            holder: HolderId::random(&mut rand::rng()),
            token: 1,
        }
    }
}

impl Lease<String> {
    /// Returns the same lease with its subject parsed.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if the subject is not of this type.
    pub fn parsed<K: FromStr>(&self) -> Result<Lease<K>, Error> {
        let subject = self.subject.parse().map_err(|_| Error::Inconsistent {
            table: "work",
            column: "subject",
            id: self.subject.clone(),
        })?;
        Ok(Lease {
            kind: self.kind,
            subject,
            attempts: self.attempts,
            enqueued_at: self.enqueued_at,
            until: self.until,
            holder: self.holder,
            token: self.token,
        })
    }
}

const COLUMNS: &str = StoredWork::COLUMNS;
const INSERT_INTO: &str = StoredWork::INSERT_INTO;

/// The condition on a row that may be leased: due at `$1`, or leased beyond `$2` by a clock that
/// was ahead.
const FREE: &str = "state = 'due' AND (due_at <= $1 OR holder IS NOT NULL AND due_at > $2)";

/// Returns a union of `row` for due work and for stray leases of each kind, at most `limit` of
/// each. Kind by kind, so that the index on kind and time returns them in order, however many there
/// are.
fn free_of(kinds: &[WorkKind], row: &str, order: &str, limit: &str) -> String {
    let mut union = String::new();
    for kind in kinds {
        let kind = kind.as_str();
        for free in ["due_at <= $1", "holder IS NOT NULL AND due_at > $2"] {
            if !union.is_empty() {
                union += " UNION ALL ";
            }
            let _ = write!(
                union,
                "SELECT * FROM (SELECT {row} FROM work WHERE kind = '{kind}' AND state = 'due' AND {free} {order} LIMIT {limit}) AS free"
            );
        }
    }
    union
}

/// Returns the kinds that have work that can be leased. Reads only.
pub async fn due(tx: &mut Tx, kinds: &[WorkKind], term: Term) -> Result<Vec<WorkKind>, Error> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("/* work.due */ {}", free_of(kinds, "kind", "", "1"));
    let rows = tx.fetch_all(&sql, &bounds(term)).await?;
    let mut due = rows
        .iter()
        .map(|row| row.parse("work", "kind", "kind"))
        .collect::<Result<Vec<_>, _>>()?;
    due.sort_unstable();
    due.dedup();
    Ok(due)
}

fn bounds(term: Term) -> [Arg<'static>; 2] {
    [
        Arg::Int(term.now.as_millis()),
        Arg::Int(term.beyond.as_millis()),
    ]
}

/// Leases up to `limit` due pieces of work of these kinds, the oldest first, for a term.
pub async fn lease(
    tx: &mut Tx,
    kinds: &[WorkKind],
    holder: HolderId,
    term: Term,
    limit: i64,
) -> Result<Vec<Lease<String>>, Error> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let free = free_of(kinds, "kind, subject, due_at", "ORDER BY due_at", "$5");
    let sql = format!(
        "/* work.lease */ UPDATE work SET due_at = $3, holder = $4, attempts = attempts + 1,
          token = CASE WHEN token >= $1 THEN token + 1 ELSE $1 END
        WHERE (kind, subject) IN (SELECT kind, subject FROM ({free}) AS chosen ORDER BY due_at LIMIT $5) AND {FREE}
        RETURNING {COLUMNS}"
    );
    let name = holder.to_string();
    let [now, beyond] = bounds(term);
    let args = [
        now,
        beyond,
        Arg::Int(term.until.as_millis()),
        Arg::Text(&name),
        Arg::Int(limit),
    ];
    let rows: Vec<StoredWork> = tx.fetch_rows(&sql, &args).await?;
    rows.iter()
        .map(|row| {
            let kind = row
                .kind
                .parse()
                .map_err(|_| StoredWork::TABLE.inconsistent("kind", &row.subject))?;
            Ok(Lease::of(row, kind, row.subject.clone(), holder, term))
        })
        .collect()
}

/// Leases one enqueued piece of work, if it is due and not leased.
pub async fn take<K: Display + Clone + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subject: &K,
    holder: HolderId,
    term: Term,
) -> Result<Option<Lease<K>>, Error> {
    let sql = format!(
        "/* work.take */ UPDATE work SET due_at = $3, holder = $4, attempts = attempts + 1,
          token = CASE WHEN token >= $1 THEN token + 1 ELSE $1 END
        WHERE kind = $5 AND subject = $6 AND {FREE} RETURNING {COLUMNS}"
    );
    one(tx, &sql, kind, subject, holder, term).await
}

/// Leases one piece of work, enqueued or not, unless it is leased to another holder or not due yet.
pub async fn claim<K: Display + Clone + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subject: &K,
    holder: HolderId,
    term: Term,
) -> Result<Option<Lease<K>>, Error> {
    let sql = claiming(
        "work.claim",
        "WHERE work.due_at <= $1 OR work.due_at > $2 OR work.holder = $4",
    );
    one(tx, &sql, kind, subject, holder, term).await
}

/// Leases one piece of work, enqueued or not, from any holder.
pub async fn seize<K: Display + Clone + Sync>(
    tx: &mut Tx,
    kind: WorkKind,
    subject: &K,
    holder: HolderId,
    term: Term,
) -> Result<Lease<K>, Error> {
    let sql = claiming("work.seize", "WHERE CAST($2 AS BIGINT) IS NOT NULL");
    let seized = one(tx, &sql, kind, subject, holder, term).await?;
    seized.ok_or(Error::LeaseLost)
}

fn claiming(name: &str, unless: &str) -> String {
    format!(
        "/* {name} */ {INSERT_INTO} VALUES ($5, $6, 'due', $3, $4, $1, 1, NULL, $1)
        ON CONFLICT (kind, subject) DO UPDATE SET
          state = 'due', due_at = excluded.due_at, holder = excluded.holder, attempts = work.attempts + 1,
          token = CASE WHEN work.token >= excluded.token THEN work.token + 1 ELSE excluded.token END
        {unless} RETURNING {COLUMNS}"
    )
}

async fn one<K: Display + Clone + Sync>(
    tx: &mut Tx,
    sql: &str,
    kind: WorkKind,
    subject: &K,
    holder: HolderId,
    term: Term,
) -> Result<Option<Lease<K>>, Error> {
    let name = holder.to_string();
    let about = subject.to_string();
    let [now, beyond] = bounds(term);
    let args = [
        now,
        beyond,
        Arg::Int(term.until.as_millis()),
        Arg::Text(&name),
        Arg::Text(kind.as_str()),
        Arg::Text(&about),
    ];
    let row: Option<StoredWork> = tx.fetch_row(sql, &args).await?;
    Ok(row.map(|row| Lease::of(&row, kind, subject.clone(), holder, term)))
}

/// Extends a lease.
///
/// # Errors
/// [`Error::LeaseLost`] if another worker holds it now, or nobody. The same applies to all
/// functions that take a lease.
pub async fn extend<K: Display + Sync>(
    tx: &mut Tx,
    lease: &Lease<K>,
    term: Term,
) -> Result<(), Error> {
    const SQL: &str = "/* work.extend */
        UPDATE work SET due_at = $5 WHERE kind = $1 AND subject = $2 AND holder = $3 AND token = $4 AND state = 'due'";
    under(tx, SQL, lease, &[Arg::Int(term.until.as_millis())]).await
}

/// Deletes finished work, in the same unit as its effects, which must not be committed if the lease
/// is lost.
pub async fn finish<K: Display + Sync>(tx: &mut Tx, lease: &Lease<K>) -> Result<(), Error> {
    const SQL: &str = "/* work.finish */ DELETE FROM work WHERE kind = $1 AND subject = $2 AND holder = $3 AND token = $4";
    under(tx, SQL, lease, &[]).await
}

/// Gives the work back, due again at `due_at`, with the reason of the failure.
pub async fn postpone<K: Display + Sync>(
    tx: &mut Tx,
    lease: &Lease<K>,
    due_at: Timestamp,
    why: &str,
) -> Result<(), Error> {
    const SQL: &str = "/* work.postpone */
        UPDATE work SET due_at = $5, holder = NULL, last_error = $6 WHERE kind = $1 AND subject = $2 AND holder = $3 AND token = $4";
    let args = [Arg::Int(due_at.as_millis()), Arg::Text(why)];
    under(tx, SQL, lease, &args).await
}

/// Gives the work back, due again at `due_at`, without a failure.
pub async fn release<K: Display + Sync>(
    tx: &mut Tx,
    lease: &Lease<K>,
    due_at: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* work.release */
        UPDATE work SET due_at = $5, holder = NULL WHERE kind = $1 AND subject = $2 AND holder = $3 AND token = $4";
    under(tx, SQL, lease, &[Arg::Int(due_at.as_millis())]).await
}

/// Sets the work aside as dead until `recvault retry` runs.
pub async fn bury<K: Display + Sync>(
    tx: &mut Tx,
    lease: &Lease<K>,
    why: &str,
) -> Result<(), Error> {
    const SQL: &str = "/* work.bury */
        UPDATE work SET state = 'dead', holder = NULL, last_error = $5 WHERE kind = $1 AND subject = $2 AND holder = $3 AND token = $4";
    under(tx, SQL, lease, &[Arg::Text(why)]).await
}

async fn under<K: Display + Sync>(
    tx: &mut Tx,
    sql: &str,
    lease: &Lease<K>,
    more: &[Arg<'_>],
) -> Result<(), Error> {
    let subject = lease.subject.to_string();
    let holder = lease.holder.to_string();
    let own = [
        Arg::Text(lease.kind.as_str()),
        Arg::Text(&subject),
        Arg::Text(&holder),
        Arg::Int(lease.token),
    ];
    match tx.execute(sql, &[own.as_slice(), more].concat()).await? {
        1 => Ok(()),
        _ => Err(Error::LeaseLost),
    }
}

/// Makes work due that a correct clock would not have put so far in the future: leases that end too
/// late, and work that has no date of its own. It was left by a clock that was ahead and has been
/// corrected. Returns the number of pieces.
pub async fn free_strays(tx: &mut Tx, term: Term) -> Result<u64, Error> {
    const SQL: &str = "/* work.free_strays */
        UPDATE work SET due_at = $1, holder = NULL
        WHERE state = 'due' AND due_at > $2 AND (holder IS NOT NULL OR kind IN ('fetch', 'delete-ciphertext', 'revocation'))";
    tx.execute(SQL, &bounds(term)).await
}
