//! What `doctor` finds about files that everybody on the machine may read.
//!
//! Owns the question. Refuses to know what is in the files.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::config::Config;

/// The permission bits of everybody who is neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// The key and the path of each file or folder that others may read or write.
pub(super) fn open_to_others(config: &Config) -> Vec<(String, PathBuf)> {
    let mut paths = config.private_paths();
    paths.retain(|(_, path)| is_open(path));
    paths
}

/// Whether others may use it: the file says so, and so do the folders above it.
fn is_open(path: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode());
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    let may_enter = |folder: &Path| mode(folder).is_ok_and(|mode| mode & 0o001 != 0);
    mode(&path).is_ok_and(|mode| mode & OTHERS != 0) && path.ancestors().skip(1).all(may_enter)
}
