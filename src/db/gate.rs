//! The gate of a database: whether this process may write to it.
//!
//! A database that was restored from an old copy, or a lagging replica that was promoted, lacks
//! later changes, including shreds. A database that was just opened is therefore read and not
//! written. It is written once it is proven to have all positions that are known elsewhere. If it
//! is later found to lack changes, this process never writes it again.
//!
//! Owns the three states, the reason for the third, and the newest number that this process saw
//! committed. Refuses to know where the known positions come from: [`Db::prove`](super::Db::prove)
//! compares them, and `vault::memory` collects them.
//!
//! INVARIANTS
//! - A closed gate stays closed. The remedy is a restart, which needs a new proof.
//! - Every check of the gate also compares the files of a SQLite database, so that no change is
//!   acknowledged that is in a file without a name.

use std::{
    io,
    path::Path,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use super::{
    closed::{Closed, ClosedFor},
    error::Error,
    file::{FileIdentity, Files},
};

/// Whether a database may be written. Clones share the state.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: RwLock<State>,
    /// The highest audit entry number that this process committed.
    seen: AtomicI64,
    /// The files of a SQLite database.
    files: OnceLock<Files>,
}

#[derive(Clone, Default)]
enum State {
    /// Read only: not compared with known positions yet.
    #[default]
    Unproven,
    /// May be written.
    Proven,
    /// Never written again by this process.
    Closed(Closed),
}

impl Gate {
    fn state(&self) -> State {
        self.0
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Checks that a unit of work may begin.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.stands()?;
        match self.state() {
            State::Proven => Ok(()),
            State::Unproven => Err(Error::Unproven),
            State::Closed(why) => Err(Error::Closed(why)),
        }
    }

    /// Records that a writing connection to this file was opened. The file is compared from the
    /// first one on.
    pub(super) fn writer_opened(&self, database: &Path) -> io::Result<()> {
        let files = match self.0.files.get() {
            Some(files) => files,
            None => {
                let seen = Files::of(database)?;
                self.0.files.get_or_init(|| seen)
            }
        };
        files.writer_opened()
    }

    /// Forgets the write-ahead log before the writing connection is closed.
    pub(super) fn writer_closes(&self) {
        if let Some(files) = self.0.files.get() {
            files.writer_closes();
        }
    }

    /// Checks that a unit may commit, and that data just read may be trusted: the gate is not
    /// closed and the files have not changed.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::Unavailable`] if the database's file cannot be examined.
    pub(super) fn stands(&self) -> Result<(), Error> {
        if let Some(closed) = self.closed() {
            return Err(Error::Closed(closed));
        }
        match self.0.files.get().map_or(FileIdentity::Same, Files::look) {
            FileIdentity::Same => Ok(()),
            FileIdentity::Unknown(kind) => Err(Error::Unavailable(format!(
                "its file cannot be examined: {kind}"
            ))),
            FileIdentity::Other(path) => {
                let path = path.display();
                self.close(
                    ClosedFor::Displaced,
                    &format!(
                        "`{path}` was replaced or removed under the running process: further \
                         writes would be lost with the process. Stop the service, put the file \
                         and the files beside it back, and start again"
                    ),
                );
                self.stands()
            }
        }
    }

    /// Returns why the gate is closed, if it is. Compares the files first.
    pub(super) fn refusal(&self) -> Option<Closed> {
        let _ = self.stands();
        self.closed()
    }

    fn closed(&self) -> Option<Closed> {
        match self.state() {
            State::Closed(why) => Some(why),
            State::Unproven | State::Proven => None,
        }
    }

    /// Opens the gate to writers, unless it was closed.
    pub(super) fn open(&self) -> Result<(), Error> {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Unproven = *state {
            *state = State::Proven;
        }
        drop(state);
        self.check()
    }

    /// Closes the gate and logs the reason once. Returns whether this call closed it.
    pub(super) fn close(&self, because: ClosedFor, why: &str) -> bool {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !matches!(*state, State::Closed(_));
        if is_new {
            *state = State::Closed(Closed {
                because,
                why: why.into(),
            });
            tracing::error!(
                why,
                "from now on the database is not written and no recording opens"
            );
            metrics::counter!("recvault_database_refused_total").increment(1);
        }
        is_new
    }

    /// Checks that a new entry may get this number. The calling unit holds the head of the log, so
    /// every committed entry is included in it: a number that this process has seen committed can
    /// be assigned again only by a database that lost the entry.
    pub(super) fn follows(&self, first: i64) -> Result<(), Error> {
        let seen = self.0.seen.load(Ordering::Acquire);
        if first > seen {
            return Ok(());
        }
        self.close(
            ClosedFor::Forgetful,
            &format!(
                "the database gave number {first} to a new audit entry, but this process has seen \
                 entry {seen} committed: the database was replaced by an older copy and lacks \
                 later changes. Stop the service and bring back the newer database, or run \
                 `recvault snapshot restore` into an empty database"
            ),
        );
        self.check()
    }

    /// Records that entries up to this number were committed.
    pub(super) fn committed(&self, last: i64) {
        self.0.seen.fetch_max(last, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_read_only_until_it_is_opened_and_stays_closed_for_ever() {
        let gate = Gate::default();
        assert!(matches!(gate.check(), Err(Error::Unproven)));
        gate.open().unwrap();
        gate.check().unwrap();
        assert!(
            gate.close(ClosedFor::Forgetful, "old") && !gate.close(ClosedFor::TakenOver, "older")
        );
        assert!(matches!(gate.open(), Err(Error::Closed(closed)) if closed.to_string() == "old"));
        assert_eq!(
            gate.refusal().map(|closed| closed.because),
            Some(ClosedFor::Forgetful)
        );
    }

    #[test]
    fn a_number_that_was_committed_once_closes_the_gate_when_it_is_given_again() {
        let gate = Gate::default();
        gate.open().unwrap();
        gate.follows(1).unwrap();
        gate.committed(9);
        gate.follows(10).unwrap();
        assert!(matches!(gate.follows(9), Err(Error::Closed(_))));
        assert!(matches!(gate.follows(10), Err(Error::Closed(_))) || gate.check().is_err());
    }
}
