//! Every file in a place of custody, including the folders below it: a copy such as `backup/root`
//! opens as well as the slot that it was copied from.
//!
//! Owns the limits of depth and number. Refuses to follow links to folders, and to open anything
//! but regular files: a pipe would never end. INVARIANT: a file that is not examined is named.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::custody::{Error, fault};

/// The maximum depth of examined folders.
const DEPTH: usize = 4;
/// The maximum number of examined files. A place that is used as intended has four.
const FILES: usize = 1000;

/// A file or folder in the place.
pub(super) struct Seen {
    pub(super) path: PathBuf,
    /// Whether it is a regular file within the length limit.
    pub(super) is_readable: bool,
}

/// Returns everything in a folder and below it, by path; nothing if it does not exist.
pub(super) fn below(folder: &Path, most: u64) -> Result<Vec<Seen>, Error> {
    let mut seen = Vec::new();
    let mut files = 0;
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) if depth == 0 => return Err(fault(&folder, cause)),
            Err(_) => {
                seen.push(Seen {
                    path: folder,
                    is_readable: false,
                });
                continue;
            }
        };
        for entry in entries {
            let path = entry.map_err(|cause| fault(&folder, cause))?.path();
            let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
            let is_readable = match fs::metadata(&path) {
                // Removed between the listing and now; a dangling link is reported.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link => continue,
                Err(_) => false,
                Ok(meta) if meta.is_dir() && !is_link && depth < DEPTH => {
                    folders.push((path, depth + 1));
                    continue;
                }
                Ok(meta) => meta.is_file() && meta.len() <= most && files < FILES,
            };
            files += usize::from(is_readable);
            // In a folder with too many files, the first that is not examined stands for the rest.
            if is_readable
                || files < FILES
                || seen.last().is_none_or(|last: &Seen| last.is_readable)
            {
                seen.push(Seen { path, is_readable });
            }
        }
    }
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(seen)
}
