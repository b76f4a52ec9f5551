//! What must be so in every reachable state.

use super::{
    flaws::Flaw,
    state::{LEAVES, State, has},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// A. What a receipt called unrecoverable cannot be had from everything that was ever stored
    /// and all of custody as it is.
    Unrecoverable,
    /// B. What is tombstoned does not open; an acknowledged tombstone stands, also in what would be
    /// rebuilt.
    Tombstoned,
    /// C. A snapshot opens, and what was ever flushed and never shredded is in the database and in
    /// what would be rebuilt.
    Rebuildable,
    /// D. Custody has at most two roots.
    TwoRoots,
    /// E. A root in custody opens the database.
    Opens,
    /// F. When a turn is finished, no receipt that it or an earlier one covers still waits.
    Completed,
}

impl State {
    /// The first invariant that does not hold here.
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
