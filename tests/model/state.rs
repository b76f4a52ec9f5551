//! The state of a small vault: custody, database, store, turners, flush, and the answers to
//! clients.
//!
//! Owns the structure and the normal form. Refuses to know the possible actions. Indistinguishable
//! states are equal: keys are numbered by their position, and the two turners are interchangeable.

use super::{
    flaws::Flaw,
    knowledge::{Key, Knowledge},
};

pub(crate) const RECORDINGS: usize = 3;
/// One more than the highest epoch; epoch 0 is none.
pub(crate) const EPOCHS: usize = 6;

pub(crate) type Epoch = u8;
pub(crate) type Recording = usize;
/// A set of recordings.
pub(crate) type Set = u8;
/// A set of epochs whose roots are in a slot of custody.
pub(crate) type Roots = u8;

pub(crate) fn has(set: Set, recording: Recording) -> bool {
    set & (1 << recording) != 0
}

/// A page of the tree.
pub(crate) const ROOT: usize = 0;
pub(crate) const BRANCH: usize = 1;
pub(crate) const LEAVES: [usize; 2] = [2, 3];

/// The content of the database, and of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Rows {
    pub(crate) epoch: Epoch,
    /// The epoch whose root key seals the root page's key; always `epoch`, except in a flawed
    /// protocol.
    pub(crate) root: Epoch,
    /// The number of the next epoch: no root in custody ever had it.
    pub(crate) next: Epoch,
    /// By page.
    pub(crate) keys: [Key; 4],
    /// By page: whether an older copy of it holds a key that must die.
    pub(crate) stale: [bool; 4],
    /// By recording: the leaf page that holds its key.
    pub(crate) slots: [Option<usize>; RECORDINGS],
    pub(crate) tombstones: Set,
    /// By recording: the epoch whose turn covers its receipt; 0 is none.
    pub(crate) covered: [Epoch; RECORDINGS],
    /// Receipts that say `unrecoverable`.
    pub(crate) unrecoverable: Set,
    pub(crate) outbox: Set,
    /// Whether every root but the present one is destroyed.
    pub(crate) settled: bool,
    pub(crate) finished: bool,
    /// Whether it was rebuilt and is not settled: it accepts nothing.
    pub(crate) restored: bool,
    /// How often the database was rebuilt.
    pub(crate) life: u8,
    /// The length of the audit log.
    pub(crate) audit: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Db {
    pub(crate) rows: Rows,
    /// Whether the root key that seals the root page's key is in custody: that one, not a later one
    /// with the same number.
    pub(crate) opens: bool,
    /// The turner with the lease.
    pub(crate) holder: Option<usize>,
}

/// The journal's pieces of one recording, sealed in one epoch: the number of the newest piece with
/// its key, and with its tombstone; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Piece {
    pub(crate) key: u8,
    pub(crate) tombstone: u8,
}

/// The next step of a turner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    Idle,
    Stage,
    Climb,
    /// In the middle of the last transaction, with the receipts (or, if flawed, the stale pages)
    /// that it has read.
    Commit(u8),
    Read,
    /// With the rows that were read, unless no root opens them any more.
    Write(Option<Box<Rows>>),
    Verify,
    Destroy,
    Note,
    Complete,
    Finish,
}

/// A process that turns, with its memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Turner {
    pub(crate) step: Step,
    pub(crate) epoch: Epoch,
    pub(crate) next: Epoch,
    /// Whether its staged root is still in custody.
    pub(crate) staged: bool,
    /// The roots in the slot that it read, and that its next swap expects; empty if custody was
    /// changed since.
    pub(crate) slot: Roots,
}

impl Turner {
    pub(crate) const IDLE: Turner = Turner {
        step: Step::Idle,
        epoch: 0,
        next: 0,
        staged: false,
        slot: 0,
    };
}

/// Marked recordings, read and not written yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flush {
    /// The root that opens it; 0 if there is none any more.
    pub(crate) root: Epoch,
    pub(crate) key: Key,
    pub(crate) audit: u8,
    pub(crate) keys: Set,
    pub(crate) tombstones: Set,
    /// The number of losses before the database that it was read from.
    pub(crate) losses: u8,
}

/// The answers to clients, whatever happens to the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Told {
    /// Deposits that are in the store.
    pub(crate) kept: Set,
    /// Shreds that were acknowledged.
    pub(crate) tombstoned: Set,
    /// Receipts that said `unrecoverable`.
    pub(crate) unrecoverable: Set,
    /// Recordings that were ever shredded, acknowledged or not.
    pub(crate) shredded: Set,
}

/// The number of each kind of event; see [`super::scopes::Scope`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Spent {
    pub(crate) moves: u8,
    pub(crate) crashes: u8,
    pub(crate) takeovers: u8,
    pub(crate) losses: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// By epoch: whether its root is in custody.
    pub(crate) custody: [bool; EPOCHS],
    pub(crate) db: Option<Db>,
    /// By epoch, the snapshots that some root opens. The newest of each epoch suffices.
    pub(crate) snapshots: [Option<Box<Rows>>; EPOCHS],
    /// By epoch and recording, the pieces that some root opens.
    pub(crate) journal: [[Piece; RECORDINGS]; EPOCHS],
    pub(crate) turners: [Turner; 2],
    pub(crate) flush: Option<Flush>,
    pub(crate) knowledge: Knowledge,
    pub(crate) told: Told,
    pub(crate) spent: Spent,
}

