//! Revocations, and what they did to each recording.
//!
//! Owns their rows, and who is at work on which. Refuses to shred. INVARIANTS
//! - A revocation is done when everything that it reaches has an outcome. What arrives later makes
//!   it run again.
//! - One that runs has work in the queue, of the kind [`WorkKind::Revocation`]; one that is done has
//!   none. Whoever leases it goes on behind the cursor.

mod reach;

use std::collections::BTreeSet;

pub(super) use self::reach::StoredOutcome;
pub use self::reach::{
    Counts, ReachedRecording, Unvouched, closed, count, covering, enter, legs, list_unvouched,
    outcomes, pending, reach_again, reached, receipts, settle, tell, unvouched, unvouched_in,
};
use const_format::formatcp;

use super::{
    error::Error,
    lease::Term,
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
        revocation::{RevocationProgress, Target},
        sid::AccountSid,
        time::Timestamp,
    },
};

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its id.
    pub id: RevocationId,
    /// What it reaches.
    pub target: Target,
    /// The purposes that are revoked; empty means all.
    pub purposes: BTreeSet<Purpose>,
    /// Only recordings of these accounts are reached; empty means of all.
    pub accounts: BTreeSet<AccountSid>,
    /// Why, as a code.
    pub reason: ShredReason,
    /// Who revoked.
    pub actor: Actor,
    /// When: it covers what was collected until then.
    pub revoked_at: Timestamp,
    /// Whether everything that it reaches has an outcome.
    pub is_done: bool,
    /// The last recording that was dealt with, in the order of ids.
    pub cursor: Option<RecordingId>,
    /// The signed receipt for the whole, once it was done.
    pub jws: Option<String>,
    /// When it was done last.
    pub finished_at: Option<Timestamp>,
}

impl Revocation {
    /// Whether what it reaches is shredded, and not only closed to some purposes: it names none, or
    /// recording itself is among them.
    pub fn is_whole(&self) -> bool {
        self.purposes.is_empty()
            || self
                .purposes
                .iter()
                .any(|purpose| purpose.as_str() == RECORDING)
    }

    /// Whether it covers a recording that its target reaches.
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
        state: RevocationProgress = "state",
        cursor: Option<RecordingId> = "cursor",
        jws: Option<String> = "jws",
        finished_at: Option<Timestamp> = "finished_at",
    }
}

const COLUMNS: &str = StoredRevocation::COLUMNS;

/// Enters a revocation, and asks for the work on it, due then: whoever begins one goes on with it, and
/// others do so only after a while.
pub async fn insert(tx: &mut Tx, revocation: &Revocation, due_at: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* revocations.insert */ {}", StoredRevocation::INSERT);
    // Whatever it becomes later, it begins by running.
    let row = StoredRevocation::from(Revocation {
        is_done: false,
        cursor: None,
        jws: None,
        finished_at: None,
        ..revocation.clone()
    });
    tx.insert_row(SQL, &row, &[]).await?;
    let asked_at = revocation.revoked_at;
    work::enqueue_at(tx, WorkKind::Revocation, &[revocation.id], due_at, asked_at).await
}

impl From<Revocation> for StoredRevocation {
    fn from(revocation: Revocation) -> Self {
        Self {
            id: revocation.id,
            reach: revocation.target.kind().to_owned(),
            target: revocation.target.id(),
            purposes: revocation.purposes,
            accounts: revocation.accounts,
            reason: revocation.reason,
            actor: revocation.actor,
            revoked_at: revocation.revoked_at,
            state: RevocationProgress::of(revocation.is_done),
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
            is_done: row.state == RevocationProgress::Done,
            cursor: row.cursor,
            jws: row.jws,
            finished_at: row.finished_at,
        })
    }
}

/// One revocation.
pub async fn find(tx: &mut Tx, id: RevocationId) -> Result<Option<Revocation>, Error> {
    const SQL: &str =
        formatcp!("/* revocations.find */ SELECT {COLUMNS} FROM revocations WHERE id = $1");
    let row: Option<StoredRevocation> = tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await?;
    row.map(Revocation::try_from).transpose()
}

/// Moves the cursor on and keeps the work for a term. Whether it stood where `from` says: if not,
/// it was sent back to the beginning because more is reached by now.
///
/// # Errors
/// [`Error::Stale`] if somebody else has the work now.
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

/// Locks a revocation whose cursor stands at `cursor` for the rest of the unit: no outcome is
/// entered beside it. Whether it is not done and stands there.
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

/// A locked revocation is done, with the work on it, and its receipt is this one.
///
/// # Errors
/// [`Error::Stale`] if it is done already, or somebody else has the work now.
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

/// Revocations got outcomes: those that were done run again from where they are, so that their
/// receipts say so. Locks their rows.
pub async fn reopen(
    tx: &mut Tx,
    ids: &BTreeSet<RevocationId>,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str =
        "/* revocations.reopen */ UPDATE revocations SET state = 'running' WHERE id = $1";
    // One after another in the order of their ids, so that two units do not lock them in two
    // orders.
    for id in ids {
        tx.execute(SQL, &[Arg::Text(&id.to_string())]).await?;
    }
    let ids: Vec<RevocationId> = ids.iter().copied().collect();
    work::enqueue(tx, WorkKind::Revocation, &ids, now).await
}

/// A rebuilding took these rows in: those that run have work in the queue again, and no others.
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
