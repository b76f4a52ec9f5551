//! The unit of work: the only way to write.
//!
//! A unit begins through the gate, runs what it is given, runs it anew when another writer was in
//! the way, writes the marks and the audit entries that were gathered in it last, commits, and then
//! counts. Owns that order, and the rule that a unit which changes rows tells the audit log of it.
//! Refuses to know what the rows mean.
//!
//! INVARIANTS
//! - No audit, no effect: a unit that changed a row and gathered no entry is refused, unless it
//!   says in its own words why it is no act ([`Unit::without_entry`]; `tests/tidy.rs` has the list).
//! - Marks before entries, entries last: they lock what every other unit locks, too. Only what
//!   carries the number of an entry comes after it ([`Unit::audit_now`]).
//! - What a unit counts is counted after the commit, or not at all; so it is with its lines in the
//!   log (`story`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::{Deref, DerefMut},
    time::Duration,
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

/// Times a unit of work is tried before a conflict becomes the caller's.
const TRIES: u32 = 12;

const LENT: &str = "it is there until it is dropped";

/// What a unit of work is done in: a session that writes, and what is written last.
///
/// [`Db::unit`] makes it, lends it to a closure, and commits it when that returns `Ok`.
pub struct Unit {
    /// There until it is dropped, and then on its way back to whoever lent it.
    lent: Option<Box<Lent>>,
    back: Option<oneshot::Sender<Box<Lent>>>,
}

struct Lent {
    tx: Tx,
    entries: Vec<NewEntry>,
    marks: BTreeMap<OutboxKind, (BTreeSet<String>, Timestamp)>,
    /// Entries of this unit are written already.
    is_told: bool,
    /// It said why it needs no entry.
    is_excused: bool,
    is_abandoned: bool,
}

impl Db {
    /// Does a unit of work, anew if another writer was in the way: the closure may run several
    /// times, and nothing of it is final before this returns. `Ok` commits; an error, or a future
    /// that is dropped, leaves nothing.
    ///
    /// The closure owns the unit while it runs, because a future that borrowed it could not be sent
    /// to another thread by callers that do not know for how long.
    ///
    /// # Errors
    /// [`Error::Unproven`] before [`Self::prove`], [`Error::Closed`] after the database was found to
    /// have forgotten something; [`Error::Untold`]; the closure's; the database's.
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

    /// Does the first unit of work of a database, in which nothing can have been forgotten. Once:
    /// what it does outside the database cannot always be done again.
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
    // An open transaction that somebody keeps would be committed by nobody, or too late.
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

    /// Gathers an audit entry. Entries are written in the order in which they were gathered.
    pub fn audit(&mut self, entry: NewEntry) {
        self.lent().entries.push(entry);
    }

    /// Gathers several.
    pub fn audit_all(&mut self, entries: impl IntoIterator<Item = NewEntry>) {
        self.lent().entries.extend(entries);
    }

    /// Writes these entries, and all that were gathered before, at once: for rows that carry the
    /// number of an entry, and for acts outside the database that must not come before them. The
    /// number of the first of these; the others follow it without a gap.
    ///
    /// From here on the unit holds the log's head, which every other one waits for.
    ///
    /// # Errors
    /// The database's; [`Error::Closed`] if it has given such a number before.
    pub async fn audit_now(&mut self, entries: Vec<NewEntry>) -> Result<i64, Error> {
        let lent = self.lent();
        let before = i64::try_from(lent.entries.len()).unwrap_or(i64::MAX);
        lent.entries.extend(entries);
        Ok(lent.tell().await? + before)
    }

    /// Gathers a mark on what changed, for the journal.
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

    /// Counts what this unit does, once it is committed. A counter of what is in the database is
    /// never incremented otherwise: an answer that nobody waits for any more is dropped right
    /// behind the commit.
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

    /// What this unit completes had taken so long before it began; the log tells the whole.
    pub fn took(&mut self, before: Duration) {
        self.lent().tx.took(before);
    }

    /// Says why this unit may change rows and tell the audit log nothing: leases, clocks, queues
    /// and caches are no acts.
    pub fn without_entry(&mut self, _because: &'static str) {
        self.lent().is_excused = true;
    }

    /// Nothing of this unit is to stand, though its closure returns `Ok`.
    pub fn abandon(&mut self) {
        self.lent().is_abandoned = true;
    }
}

impl Lent {
    /// Writes what was gathered; the number of the first entry, 0 if there is none.
    async fn tell(&mut self) -> Result<i64, Error> {
        for (kind, (ids, since)) in std::mem::take(&mut self.marks) {
            outbox::set(&mut self.tx, kind, &ids, since).await?;
        }
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() {
            return Ok(0);
        }
        self.is_told = true;
        let first = audit::append_all(&mut self.tx, &entries).await?;
        self.tx.tell(entries);
        Ok(first)
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
            // Nobody waits for it any more: it is dropped, and leaves nothing.
            let _ = back.send(lent);
        }
    }
}
