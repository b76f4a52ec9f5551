//! Revocations, and their outcome for each recording.
//!
//! Owns their rows, and the work of continuing them. Refuses to shred. INVARIANTS
//! - A revocation is done when every recording that it reaches has an outcome. Recordings that
//!   arrive later make it run again.
//! - A running revocation has work in the queue, of the kind [`WorkKind::Revocation`]; one that is
//!   done has none. The holder of the lease continues after the cursor.

mod filter;
mod outcomes;
mod reach;

use std::{collections::BTreeSet, time::Duration};

pub(super) use self::outcomes::StoredOutcome;
pub use self::{
    filter::{RevocationFilter, RevocationProgress, list},
    outcomes::{
        OutcomeCounts, ReachedRecording, closed, count, enter, outcomes, receipts, received,
        settle, tell,
    },
    reach::{
        Unvouched, covering, legs, list_unvouched, pending, reach_again, reach_again_dated,
        reached, unvouched, unvouched_in,
    },
};
use const_format::formatcp;

use super::{
    error::Error,
    lease::Term,
    name_locks::{self, LockName},
    parties,
    table::{TableRow, table},
    tx::{Arg, Tx},
    work::{self, Lease, WorkKind},
};
use crate::{
    evidence::ShredReason,
    model::{
        actor::Actor,
        consent::RECORDING,
        id::{RecordingId, RevocationId},
        name::Purpose,
        recording::Recording,
        revocation::Target,
        sid::AccountSid,
        time::Timestamp,
    },
};

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The id of the revocation.
    pub id: RevocationId,
    /// Its target.
    pub target: Target,
    /// The purposes that are revoked; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// Only recordings of these accounts are reached; empty means all accounts.
    pub accounts: BTreeSet<AccountSid>,
    /// The reason, as a code.
    pub reason: ShredReason,
    /// The actor who revoked.
    pub actor: Actor,
    /// When it was revoked. It covers recordings collected until then.
    pub revoked_at: Timestamp,
    /// Whether every recording that it reaches has an outcome.
    pub is_done: bool,
    /// The last recording that was processed, in the order of ids.
    pub cursor: Option<RecordingId>,
    /// The signed receipt for the whole revocation, once it was done.
    pub jws: Option<String>,
    /// When it was last done.
    pub finished_at: Option<Timestamp>,
}

impl Revocation {
    /// Returns whether recordings that it reaches are shredded, and not only closed to some
    /// purposes: it names no purposes, or "recording" is among them.
    pub fn is_whole(&self) -> bool {
        self.purposes.is_empty()
            || self
                .purposes
                .iter()
                .any(|purpose| purpose.as_str() == RECORDING)
    }

    /// Returns whether it covers a recording of its target.
    pub fn covers(&self, recording: &Recording) -> bool {
        recording.collected_at <= self.revoked_at
            && (self.accounts.is_empty() || self.accounts.contains(recording.account()))
    }
}

table! {
    "revocations" { subject: Some("id") }

    #[derive(Debug)]
    pub(super) struct StoredRevocation {
        key {
            id: RevocationId = "id",
        }
        reach: String = "reach",
        target: String = "target",
        purposes: BTreeSet<Purpose> = "purposes",
        accounts: BTreeSet<AccountSid> = "accounts",
        reason: ShredReason = "reason",
        actor: Actor = "actor",
        revoked_at: Timestamp = "revoked_at",
        state: String = "state",
        cursor: Option<RecordingId> = "cursor",
        jws: Option<String> = "jws",
        finished_at: Option<Timestamp> = "finished_at",
    }
}

const COLUMNS: &str = StoredRevocation::COLUMNS;

/// The most by which the clocks of two processes are taken to differ.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(24 * 3600);

/// Inserts a revocation and enqueues its work, due at `due_at`. The process that began the
/// revocation continues it; others take the work only after that time. Returns the revocation as
/// inserted: not before any naming of the person that committed before it, even if the clocks of
/// two processes differ.
pub async fn insert(
    tx: &mut Tx,
    revocation: &Revocation,
    due_at: Timestamp,
) -> Result<Revocation, Error> {
    const SQL: &str = formatcp!("/* revocations.insert */ {}", StoredRevocation::INSERT);
    let mut revoked_at = revocation.revoked_at;
    let name = LockName::of_target(&revocation.target);
    name_locks::take_alone(tx, &name.into_iter().collect()).await?;
    if let Target::Subject(subject) = &revocation.target {
        let named = parties::named_last(tx, *subject).await?;
        // A clock that was far ahead once must not date every later revocation into the future.
        revoked_at = revoked_at.max(named.min(revoked_at.after(CLOCKS_DIFFER_BY)));
    }
    // A new revocation is always running.
    let inserted = Revocation {
        revoked_at,
        is_done: false,
        cursor: None,
        jws: None,
        finished_at: None,
        ..revocation.clone()
    };
    let row = StoredRevocation::from(inserted.clone());
    tx.insert_row(SQL, &row, &[]).await?;
    let asked_at = revocation.revoked_at;
    work::enqueue_at(tx, WorkKind::Revocation, &[revocation.id], due_at, asked_at).await?;
    Ok(inserted)
}

