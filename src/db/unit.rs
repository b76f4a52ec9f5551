//! The unit of work: the only way to write.
//!
//! A unit begins through the gate, runs its closure, and is retried after a conflict with another
//! writer. At the end it writes the collected marks and audit entries, commits, and then increments
//! counters. Owns that order, and the rule that a unit which changes rows has an audit entry.
//! Refuses to know what the rows mean.
//!
//! INVARIANTS
//! - No audit, no effect: a unit that changed a row and collected no entry is refused, unless it
//!   states why it needs none ([`Unit::without_entry`]; `tests/tidy.rs` has the list).
//! - Marks before entries, entries last: they lock rows that every other unit locks, too. Only rows
//!   with the number of an entry follow ([`Unit::audit_now`]).
//! - Counters are incremented after the commit, or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::{Deref, DerefMut},
};

use tokio::sync::oneshot;

use super::{
    audit,
    error::Error,
    open::{AsDatabaseError, Db},
    outbox::{self, OutboxKind},
    tx::Tx,
};
use crate::{evidence::NewEntry, model::time::Timestamp};

/// The number of attempts before a conflict is returned to the caller.
const TRIES: u32 = 12;

const LENT: &str = "it is there until it is dropped";

/// A unit of work: a session that writes, with the entries and marks that are written last.
///
/// [`Db::unit`] creates it, lends it to a closure, and commits it when the closure returns `Ok`.
pub struct Unit {
    /// `Some` until the drop, which sends it back to the lender.
    lent: Option<Box<Lent>>,
    back: Option<oneshot::Sender<Box<Lent>>>,
}

struct Lent {
    tx: Tx,
    entries: Vec<NewEntry>,
    marks: BTreeMap<OutboxKind, (BTreeSet<String>, Timestamp)>,
    /// Whether entries of this unit were written already.
    is_told: bool,
    /// Whether it stated why it needs no entry.
    is_excused: bool,
    is_abandoned: bool,
}

impl Db {
    /// Runs a unit of work, and retries it after a conflict with another writer: the closure may
    /// run several times, and nothing is final before this returns. `Ok` commits; an error, or a
    /// dropped future, rolls back.
    ///
    /// The closure owns the unit while it runs: a future that borrowed it could not be sent to
    /// another thread, because the lifetime of the borrow is unknown to callers.
    ///
    /// # Errors
    /// [`Error::Unproven`] before [`Self::prove`]; [`Error::Closed`] after the database was found
    /// to lack changes; [`Error::Untold`]; [`Error::Kept`]; errors of the closure; any database
    /// error.
    pub async fn unit<T, E, F, Fut>(&self, name: &'static str, mut work: F) -> Result<T, E>
    where
        F: FnMut(Unit) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        E: From<Error> + AsDatabaseError + Send,
        T: Send,
    {
        let mut tries = 1;
        loop {
            let done = match self.begin().await {
                Ok(tx) => attempt(name, tx, &mut work).await,
                Err(error) => Err(error.into()),
            };
            match done {
                Err(error) if tries < TRIES && is_conflict(&error) => {
                    tries += 1;
                    tracing::debug!(
                        unit = name,
                        tries,
                        "a unit of work is retried after a conflict"
                    );
                    tokio::task::yield_now().await;
                }
                done => return done,
            }
        }
    }

    /// Runs the first unit of work of a database, which cannot lack any changes. It is not retried,
    /// because its effects outside the database cannot always be repeated.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if a table has a row; else as [`Self::unit`].
    pub async fn first_unit<T, E, F, Fut>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: FnOnce(Unit) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        E: From<Error> + Send,
        T: Send,
    {
        attempt(name, self.begin_empty().await?, work).await
    }
}

async fn attempt<T, E, Fut>(
    name: &'static str,
    tx: Tx,
    work: impl FnOnce(Unit) -> Fut + Send,
) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>> + Send,
    E: From<Error>,
{
    let (unit, mut returned) = Unit::lend(tx);
    let done = work(unit).await?;
    // A kept transaction would be committed late or never.
    let lent = returned.try_recv().map_err(|_| Error::Kept(name))?;
    lent.end(name).await?;
    Ok(done)
}

fn is_conflict(error: &impl AsDatabaseError) -> bool {
    error.as_database_error().is_some_and(Error::is_retryable)
}

impl Unit {
    fn lend(tx: Tx) -> (Self, oneshot::Receiver<Box<Lent>>) {
        let (back, returned) = oneshot::channel();
        let lent = Lent {
            tx,
            entries: Vec::new(),
            marks: BTreeMap::new(),
            is_told: false,
            is_excused: false,
            is_abandoned: false,
        };
        let unit = Self {
            lent: Some(Box::new(lent)),
            back: Some(back),
        };
        (unit, returned)
    }

