//! Flawed variants of the protocol: each changes one step, and the mutants' table names the
//! invariant that fails.

/// One changed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The last transaction seals the old root page's key under the new root.
    RootPageKeyKept,
    /// The last transaction seals the new root page's key under the old root, which is then kept.
    RootKept,
    /// The rekeying does not renew the page above a renewed one.
    ClimbSkipsTheBranch,
    /// Snapshot after destruction.
    SnapshotLast,
    /// Destruction before the last transaction.
    DestroyedBeforeTheCommit,
    /// `unrecoverable` before destruction.
    CompletedBeforeDestroyed,
    /// The last transaction reads the stale pages first and covers receipts second.
    CoversLast,
    /// A move leaves the old leaf unmarked.
    MoveNotStale,
    /// A shred leaves the leaf unmarked.
    ShredNotStale,
    /// A shred is acknowledged when its transaction commits.
    AcknowledgedUnflushed,
    /// A shred is acknowledged when its piece is stored, though the database that it was read from
    /// may be lost.
    AcknowledgedUnasked,
    /// A flush clears each mark it read, whatever came since.
    FlushForgetsChanges,
    /// A flush seals what it read under the key that is current when it writes.
    FlushSealsUnderALaterKey,
    /// A piece of the journal does not carry the root page's key sealed under the root: only a
    /// snapshot of its epoch does.
    PiecesCarryNoKey,
    /// A transaction of a turner does not check that the lease is still its own.
    LeaseNotAsked,
    /// A turn that was begun again starts the next one once the old root is noted, and completes
    /// its own receipts only.
    ForgetsItsReceipts,
    /// A swap of custody does not compare: it writes the slot that was read, changed, over whatever
    /// is there.
    SwapNotCompared,
    /// The next root is added beside one that an earlier try left.
    StagesBesideAnother,
    /// A rebuilding ignores the journal's tombstones.
    RestoreIgnoresTombstones,
    /// A rebuilding keeps the marks of the snapshot: pages renewed or filled since are not stale.
    RestoreKeepsMarks,
    /// A rebuilding believes the snapshot about which tombstoned receipts a turn has covered.
    RestoreKeepsCovers,
    /// A rebuilding prefers the snapshot of the highest epoch, also to that of a database rebuilt
    /// later.
    RestoreForgetsLives,
    /// A rebuilding leaves a staged root in custody, and the next turn uses it.
    RestoreKeepsTheStagedRoot,
    /// A rebuilding has newer roots destroyed and then gives their number to the next one.
    RestoreReusesNumbers,
    /// A rebuilt database accepts deposits before a snapshot of it is verified and newer roots are
    /// destroyed.
    RestoreOpensEarly,
}
