//! Named points at which a test can kill the process.
//!
//! Compiled to nothing in a release build. A debug build dies at a point only if [`arm`] was called
//! with its name, as `config` does for `RECVAULT_CRASH_AT`; with the suffix `#2`, when the process
//! reaches it for the second time.

/// Every point, in the order in which a recording reaches them.
pub const POINTS: &[&str] = &[
    "accept.before_commit",
    "accept.after_commit",
    "fetch.leased",
    "deposit.first_bytes",
    "deposit.after_store",
    "deposit.before_commit",
    "deposit.after_commit",
    "messages.before_commit",
    "messages.after_commit",
    "files.stored",
    "edits.sealed",
    "edits.entered",
    "notice.before_send",
    "notice.after_send",
    "sessions.noted",
    "sessions.named",
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
    "sign.replaced",
    "pack.begun",
    "pack.stored",
    "pack.entered",
    "pack.left",
    "pack.deleted",
    "rows.begun",
    "rows.stored",
    "rows.left",
    "rows.deleted",
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

/// Chooses the point at which this process dies. Does nothing in a release build.
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

/// Kills the process without unwinding or flushing, if this point was armed.
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