    fn lent(&mut self) -> &mut Lent {
        self.lent.as_mut().expect(LENT)
    }

    /// Adds an audit entry. Entries are written in the order in which they were added.
    pub fn audit(&mut self, entry: NewEntry) {
        self.lent().entries.push(entry);
    }

    /// Adds several audit entries.
    pub fn audit_all(&mut self, entries: impl IntoIterator<Item = NewEntry>) {
        self.lent().entries.extend(entries);
    }

    /// Writes these entries, and all that were added before, immediately: for rows that have the
    /// number of an entry, and for effects outside the database that must not precede them. Returns
    /// the number of the first of these entries; the others follow it without a gap.
    ///
    /// From here on the unit holds the head of the log, for which every other unit waits.
    ///
    /// # Errors
    /// [`Error::Closed`] if the database has assigned such a number before; any database error.
    pub async fn audit_now(&mut self, entries: Vec<NewEntry>) -> Result<i64, Error> {
        let lent = self.lent();
        let before = i64::try_from(lent.entries.len()).unwrap_or(i64::MAX);
        lent.entries.extend(entries);
        Ok(lent.tell().await? + before)
    }

    /// Adds a mark on what changed, for the journal.
    pub fn to_journal<T: Display>(&mut self, kind: OutboxKind, ids: &[T], now: Timestamp) {
        if ids.is_empty() {
            return;
        }
        let (marked, since) = self
            .lent()
            .marks
            .entry(kind)
            .or_insert((BTreeSet::new(), now));
        marked.extend(ids.iter().map(T::to_string));
        *since = now.min(*since);
    }

    /// Increments a counter once this unit is committed. Counters of what is in the database are
    /// incremented only this way: a caller that no longer waits is dropped right after the commit.
    pub fn count(&mut self, name: &'static str, by: u64) {
        self.lent().tx.count(name, by);
    }

    /// The same, with one label.
    pub fn count_as(
        &mut self,
        name: &'static str,
        label: &'static str,
        value: &'static str,
        by: u64,
    ) {
        self.lent().tx.count_as(name, label, value, by);
    }

    /// States why this unit may change rows without an audit entry: leases, clocks, queues and
    /// caches are not audited.
    pub fn without_entry(&mut self, _because: &'static str) {
        self.lent().is_excused = true;
    }

    /// Rolls this unit back even if its closure returns `Ok`.
    pub fn abandon(&mut self) {
        self.lent().is_abandoned = true;
    }
}

impl Lent {
    /// Writes the collected marks and entries. Returns the number of the first entry, 0 if there is
    /// none.
    async fn tell(&mut self) -> Result<i64, Error> {
        for (kind, (ids, since)) in std::mem::take(&mut self.marks) {
            outbox::set(&mut self.tx, kind, &ids, since).await?;
        }
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() {
            return Ok(0);
        }
        self.is_told = true;
        audit::append_all(&mut self.tx, &entries).await
    }

    async fn end(mut self, name: &'static str) -> Result<(), Error> {
        if self.is_abandoned {
            return Ok(());
        }
        let is_told = self.is_told || !self.entries.is_empty();
        let changes = self.tx.has_written() || !self.marks.is_empty();
        if changes && !is_told && !self.is_excused {
            return Err(Error::Untold(name));
        }
        self.tell().await?;
        self.tx.commit().await
    }
}

impl Deref for Unit {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.lent.as_ref().expect(LENT).tx
    }
}

impl DerefMut for Unit {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.lent().tx
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let (Some(back), Some(lent)) = (self.back.take(), self.lent.take()) {
            // If the lender is gone, the session is dropped and rolled back.
            let _ = back.send(lent);
        }
    }
}
