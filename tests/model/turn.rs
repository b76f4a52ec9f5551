//! The turner: its steps, and its start from any state.
//!
//! INVARIANT: its changes of the database check the lease in the same transaction. Its changes of
//! custody are swaps: each names the slot that was read when the lease was last checked, and is
//! refused if the slot was changed since. Its writes to the store may come arbitrarily late.

use super::{
    flaws::Flaw,
    state::{BRANCH, Epoch, LEAVES, ROOT, State, Step, Turner, has},
};

impl State {
    /// Takes the lease and reads from the rows where to resume.
    pub(crate) fn begin(&mut self, who: usize, flaw: Option<Flaw>) {
        let Some(db) = &mut self.db else {
            return;
        };
        if db.holder.is_some_and(|holder| holder != who) {
            self.spent.takeovers += 1;
        }
        db.holder = Some(who);
        let rows = &db.rows;
        let step = match (rows.settled, rows.finished) {
            (true, false) if flaw != Some(Flaw::ForgetsItsReceipts) => Step::Complete,
            (true, _) => Step::Stage,
            (false, _) if flaw == Some(Flaw::SnapshotLast) => Step::Destroy,
            (false, _) => Step::Read,
        };
        let epoch = rows.epoch;
        let next = rows.next;
        self.turners[who] = Turner {
            step,
            epoch,
            next,
            staged: false,
            slot: self.slot(),
        };
    }

    /// Runs one step of a turner that is not idle.
    pub(crate) fn step(&mut self, who: usize, flaw: Option<Flaw>) {
        let Turner {
            step, epoch, next, ..
        } = self.turners[who].clone();
        let asks = matches!(
            step,
            Step::Climb
                | Step::Commit(_)
                | Step::Read
                | Step::Verify
                | Step::Note
                | Step::Complete
                | Step::Finish
        );
        if asks && !self.may_write(who, flaw) {
            self.turners[who] = Turner::IDLE;
            return;
        }
        let then = match step {
            Step::Idle => Step::Idle,
            Step::Stage => self.stage(who, epoch, next, flaw),
            Step::Climb => self.cover(epoch, flaw),
            Step::Commit(read) => {
                self.commit(who, next, read, flaw);
                self.turners[who].epoch = next;
                self.turners[who].next = next + 1;
                if flaw == Some(Flaw::SnapshotLast) {
                    Step::Destroy
                } else {
                    Step::Read
                }
            }
            Step::Read => Step::Write(
                self.db
                    .as_ref()
                    .filter(|db| db.opens)
                    .map(|db| Box::new(db.rows.clone())),
            ),
            Step::Write(read) => {
                self.store(read);
                Step::Verify
            }
            Step::Verify => match (&self.snapshots[usize::from(epoch)], flaw) {
                (None, _) => Step::Idle,
                (Some(_), Some(Flaw::SnapshotLast | Flaw::CompletedBeforeDestroyed)) => {
                    Step::Complete
                }
                (Some(_), _) => Step::Destroy,
            },
            Step::Destroy => match flaw {
                Some(Flaw::RootKept) => Step::Note,
                _ if self.keep_only(who, epoch, flaw) => Step::Note,
                _ => Step::Idle,
            },
            Step::Note => {
                self.write(|rows| (rows.settled, rows.restored) = (true, false));
                match flaw {
                    Some(Flaw::SnapshotLast) => Step::Read,
                    Some(Flaw::CompletedBeforeDestroyed) => Step::Finish,
                    _ => Step::Complete,
                }
            }
            Step::Complete => {
                self.complete(epoch, flaw);
                if flaw == Some(Flaw::CompletedBeforeDestroyed) {
                    Step::Destroy
                } else {
                    Step::Finish
                }
            }
            Step::Finish => {
                let older = usize::from(epoch);
                self.snapshots[..older].fill(None);
                self.journal[..older].fill(Default::default());
                self.write(|rows| rows.finished = true);
                if let Some(db) = &mut self.db {
                    db.holder = None;
                }
                Step::Idle
            }
        };
        let slot = self.slot();
        let turner = &mut self.turners[who];
        turner.step = then;
        if turner.step == Step::Destroy {
            turner.slot = slot;
        }
        match turner.step {
            Step::Idle => *turner = Turner::IDLE,
            Step::Climb | Step::Commit(_) => {}
            _ => turner.staged = false,
        }
    }

    /// Gives one stale page a new key.
    pub(crate) fn rekey(&mut self, who: usize, flaw: Option<Flaw>) {
        match self.lowest_stale() {
            Some(page) if self.may_write(who, flaw) => self.renew(page, flaw),
            _ => self.turners[who] = Turner::IDLE,
        }
    }

    fn may_write(&self, who: usize, flaw: Option<Flaw>) -> bool {
        self.db
            .as_ref()
            .is_some_and(|db| db.holder == Some(who) || flaw == Some(Flaw::LeaseNotAsked))
    }

