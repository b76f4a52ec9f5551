//! The gate of a ledger: whether this process may write to it.
//!
//! A database that was put back from an old copy, or a replica that lagged and was promoted, has
//! forgotten what happened since, shreds among it. So a ledger that was just opened is read and not
//! written. It is written once it was proven to remember what is known of it elsewhere, and from
//! the moment on which it is found to have forgotten, never again by this process.
//!
//! Owns the three states and the newest number that this process saw committed. Refuses to know
//! what a proof is made of: [`Ledger::prove`](super::Ledger::prove) compares positions, and
//! `vault::memory` knows where they come from.
//!
//! INVARIANT: what is closed stays closed; the way out is a new start, which asks for a new proof.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicI64, Ordering},
};

use super::Error;

/// Whether a ledger may be written to. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: RwLock<State>,
    /// The highest number of an audit entry that this process committed.
    seen: AtomicI64,
}

#[derive(Clone, Default)]
enum State {
    /// Read only: not compared with anything yet.
    #[default]
    Unproven,
    /// Written.
    Proven,
    /// Never written again by this process.
    Closed(Arc<str>),
}

impl Gate {
    fn state(&self) -> State {
        self.0
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether a unit of work may begin, or commit.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.state() {
            State::Proven => Ok(()),
            State::Unproven => Err(Error::Unproven),
            State::Closed(why) => Err(Error::Closed(why)),
        }
    }

    /// Why it is closed, if it is.
    pub(super) fn refusal(&self) -> Option<Arc<str>> {
        match self.state() {
            State::Closed(why) => Some(why),
            State::Unproven | State::Proven => None,
        }
    }

    /// Lets writers in, unless it was closed.
    pub(super) fn open(&self) -> Result<(), Error> {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Unproven = *state {
            *state = State::Proven;
        }
        drop(state);
        self.check()
    }

    /// Keeps every writer out from now on. Whether this call did it.
    pub(super) fn close(&self, why: &str) -> bool {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !matches!(*state, State::Closed(_));
        if is_new {
            *state = State::Closed(why.into());
        }
        is_new
    }

    /// Whether an entry may get this number. The log's head is held by the unit that asks, so
    /// everything that was ever committed is counted in it: a number that this process has seen
    /// committed cannot be given again, except by a database that has forgotten it.
    pub(super) fn follows(&self, first: i64) -> Result<(), Error> {
        let seen = self.0.seen.load(Ordering::Acquire);
        if first > seen {
            return Ok(());
        }
        self.close(&format!(
            "the database gave number {first} to a new audit entry, and this process has seen entry {seen} committed: the database was \
             replaced by an older copy. Stop the service and bring back the newer database, or run `recvault snapshot restore` into an empty one"
        ));
        self.check()
    }

    /// Remembers that entries up to this number were committed.
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
        assert!(gate.close("old") && !gate.close("older"));
        assert!(matches!(gate.open(), Err(Error::Closed(why)) if &*why == "old"));
        assert_eq!(gate.refusal().as_deref(), Some("old"));
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
