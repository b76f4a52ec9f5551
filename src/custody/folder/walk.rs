//! What lies in a place of custody, also in the folders below it: somebody's `backup/root` opens as
//! much as the slot that it was copied from.
//!
//! Owns how deep and how far is looked. Refuses to follow links to folders, and to open what is no
//! file: a pipe would never end. INVARIANT: what is not looked into is named.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::custody::{Error, fault};

/// Folders within folders that are looked into.
const DEPTH: usize = 4;
/// Files that are looked into. In a place that is used as intended there are four.
const FILES: usize = 1000;

/// Something in the place.
pub(super) struct Seen {
    pub(super) path: PathBuf,
    /// Whether it is a file that may be read, of up to so many bytes.
    pub(super) is_readable: bool,
}

/// Everything in a folder and below it, by path; nothing, if it does not exist.
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
                // Removed between the listing and now; a link that leads nowhere is named.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link => continue,
                Err(_) => false,
                Ok(meta) if meta.is_dir() && !is_link && depth < DEPTH => {
                    folders.push((path, depth + 1));
                    continue;
                }
                Ok(meta) => meta.is_file() && meta.len() <= most && files < FILES,
            };
            files += usize::from(is_readable);
            // Of a folder with too much in it, the first that is not looked into stands for the
            // others.
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