impl From<Revocation> for StoredRevocation {
    fn from(revocation: Revocation) -> Self {
        let state = revocation.state().as_str().to_owned();
        Self {
            id: revocation.id,
            reach: revocation.target.kind().to_owned(),
            target: revocation.target.id(),
            purposes: revocation.purposes,
            accounts: revocation.accounts,
            reason: revocation.reason,
            actor: revocation.actor,
            revoked_at: revocation.revoked_at,
            state,
            cursor: revocation.cursor,
            jws: revocation.jws,
            finished_at: revocation.finished_at,
        }
    }
}

impl TryFrom<StoredRevocation> for Revocation {
    type Error = Error;

    fn try_from(row: StoredRevocation) -> Result<Self, Error> {
        let inconsistent = |column| StoredRevocation::TABLE.inconsistent(column, row.id);
        let target = Target::parse(&row.reach, &row.target);
        Ok(Self {
            id: row.id,
            target: target.ok_or_else(|| inconsistent("target"))?,
            purposes: row.purposes,
            accounts: row.accounts,
            reason: row.reason,
            actor: row.actor,
            revoked_at: row.revoked_at,
            is_done: row.state == "done",
            cursor: row.cursor,
            jws: row.jws,
            finished_at: row.finished_at,
        })
    }
}

/// Returns whether any revocation is of this time or later: only such a one covers what is collected
/// then.
pub async fn is_any_since(tx: &mut Tx, at: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* revocations.is_any_since */
        SELECT id FROM revocations WHERE revoked_at >= $1 ORDER BY revoked_at LIMIT 1";
    Ok(!tx
        .fetch_all(SQL, &[Arg::Int(at.as_millis())])
        .await?
        .is_empty())
}

/// Returns one revocation.
pub async fn find(tx: &mut Tx, id: RevocationId) -> Result<Option<Revocation>, Error> {
    const SQL: &str =
        formatcp!("/* revocations.find */ SELECT {COLUMNS} FROM revocations WHERE id = $1");
    let row: Option<StoredRevocation> = tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await?;
    row.map(Revocation::try_from).transpose()
}

/// Advances the cursor and extends the lease for a term. Returns whether the cursor was at `from`:
/// if not, it was reset because the revocation now reaches more recordings.
///
/// # Errors
/// [`Error::LeaseLost`].
pub async fn advance(
    tx: &mut Tx,
    lease: &Lease<RevocationId>,
    from: Option<RecordingId>,
    to: RecordingId,
    term: Term,
) -> Result<bool, Error> {
    const SQL: &str = "/* revocations.advance */
        UPDATE revocations SET cursor = $3 WHERE id = $1 AND COALESCE(cursor, '') = $2 AND state = 'running'";
    let id = lease.subject.to_string();
    let from = text(from);
    let to = to.to_string();
    let args = [Arg::Text(&id), Arg::Text(&from), Arg::Text(&to)];
    let moved = tx.execute(SQL, &args).await?;
    work::extend(tx, lease, term).await?;
    Ok(moved == 1)
}

/// Locks a running revocation whose cursor is at `cursor` for the rest of the unit, so that no
/// outcome is entered concurrently. Returns whether it is running and its cursor is there.
pub async fn lock(
    tx: &mut Tx,
    id: RevocationId,
    cursor: Option<RecordingId>,
) -> Result<bool, Error> {
    const SQL: &str = "/* revocations.lock */
        UPDATE revocations SET state = state WHERE id = $1 AND COALESCE(cursor, '') = $2 AND state = 'running'";
    Ok(tx
        .lock(SQL, &[Arg::Text(&id.to_string()), Arg::Text(&text(cursor))])
        .await?
        == 1)
}

/// Marks a locked revocation as done with this receipt, and finishes its work.
///
/// # Errors
/// [`Error::Stale`] if it is done already; [`Error::LeaseLost`].
pub async fn finish(
    tx: &mut Tx,
    lease: &Lease<RevocationId>,
    jws: &str,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* revocations.finish */
        UPDATE revocations SET state = 'done', jws = $2, finished_at = $3 WHERE id = $1 AND state = 'running'";
    let id = lease.subject.to_string();
    let args = [Arg::Text(&id), Arg::Text(jws), Arg::Int(now.as_millis())];
    tx.execute_one(SQL, &args, "the revocation is done already")
        .await?;
    work::finish(tx, lease).await
}

/// Makes revocations that received outcomes run again from their cursors, so that their receipts
/// include these. Locks their rows.
pub async fn reopen(
    tx: &mut Tx,
    ids: &BTreeSet<RevocationId>,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str =
        "/* revocations.reopen */ UPDATE revocations SET state = 'running' WHERE id = $1";
    // In the order of their ids, so that two units do not lock them in different orders.
    for id in ids {
        tx.execute(SQL, &[Arg::Text(&id.to_string())]).await?;
    }
    let ids: Vec<RevocationId> = ids.iter().copied().collect();
    work::enqueue(tx, WorkKind::Revocation, &ids, now).await
}

/// Restores the work of a revocation after a rebuild: running ones have work in the queue, others
/// have none.
pub async fn resume(
    tx: &mut Tx,
    id: RevocationId,
    runs: bool,
    now: Timestamp,
) -> Result<(), Error> {
    if runs {
        work::enqueue(tx, WorkKind::Revocation, &[id], now).await
    } else {
        work::cancel(tx, WorkKind::Revocation, &[id]).await
    }
}

fn text(cursor: Option<RecordingId>) -> String {
    cursor.map(|id| id.to_string()).unwrap_or_default()
}
