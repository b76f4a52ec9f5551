//! Named places where a test may kill the process.
//!
//! Compiled to nothing in a release build. A debug build dies at a place only when [`arm`] was told
//! its name, which `config` does from `RECVAULT_CRASH_AT`; with `#2` behind the name, when it comes
//! there for the second time.

/// Every place, in the order in which a recording meets them.
pub const POINTS: &[&str] = &[
    "accept.before_commit",
    "accept.after_commit",
    "fetch.leased",
    "deposit.first_bytes",
    "deposit.after_store",
    "deposit.before_commit",
    "deposit.after_commit",
    "shred.before_commit",
    "shred.after_commit",
    "remove.after_delete",
    "remove.before_done",
    "erase.listed",
    "erase.deleted",
    "erase.before_done",
    "turn.staged",
    "turn.rekeying",
    "turn.rekeyed",
    "turn.before_commit",
    "turn.after_commit",
    "turn.snapshot_written",
    "turn.verified",
    "turn.destroyed",
    "turn.receipts",
    "snapshot.first_bytes",
    "journal.written",
    "restore.loaded",
    "restore.before_commit",
    "restore.taken_over",
    "restore.committed",
    "custody.written",
    "custody.linked",
    "custody.renamed",
    "custody.overwritten",
    "custody.removed",
    "backfill.day_done",
    "idempotency.claimed",
    "idempotency.done",
];

#[cfg(debug_assertions)]
static ARMED: std::sync::OnceLock<(String, std::sync::atomic::AtomicU32)> =
    std::sync::OnceLock::new();

/// Chooses the place at which this process will die. Does nothing in a release build.
#[cfg_attr(
    not(debug_assertions),
    expect(unused_variables, reason = "release builds have no crash points")
)]
pub fn arm(point: &str) {
    #[cfg(debug_assertions)]
    ARMED.get_or_init(|| {
        let (name, times) = point.split_once('#').unwrap_or((point, "1"));
        (name.to_owned(), times.parse().unwrap_or(1).into())
    });
}

/// Dies here, without unwinding or flushing, if this place was armed.
#[inline]
#[cfg_attr(
    not(debug_assertions),
    expect(unused_variables, reason = "release builds have no crash points")
)]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    {
        debug_assert!(POINTS.contains(&name), "unlisted crash point {name}");
        let Some((armed, left)) = ARMED.get() else {
            return;
        };
        if armed == name && left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}
