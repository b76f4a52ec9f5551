//! The lock of a place of custody: an OS lock on a file beside it, released when its process ends.
//!
//! Owns acquiring it within a time limit. The file is never removed: a removed file could be locked
//! by two processes at once. The lock is as reliable as the file system's locks; two machines need
//! a file system that locks for both, or must not share a place.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use super::{Error, fault};

/// A change takes some hundred milliseconds; a process that holds the lock much longer is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
const PACE: Duration = Duration::from_millis(10);

/// The held lock; released on drop.
pub(super) struct Lock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] File,
);

/// Waits for the lock and blocks the thread. Creates the folder only for a new place: for an
/// existing one, a missing folder means that its disk is not mounted.
///
/// # Errors
/// [`Error::Busy`]; the file cannot be created.
pub(super) fn take(path: &Path, is_new_place: bool) -> Result<Lock, Error> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| is_new_place && !folder.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|cause| fault(folder, cause))?;
    }
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let file = open.map_err(|cause| fault(path, cause))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::Error(cause)) => return Err(fault(path, cause)),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= PATIENCE => {
                return Err(Error::Busy {
                    path: path.display().to_string(),
                    seconds: PATIENCE.as_secs(),
                });
            }
            Err(TryLockError::WouldBlock) => pause(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`File::try_lock` has no timeout; polling blocks only this blocking thread"
)]
fn pause() {
    std::thread::sleep(PACE);
}