    fn write(&mut self, change: impl FnOnce(&mut super::state::Rows)) {
        if let Some(db) = &mut self.db {
            change(&mut db.rows);
        }
    }

    /// Removes every root but the present epoch's; not if custody was changed since it was read, or
    /// has no such root.
    fn keep_only(&mut self, who: usize, epoch: Epoch, flaw: Option<Flaw>) -> bool {
        self.turners[who].slot & (1 << epoch) != 0 && self.swap(who, 1 << epoch, flaw)
    }

    /// Removes a root that an earlier attempt staged, then adds the next root; a third one, or one
    /// below the newest, cannot be added.
    fn stage(&mut self, who: usize, epoch: Epoch, next: Epoch, flaw: Option<Flaw>) -> Step {
        let (read, present) = (self.turners[who].slot, 1 << epoch);
        let next = match flaw {
            // The number after that of the root which an earlier attempt left.
            Some(Flaw::StagesBesideAnother) if has(read, next.into()) => next + 1,
            Some(Flaw::StagesBesideAnother) => next,
            Some(Flaw::RestoreKeepsTheStagedRoot) if has(read, next.into()) => {
                self.turners[who].staged = true;
                return Step::Climb;
            }
            _ if read & !present != 0 => {
                return if self.keep_only(who, epoch, flaw) {
                    Step::Stage
                } else {
                    Step::Idle
                };
            }
            _ => next,
        };
        if !self.swap(who, read | 1 << next, flaw) {
            return Step::Idle;
        }
        self.custody[usize::from(next)] = true;
        self.turners[who].staged = true;
        Step::Climb
    }

    /// Runs the first half of the last transaction.
    fn cover(&mut self, epoch: Epoch, flaw: Option<Flaw>) -> Step {
        match flaw {
            Some(Flaw::DestroyedBeforeTheCommit) => self.destroy(epoch),
            Some(Flaw::CoversLast) => {
                let stale = self.db.as_ref().map_or([false; 4], |db| db.rows.stale);
                return Step::Commit(
                    (0..4)
                        .filter(|&page| stale[page])
                        .fold(0, |set, page| set | 1 << page),
                );
            }
            _ => {}
        }
        Step::Commit(self.uncovered())
    }

    /// Runs the second half.
    fn commit(&mut self, who: usize, next: Epoch, read: u8, flaw: Option<Flaw>) {
        let is_late = flaw == Some(Flaw::CoversLast);
        let covers = if is_late { self.uncovered() } else { read };
        let mut renewed = false;
        for leaf in LEAVES {
            if if is_late {
                has(read, leaf)
            } else {
                self.is_stale(leaf)
            } {
                self.renew(leaf, flaw);
                renewed = true;
            }
        }
        if if is_late {
            renewed || has(read, BRANCH)
        } else {
            self.is_stale(BRANCH)
        } {
            self.renew(BRANCH, flaw);
        }
        if flaw != Some(Flaw::RootPageKeyKept) {
            self.renew(ROOT, flaw);
        }
        let staged = self.turners[who].staged;
        let Some(db) = &mut self.db else {
            return;
        };
        let rows = &mut db.rows;
        if flaw != Some(Flaw::RootKept) {
            rows.root = next;
            db.opens = staged;
        }
        if db.opens {
            self.knowledge.seal_root_page(rows.keys[ROOT], rows.root);
        }
        for recording in (0..rows.covered.len()).filter(|&recording| has(covers, recording)) {
            rows.covered[recording] = next;
        }
        (rows.epoch, rows.next) = (next, next + 1);
        (rows.settled, rows.finished) = (false, false);
    }

    fn is_stale(&self, page: usize) -> bool {
        self.db.as_ref().is_some_and(|db| db.rows.stale[page])
    }

    /// Writes to the store, unless a newer snapshot of its epoch is there.
    fn store(&mut self, read: Option<Box<super::state::Rows>>) {
        let Some(rows) = read else { return };
        let place = &mut self.snapshots[usize::from(rows.epoch)];
        if place
            .as_ref()
            .is_none_or(|there| (there.life, there.audit) <= (rows.life, rows.audit))
        {
            *place = Some(rows);
        }
    }

    fn complete(&mut self, epoch: Epoch, flaw: Option<Flaw>) {
        let Some(db) = &mut self.db else {
            return;
        };
        let rows = &mut db.rows;
        for recording in 0..rows.covered.len() {
            let by = rows.covered[recording];
            let is_due =
                by != 0 && by <= epoch && (by == epoch || flaw != Some(Flaw::ForgetsItsReceipts));
            if is_due {
                rows.unrecoverable |= 1 << recording;
                self.told.unrecoverable |= 1 << recording;
            }
        }
    }
}
