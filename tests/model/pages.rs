//! Changes of the page tree: deposit, shred, move, and a new key for a page. Each is one
//! transaction, or part of one.

use super::{
    flaws::Flaw,
    state::{BRANCH, LEAVES, ROOT, Recording, Set, State, has},
};

impl State {
    pub(crate) fn deposit(&mut self, recording: Recording) {
        let leaf = LEAVES[recording % 2];
        let Some(db) = &mut self.db else {
            return;
        };
        let rows = &mut db.rows;
        rows.slots[recording] = Some(leaf);
        rows.outbox |= 1 << recording;
        rows.audit += 1;
        self.knowledge.seal_record(recording, rows.keys[leaf]);
    }

    pub(crate) fn shred(&mut self, recording: Recording, flaw: Option<Flaw>) {
        let Some(db) = &mut self.db else {
            return;
        };
        let rows = &mut db.rows;
        rows.tombstones |= 1 << recording;
        rows.outbox |= 1 << recording;
        rows.audit += 1;
        if let Some(leaf) = rows.slots[recording].take() {
            rows.stale[leaf] |= flaw != Some(Flaw::ShredNotStale);
        }
        self.told.shredded |= 1 << recording;
        if flaw == Some(Flaw::AcknowledgedUnflushed) {
            self.told.tombstoned |= 1 << recording;
        }
    }

    /// Moves it to the other leaf.
    pub(crate) fn relocate(&mut self, recording: Recording, flaw: Option<Flaw>) {
        let Some(db) = &mut self.db else {
            return;
        };
        let rows = &mut db.rows;
        let Some(from) = rows.slots[recording] else {
            return;
        };
        let [first, second] = LEAVES;
        let to = if from == first { second } else { first };
        rows.slots[recording] = Some(to);
        rows.stale[from] |= flaw != Some(Flaw::MoveNotStale);
        self.knowledge.seal_record(recording, rows.keys[to]);
    }

    /// Gives a page a new key. Its parent is rewritten under its present key, and so becomes stale.
    pub(crate) fn renew(&mut self, page: usize, flaw: Option<Flaw>) {
        let Some(db) = &mut self.db else {
            return;
        };
        let rows = &mut db.rows;
        let key = self.knowledge.fresh();
        rows.keys[page] = key;
        rows.stale[page] = false;
        match page {
            ROOT => self.knowledge.seal_page(rows.keys[BRANCH], key),
            BRANCH => {
                for leaf in LEAVES {
                    self.knowledge.seal_page(rows.keys[leaf], key);
                }
                self.knowledge.seal_page(key, rows.keys[ROOT]);
            }
            leaf => {
                for recording in
                    (0..rows.slots.len()).filter(|&recording| rows.slots[recording] == Some(leaf))
                {
                    self.knowledge.seal_record(recording, key);
                }
                self.knowledge.seal_page(key, rows.keys[BRANCH]);
                rows.stale[BRANCH] |= flaw != Some(Flaw::ClimbSkipsTheBranch);
            }
        }
    }

    /// Returns the stale page that is renewed next: leaves before the branch.
    pub(crate) fn lowest_stale(&self) -> Option<usize> {
        let rows = &self.db.as_ref()?.rows;
        LEAVES
            .into_iter()
            .chain([BRANCH])
            .find(|&page| rows.stale[page])
    }

    /// Returns the recordings that can be opened now.
    pub(crate) fn open_now(&self) -> Set {
        let Some(db) = &self.db else { return 0 };
        let slots = db.rows.slots;
        (0..slots.len())
            .filter(|&recording| slots[recording].is_some())
            .fold(0, |set, recording| set | 1 << recording)
    }

    /// Returns the tombstoned recordings that no turn covers yet.
    pub(crate) fn uncovered(&self) -> Set {
        let Some(db) = &self.db else { return 0 };
        let rows = &db.rows;
        (0..rows.covered.len())
            .filter(|&recording| has(rows.tombstones, recording) && rows.covered[recording] == 0)
            .fold(0, |set, recording| set | 1 << recording)
    }
}
