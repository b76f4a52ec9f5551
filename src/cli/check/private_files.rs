//! The findings of `doctor` about files that every user of the machine may access.
//!
//! Owns the check of permissions. Refuses to know the contents of the files.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::config::Config;

/// The permission bits of users who are neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// Returns the key and the path of each file or folder that others may access.
pub(super) fn open_to_others(config: &Config) -> Vec<(String, PathBuf)> {
    let mut paths = config.private_paths();
    paths.retain(|(_, path)| is_open(path));
    paths
}

/// Whether others may access a path: by its own mode, and by those of the folders above it.
fn is_open(path: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode());
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    let may_enter = |folder: &Path| mode(folder).is_ok_and(|mode| mode & 0o001 != 0);
    mode(&path).is_ok_and(|mode| mode & OTHERS != 0) && path.ancestors().skip(1).all(may_enter)
}