impl State {
    /// Returns a vault in its first epoch, with recording 0 in the first leaf and in a verified
    /// snapshot.
    pub(crate) fn initial() -> State {
        let mut knowledge = Knowledge::default();
        let keys: [Key; 4] = std::array::from_fn(|_| knowledge.fresh());
        knowledge.seal_root_page(keys[ROOT], 1);
        knowledge.seal_page(keys[BRANCH], keys[ROOT]);
        for leaf in LEAVES {
            knowledge.seal_page(keys[leaf], keys[BRANCH]);
        }
        knowledge.seal_record(0, keys[LEAVES[0]]);
        let rows = Rows {
            epoch: 1,
            root: 1,
            next: 2,
            keys,
            stale: [false; 4],
            slots: [Some(LEAVES[0]), None, None],
            tombstones: 0,
            covered: [0; RECORDINGS],
            unrecoverable: 0,
            outbox: 0,
            settled: true,
            finished: true,
            restored: false,
            life: 0,
            audit: 1,
        };
        let mut state = State {
            custody: [false; EPOCHS],
            db: Some(Db {
                rows: rows.clone(),
                opens: true,
                holder: None,
            }),
            snapshots: [const { None }; EPOCHS],
            journal: [[Piece::default(); RECORDINGS]; EPOCHS],
            turners: [Turner::IDLE, Turner::IDLE],
            flush: None,
            knowledge,
            told: Told {
                kept: 1,
                ..Told::default()
            },
            spent: Spent::default(),
        };
        state.custody[1] = true;
        state.snapshots[1] = Some(Box::new(rows));
        state.normal()
    }

    /// Returns the present slot of custody.
    pub(crate) fn slot(&self) -> Roots {
        (0..EPOCHS)
            .filter(|&epoch| self.custody[epoch])
            .fold(0, |roots, epoch| roots | 1 << epoch)
    }

    /// Replaces the slot if it is the one that was read; returns `false` if it was changed since.
    /// Any other turner that has read it will notice.
    pub(crate) fn swap(&mut self, who: usize, to: Roots, flaw: Option<Flaw>) -> bool {
        if self.turners[who].slot == 0 {
            return false;
        }
        for epoch in (0..EPOCHS).filter(|epoch| to & (1 << epoch) == 0) {
            self.destroy(epoch.try_into().expect("few"));
        }
        self.changed(flaw);
        self.turners[who].slot = to;
        true
    }

    /// Invalidates the expectations of all turners.
    pub(crate) fn changed(&mut self, flaw: Option<Flaw>) {
        if flaw != Some(Flaw::SwapNotCompared) {
            self.turners.iter_mut().for_each(|turner| turner.slot = 0);
        }
    }

    /// Destroys a root key, and all data that only it opened. (Old copies of that data remain, but
    /// are worthless.)
    pub(crate) fn destroy(&mut self, epoch: Epoch) {
        let number = usize::from(epoch);
        if !std::mem::take(&mut self.custody[number]) {
            return;
        }
        self.knowledge.forget_root(epoch);
        self.journal[number] = [Piece::default(); RECORDINGS];
        for snapshot in &mut self.snapshots {
            snapshot.take_if(|rows| rows.root == epoch);
        }
        if let Some(db) = &mut self.db {
            db.opens &= db.rows.root != epoch;
        }
        for turner in &mut self.turners {
            turner.staged &= turner.next != epoch;
            if let Step::Write(read) = &mut turner.step {
                read.take_if(|rows| rows.root == epoch);
            }
        }
        if let Some(flush) = self.flush.as_mut().filter(|flush| flush.root == epoch) {
            flush.root = 0;
        }
    }

    /// Removes pieces that no rebuild will use: older than every snapshot, or a key where there is
    /// a tombstone.
    fn without_old_pieces(&mut self) {
        let stored = self.snapshots.iter().flatten().map(|rows| rows.audit);
        let read = self.turners.iter().filter_map(|turner| match &turner.step {
            Step::Write(Some(rows)) => Some(rows.audit),
            _ => None,
        });
        let oldest = stored.chain(read).min().unwrap_or(0);
        for piece in self.journal.iter_mut().flatten() {
            if piece.tombstone <= oldest {
                piece.tombstone = 0;
            }
            if piece.key <= oldest || piece.key <= piece.tombstone {
                piece.key = 0;
            }
        }
    }

    /// Returns the normal form of the state.
    pub(crate) fn normal(mut self) -> State {
        self.without_old_pieces();
        if self.turners[0] > self.turners[1] {
            self.turners.swap(0, 1);
            if let Some(holder) = self.db.as_mut().and_then(|db| db.holder.as_mut()) {
                *holder = 1 - *holder;
            }
        }
        let mut named = self.named();
        let mut kept: Vec<Key> = Vec::with_capacity(named.len());
        for key in &mut named {
            let new = kept
                .iter()
                .position(|old| old == &**key)
                .unwrap_or(kept.len());
            if new == kept.len() {
                kept.push(**key);
            }
            **key = new;
        }
        self.knowledge.keep(&kept);
        self
    }

    /// Returns all places that hold the number of a page's key.
    fn named(&mut self) -> Vec<&mut Key> {
        let db = self.db.iter_mut().map(|db| &mut db.rows);
        let stored = self.snapshots.iter_mut().flatten().map(|rows| &mut **rows);
        let read = self
            .turners
            .iter_mut()
            .filter_map(|turner| match &mut turner.step {
                Step::Write(Some(rows)) => Some(&mut **rows),
                _ => None,
            });
        let pages = db.chain(stored).chain(read).flat_map(|rows| &mut rows.keys);
        pages
            .chain(self.flush.iter_mut().map(|flush| &mut flush.key))
            .collect()
    }
}
