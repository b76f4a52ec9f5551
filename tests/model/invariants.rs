//! The invariants of every reachable state.

use super::{
    flaws::Flaw,
    state::{LEAVES, State, has},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// A. A recording whose receipt says `unrecoverable` cannot be opened with all data that was
    /// ever stored and all of the present custody.
    Unrecoverable,
    /// B. A tombstoned recording does not open; an acknowledged tombstone persists, also in a
    /// rebuilt database.
    Tombstoned,
    /// C. A snapshot opens, and every recording that was flushed and never shredded is in the
    /// database and in a rebuilt one.
    Rebuildable,
    /// D. Custody has at most two roots.
    TwoRoots,
    /// E. A root in custody opens the database.
    Opens,
    /// F. When a turn is finished, no receipt that it or an earlier one covers still waits.
    Completed,
}

impl State {
    /// Returns the first violated invariant.
    pub(crate) fn violated(&self, flaw: Option<Flaw>) -> Option<Invariant> {
        let told = &self.told;
        let recordings = || 0..super::state::RECORDINGS;
        if recordings().any(|recording| {
            has(told.unrecoverable, recording) && self.knowledge.reaches(recording)
        }) {
            return Some(Invariant::Unrecoverable);
        }
        if self.custody.iter().filter(|&&is_there| is_there).count() > 2 {
            return Some(Invariant::TwoRoots);
        }
        let kept = told.kept & !told.shredded;
        if let Some(db) = &self.db {
            let rows = &db.rows;
            if !db.opens {
                return Some(Invariant::Opens);
            }
            if rows.tombstones & self.open_now() != 0 || told.tombstoned & !rows.tombstones != 0 {
                return Some(Invariant::Tombstoned);
            }
            if kept & !self.open_now() != 0 {
                return Some(Invariant::Rebuildable);
            }
            let waits = |recording: usize| {
                let by = rows.covered[recording];
                by != 0 && by <= rows.epoch && !has(rows.unrecoverable, recording)
            };
            if rows.finished && recordings().any(waits) {
                return Some(Invariant::Completed);
            }
        }
        let Some((rows, _)) = self.rebuilt(LEAVES[0], flaw) else {
            return Some(Invariant::Rebuildable);
        };
        if told.tombstoned & !rows.tombstones != 0 {
            return Some(Invariant::Tombstoned);
        }
        let is_there = |recording: usize| rows.slots[recording].is_some();
        recordings()
            .any(|recording| has(kept, recording) && !is_there(recording))
            .then_some(Invariant::Rebuildable)
    }
}
