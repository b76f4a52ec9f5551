//! Locks by name: of conversations, accounts and people, of whom there may be no row yet.
//!
//! A unit that decides by what is known of a name locks it, and the decision holds when the unit
//! commits: one that changes what is known waits, and then sees the rows of the first. Owns the
//! order of these locks. INVARIANT: they precede all locks of rows in a unit, and a unit that takes
//! them [alone](take_alone) takes all of them at once, so that no two units wait for each other.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{
    error::Error,
    tx::{Arg, Tx, set},
};
use crate::model::{
    consent::Whom, id::SubjectId, revocation::Target, sid::AccountSid, subject::Conversation,
};

/// A name that can be locked. The order of the variants is the order in which they are locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockName {
    /// A conversation.
    Conversation(Conversation),
    /// An account.
    Account(AccountSid),
    /// A person.
    Subject(SubjectId),
}

impl LockName {
    /// Returns the name of a revocation's target; `None` for a recording, which has a row.
    pub fn of_target(target: &Target) -> Option<Self> {
        match target {
            Target::Subject(subject) => Some(Self::Subject(*subject)),
            Target::Account(account) => Some(Self::Account(account.clone())),
            Target::Conversation(conversation) | Target::Place(conversation, _) => {
                Some(Self::Conversation(conversation.clone()))
            }
            Target::Recording(_) => None,
        }
    }

    /// Returns the name of those about whom a statement is.
    pub fn of_whom(whom: &Whom) -> Self {
        match whom {
            Whom::Subject(subject) => Self::Subject(*subject),
            Whom::Leg(conversation, _) => Self::Conversation(conversation.clone()),
        }
    }

    /// The key of the lock: the class, and the name.
    fn key(&self) -> String {
        match self {
            Self::Conversation(conversation) => format!("0 {conversation}"),
            Self::Account(account) => format!("1 {account}"),
            Self::Subject(subject) => format!("2 {subject}"),
        }
    }
}

/// Names of one class share this many locks, so that a unit with many names does not fill the lock
/// table of PostgreSQL.
const LOCKS: &str = "2048";

/// Locks these names for the rest of the unit, for what changes what is known of them: a naming, a
/// statement, a revocation. Waits for units that share one of them.
pub async fn take_alone(tx: &mut Tx, names: &BTreeSet<LockName>) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* name_locks.take_alone */ SELECT CAST(pg_advisory_xact_lock(hashtext('recvault.name'), number) AS TEXT) {NUMBERS}"
    );
    take(tx, SQL, names).await
}

/// Locks these names for the rest of the unit, for what only enters content by what is known of
/// them. Waits for units that took one of them alone, and not for others that share it.
pub(super) async fn share(tx: &mut Tx, names: &BTreeSet<LockName>) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* name_locks.share */ SELECT CAST(pg_advisory_xact_lock_shared(hashtext('recvault.name'), number) AS TEXT) {NUMBERS}"
    );
    take(tx, SQL, names).await
}

/// The numbers of the locks, in their order: the class first.
const NUMBERS: &str = formatcp!(
    "FROM (SELECT DISTINCT CAST(substr(key, 1, 1) AS INTEGER) * {LOCKS} + (hashtext(key) & ({LOCKS} - 1)) AS number
      FROM json_each($1) ORDER BY number) AS numbers"
);

async fn take(tx: &mut Tx, sql: &str, names: &BTreeSet<LockName>) -> Result<(), Error> {
    // SQLite has one writer at a time.
    if tx.is_postgres() && !names.is_empty() {
        let names = set(names.iter().map(LockName::key));
        tx.fetch_all(sql, &[Arg::Text(&names)]).await?;
    }
    Ok(())
}
